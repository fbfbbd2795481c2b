//! `ofm plan`

use std::process::ExitCode;

use clap::Args;
use ofm::plan::Plan;

use crate::commands::Global;
use crate::commands::environment;
use crate::commands::selection::Selection;
use crate::output;
use crate::output::table;

/// Show what a start would make, and make nothing
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    selection: Selection,
    /// Print the whole plan as JSON
    #[arg(long)]
    json: bool,
}

impl PlanArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        environment::warn();
        let spec = self.selection.spec(&global.cluster)?;
        let facts = ofm::host::inspect(&spec, &global.state_root()).await?;
        let plan = Plan::new(&spec, &facts)?;
        if self.json {
            output::print_json(&plan)?;
        } else {
            output::print(table::plan(&plan))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
