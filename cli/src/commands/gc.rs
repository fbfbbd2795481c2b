//! `ofm gc`

use std::process::ExitCode;

use clap::Args;
use ofm::name::ClusterName;
use serde::Serialize;

use crate::commands::Global;
use crate::output;

/// Remove what crashed clusters and builds have left
///
/// That is folders of clusters that do not run, containers whose cluster is dead, and images of builds that were cut
/// short. What runs, and what is not made by ofm, is never touched.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Print what was removed as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    clusters: Vec<ClusterName>,
    containers: Vec<String>,
    images: Vec<String>,
}

impl Gc {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let collected = ofm::inventory::gc(&global.state_root()).await?;
        let report = Report {
            clusters: collected.folders,
            containers: collected.containers,
            images: collected.images,
        };
        if self.json {
            output::print_json(&report)?;
        } else {
            for name in &report.clusters {
                eprintln!("removed the folder of cluster {name}");
            }
            for name in &report.containers {
                eprintln!("removed container {name}");
            }
            for id in &report.images {
                eprintln!("removed image {id}");
            }
        }
        let complete = collected.failures.is_empty();
        for error in collected.failures {
            output::print_error(&error.into());
        }
        Ok(if complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
