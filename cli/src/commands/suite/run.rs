//! One test on one cluster.

use std::fmt;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context;
use ofm::spec::NodeNames;
use ofm::{Cluster, ClusterSpec};
use rustix::process::{Pid, Signal};

use super::Run;
use super::tree::{SCRIPT, command};

/// What the tests expect of a cluster.
const CHASSIS: u32 = 4;
const GATEWAYS: u32 = 4;
/// How much of a log a report shows.
const TAIL: usize = 60;

/// What became of a test.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    /// How long the test took, without its cluster's start and stop.
    pub(super) time: Duration,
    /// The end of its log, if it failed.
    pub(super) log: String,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// With the test's own reason.
    Skipped(String),
    /// With the place in the tests, and the command there.
    Failed(String),
    TimedOut(Duration),
    /// There was no cluster for it.
    Unfit(String),
}

impl Verdict {
    pub(super) const fn is_failure(&self) -> bool {
        !matches!(self, Verdict::Passed | Verdict::Skipped(_))
    }

    /// The verdict in one word.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Verdict::Passed => "pass",
            Verdict::Skipped(_) => "skip",
            Verdict::Failed(_) => "FAIL",
            Verdict::TimedOut(_) => "TIME",
            Verdict::Unfit(_) => "ERROR",
        }
    }

    /// Why it is not a pass.
    pub(super) fn reason(&self) -> String {
        match self {
            Verdict::Passed => String::new(),
            Verdict::TimedOut(limit) => format!("not at its end after {limit:?}"),
            Verdict::Skipped(why) | Verdict::Failed(why) | Verdict::Unfit(why) => why.clone(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            none if none.is_empty() => f.write_str(self.word()),
            reason => write!(f, "{}: {reason}", self.word()),
        }
    }
}

/// Runs a test on a cluster that is made for it and ends with it.
pub(super) async fn test(run: &Run, number: usize) -> anyhow::Result<Outcome> {
    let name = format!("suite-{}-{number}", std::process::id());
    let cluster = match start(run, &name).await {
        Ok(cluster) => cluster,
        Err(error) => {
            return Ok(Outcome {
                verdict: Verdict::Unfit(format!("{:#}", anyhow::Error::new(error))),
                time: Duration::ZERO,
                log: String::new(),
            });
        }
    };
    let folder = run.output.join(number.to_string());
    let outcome = on(run, number, &name, &folder).await?;
    if outcome.verdict.is_failure() {
        for node in &cluster.plan().nodes {
            copy_logs(
                &node.dir.join("log"),
                &folder.join("nodes").join(node.name.as_str()),
            )?;
        }
    } else {
        std::fs::remove_dir_all(&folder)?;
    }
    cluster.stop().await?;
    Ok(outcome)
}

async fn start(run: &Run, name: &str) -> Result<Cluster, ofm::Error> {
    let spec = ClusterSpec {
        name: name.parse().expect("letters, digits and dashes"),
        names: NodeNames {
            central: Some(run.suite.central.clone()),
            ..NodeNames::default()
        },
        tls: run.suite.tls,
        datapath: run.datapath,
        ..ClusterSpec::default()
    };
    let builder = Cluster::builder().spec(spec).state_root(&run.state_root);
    let builder = builder.chassis(CHASSIS).gateways(GATEWAYS).no_fake_vms();
    let builder = match &run.ovs {
        Some(path) => builder.ovs(path),
        None => builder,
    };
    let builder = match &run.ovn {
        Some(path) => builder.ovn(path),
        None => builder,
    };
    builder.start().await
}

/// Runs a test on the cluster of that name, in a folder for its files.
async fn on(run: &Run, number: usize, cluster: &str, folder: &Path) -> anyhow::Result<Outcome> {
    // Where the script finds what ./configure has found out.
    let work = folder.join("tests");
    std::fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let tests = run.suite.folder();
    for file in ["atconfig", "atlocal"] {
        let copied = std::fs::copy(tests.join(file), work.join(file));
        copied.with_context(|| format!("copying {file} to {}", work.display()))?;
    }
    let said = folder.join("output");
    let output = File::create(&said).with_context(|| format!("making {}", said.display()))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = command(tests.join(SCRIPT));
    command
        .arg("-C")
        .arg(&work)
        .arg(format!("AUTOTEST_PATH={}", run.suite.search_path()))
        .arg(number.to_string())
        .env("PATH", format!("{}:{path}", run.shim.path().display()))
        .env("OFM_CLUSTER", cluster)
        .env("OFM_STATE_ROOT", &run.state_root)
        .env("ENABLE_SSL", if run.suite.tls { "yes" } else { "no" })
        .current_dir(&work)
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    let began = Instant::now();
    let mut child = command.spawn().context("running the test suite")?;
    let group = Group::of(&child);
    let ended = tokio::time::timeout(run.timeout, child.wait()).await;
    let time = began.elapsed();
    // Whatever it has left behind.
    drop(group);
    let text = std::fs::read(&said)?;
    let verdict = match ended {
        Err(_) => Verdict::TimedOut(run.timeout),
        Ok(status) => verdict(run, &work, &String::from_utf8_lossy(&text), status?),
    };
    let log = match verdict.is_failure() {
        true => tail(&log_of(&work)),
        false => String::new(),
    };
    Ok(Outcome { verdict, time, log })
}

