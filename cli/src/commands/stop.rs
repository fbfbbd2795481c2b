//! `ofm stop`

use std::process::ExitCode;

use clap::Args;
use ofm::Cluster;
use ofm::name::ClusterName;
use serde::Serialize;

use crate::commands::{Global, ls};
use crate::output;

/// Stop a cluster: end all its programs and remove its state
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
        let names = if self.all {
            let listed = ls::list(&root)?.into_iter();
            listed.filter(|c| c.running).map(|c| c.name).collect()
        } else {
            vec![global.cluster.clone()]
        };
        if names.is_empty() {
            eprintln!("no cluster runs");
        }
        let mut stopped = Vec::new();
        let mut code = ExitCode::SUCCESS;
        for name in names {
            let result = match Cluster::open(&root, &name) {
                Ok(cluster) => cluster.stop().await,
                Err(error) => Err(error),
            };
            match result {
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
