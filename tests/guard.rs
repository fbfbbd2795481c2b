//! What a start costs for each chassis, by counting: a machine that is busy makes a start slower, and its counts hardly
//! different.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ofm::{Cluster, NodeHandle};
use ofm_tests::{Place, pause, program};
use serde_json::Value;

use crate::block_on;

/// Two sizes, both with a chassis that goes ahead of the others. What they differ by is the cost of the chassis between them,
/// and what a start costs anyway drops out.
const SIZES: [u32; 2] = [10, 20];

/// How long the counters of a switch may take to be collected; usually a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was counted once, and what is still taken for the same.
struct Recorded {
    name: &'static str,
    value: f64,
    allowed: Allowed,
}

enum Allowed {
    /// What a plan alone decides. A start that needs less is to be recorded here too.
    Exactly,
    /// What also others decide: more than this above what was recorded is too much, and less never is.
    Above(f64),
}

use Allowed::{Above, Exactly};

/// Seen with Open vSwitch 3.1 and OVN 23.03. Where daemons are counted, other releases may write once more or once less: what
/// one trick of the start path saves is more than is allowed here, but where a release brings more than that of its own, it
/// is to be recorded anew.
const RECORDED: &[Recorded] = &[
    // Of other versions of the C library, of Rust and of the kernel there may be a few more or less. Threads that a pool has
    // or has not at hand make a few of these calls too. A connection to a switch takes eight; each of twenty chassis has two,
    // to be told of more neighbours than one takes at once, and each of ten has one.
    row(PER_CHASSIS_CALLS, 389.0, Above(10.0)),
    // For each process that is cloned, one for each signal that there is.
    row(PER_CHASSIS_SIGNALS, 364.0, Above(10.0)),
    // Threads of a pool: of the larger cluster it may have a few more than of the smaller one.
    row(PER_CHASSIS_CLONES, 12.0, Above(1.0)),
    row(PER_CHASSIS_NETLINK, 14.0, Exactly),
    row(PER_CHASSIS_REQUESTS, 2.0, Exactly),
    // Each of twenty chassis has nineteen others.
    row(NEIGHBOURS, 380.0, Exactly),
    // A controller writes that it begins, and once that it is up to date. ovn-northd writes more or less often whatever the
    // size: that is divided by the ten chassis between the sizes.
    row(PER_CHASSIS_SOUTHBOUND, 2.0, Above(0.5)),
    // That of the chassis that goes ahead: it decides what is written for all others.
    row(CHASSIS_ROWS, 1.0, Exactly),
    // Its rows, what ovs-vswitchd says of them in two, and three of the controller. A slow ovs-vswitchd may say it in three.
    row(SWITCH_TRANSACTIONS, 6.0, Above(1.0)),
    // One for the configuration, one for each of the controller's writes. What it writes at once is one.
    row(RECONFIGURATIONS, 4.0, Above(1.0)),
    // One to the central and one back. On a slow machine either may be idle for so long that it is set up again. Nodes that
    // talk to all others make at least one for each of these.
    row(FLOWS, 2.0, Above(2.0)),
    // TCP decides how many there are: 73 to 97 were seen.
    row(PACKETS, 76.0, Above(60.0)),
];

const PER_CHASSIS_CALLS: &str = "system calls of ofm, each chassis";
const PER_CHASSIS_SIGNALS: &str = "rt_sigaction of ofm, each chassis";
const PER_CHASSIS_CLONES: &str = "processes and threads of ofm, each chassis";
const PER_CHASSIS_NETLINK: &str = "netlink requests, each chassis";
const PER_CHASSIS_REQUESTS: &str = "OVSDB requests of ofm, each chassis";
const NEIGHBOURS: &str = "neighbours that switches are told";
const PER_CHASSIS_SOUTHBOUND: &str = "southbound transactions, each chassis";
const CHASSIS_ROWS: &str = "Chassis rows written by controllers";
const SWITCH_TRANSACTIONS: &str = "transactions of a switch's database, most";
const RECONFIGURATIONS: &str = "reconfigurations of a switch, most";
const FLOWS: &str = "flows that a switch set up, most";
const PACKETS: &str = "packets that a switch received, most";

const fn row(name: &'static str, value: f64, allowed: Allowed) -> Recorded {
    Recorded {
        name,
        value,
        allowed,
    }
}

/// What a start of one size cost, by the names above.
type Counts = BTreeMap<&'static str, u32>;

