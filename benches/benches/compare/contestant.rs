//! Who starts clusters.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use ofm_benches::by_hand::{Said, USAGE};
use ofm_benches::cluster::Kind;
use ofm_benches::ofm_cli::Ofm;
use ofm_benches::processes::Processes;
use ofm_benches::program::{Finished, TakeBack, program, run};

use crate::figures::Figures;

/// Somebody who starts clusters.
#[derive(Debug)]
pub(crate) enum Contestant {
    /// A script.
    ByHand(PathBuf),
    /// The program.
    Ofm(Ofm, Kind),
    /// The folder of ovn-fake-multinode.
    OvnFakeMultinode(PathBuf),
}

/// The chassis that comes after the others.
const ONE_MORE: &str = "one-more";

/// What is in the names of all containers that ovn-fake-multinode makes, and that its `stop` removes.
const CONTAINERS: [&str; 3] = ["ovn-central-az", "ovn-gw-", "ovn-chassis-"];

impl Contestant {
    /// A script; see [`ofm_benches::by_hand`] for what it has to do.
    pub(crate) fn by_hand(script: &Path) -> anyhow::Result<Self> {
        let script = || {
            script
                .canonicalize()
                .with_context(|| script.display().to_string())
        };
        Ok(Self::ByHand(script()?))
    }

    pub(crate) fn ofm(ofm: Ofm, kind: Kind) -> Self {
        Self::Ofm(ofm, kind)
    }

    /// The script in a folder, unless the engine has containers that its `stop` would remove.
    pub(crate) async fn ovn_fake_multinode(folder: &Path) -> anyhow::Result<Self> {
        let script = folder.join("ovn_cluster.sh");
        ensure!(script.exists(), "{} is not there", script.display());
        let engine = engine();
        let list = with(program(&engine), &["ps", "--all", "--format", "{{.Names}}"]);
        let list = run(list).await?.success(&engine)?.output;
        let others = list
            .lines()
            .find(|name| CONTAINERS.iter().any(|ours| name.contains(ours)));
        if let Some(name) = others {
            anyhow::bail!(
                "{engine} has a container {name}, which ovn-fake-multinode would take for its own"
            );
        }
        Ok(Self::OvnFakeMultinode(folder.canonicalize()?))
    }

    pub(crate) fn is_ofm(&self) -> bool {
        matches!(self, Self::Ofm(..))
    }

    /// Starts a cluster, adds a chassis, and ends it.
    pub(crate) async fn measure(&self, chassis: u32) -> anyhow::Result<Figures> {
        // A script takes back what it began; and where it refuses to start, what is there is somebody else's.
        let begun = (!matches!(self, Self::ByHand(_))).then(|| TakeBack::by(self.stop()));
        let started = run(self.start(chassis))
            .await?
            .success(&format!("{self}: start"))?;
        let take_back = begun.unwrap_or_else(|| TakeBack::by(self.stop()));
        let mut figures = self.figures(&started)?;
        if let Some(registered) = self.wait_until_registered(chassis) {
            let registered = run(registered)
                .await?
                .success(&format!("{self}: wait for chassis"))?;
            figures.wall = figures
                .wall
                .map(|wall| wall + registered.wall.as_secs_f64());
        }
        if let Some(add) = self.add() {
            let added = run(add).await?;
            if added.status.code() != Some(USAGE) {
                let added = added.success(&format!("{self}: add a chassis"))?;
                figures.add = Some(self.wall(&added)?);
            }
        }
        let stopped = run(self.stop()).await?.success(&format!("{self}: stop"))?;
        take_back.done();
        figures.stop = seconds(stopped.wall);
        Ok(figures)
    }

    fn figures(&self, started: &Finished) -> anyhow::Result<Figures> {
        let daemons = match self {
            Self::ByHand(_) => Said::parse(&started.output).and_then(|said| said.daemons_cpu),
            Self::Ofm(ofm, _) => seconds(Processes::of(ofm.cluster())?.cpu_of_daemons()?),
            Self::OvnFakeMultinode(_) => None,
        };
        Ok(Figures {
            wall: Some(self.wall(started)?),
            daemons,
            own: seconds(started.cpu.own),
            children: seconds(started.cpu.children),
            add: None,
            stop: None,
        })
    }

    /// Until what was asked for was there. A script goes on to count what its daemons have used.
    fn wall(&self, finished: &Finished) -> anyhow::Result<f64> {
        match self {
            Self::ByHand(script) => {
                let said = Said::parse(&finished.output);
                let said = said
                    .with_context(|| format!("{} printed no `wall SECONDS`", script.display()))?;
                Ok(said.wall)
            }
            Self::Ofm(..) | Self::OvnFakeMultinode(_) => Ok(finished.wall.as_secs_f64()),
        }
    }

    fn start(&self, chassis: u32) -> Command {
        let count = chassis.to_string();
        match self {
            Self::ByHand(script) => with(program(script), &["start", &count]),
            Self::Ofm(ofm, kind) => {
                with(ofm.start_command(*kind, chassis), &["--datapath", "netdev"])
            }
            Self::OvnFakeMultinode(folder) => {
                let mut command = with(ovn_cluster(folder), &["start"]);
                // As much as the script by hand has; ovn-ic is always there.
                command.envs([
                    ("CHASSIS_COUNT", &*count),
                    ("GW_COUNT", "0"),
                    ("CREATE_FAKE_VMS", "no"),
                    ("ENABLE_SSL", "no"),
                    ("OVN_DP_TYPE", "netdev"),
                ]);
                command
            }
        }
    }

    /// For one whose start does not wait for its chassis: waits until the southbound database has them.
    fn wait_until_registered(&self, chassis: u32) -> Option<Command> {
        if !matches!(self, Self::OvnFakeMultinode(_)) {
            return None;
        }
        let mut wait = with(program(engine()), &["exec", "ovn-central-az1"]);
        wait.args(["ovn-sbctl", "--timeout=300"]);
        for number in 1..=chassis {
            if number > 1 {
                wait.arg("--");
            }
            let name = format!("ovn-chassis-{number}");
            wait.args(["wait-until", "Chassis", &name]);
        }
        Some(wait)
    }

    fn add(&self) -> Option<Command> {
        match self {
            Self::ByHand(script) => Some(with(program(script), &["add"])),
            Self::Ofm(ofm, _) => Some(with(ofm.command("add-chassis"), &[ONE_MORE])),
            // It returns before the chassis is known, so there is nothing to compare.
            Self::OvnFakeMultinode(_) => None,
        }
    }

    fn stop(&self) -> Command {
        match self {
            Self::ByHand(script) => with(program(script), &["stop"]),
            Self::Ofm(ofm, _) => ofm.command("stop"),
            Self::OvnFakeMultinode(folder) => with(ovn_cluster(folder), &["stop"]),
        }
    }
}

/// What ovn-fake-multinode runs its containers with.
fn engine() -> String {
    std::env::var("RUNC_CMD").unwrap_or_else(|_| "podman".to_owned())
}

/// It works only in its own folder.
fn ovn_cluster(folder: &Path) -> Command {
    let mut command = program(folder.join("ovn_cluster.sh"));
    command.current_dir(folder);
    command
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

fn seconds(time: Duration) -> Option<f64> {
    Some(time.as_secs_f64())
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByHand(_) => f.write_str("by hand"),
            Self::Ofm(_, kind) => write!(f, "ofm, {kind}"),
            Self::OvnFakeMultinode(_) => f.write_str("ovn-fake-multinode"),
        }
    }
}