/// The process group of a test, which is killed when this goes out of scope.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id as i32)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // There may be nothing left to be killed.
            let _gone = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// What an Autotest script says of its only test.
fn verdict(run: &Run, work: &Path, output: &str, status: ExitStatus) -> Verdict {
    match said(output) {
        Said::Ok if status.success() => Verdict::Passed,
        Said::Skipped(place) => {
            let line = run.suite.line(&place).unwrap_or_default();
            Verdict::Skipped(format!("{place}: {line}"))
        }
        Said::Failed(place) => Verdict::Failed(last_step(&log_of(work)).unwrap_or(place)),
        Said::Ok | Said::Nothing => Verdict::Failed(match status.signal() {
            Some(signal) => format!("the test suite was killed by signal {signal}"),
            None => format!("the test suite ended with {status}: {}", tail(output)),
        }),
    }
}

/// A result line of Autotest, such as `  7: name of the test    FAILED (multinode.at:85)`.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Ok,
    Skipped(String),
    Failed(String),
    Nothing,
}

fn said(output: &str) -> Said {
    let results = output.lines().filter(|line| {
        let number = line.split_once(':').map(|(number, _)| number.trim());
        number.is_some_and(|number| number.parse::<usize>().is_ok())
    });
    for line in results {
        let place = || {
            let place = line.rsplit_once('(').map_or("", |(_, place)| place);
            place.trim_end_matches(')').to_owned()
        };
        if line.trim_end().ends_with(" ok") {
            return Said::Ok;
        } else if line.contains(" skipped (") {
            return Said::Skipped(place());
        } else if line.contains(" FAILED (") {
            return Said::Failed(place());
        }
    }
    Said::Nothing
}

/// The last command or wait of a test, with its place, as the log of a test that failed has it.
fn last_step(log: &str) -> Option<String> {
    let mut steps = log.lines().rev().filter_map(|line| {
        let step = line.strip_prefix("./").unwrap_or(line);
        let (place, what) = step.split_once(": ")?;
        let (file, number) = place.rsplit_once(".at:")?;
        let is_place = file.starts_with("multinode") && number.parse::<u32>().is_ok();
        // How a wait ended is not what was waited for.
        let is_end = ["wait failed", "wait succeeded"]
            .iter()
            .any(|end| what.starts_with(end));
        (is_place && !is_end).then(|| step.to_owned())
    });
    steps.next()
}

/// The log of the only test; empty when there is none.
fn log_of(work: &Path) -> String {
    let groups = work.join(format!("{SCRIPT}.dir"));
    let entries = std::fs::read_dir(groups).into_iter().flatten().flatten();
    let mut logs = entries.map(|entry| entry.path().join(format!("{SCRIPT}.log")));
    let log: Option<PathBuf> = logs.find(|log| log.is_file());
    let bytes = log.and_then(|log| std::fs::read(log).ok());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Copies the folders and files of a node's logs.
fn copy_logs(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copying = || format!("copying {}", from.display());
    std::fs::create_dir_all(to).with_context(copying)?;
    for entry in std::fs::read_dir(from).with_context(copying)? {
        let entry = entry.with_context(copying)?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().with_context(copying)?;
        if kind.is_dir() {
            copy_logs(&path, &target)?;
        } else if kind.is_file() {
            std::fs::copy(&path, &target).with_context(copying)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let header = "## ---- ##\n## ovn 25.03.0 test suite. ##\n";
        let of = |line: &str| said(&format!("{header}{line}\n\n1 test behaved as expected.\n"));
        assert_eq!(of("  1: ovn multinode basic test      ok"), Said::Ok);
        let skipped = "  2: pmtu - distributed router          skipped (multinode.at:85)";
        assert_eq!(of(skipped), Said::Skipped("multinode.at:85".to_owned()));
        let failed = " 14: a (b) c                           FAILED (multinode.at:9)";
        assert_eq!(of(failed), Said::Failed("multinode.at:9".to_owned()));
        assert_eq!(of(""), Said::Nothing);
    }

    #[test]
    fn the_last_step_is_what_was_done_or_waited_for() {
        let log = "./multinode.at:77: podman exec a true\nmultinode.at:101: waiting until x | grep y...\n\
                   multinode.at:101: wait failed after 30 seconds\n./ovs-macros.at:256: hard failure\n\
                   2. multinode.at:83: 2. a name (multinode.at:83): FAILED (ovs-macros.at:256)\n";
        let step = "multinode.at:101: waiting until x | grep y...";
        assert_eq!(last_step(log).as_deref(), Some(step));
        assert_eq!(
            last_step("./multinode.at:7: b\nout\n").as_deref(),
            Some("multinode.at:7: b")
        );
        assert_eq!(last_step(""), None);
    }
}
