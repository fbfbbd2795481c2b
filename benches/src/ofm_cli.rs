//! The program `ofm`, run as its users run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use ofm::name::ClusterName;

use crate::cluster::{self, Kind};
use crate::program::{Finished, TakeBack, program, run};

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

    /// Starts the cluster.
    ///
    /// # Errors
    /// With what `ofm start` said.
    pub async fn start(&self, kind: Kind, chassis: u32) -> anyhow::Result<(TakeBack, Finished)> {
        let take_back = TakeBack::by(self.command("stop"));
        let started = run(self.start_command(kind, chassis)).await?;
        Ok((take_back, started.success("ofm start")?))
    }

    /// Ends the cluster.
    ///
    /// # Errors
    /// With what `ofm stop` said.
    pub async fn stop(&self, take_back: TakeBack) -> anyhow::Result<Finished> {
        let stopped = run(self.command("stop")).await?.success("ofm stop")?;
        take_back.done();
        Ok(stopped)
    }

    /// Asks `ofm doctor` whether this machine can run a cluster of that size.
    ///
    /// # Errors
    /// With what keeps it from that.
    pub async fn doctor(&self, chassis: u32) -> anyhow::Result<()> {
        let mut command = self.command("doctor");
        command.args(["--chassis", &chassis.to_string()]);
        let doctor = run(command).await?;
        let failures = doctor
            .output
            .lines()
            .filter(|line| line.starts_with("FAIL"));
        let failures: Vec<_> = failures.collect();
        ensure!(failures.is_empty(), "ofm doctor\n{}", failures.join("\n"));
        doctor.success("ofm doctor").map(drop)
    }
}
