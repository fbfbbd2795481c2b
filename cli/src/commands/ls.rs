//! `ofm ls`

use std::process::ExitCode;

use clap::Args;

use crate::commands::Global;
use crate::output;
use crate::output::table;

/// List the clusters of this machine
///
/// Clusters of containers are found by what their engine knows of them, also when their state is gone.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

impl Ls {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let inventory = ofm::inventory::list(&global.state_root()).await?;
        for error in inventory.silent {
            output::print_warning(&error.into());
        }
        if self.json {
            output::print_json(&inventory.clusters)?;
        } else {
            output::print(table::clusters(&inventory.clusters))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
