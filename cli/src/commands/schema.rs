//! `ofm schema`

use std::process::ExitCode;

use clap::Args;
use ofm::Lab;

use crate::output;

/// Print the JSON schema of topology files
///
/// Editors that know TOML complete and check a topology file by it. Most look for a first line such as
/// `#:schema ./ofm.schema.json` that names the file into which this was written.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        output::print_json(&Lab::schema())?;
        Ok(ExitCode::SUCCESS)
    }
}
