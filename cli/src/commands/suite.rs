//! `ofm suite`

mod report;
mod run;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures::{FutureExt, StreamExt, stream};
use ofm::spec::DatapathChoice;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::Global;
use crate::commands::selection::DatapathArg;
use crate::commands::start::INTERRUPTED;
use crate::output;
use run::{Outcome, Verdict};
use tree::{Numbers, TestSuite};

/// Run the multi-node system tests of OVN, each on a cluster of its own
///
/// They are those of `make check-multinode`, from the build tree of OVN. Each test has a fresh cluster of four chassis and four
/// gateways, and reaches it by the name of an engine, as `ofm shim` gives it. Results are printed as a table; of a test that
/// fails the logs of the test and of all nodes are kept. The exit status is 1 if a test failed.
#[derive(Debug, Args)]
#[command(after_help = "Example: ofm suite ~/src/ovn --tests 1,5-9 --jobs 2")]
pub(crate) struct Suite {
    /// The build tree of OVN, in which `make check-multinode` or `make tests/multinode-testsuite` ran
    #[arg(value_name = "OVN_DIR")]
    tree: PathBuf,
    /// Numbers of the tests, as in 1,5-9 [default: all]
    #[arg(long, value_name = "NUMBERS")]
    tests: Option<Numbers>,
    /// How many tests run at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Datapath of the switches
    #[arg(long, value_enum, default_value_t = DatapathArg::Auto)]
    datapath: DatapathArg,
    /// Open vSwitch of all nodes, as for ofm start [default: OVN_DIR/ovs if it is built, else that of this machine]
    #[arg(long, value_name = "PATH")]
    ovs: Option<PathBuf>,
    /// OVN of all nodes, as for ofm start [default: OVN_DIR]
    #[arg(long, value_name = "PATH")]
    ovn: Option<PathBuf>,
    /// How long one test may take
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    timeout: u64,
    /// Folder for the logs of failed tests and for the report junit.xml
    #[arg(long, value_name = "DIR", default_value = "multinode-results")]
    output: PathBuf,
}

/// What all tests of a run have in common.
#[derive(Debug)]
struct Run {
    suite: TestSuite,
    state_root: PathBuf,
    /// The folder with the links in the name of engines.
    shim: tempfile::TempDir,
    datapath: DatapathChoice,
    ovs: Option<PathBuf>,
    ovn: Option<PathBuf>,
    timeout: Duration,
    /// Where results go.
    output: PathBuf,
}

impl Suite {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let suite = TestSuite::open(&self.tree).await?;
        let chosen = suite.choose(self.tests.as_ref())?;
        warn_of_forwarding();
        let shim = tempfile::tempdir().context("making a folder for the links to ofm")?;
        super::shim::install(shim.path())?;
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = self.jobs.unwrap_or_else(processors).max(1);
        let (ovs, ovn) = self.software()?;
        let run = Run {
            output: report::folder(&self.output)?,
            state_root: global.state_root(),
            datapath: self.datapath.into(),
            timeout: Duration::from_secs(self.timeout),
            suite,
            shim,
            ovs,
            ovn,
        };
        let all = tests(&run, &chosen, jobs);
        let outcomes = tokio::select! {
            biased;
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            outcomes = all => Some(outcomes?),
        };
        let Some(outcomes) = outcomes else {
            eprintln!("interrupted; no cluster is left");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        report::junit(&run.output, &outcomes)?;
        output::print(report::table(&run.suite, &outcomes))?;
        let failed = outcomes
            .values()
            .any(|outcome| outcome.verdict.is_failure());
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// The paths of Open vSwitch and OVN.
    fn software(&self) -> anyhow::Result<(Option<PathBuf>, Option<PathBuf>)> {
        let absolute = |path: &Path| {
            let found = path.canonicalize();
            found.with_context(|| format!("looking for {}", path.display()))
        };
        let own = self.tree.join("ovs");
        let own = own.join("vswitchd/ovs-vswitchd").is_file().then_some(own);
        // A root file system that was named for the one has the other as well.
        let ovs = match (&self.ovs, &self.ovn) {
            (None, Some(_)) => None,
            (given, _) => given.clone().or(own),
        };
        let ovn = match (&self.ovn, &self.ovs) {
            (None, Some(_)) => None,
            (given, _) => Some(given.clone().unwrap_or_else(|| self.tree.clone())),
        };
        let ovs = ovs.as_deref().map(absolute).transpose()?;
        Ok((ovs, ovn.as_deref().map(absolute).transpose()?))
    }
}

/// Some tests have routers in namespaces that they make. Those begin with what the machine's first namespace is set to
/// (`devinet_init_net` in the kernel's `net/ipv4/devinet.c`), and engines with networks of their own set that.
fn warn_of_forwarding() {
    const SETTING: &str = "/proc/sys/net/ipv4/ip_forward";
    if std::fs::read_to_string(SETTING).is_ok_and(|set| set.trim() == "0") {
        output::warn(
            "net.ipv4.ip_forward is 0, which namespaces made by tests take over: those with routers in them fail\n\
             hint: `sysctl -w net.ipv4.ip_forward=1`, as an engine's networks do",
        );
    }
}

/// Runs tests in their order, some at once, and tells of each when it is over.
async fn tests(
    run: &Run,
    chosen: &[usize],
    jobs: usize,
) -> anyhow::Result<BTreeMap<usize, Outcome>> {
    let running = chosen.iter().map(|&number| {
        let outcome = run::test(run, number);
        outcome.map(move |outcome| (number, outcome))
    });
    let mut running = stream::iter(running).buffer_unordered(jobs);
    let mut outcomes = BTreeMap::new();
    while let Some((number, outcome)) = running.next().await {
        let outcome = outcome?;
        let name = run.suite.name(number);
        eprintln!("{number:>3}: {name}: {}", outcome.verdict);
        if let Verdict::Unfit(error) = &outcome.verdict
            && outcomes.is_empty()
        {
            // What keeps the first cluster from being made keeps all others.
            bail!("test {number}: {error}");
        }
        outcomes.insert(number, outcome);
    }
    Ok(outcomes)
}