/// A start costs what it did when that was last recorded.
pub(crate) fn start(place: &Place) -> anyhow::Result<()> {
    let small = counted(place, SIZES[0])?;
    let large = counted(place, SIZES[1])?;
    let seen = |name: &str| {
        let count = |counts: &Counts| f64::from(counts.get(name).copied().unwrap_or(0));
        if name.ends_with("each chassis") {
            (count(&large) - count(&small)) / f64::from(SIZES[1] - SIZES[0])
        } else {
            count(&large)
        }
    };
    let mut table = format!("{:45}{:>9}{:>8}{:>8}\n", "", "recorded", "above", "seen");
    let mut differs = false;
    for Recorded {
        name,
        value,
        allowed,
    } in RECORDED
    {
        let seen = seen(name);
        let (above, fits) = match allowed {
            Exactly => (String::from("exactly"), seen == *value),
            Above(more) => (format!("{more}"), seen <= value + more),
        };
        let mark = if fits { "" } else { "  <--" };
        table += &format!("{name:45}{value:>9}{above:>8}{seen:>8.1}{mark}\n");
        differs |= !fits;
    }
    if differs {
        bail!("a start of {SIZES:?} chassis does not cost what was recorded:\n{table}");
    }
    Ok(())
}

/// Starts a cluster, counts, and stops it.
fn counted(place: &Place, chassis: u32) -> anyhow::Result<Counts> {
    let trace = place.root().join(format!("trace{chassis}"));
    let size = chassis.to_string();
    let ofm = place.ofm(&[
        "start",
        "--chassis",
        &size,
        "--gateways",
        "0",
        "--no-fake-vms",
        "--no-tls",
        "--datapath",
        "netdev",
    ]);
    let mut strace = program(Path::new("strace"));
    // Whoever executes a daemon is let go, so that daemons are neither counted nor slowed down. Messages are written whole.
    strace.args(["-f", "-qq", "-b", "execve", "-v", "-s", "1000000", "-o"]);
    strace
        .arg(&trace)
        .arg(ofm.get_program())
        .args(ofm.get_args());
    for (key, value) in ofm.get_envs() {
        strace.env(key, value.unwrap_or_default());
    }
    let said = place.root().join("said");
    strace
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&said)?);
    // It goes on as long as any process of the cluster does.
    let mut start = strace.spawn()?;
    let stdout = start.stdout.take().context("no standard output")?;
    let mut summary = std::io::BufReader::new(stdout)
        .lines()
        .map_while(Result::ok);
    if !summary.any(|line| line.starts_with("total")) {
        start.wait()?;
        let said = std::fs::read_to_string(&said)?;
        bail!("{chassis} chassis did not start:\n{said}");
    }
    let counts = block_on(of_daemons(place));
    place.run(&["stop"])?;
    start.wait()?;
    let mut counts = counts??;
    let trace = std::fs::read(&trace)?;
    of_ofm(&String::from_utf8_lossy(&trace), &mut counts);
    Ok(counts)
}

/// System calls of which the scheduler, or the allocator, decides how many there are: waits and wake-ups, locks, memory; what
/// is read from streams in pieces; and what a thread does at its beginning and end, when a pool has more or less of them.
const BY_CHANCE: &[&str] = &[
    "brk",
    "clock_nanosleep",
    "epoll_pwait",
    "epoll_wait",
    "exit",
    "exit_group",
    "futex",
    "getrandom",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "poll",
    "ppoll",
    "read",
    "recvfrom",
    "restart_syscall",
    "rt_sigprocmask",
    "sched_yield",
    "sendto",
    "sigaltstack",
    "write",
];

