//! `ofm apply`

use std::process::ExitCode;

use clap::Args;
use ofm::{Applied, Cluster};

use crate::commands::Global;
use crate::commands::environment;
use crate::commands::selection::Selection;
use crate::output;

/// Make a running cluster what a topology file asks for, with the least change
///
/// Gateways, chassis and VMs come and go, logical switches and routers change, chassis are configured anew. Nodes that
/// have ended are made anew. What is as it should be is not touched. What only a new cluster can have is refused before
/// anything is changed. Doing it again goes on where an interruption has stopped it.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    selection: Selection,
    /// Print what was changed as JSON
    #[arg(long)]
    json: bool,
}

impl ApplyArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        environment::warn();
        let spec = self.selection.spec(&global.cluster)?;
        let mut cluster = Cluster::open(&global.state_root(), &spec.name)?;
        let applied = cluster.apply(&spec).await?;
        if self.json {
            output::print_json(&applied)?;
        } else {
            output::print(describe(&applied))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(applied: &Applied) -> String {
    let names = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let rows = (applied.rows > 0).then(|| format!("northbound rows changed: {}", applied.rows));
    let configured = applied
        .reconfigured
        .then(|| "chassis configured anew".to_owned());
    let lines: Vec<String> = [
        names("nodes stopped", &applied.stopped),
        names("nodes added", &applied.added),
        names("VMs removed", &applied.vms_removed),
        names("VMs added", &applied.vms_added),
        rows,
        configured,
    ]
    .into_iter()
    .flatten()
    .collect();
    if lines.is_empty() {
        "nothing to change".to_owned()
    } else {
        lines.join("\n")
    }
}
