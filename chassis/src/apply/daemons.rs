//! Phase `daemons`: every daemon, each launched once what it needs is there.

use std::time::Duration;

use super::for_each;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::{DaemonPlan, Plan, Role, ovs_transaction};

/// How long a daemon may take until it serves, on a machine where many start at once.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn start(cluster: &Cluster, clock: &mut Clock) -> Result<(), Error> {
    let began = clock.begin(Phase::Daemons, cluster.handles().len());
    let plan = cluster.plan();
    let central = cluster.node(plan.central().name.as_str())?;
    // The central first: a controller that finds no southbound database tries again only a second later.
    for daemon in &central.plan.daemons {
        launch(&central, daemon).await?;
    }
    let others: Vec<_> = cluster
        .handles()
        .values()
        .filter(|handle| handle.plan.role != Role::Central)
        .collect();
    for_each(clock, Phase::Daemons, others.into_iter(), |handle| {
        chassis(plan, handle)
    })
    .await?;
    clock.end(Phase::Daemons, began);
    Ok(())
}

/// A gateway's or chassis' daemons. Between the first and the others the whole configuration is written, in one
/// transaction, so that ovs-vswitchd configures its datapath once.
async fn chassis(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    let Some((server, others)) = handle.plan.daemons.split_first() else {
        return Ok(());
    };
    launch(handle, server).await?;
    let client = handle.ovs().await?;
    client
        .transact("Open_vSwitch", ovs_transaction(plan, &handle.plan))
        .await
        .map_err(|e| Error::in_node(&handle.plan.name, "configuring Open vSwitch", e))?;
    for daemon in others {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// Runs a daemon with `--detach`: what we started exits with 0 exactly when the daemon serves.
async fn launch(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let command = handle.command(&daemon.program).args(&daemon.args);
    let child = blocking(move || command.spawn()).await?;
    let output = match tokio::time::timeout(DEADLINE, child.output()).await {
        Ok(output) => output?,
        Err(_) => {
            return Err(Error::NotReady {
                node: handle.plan.name.to_string(),
                phase: Phase::Daemons,
                missing: format!("{} did not serve", daemon.name),
                waited: DEADLINE,
                log: handle.log_tail(&daemon.name),
            });
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said: String = output
        .error_text()
        .lines()
        .map(|line| format!("\n  {line}"))
        .collect();
    Err(Error::Daemon {
        node: handle.plan.name.to_string(),
        daemon: daemon.name.clone(),
        status: output.status.to_string(),
        output: said + &handle.log_tail(&daemon.name),
    })
}
