//! `podman start`, `stop`, `restart`, `kill` and `rm`

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use crate::commands::Global;
use crate::commands::node::start;
use crate::output;

/// Make nodes anew that have ended, and wait until they are ready
#[derive(Debug, Args)]
pub(super) struct Start {
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

impl Start {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut cluster = global.open()?;
        for name in &self.nodes {
            if let Some(interrupted) = start(&mut cluster, name).await? {
                return Ok(interrupted);
            }
            output::print(name)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// End gateways, chassis and relays; what is in them is gone but for their logs
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// Taken and without a meaning here: a controller has 5 seconds to leave its databases
    #[arg(short, long, value_name = "SECONDS", visible_alias = "timeout")]
    time: Option<u32>,
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

impl Stop {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut cluster = global.open()?;
        for name in &self.nodes {
            cluster.stop_node(name).await?;
            output::print(name)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// End nodes and make them anew
#[derive(Debug, Args)]
pub(super) struct Restart {
    /// Taken and without a meaning here: a controller has 5 seconds to leave its databases
    #[arg(short, long, value_name = "SECONDS", visible_alias = "timeout")]
    time: Option<u32>,
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

impl Restart {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut cluster = global.open()?;
        for name in &self.nodes {
            cluster.stop_node(name).await?;
            if let Some(interrupted) = start(&mut cluster, name).await? {
                return Ok(interrupted);
            }
            output::print(name)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Send a signal to the first process of nodes
///
/// SIGKILL ends a node at once, with all that runs in it. The first process of a native node heeds no other signal.
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// The signal, by name or number
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

impl Kill {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let number = number(&self.signal)?;
        let cluster = global.open()?;
        for name in &self.nodes {
            let node = cluster.node(name)?;
            let sent = node.node().process().signal(number);
            sent.with_context(|| format!("sending signal {} to {name}", self.signal))?;
            output::print(name)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The number of a signal (signal(7)).
fn number(signal: &str) -> anyhow::Result<i32> {
    let name = signal.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let number = match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => 9,
        "USR1" => 10,
        "USR2" => 12,
        "TERM" => 15,
        "CONT" => 18,
        "STOP" => 19,
        other => match other.parse() {
            Ok(number @ 1..=64) => number,
            _ => bail!("there is no signal {signal:?}; give its number"),
        },
    };
    Ok(number)
}

/// Take gateways and chassis out of the cluster
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// Those that run, too
    #[arg(short, long)]
    force: bool,
    /// Taken and without a meaning here: nothing of a node stays
    #[arg(short, long)]
    volumes: bool,
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

impl Rm {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut cluster = global.open()?;
        for name in &self.nodes {
            if !self.force && cluster.node(name).is_ok() {
                bail!("{name} runs; stop it first, or use -f");
            }
            cluster.stop_chassis(name).await?;
            output::print(name)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, expected) in [("KILL", 9), ("SIGTERM", 15), ("hup", 1), ("34", 34)] {
            assert_eq!(number(text).unwrap(), expected);
        }
        for wrong in ["", "0", "65", "SIGFOO", "-9"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
