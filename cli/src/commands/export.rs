//! `ofm export`

use std::process::ExitCode;

use clap::Args;
use ofm::Lab;

use crate::commands::Global;
use crate::output;

/// Print the topology file of a running cluster
///
/// It says what was asked for, by whatever means, and what was changed by ofm since; not what others have changed in the
/// databases. `ofm start -f FILE` starts such a cluster again.
#[derive(Debug, Args)]
pub(crate) struct Export {}

impl Export {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let spec = global.open()?.spec()?;
        output::print_bytes(Lab::from_spec(&spec).to_toml().as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
