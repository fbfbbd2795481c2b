//! The program `ofm`, run as its users run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use ofm::name::ClusterName;

use crate::cluster::{self, Kind};
use crate::program::program;

/// The program, and the cluster that it makes.
#[derive(Debug, Clone)]
pub struct Ofm {
    path: PathBuf,
    cluster: ClusterName,
}

impl Ofm {
    /// Takes the program at a path, or the one beside this bench in the target folder.
    ///
    /// # Errors
    /// When it is not built.
    pub fn find(path: Option<PathBuf>) -> anyhow::Result<Self> {
        let bench = std::env::current_exe()?;
        // The bench is in `deps`.
        let folder = bench.ancestors().nth(2).unwrap_or(Path::new("."));
        let path = path.unwrap_or_else(|| folder.join("ofm"));
        ensure!(
            path.exists(),
            "{} is not there\nhint: `cargo build --release -p ofm-cli` builds it, `--ofm PATH` takes another one",
            path.display()
        );
        ensure!(
            rustix::process::geteuid().is_root(),
            "starting clusters takes root\nhint: `sudo -E cargo bench …`"
        );
        Ok(Self {
            path: std::path::absolute(path)?,
            cluster: cluster::name(),
        })
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// A subcommand, for the cluster.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = program(&self.path);
        command.args([subcommand, "--cluster", self.cluster.as_str()]);
        // Processes are looked for in clusters of the usual place.
        command.env_remove("OFM_STATE_ROOT");
        // It is for ovn-fake-multinode, and ofm takes no path in it.
        command.env_remove("RUNC_CMD");
        command
    }

    /// What starts the cluster, without containers, whatever is in the environment for ovn-fake-multinode.
    pub fn start_command(&self, kind: Kind, chassis: u32) -> Command {
        let mut command = self.command("start");
        command
            .args(["--runtime", "native", "--chassis", &chassis.to_string()])
            .args(kind.flags());
        command
    }
}
