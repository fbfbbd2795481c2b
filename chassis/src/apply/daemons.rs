//! Phase `daemons`: every daemon, each launched once what it needs is there.

mod model;

use std::time::Duration;

use super::for_each;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::{DaemonPlan, Plan, Role, ovs_transaction};
use crate::trace::SpanKind;

/// How long a daemon may take until it serves, on a machine where many start at once.
const DEADLINE: Duration = Duration::from_secs(60);

/// From how many chassis on it pays to let one of them write its rows first, for the others to be like them.
const WORTH_A_MODEL: usize = 8;

/// The name of the wait for the rows of that one.
const MODEL: &str = "rows of the first controller";

/// Starts the daemons of nodes in steps, because whoever finds no server where it expects one tries again only a second
/// later.
pub(crate) async fn start(
    cluster: &Cluster,
    handles: &[&NodeHandle],
    clock: &mut Clock,
) -> Result<(), Error> {
    let began = clock.begin(Phase::Daemons, handles.len());
    let plan = cluster.plan();
    let of = |wanted: &dyn Fn(&NodeHandle) -> bool| -> Vec<&NodeHandle> {
        let handles = handles.iter().copied();
        handles.filter(|handle| wanted(handle)).collect()
    };
    let joins = |handle: &NodeHandle| {
        let mut databases = handle.plan.databases.iter();
        databases.any(|database| {
            database
                .raft
                .as_ref()
                .is_some_and(|raft| raft.join.is_some())
        })
    };
    let central = |handle: &NodeHandle| handle.plan.role == Role::Central;
    // Centrals count when their last daemon runs.
    let silent = Clock::deaf();
    let founders = of(&|handle| central(handle) && !joins(handle));
    for_each(&silent, Phase::Daemons, founders.into_iter(), servers).await?;
    let joiners = of(&|handle| central(handle) && joins(handle));
    for_each(&silent, Phase::Daemons, joiners.into_iter(), servers).await?;
    let others = of(&|handle| matches!(handle.plan.role, Role::Central | Role::Relay));
    let done = others.len();
    for_each(clock, Phase::Daemons, others.into_iter(), clients).await?;
    let chassis = of(&|handle| handle.plan.role.is_chassis());
    let clock_after = clock.after(done);
    let (model, others) = match chassis.split_first() {
        Some((first, others))
            if others.len() >= WORTH_A_MODEL && plan.is_own_chassis(&first.plan) =>
        {
            (Some(*first), others)
        }
        _ => (None, &chassis[..]),
    };
    // Whether the others' controllers may start.
    let (may, _) = tokio::sync::watch::channel(model.is_none());
    let begin = async {
        if let Some(model) = model {
            switch(plan, model).await?;
            controller(model).await?;
            let copied = model::copy(cluster, model, others);
            model.span(SpanKind::Wait, MODEL, copied).await?;
            may.send_replace(true);
        }
        Ok(())
    };
    let others = for_each(
        &clock_after,
        Phase::Daemons,
        others.iter(),
        async |handle| {
            switch(plan, handle).await?;
            // The sender outlives this.
            let mut allowed = may.subscribe();
            if !*allowed.borrow() {
                let allowed = allowed.wait_for(|may| *may);
                handle.span(SpanKind::Wait, MODEL, allowed).await.ok();
            }
            controller(handle).await
        },
    );
    futures::try_join!(begin, others)?;
    clock.end(Phase::Daemons, began);
    Ok(())
}

/// A central's database servers.
async fn servers(handle: &NodeHandle) -> Result<(), Error> {
    let servers = handle
        .plan
        .daemons
        .iter()
        .filter(|daemon| daemon.is_database_server());
    for daemon in servers {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// What uses the databases of a zone's centrals: their own daemons, and relays.
async fn clients(handle: &NodeHandle) -> Result<(), Error> {
    let relay = handle.plan.role == Role::Relay;
    let daemons = handle.plan.daemons.iter();
    for daemon in daemons.filter(|daemon| relay || !daemon.is_database_server()) {
        launch(handle, daemon).await?;
    }
    Ok(())
}

async fn configure(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    let client = handle.ovs().await?;
    client
        .transact("Open_vSwitch", ovs_transaction(plan, &handle.plan))
        .await
        .map_err(|e| Error::in_node(&handle.plan.name, "configuring Open vSwitch", e))?;
    Ok(())
}

/// A gateway's or chassis' Open vSwitch. Between its two daemons the whole configuration is written, in one transaction, so
/// that ovs-vswitchd configures its datapath once.
async fn switch(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    for daemon in handle
        .plan
        .daemons
        .iter()
        .filter(|daemon| !daemon.is_controller())
    {
        launch(handle, daemon).await?;
        if daemon.is_database_server() {
            let configured = configure(plan, handle);
            handle
                .span(SpanKind::Step, "configuration", configured)
                .await?;
        }
    }
    Ok(())
}

/// A gateway's or chassis' controller.
async fn controller(handle: &NodeHandle) -> Result<(), Error> {
    for daemon in handle
        .plan
        .daemons
        .iter()
        .filter(|daemon| daemon.is_controller())
    {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// Runs a daemon with `--detach`: what we started exits with 0 exactly when the daemon serves.
pub(crate) async fn launch(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let served = serve(handle, daemon);
    handle.span(SpanKind::Daemon, &daemon.name, served).await
}

async fn serve(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
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
    if let Some(trace) = &handle.trace {
        trace.add_launched(&daemon.program, output.cpu);
    }
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
