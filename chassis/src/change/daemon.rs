//! Daemons that are started again.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ofm_netns::Process;
use ovsdb_client::MonitorTable;

use crate::apply;
use crate::apply::daemons::launch;
use crate::apply::ready::wait_for_member;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::{DaemonPlan, PlanProblem};

/// How long a daemon may take to end when it is asked to, before it is killed.
const END: Duration = Duration::from_secs(10);
/// How long a daemon may take to serve below a debugger or a profiler.
const WRAPPED_START: Duration = Duration::from_secs(120);
/// Between two looks at a daemon that tells nobody when it serves.
const INTERVAL: Duration = Duration::from_millis(20);

impl Cluster {
    /// Starts a daemon of a node again, or for the first time after it died, and returns when it serves. It is the program
    /// that is at its path now.
    ///
    /// `wrap` is a program, with its arguments, that is to run the daemon: `gdb -batch -ex run --args`, `valgrind`,
    /// `env NAME=VALUE`. What it writes goes to the daemon's log folder, to a file that ends in `.out`.
    ///
    /// # Errors
    /// [`Error::UnknownNode`]; a problem for a daemon that the node has not; or with what did not work.
    pub async fn restart(&self, node: &str, daemon: &str, wrap: &[String]) -> Result<(), Error> {
        let handle = self.node(node)?;
        let known: Vec<_> = handle
            .plan
            .daemons
            .iter()
            .map(|d| d.name.as_str())
            .collect();
        let Some(plan) = handle.plan.daemons.iter().find(|plan| plan.name == daemon) else {
            let problem = PlanProblem {
                what: format!("it has no daemon {daemon}"),
                location: format!("node {node}"),
                hint: match &known[..] {
                    [] => "no OVS or OVN daemon runs there".to_owned(),
                    known => format!("it has {}", known.join(", ")),
                },
            };
            return Err(Error::Change(problem));
        };
        stop(&handle, plan).await?;
        if wrap.is_empty() {
            launch(&handle, plan).await?;
        } else {
            wrapped(&handle, plan, wrap).await?;
        }
        if plan.name == "ovs-vswitchd" {
            apply::tunnels::acquaint(&handle, self.plan.peers(&handle.plan)).await?;
        }
        wait_for_member(&handle, plan).await
    }
}

/// Ends a daemon, if it runs.
async fn stop(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let failed = |e| Error::in_node(&handle.plan.name, format!("stopping {}", daemon.name), e);
    let Some(process) = running(handle, daemon).await.map_err(failed)? else {
        return Ok(());
    };
    // A controller that is to come back keeps its chassis in the database.
    let args: &[&str] = match daemon.name.as_str() {
        "ovn-controller" => &["--restart"],
        _ => &[],
    };
    let asked = async {
        if let Ok(control) = handle.unixctl(&daemon.name).await {
            // If it does not, it is killed below.
            let _asked = control.exit_with(args).await;
        }
        process.exited().await
    };
    if !matches!(tokio::time::timeout(END, asked).await, Ok(Ok(()))) {
        process.kill();
        process.exited().await.map_err(failed)?;
    }
    Ok(())
}

/// The process that a daemon's pidfile names, if it runs.
async fn running(handle: &NodeHandle, daemon: &DaemonPlan) -> std::io::Result<Option<Process>> {
    let Some(number) = crate::status::pid_of(&handle.plan, daemon) else {
        return Ok(None);
    };
    let (node, program) = (handle.node.clone(), daemon.program.clone());
    let process = blocking(move || node.process_numbered(number)).await?;
    // The pidfile of a daemon that was killed may name a process of another program by now. Whoever started it, such as
    // ovn-ctl(8), may have named the program without its folder.
    let is_it = |process: &Process| {
        let line = std::fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0).map(OsStr::from_bytes);
        words.any(|word| Path::new(word).file_name() == program.file_name())
    };
    Ok(process.filter(is_it))
}

/// Whether a daemon serves that tells nobody when it does. A switch answers before it has looked into its database; it has
/// configured itself when it has bridges of those that are there.
async fn serves(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<bool, Error> {
    // Its own number is known once it has written its pidfile.
    let process = running(handle, daemon).await;
    let process = process.map_err(|e| Error::in_node(&handle.plan.name, "looking for it", e))?;
    let control = handle.unixctl(&daemon.name).await;
    let (Some(_), Ok(mut control)) = (process, control) else {
        return Ok(false);
    };
    if daemon.name != "ovs-vswitchd" {
        return Ok(true);
    }
    let bridges = bridges(handle).await?;
    let Ok(made) = control.call("ofproto/list", &[]).await else {
        return Ok(false);
    };
    let is_made = |bridge: &String| made.lines().any(|made| made == bridge);
    Ok(bridges.is_empty() || bridges.iter().any(is_made))
}

/// The bridges that the database of a node's switch has.
async fn bridges(handle: &NodeHandle) -> Result<Vec<String>, Error> {
    let table = MonitorTable::new("Bridge").columns(["name"]);
    let monitor = handle.ovs().await?.monitor("Open_vSwitch", &[table]).await;
    let monitor =
        monitor.map_err(|e| Error::in_node(&handle.plan.name, "reading its bridges", e))?;
    let rows = monitor.snapshot();
    let names = rows.rows("Bridge");
    Ok(names
        .filter_map(|(_, row)| Some(row.str("name")?.to_owned()))
        .collect())
}

async fn wrapped(handle: &NodeHandle, daemon: &DaemonPlan, wrap: &[String]) -> Result<(), Error> {
    let name = &handle.plan.name;
    let log = handle.plan.log_of(daemon);
    let log = log.unwrap_or_else(|| handle.plan.dir.join("log").join(&daemon.name));
    let log = log.with_extension("out");
    let mut options = File::options();
    let file = options.create(true).append(true).open(&log);
    let file = file.map_err(|e| Error::state("opening", &log, e))?;
    let arguments = daemon.args.iter().filter(|arg| *arg != "--detach");
    let command = handle
        .command(&wrap[0])
        .args(&wrap[1..])
        .args([&daemon.program])
        .args(arguments)
        .output_to(file);
    let mut child = blocking(move || command.spawn()).await?;
    let began = Instant::now();
    loop {
        if serves(handle, daemon).await? {
            let left = child.leave();
            return left.map_err(|e| Error::in_node(name, "leaving it", e));
        }
        let said = || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(8)..];
            last.iter()
                .map(|line| format!("\n  {line}"))
                .collect::<String>()
        };
        match tokio::time::timeout(INTERVAL, child.wait()).await {
            Ok(ended) => {
                return Err(Error::Daemon {
                    node: name.to_string(),
                    daemon: daemon.name.clone(),
                    status: ended?.to_string(),
                    output: said(),
                });
            }
            Err(_) if began.elapsed() > WRAPPED_START => {
                return Err(Error::NotReady {
                    node: name.to_string(),
                    phase: Phase::Daemons,
                    missing: format!("{} did not serve", daemon.name),
                    waited: WRAPPED_START,
                    log: said(),
                });
            }
            Err(_) => {}
        }
    }
}
