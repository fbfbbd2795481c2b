//! `ofm add-chassis`, `stop-chassis`, `set-ovn-remote`, `set-chassis-ovn-remote`, `restart`, `run-command`

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use ofm::name::NodeName;
use ofm::spec::ChassisSpec;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::Global;
use crate::commands::start::INTERRUPTED;
use crate::output;

/// Add a chassis to a running cluster, and wait until all its tunnels are there
///
/// It has an address that no node of the cluster has had before. Traffic between others goes on meanwhile.
#[derive(Debug, Args)]
pub(crate) struct AddChassis {
    /// Its name
    name: NodeName,
    /// The southbound databases that it uses, as ssl:IP:PORT, several separated by commas; it is not waited for then
    /// [default: those of its zone]
    remote: Option<String>,
    /// Number of its availability zone [default: the one with the fewest]
    #[arg(long, value_name = "N")]
    zone: Option<u32>,
    /// Make it a gateway
    #[arg(long)]
    gateway: bool,
}

impl AddChassis {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut cluster = global.open()?;
        let name = self.name.to_string();
        let others = cluster.plan().node_named(&name).is_some();
        let add = cluster.add_chassis(ChassisSpec {
            name: self.name,
            gateway: self.gateway,
            zone: self.zone,
            remote: self.remote,
        });
        let added = tokio::select! {
            biased;
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            added = add => Some(added),
        };
        let Some(added) = added else {
            if !others && cluster.plan().node_named(&name).is_some() {
                cluster.stop_chassis(&name).await?;
            }
            eprintln!("interrupted; nothing is left");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        output::print(format_args!("{name} is ready at {}", added?.plan().address))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Stop a chassis or gateway of a running cluster
///
/// Its rows leave the southbound database, and it is waited for until no other chassis has a tunnel to it.
#[derive(Debug, Args)]
pub(crate) struct StopChassis {
    /// Its name
    name: String,
}

impl StopChassis {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        global.open()?.stop_chassis(&self.name).await?;
        output::print(format_args!("{} is stopped", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Make all gateways and chassis use other southbound databases
#[derive(Debug, Args)]
pub(crate) struct SetOvnRemote {
    /// The databases, as ssl:IP:PORT, several separated by commas
    remote: String,
}

impl SetOvnRemote {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        global.open()?.set_ovn_remote(&[], &self.remote).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Make one gateway or chassis use other southbound databases
#[derive(Debug, Args)]
pub(crate) struct SetChassisOvnRemote {
    /// Its name
    name: String,
    /// The databases, as ssl:IP:PORT, several separated by commas
    remote: String,
}

impl SetChassisOvnRemote {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut cluster = global.open()?;
        cluster.set_ovn_remote(&[&self.name], &self.remote).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Start a daemon of a node again, or one that has died
///
/// The program that is at its path now is started, so a rebuilt one is picked up. It is waited for until it serves.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// Name of the node
    node: String,
    /// Name of the daemon, as `ofm status` shows it
    daemon: String,
    /// A program, with arguments, that runs the daemon, such as 'gdb -batch -ex run --args' or 'env NAME=VALUE'
    ///
    /// What it writes is appended to a file beside the daemon's log that ends in .out.
    #[arg(long, value_name = "COMMAND")]
    wrap: Option<String>,
}

impl Restart {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let wrap = self.wrap.as_deref().unwrap_or_default();
        let wrap = shlex::split(wrap).context("--wrap has a quotation mark without its partner")?;
        let cluster = global.open()?;
        cluster.restart(&self.node, &self.daemon, &wrap).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Run a command in all nodes, one after the other
///
/// The order is centrals, gateways, relays, chassis, and then those that came later. A failure does not keep the command
/// from being run in the others; the exit status is 1 if there was one.
#[derive(Debug, Args)]
pub(crate) struct RunCommand {
    /// Program and arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl RunCommand {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let cluster = global.open()?;
        let mut all_well = true;
        for plan in &cluster.plan().nodes {
            if plan.role == ofm::plan::Role::Host {
                continue;
            }
            output::print(format_args!("--- {}", plan.name))?;
            let result = match cluster.node(plan.name.as_str()) {
                Ok(node) => node.exec(&self.command).await,
                Err(gone) => Err(gone),
            };
            match result {
                Ok(output) => {
                    output::print_bytes(&output.stdout)?;
                    eprint!("{}", output.error_text());
                    if !output.status.success() {
                        eprintln!("{}: {}", plan.name, output.status);
                        all_well = false;
                    }
                }
                Err(error) => {
                    output::print_error(&error.into());
                    all_well = false;
                }
            }
        }
        Ok(if all_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
