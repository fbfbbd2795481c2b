//! The command line: one module for each subcommand.

mod apply;
mod build;
mod change;
mod doctor;
mod environment;
pub(crate) mod exec;
mod export;
mod gc;
mod ls;
pub(crate) mod node;
mod plan;
mod schema;
mod selection;
pub(crate) mod shim;
mod software;
mod start;
mod status;
mod stop;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ofm::Cluster;
use ofm::name::ClusterName;

/// OVN clusters of many nodes on one machine.
///
/// A cluster has a central node with the databases and northd, gateways, and chassis with fake VMs. Each node has
/// namespaces of its own and runs the real daemons of Open vSwitch and OVN.
///
/// Data goes to standard output, everything else to standard error. The exit status is 0 on success, 1 on failure and 2
/// for a wrong command line. OFM_LOG sets what is logged, as in OFM_LOG=debug.
#[derive(Debug, Parser)]
#[command(name = "ofm", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Name of the cluster
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "OFM_CLUSTER",
        default_value = "default"
    )]
    cluster: ClusterName,
    /// Directory with the state of all clusters
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OFM_STATE_ROOT",
        hide = true
    )]
    state_root: Option<PathBuf>,
}

impl Global {
    pub(crate) fn state_root(&self) -> PathBuf {
        self.state_root
            .clone()
            .unwrap_or_else(ofm::state::default_root)
    }

    pub(crate) fn open(&self) -> Result<Cluster, ofm::Error> {
        Cluster::open(&self.state_root(), &self.cluster)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Start(start::Start),
    Stop(stop::Stop),
    Ls(ls::Ls),
    Status(status::StatusArgs),
    Exec(exec::Exec),
    Plan(plan::PlanArgs),
    Export(export::Export),
    Schema(schema::Schema),
    Apply(apply::ApplyArgs),
    AddChassis(change::AddChassis),
    StopChassis(change::StopChassis),
    StartChassis(start::StartChassis),
    SetOvnRemote(change::SetOvnRemote),
    SetChassisOvnRemote(change::SetChassisOvnRemote),
    StopNode(node::StopNode),
    StartNode(node::StartNode),
    RunCommand(change::RunCommand),
    Restart(change::Restart),
    Gc(gc::Gc),
    Build(build::BuildArgs),
    Shim(shim::Shim),
    Suite(suite::Suite),
    Doctor(doctor::Doctor),
}

impl Cli {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let global = &self.global;
        match self.command {
            Command::Start(start) => start.run(global).await,
            Command::Stop(stop) => stop.run(global).await,
            Command::Ls(ls) => ls.run(global).await,
            Command::Status(status) => status.run(global).await,
            Command::Exec(exec) => exec.run(global).await,
            Command::Plan(plan) => plan.run(global).await,
            Command::Export(export) => export.run(global),
            Command::Schema(schema) => schema.run(),
            Command::Apply(apply) => apply.run(global).await,
            Command::AddChassis(add) => add.run(global).await,
            Command::StopChassis(stop) => stop.run(global).await,
            Command::StartChassis(start) => start.run(global).await,
            Command::SetOvnRemote(set) => set.run(global).await,
            Command::SetChassisOvnRemote(set) => set.run(global).await,
            Command::StopNode(stop) => stop.run(global).await,
            Command::StartNode(start) => start.run(global).await,
            Command::RunCommand(run) => run.run(global).await,
            Command::Restart(restart) => restart.run(global).await,
            Command::Build(build) => build.run(global).await,
            Command::Shim(shim) => shim.run(),
            Command::Suite(suite) => suite.run(global).await,
            Command::Gc(gc) => gc.run(global).await,
            Command::Doctor(doctor) => doctor.run(global).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn exec_keeps_the_flags_of_the_program() {
        let line = ["ofm", "exec", "ovn-chassis-1", "-it", "--", "ls", "-t"];
        let cli = Cli::try_parse_from(line).unwrap();
        let Command::Exec(exec) = cli.command else {
            panic!("{cli:?} is no exec");
        };
        assert!(exec.manner.interactive && exec.manner.tty);
        assert_eq!(exec.command, ["ls", "-t"]);
    }

    #[test]
    fn names_are_checked() {
        assert!(Cli::try_parse_from(["ofm", "ls", "--cluster", "a/b"]).is_err());
        assert!(Cli::try_parse_from(["ofm", "exec", "node"]).is_err());
    }
}
