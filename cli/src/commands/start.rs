//! `ofm start`

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ofm::Cluster;
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
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let progress = Arc::new(Progress::new());
        let start = Cluster::builder()
            .spec(self.selection.spec(&global.cluster)?)
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
        if self.json {
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
}
