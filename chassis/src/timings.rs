//! Where the time of a start went, as `ofm start --timings` prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ofm_netns::{CpuTime, processes_in};
use serde::{Serialize, Serializer};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::name::NodeName;
use crate::node::blocking;
use crate::trace::Span;

/// Where the time of a start went. As JSON, times are milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Timings {
    /// How long the start took.
    #[serde(rename = "wall_ms", serialize_with = "milliseconds")]
    pub wall: Duration,
    /// How long each of its phases took.
    #[serde(rename = "phases_ms", serialize_with = "phases")]
    pub phases: BTreeMap<Phase, Duration>,
    /// The nodes; first the one that was done last.
    pub nodes: Vec<NodeTiming>,
    /// The programs; first the one that used most.
    pub programs: Vec<ProgramTime>,
    /// What the daemons of OVS and OVN used of the processors, all together.
    #[serde(rename = "daemons_ms", serialize_with = "milliseconds")]
    pub daemons: Duration,
    /// How many processors this process may use.
    pub cores: usize,
    /// By how much the start was longer than what its daemons use, dealt to all processors: 1 is as fast as it can be with
    /// daemons that do what these did.
    pub ratio: f64,
}

/// A node during a start.
#[derive(Debug, Clone, Serialize)]
pub struct NodeTiming {
    /// Its name.
    pub name: NodeName,
    /// When the first thing was done for it, from the beginning of the start.
    #[serde(rename = "from_ms", serialize_with = "milliseconds")]
    pub from: Duration,
    /// When the last thing was done that was about it.
    #[serde(rename = "to_ms", serialize_with = "milliseconds")]
    pub to: Duration,
    /// The name of what took longest.
    pub longest: String,
    /// How long that took.
    #[serde(rename = "longest_ms", serialize_with = "milliseconds")]
    pub took: Duration,
}

/// What the processes of a program used of the processors.
#[derive(Debug, Clone, Serialize)]
pub struct ProgramTime {
    /// Its name, which the kernel cuts off after 15 bytes.
    pub program: String,
    /// How many processes of it there are.
    pub processes: usize,
    /// What they used all together. Processes that launched daemons and ended are in it.
    #[serde(rename = "total_ms", serialize_with = "milliseconds")]
    pub total: Duration,
    /// As much of it as was user code; `None` where the kernel saw too little of it to tell.
    #[serde(rename = "user_ms", serialize_with = "maybe_milliseconds")]
    pub user: Option<Duration>,
    /// As much of it as was the kernel's work.
    #[serde(rename = "system_ms", serialize_with = "maybe_milliseconds")]
    pub system: Option<Duration>,
}

impl ProgramTime {
    fn new(program: String, processes: usize, cpu: CpuTime) -> Self {
        let divided = cpu.user + cpu.system;
        let share = cpu.user.as_secs_f64() / divided.as_secs_f64();
        let user = (!divided.is_zero()).then(|| cpu.total.mul_f64(share));
        Self {
            program,
            processes,
            total: cpu.total,
            user,
            system: user.map(|user| cpu.total.saturating_sub(user)),
        }
    }

    /// What one process used on average; `None` when there is none any more.
    pub fn each(&self) -> Option<Duration> {
        let processes = u32::try_from(self.processes).ok()?;
        self.total.checked_div(processes)
    }
}

impl Cluster {
    /// Where the time of its start went, and what its processes have used of the processors by now. `None` unless it was
    /// started by this process, with a [`Builder::trace`](crate::Builder::trace). If that was given to another start since, it
    /// tells of that one.
    ///
    /// Of this process it is what it used from the beginning of the start to its end, for whatever. What the kernel did for
    /// nobody in particular, as packets that arrive, and what a container engine did, is not known.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub async fn timings(&self) -> Result<Option<Timings>, Error> {
        let Some(trace) = &self.trace else {
            return Ok(None);
        };
        let Some((wall, own)) = trace.whole() else {
            return Ok(None);
        };
        let failed = |e: std::io::Error| Error::in_node(self.name(), "reading processor times", e);
        let handles = self.handles().values();
        let nodes: Vec<_> = handles.map(|handle| handle.node().clone()).collect();
        let keeper = self.keeper().process().pid();
        let mut processes = blocking(move || -> std::io::Result<_> {
            let mut processes = processes_in(&nodes)?;
            processes.push(("ofm-keeper".to_owned(), CpuTime::of(keeper)?));
            Ok(processes)
        })
        .await
        .map_err(failed)?;
        let me = std::fs::read_to_string("/proc/self/comm").map_err(failed)?;
        processes.push((me.trim_end().to_owned(), own));
        let programs = programs(processes, trace.launched());

        let plans = self.plan().nodes.iter();
        let daemons = plans.flat_map(|node| &node.daemons);
        let daemons: BTreeSet<String> = daemons
            .filter_map(|daemon| Some(daemon.program.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let of_daemons = programs
            .iter()
            .filter(|program| daemons.contains(&program.program));
        let daemons: Duration = of_daemons.map(|program| program.total).sum();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Some(Timings {
            wall,
            phases: self.phases().clone(),
            nodes: nodes_of(&trace.spans()),
            daemons,
            programs,
            cores,
            ratio: ratio(wall, daemons, cores),
        }))
    }
}