/// Counts what ofm did: a line of the trace is `PID CALL(ARGUMENTS) = RESULT`.
fn of_ofm(trace: &str, counts: &mut Counts) {
    let mut count = |name, number| *counts.entry(name).or_default() += number;
    for line in trace.lines() {
        let Some((call, arguments)) = line
            .split_once(' ')
            .and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            continue;
        };
        // Not the second half of a call during which another thread made one, and not a signal.
        if !call.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
            continue;
        }
        match call {
            "rt_sigaction" => count(PER_CHASSIS_SIGNALS, 1),
            _ if BY_CHANCE.contains(&call) => {}
            _ => count(PER_CHASSIS_CALLS, 1),
        }
        if ["clone", "clone3", "fork", "vfork"].contains(&call) {
            count(PER_CHASSIS_CLONES, 1);
        }
        if ["sendto", "sendmsg", "write", "writev"].contains(&call) {
            // One buffer holds many requests.
            count(PER_CHASSIS_NETLINK, occurrences(arguments, "nlmsg_len="));
            // Nobody waits for the answer to a cancelled monitor: it is often not even sent before the connection ends.
            let cancelled = occurrences(arguments, r#"\"method\":\"monitor_cancel\""#);
            let neighbours = occurrences(arguments, r#"\"method\":\"tnl/neigh/set\""#);
            count(NEIGHBOURS, neighbours);
            let requests = occurrences(arguments, r#"\"method\":\""#);
            count(PER_CHASSIS_REQUESTS, requests - cancelled - neighbours);
        }
    }
}

fn occurrences(text: &str, of: &str) -> u32 {
    u32::try_from(text.matches(of).count()).unwrap_or(u32::MAX)
}

/// Counts what the daemons of a cluster did until it was ready.
async fn of_daemons(place: &Place) -> anyhow::Result<Counts> {
    let cluster = Cluster::open(place.root(), &place.name().parse()?)?;
    let plan = cluster.plan();
    let central = cluster.node(plan.central().name.as_str())?;
    let southbound = transactions(&central, "etc/ovn/ovnsb_db.db")?;
    let mut counts = Counts::new();
    counts.insert(CHASSIS_ROWS, u32::try_from(by_controllers(&southbound))?);
    counts.insert(PER_CHASSIS_SOUTHBOUND, u32::try_from(southbound.len())?);

    let mut most = |name, number: u32| {
        let most = counts.entry(name).or_default();
        *most = number.max(*most);
    };
    let chassis = plan.nodes.iter().filter(|node| node.role.is_chassis());
    // The first goes ahead of the others, so that these have less to do.
    for chassis in chassis.skip(1) {
        let handle = cluster.node(chassis.name.as_str())?;
        let records = transactions(&handle, "etc/openvswitch/conf.db")?;
        most(SWITCH_TRANSACTIONS, u32::try_from(records.len())?);
        most(RECONFIGURATIONS, reconfigurations(&handle).await?);
        let mut vswitchd = handle.unixctl("ovs-vswitchd").await?;
        // In userspace it is the main thread that receives packets where no other is told to.
        let statistics = vswitchd.call("dpif-netdev/pmd-stats-show", &[]).await?;
        most(PACKETS, statistic(&statistics, "packets received:")?);
        most(FLOWS, statistic(&statistics, "miss with success upcall:")?);
    }
    Ok(counts)
}

/// How many transactions of a southbound database are controllers' that write Chassis rows.
pub(crate) fn by_controllers(southbound: &[Value]) -> usize {
    let by_controllers = southbound.iter().filter(|record| {
        let whose = record["_comment"].as_str().unwrap_or_default();
        whose.starts_with("ovn-controller") && record.get("Chassis").is_some()
    });
    by_controllers.count()
}

/// The transactions that a database file of a node has, each as JSON (ovsdb(5)), without the schema before them.
pub(crate) fn transactions(node: &NodeHandle, file: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("/proc/{}/root/{file}", node.node().process().pid());
    let log = std::fs::read(path)?;
    let log = String::from_utf8_lossy(&log);
    let records = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(records.skip(1).collect())
}

/// The sum of a statistic over the threads of a switch.
fn statistic(statistics: &str, name: &str) -> anyhow::Result<u32> {
    let values = statistics
        .lines()
        .filter_map(|line| line.trim().strip_prefix(name));
    let values: Vec<u32> = values
        .map(|value| value.trim().parse())
        .collect::<Result<_, _>>()?;
    if values.is_empty() {
        bail!("no {name:?} in {statistics}");
    }
    Ok(values.iter().sum())
}

/// How often ovs-vswitchd configured itself.
async fn reconfigurations(node: &NodeHandle) -> anyhow::Result<u32> {
    let mut vswitchd = node.unixctl("ovs-vswitchd").await?;
    let mut read = async |counter| -> anyhow::Result<u32> {
        let count = vswitchd.call("coverage/read-counter", &[counter]).await?;
        Ok(count.trim().parse()?)
    };
    // A thread adds what it counted to the counters once a second (Open vSwitch's lib/coverage.c). Our question is counted
    // as well: where the counters have that, they have all before it.
    let before = read("unixctl_received").await?;
    let began = Instant::now();
    while read("unixctl_received").await? == before {
        if began.elapsed() > PATIENCE {
            bail!("the counters of ovs-vswitchd do not change");
        }
        pause(Duration::from_millis(20));
    }
    read("bridge_reconfigure").await
}
