//! `ofm ls`

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use ofm::state::Listed;

use crate::commands::Global;
use crate::output;
use crate::output::table;

/// List the clusters of this machine
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

impl Ls {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let clusters = list(&global.state_root())?;
        if self.json {
            output::print_json(&clusters)?;
        } else {
            output::print(table::clusters(&clusters))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The clusters below a state root, which need not exist.
pub(crate) fn list(root: &Path) -> anyhow::Result<Vec<Listed>> {
    match ofm::state::list(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.with_context(|| format!("cannot list the clusters in {}", root.display())),
    }
}