fn ratio(wall: Duration, daemons: Duration, cores: usize) -> f64 {
    wall.as_secs_f64() * cores as f64 / daemons.as_secs_f64()
}

/// Adds up processes and launches by program.
fn programs(
    processes: Vec<(String, CpuTime)>,
    launched: BTreeMap<String, CpuTime>,
) -> Vec<ProgramTime> {
    let launched = launched
        .into_iter()
        .map(|(program, cpu)| (program, (0, cpu)));
    let mut programs: BTreeMap<String, (usize, CpuTime)> = launched.collect();
    for (program, used) in processes {
        let (count, cpu) = programs.entry(program).or_default();
        *count += 1;
        *cpu += used;
    }
    let programs = programs.into_iter();
    let mut programs: Vec<_> = programs
        .map(|(program, (count, cpu))| ProgramTime::new(program, count, cpu))
        .collect();
    programs.sort_by_key(|program| std::cmp::Reverse(program.total));
    programs
}

/// The nodes that spans are about, the one that was done last first.
fn nodes_of(spans: &[Span]) -> Vec<NodeTiming> {
    let mut nodes: BTreeMap<&NodeName, NodeTiming> = BTreeMap::new();
    for span in spans {
        let Some(name) = &span.node else {
            continue;
        };
        let took = span.to.saturating_sub(span.from);
        let node = nodes.entry(name).or_insert_with(|| NodeTiming {
            name: name.clone(),
            from: span.from,
            to: span.to,
            longest: span.name.clone(),
            took,
        });
        node.from = node.from.min(span.from);
        node.to = node.to.max(span.to);
        if took > node.took {
            node.took = took;
            node.longest.clone_from(&span.name);
        }
    }
    let mut nodes: Vec<_> = nodes.into_values().collect();
    nodes.sort_by_key(|node| std::cmp::Reverse(node.to));
    nodes
}

/// A duration in milliseconds, to the microsecond.
fn in_milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_milliseconds(*time))
}

fn maybe_milliseconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(in_milliseconds).serialize(serializer)
}

fn phases<S: Serializer>(
    phases: &BTreeMap<Phase, Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let phases = phases.iter();
    serializer.collect_map(phases.map(|(phase, time)| (phase, in_milliseconds(*time))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trace::{Outcome, SpanKind};

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn cpu(total: u64, user: u64, system: u64) -> CpuTime {
        CpuTime {
            total: ms(total),
            user: ms(user),
            system: ms(system),
        }
    }

    #[test]
    fn programs_add_up_with_what_launched_them() {
        let running = vec![
            ("ovn-ic".to_owned(), cpu(4, 0, 0)),
            ("ovs-vswitchd".to_owned(), cpu(46, 30, 10)),
            ("ovs-vswitchd".to_owned(), cpu(44, 20, 20)),
        ];
        let launched = BTreeMap::from([("ovs-vswitchd".to_owned(), cpu(10, 10, 0))]);
        let programs = programs(running, launched);
        let [vswitchd, ic] = programs.as_slice() else {
            panic!("{programs:?}");
        };
        assert_eq!(
            (vswitchd.program.as_str(), vswitchd.processes),
            ("ovs-vswitchd", 2)
        );
        assert_eq!(vswitchd.total, ms(100));
        let third = vswitchd.system.unwrap();
        assert_eq!(third.as_millis(), 33, "30 of the 90 ms that are divided");
        assert_eq!(vswitchd.each(), Some(ms(50)));
        assert_eq!((ic.user, ic.system), (None, None), "too little to tell");
    }

    #[test]
    fn the_node_that_is_done_last_is_first() {
        let span = |node: &str, name: &str, from, to| Span {
            node: Some(node.parse().unwrap()),
            kind: SpanKind::Step,
            name: name.to_owned(),
            from: ms(from),
            to: ms(to),
            outcome: Outcome::Done,
        };
        let mut spans = vec![
            span("a", "node", 0, 4),
            span("b", "node", 2, 5),
            span("a", "links", 6, 8),
            span("b", "ovs-vswitchd", 10, 90),
        ];
        spans.push(Span {
            node: None,
            ..span("a", "all", 0, 500)
        });
        let nodes = serde_json::to_value(nodes_of(&spans)).unwrap();
        let expected = json!([
            {"name": "b", "from_ms": 2.0, "to_ms": 90.0, "longest": "ovs-vswitchd", "longest_ms": 80.0},
            {"name": "a", "from_ms": 0.0, "to_ms": 8.0, "longest": "node", "longest_ms": 4.0},
        ]);
        assert_eq!(nodes, expected);
    }

    #[test]
    fn the_ratio_is_one_when_processors_do_nothing_else() {
        let timings = Timings {
            wall: ms(500),
            phases: BTreeMap::from([(Phase::Plan, Duration::from_micros(1500))]),
            nodes: Vec::new(),
            programs: Vec::new(),
            daemons: ms(1000),
            cores: 2,
            ratio: ratio(ms(500), ms(1000), 2),
        };
        let expected = json!({
            "wall_ms": 500.0, "phases_ms": {"plan": 1.5}, "nodes": [], "programs": [], "daemons_ms": 1000.0, "cores": 2,
            "ratio": 1.0,
        });
        assert_eq!(serde_json::to_value(&timings).unwrap(), expected);
    }
}
