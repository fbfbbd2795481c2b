//! `ofm doctor`

use std::process::ExitCode;

use clap::Args;

use crate::commands::Global;
use crate::output;
use crate::output::table;

/// Check whether this machine can run a cluster
///
/// A check that fails keeps every cluster, or one of that size, from starting; a note does not. The exit status is 1 when
/// a check fails.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Number of chassis that limits are compared with
    #[arg(long, value_name = "N", default_value_t = 50)]
    chassis: u32,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let checks = ofm::host::checks(&global.state_root(), self.chassis).await;
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
