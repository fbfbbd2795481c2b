//! `ofm doctor`

use std::process::ExitCode;

use clap::Args;

use crate::commands::Global;
use crate::output;
use crate::output::table;

/// Check whether this machine can run a cluster
///
/// The exit status is 1 when a check fails.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let checks = ofm::host::checks(&global.state_root());
        if self.json {
            output::print_json(&checks)?;
        } else {
            output::print(table::checks(&checks))?;
        }
        Ok(if checks.iter().all(|check| check.ok) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
