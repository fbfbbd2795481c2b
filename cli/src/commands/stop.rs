//! `ofm stop`

use std::process::ExitCode;

use clap::Args;
use ofm::inventory;
use ofm::name::ClusterName;
use serde::Serialize;

use crate::commands::Global;
use crate::output;

/// Stop a cluster: end all its programs and remove its state
///
/// What a crashed cluster has left is removed just so.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Stop every cluster that runs; none is fine too
    #[arg(long)]
    all: bool,
    /// Print the names of the stopped clusters as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    stopped: Vec<ClusterName>,
}

impl Stop {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let root = global.state_root();
        let names: Vec<ClusterName> = if self.all {
            let inventory = inventory::list(&root).await?;
            for error in inventory.silent {
                output::print_warning(&error.into());
            }
            let running = inventory.clusters.into_iter().filter(|c| c.running);
            running.map(|c| c.name).collect()
        } else {
            vec![global.cluster.clone()]
        };
        if names.is_empty() {
            eprintln!("no cluster runs");
        }
        let mut stopped = Vec::new();
        let mut code = ExitCode::SUCCESS;
        for name in names {
            match inventory::stop(&root, &name).await {
                Ok(()) => {
                    eprintln!("cluster {name} is stopped");
                    stopped.push(name);
                }
                // The others are to be stopped whatever becomes of this one.
                Err(error) => {
                    output::print_error(&error.into());
                    code = ExitCode::FAILURE;
                }
            }
        }
        if self.json {
            output::print_json(&Report { stopped })?;
        }
        Ok(code)
    }
}
