//! `ofm status`

use std::process::ExitCode;

use clap::Args;

use crate::commands::Global;
use crate::output;
use crate::output::table;

/// Show a running cluster: its nodes, versions, daemons, tunnels and fake VMs
///
/// The exit status is 0 for any cluster that runs, ready or not.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print the status as JSON
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let status = global.open()?.status().await?;
        if self.json {
            output::print_json(&status)?;
        } else {
            output::print(table::status(&status))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
