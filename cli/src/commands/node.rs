//! `ofm stop-node` and `start-node`

use std::process::ExitCode;

use clap::Args;
use ofm::Cluster;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::Global;
use crate::commands::start::INTERRUPTED;
use crate::output;

/// End a gateway, chassis or relay, as a machine that is switched off
///
/// Its controller leaves the databases first. Its place in the cluster stays, and its logs do; its files are gone.
#[derive(Debug, Args)]
pub(crate) struct StopNode {
    /// Its name
    name: String,
}

impl StopNode {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        global.open()?.stop_node(&self.name).await?;
        output::print(format_args!("{} is stopped", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Make a node anew that has ended, and wait until it is ready, with its tunnels and VMs
#[derive(Debug, Args)]
pub(crate) struct StartNode {
    /// Its name
    name: String,
}

impl StartNode {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut cluster = global.open()?;
        if let Some(interrupted) = start(&mut cluster, &self.name).await? {
            return Ok(interrupted);
        }
        output::print(format_args!("{} is ready", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Starts a node. If it is interrupted, the node is as stopped as before, and the status to end with is returned.
pub(crate) async fn start(cluster: &mut Cluster, name: &str) -> anyhow::Result<Option<ExitCode>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ran = cluster.node(name).is_ok();
    let started = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        started = cluster.start_node(name) => Some(started),
    };
    match started {
        Some(started) => started.map(|()| None).map_err(Into::into),
        None => {
            if !ran {
                cluster.stop_node(name).await?;
            }
            eprintln!("interrupted; {name} does not run");
            Ok(Some(ExitCode::from(INTERRUPTED)))
        }
    }
}
