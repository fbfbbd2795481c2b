//! The processes of a native cluster that runs.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;
use ofm::Cluster;
use ofm::name::ClusterName;

use crate::cpu;
use crate::memory::Memory;

/// The processes of a cluster, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// ofm's own: the keeper, and PID 1 of every node.
    pub own: Vec<i32>,
    /// The daemons of Open vSwitch and OVN.
    pub daemons: Vec<i32>,
}

impl Processes {
    /// Finds those of a cluster.
    ///
    /// # Errors
    /// When it does not run.
    pub fn of(name: &ClusterName) -> anyhow::Result<Self> {
        let cluster = Cluster::open(&ofm::state::default_root(), name)?;
        let node = cluster.node(cluster.plan().central().name.as_str())?;
        let table = ProcessTable::read()?;
        let first = node.node().process().pid();
        let keeper = table.parent(first).context("the central has no keeper")?;
        Ok(table.cluster(keeper))
    }

    /// Processor time of the daemons.
    ///
    /// # Errors
    /// When one is gone.
    pub fn cpu_of_daemons(&self) -> anyhow::Result<Duration> {
        let times = self.daemons.iter().map(|pid| {
            let gone = || format!("daemon {pid} is gone");
            cpu::of_process(*pid).with_context(gone)
        });
        times.sum()
    }

    /// Memory of ofm's own processes.
    ///
    /// # Errors
    /// When one is gone.
    pub fn own_memory(&self) -> anyhow::Result<Memory> {
        memory(self.own.iter())
    }

    /// Memory of all processes.
    ///
    /// # Errors
    /// When one is gone.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        memory(self.own.iter().chain(&self.daemons))
    }
}

fn memory<'a>(pids: impl Iterator<Item = &'a i32>) -> anyhow::Result<Memory> {
    let mut sum = Memory::default();
    for pid in pids {
        sum += Memory::of(*pid).with_context(|| format!("process {pid} is gone"))?;
    }
    Ok(sum)
}

/// Names and parents of all processes.
struct ProcessTable(BTreeMap<i32, (String, i32)>);

impl ProcessTable {
    fn read() -> anyhow::Result<Self> {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            // One that has ended meanwhile is nobody's daemon.
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if let Some(process) = name_and_parent(&stat) {
                processes.insert(pid, process);
            }
        }
        Ok(Self(processes))
    }

    fn parent(&self, pid: i32) -> Option<i32> {
        self.0.get(&pid).map(|(_, parent)| *parent)
    }

    /// A keeper and all below it: its nodes, and the daemons in them.
    fn cluster(&self, keeper: i32) -> Processes {
        let children = |of: i32| {
            let children = self.0.iter().filter(move |(_, (_, parent))| *parent == of);
            children.map(|(pid, _)| *pid)
        };
        let mut found = Processes::default();
        let mut next = vec![keeper];
        while let Some(pid) = next.pop() {
            next.extend(children(pid));
            match self.0.get(&pid) {
                Some((name, _)) if name.starts_with("ofm-") => found.own.push(pid),
                _ => found.daemons.push(pid),
            }
        }
        found
    }
}

/// The second and the fourth field of proc_pid_stat(5).
fn name_and_parent(stat: &str) -> Option<(String, i32)> {
    let (_, rest) = stat.split_once(" (")?;
    let (name, fields) = rest.rsplit_once(") ")?;
    let parent = fields.split(' ').nth(1)?.parse().ok()?;
    Some((name.to_owned(), parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_what_is_below_its_keeper() {
        let stats = [
            (1, "1 (init) S 0 1"),
            (10, "10 (ofm-keeper) S 1 10"),
            (11, "11 (ofm-node) S 10 11"),
            (12, "12 (ovs-vswitchd) S 11 12"),
            (20, "20 (ofm-keeper) S 1 20"),
            (21, "21 (a) (b) S 1 21"),
        ];
        let processes = stats.map(|(pid, stat)| (pid, name_and_parent(stat).unwrap()));
        let table = ProcessTable(processes.into());
        let cluster = table.cluster(table.parent(11).unwrap());
        assert_eq!(cluster.own, [10, 11]);
        assert_eq!(cluster.daemons, [12]);
        assert_eq!(table.0[&21].0, "a) (b");
    }
}
