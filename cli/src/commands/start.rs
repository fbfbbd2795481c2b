//! `ofm start`

mod profile;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ofm::spec::Workload;
use ofm::status::Status;
use ofm::{Cluster, ClusterSpec, Timings};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::Global;
use crate::commands::environment;
use crate::commands::selection::Selection;
use crate::output;
use crate::output::progress::Progress;
use crate::output::table;
use profile::{Profile, ProfileArgs};

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
    #[command(flatten)]
    profile: ProfileArgs,
    /// Print the status of the started cluster as JSON; with --timings, those too
    #[arg(long)]
    json: bool,
}

impl Start {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        environment::warn();
        let spec = self.selection.spec(&global.cluster)?;
        start(spec, &self.profile, self.json, global).await
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
    #[command(flatten)]
    profile: ProfileArgs,
    /// Print the status of the started cluster as JSON; with --timings, those too
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
        start(spec, &self.profile, self.json, global).await
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Started {
    #[serde(flatten)]
    status: Status,
    /// With `--timings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

async fn start(
    spec: ClusterSpec,
    args: &ProfileArgs,
    json: bool,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let profile = Profile::new(args)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let progress = Arc::new(Progress::new());
    let mut builder = Cluster::builder()
        .spec(spec)
        .state_root(global.state_root())
        .on_event({
            let progress = Arc::clone(&progress);
            move |event| progress.show(event)
        });
    if let Some(trace) = &profile.trace {
        builder = builder.trace(trace);
    }
    let start = builder.start();
    // The losing future is dropped before this is over: an interrupted start has ended all that it began.
    let started = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        started = start => Some(started),
    };
    progress.clear();
    // A cluster that is there stays nevertheless: it is what was asked for first.
    if let Err(error) = profile.write() {
        output::print_warning(&error);
    }
    let Some(started) = started else {
        eprintln!("interrupted; nothing is left");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let mut cluster = started?;
    cluster.detach()?;
    // Before anything is asked of the daemons, which would count.
    let timings = if args.timings {
        cluster.timings().await?
    } else {
        None
    };
    if json {
        let status = cluster.status().await?;
        output::print_json(&Started { status, timings })?;
    } else {
        let plan = cluster.plan();
        let timings = timings.map_or_else(String::new, |timings| {
            format!("\n\n{}", table::timings(&timings))
        });
        output::print(format_args!(
            "cluster {} is ready: {} nodes, {} fake VMs, datapath {}\n\n{}{timings}",
            cluster.name(),
            plan.nodes.len(),
            plan.vms().count(),
            plan.datapath.as_str(),
            table::phases(cluster.phases()),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
