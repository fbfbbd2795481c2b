//! `ofm start`

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ofm::spec::Workload;
use ofm::{Cluster, ClusterSpec};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::Global;
use crate::commands::environment;
use crate::commands::selection::Selection;
use crate::output;
use crate::output::progress::Progress;
use crate::output::table;

/// The status of a shell's command that SIGINT ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Start a cluster and wait until it is ready
///
/// Ready means that every daemon serves, every tunnel is there and every fake VM's port is up. The cluster then runs on
/// until `ofm stop`. A start that fails or is interrupted leaves nothing behind.
#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    selection: Selection,
    /// Print the status of the started cluster as JSON
    #[arg(long)]
    json: bool,
}

impl Start {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        environment::warn();
        start(self.selection.spec(&global.cluster)?, self.json, global).await
    }
}

/// Start chassis that use the southbound databases of somebody else
///
/// The cluster has no central, no gateways and no fake VMs. Its daemons are waited for, but not that REMOTE answers.
#[derive(Debug, Args)]
pub(crate) struct StartChassis {
    /// The southbound databases, as tcp:IP:PORT, several separated by commas
    remote: String,
    #[command(flatten)]
    selection: Selection,
    /// Print the status of the started cluster as JSON
    #[arg(long)]
    json: bool,
}

impl StartChassis {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        environment::warn();
        let spec = ClusterSpec {
            remote: Some(self.remote),
            zones: 0,
            gateways: Some(0),
            relays: 0,
            interconnection: false,
            workload: Workload::None,
            ..self.selection.spec(&global.cluster)?
        };
        start(spec, self.json, global).await
    }
}

async fn start(spec: ClusterSpec, json: bool, global: &Global) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let progress = Arc::new(Progress::new());
    let start = Cluster::builder()
        .spec(spec)
        .state_root(global.state_root())
        .on_event({
            let progress = Arc::clone(&progress);
            move |event| progress.show(event)
        })
        .start();
    // The losing future is dropped before this is over: an interrupted start has ended all that it began.
    let started = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        started = start => Some(started),
    };
    progress.clear();
    let Some(started) = started else {
        eprintln!("interrupted; nothing is left");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let mut cluster = started?;
    cluster.detach()?;
    if json {
        output::print_json(&cluster.status().await?)?;
    } else {
        let plan = cluster.plan();
        output::print(format_args!(
            "cluster {} is ready: {} nodes, {} fake VMs, datapath {}\n\n{}",
            cluster.name(),
            plan.nodes.len(),
            plan.vms().count(),
            plan.datapath.as_str(),
            table::phases(cluster.phases()),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
