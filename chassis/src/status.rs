//! What a cluster looks like right now, as `ofm status --json` prints it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use ovsdb_client::{Condition, MonitorTable, Transaction};

use crate::apply::ready::count_tunnels;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::name::{ClusterName, MacAddr, NodeName};
use crate::node::{NodeHandle, blocking};
use crate::plan::{DaemonPlan, Datapath, NodePlan, Role};
use crate::software::Project;

/// How long a database may take to answer before it counts as dead.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// A cluster, looked at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub cluster: ClusterName,
    /// What provides the nodes: `native`, `docker` or `podman`.
    pub runtime: String,
    /// Which datapath the chassis use.
    pub datapath: Datapath,
    /// Whether it was started completely and every node, daemon, tunnel and VM is as it should be.
    pub ready: bool,
    /// How long each phase of the start took, in milliseconds.
    pub phases: BTreeMap<String, u64>,
    /// Its nodes in order of their addresses.
    pub nodes: Vec<NodeStatus>,
    /// Its fake VMs.
    pub vms: Vec<VmStatus>,
}

/// A node, looked at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name, which is its host name too.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Its address on the underlay.
    pub ip: IpAddr,
    /// Its first process, as the host numbers it.
    pub pid: i32,
    /// Whether that process runs.
    pub state: NodeState,
    /// Its OVS and OVN daemons.
    pub daemons: Vec<DaemonStatus>,
    /// How many tunnels its datapath has.
    pub tunnels: usize,
    /// The versions of what runs in it.
    pub versions: Versions,
}

/// The versions of what a node runs, as its daemons themselves tell them; `None` where none does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Versions {
    /// Of Open vSwitch, such as `3.1.0`.
    pub ovs: Option<String>,
    /// Of OVN, such as `23.03.1`.
    pub ovn: Option<String>,
}

/// Whether a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Its first process is alive.
    Running,
    /// Its first process is gone, and all else in it.
    Dead,
}

/// A daemon, looked at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its name.
    pub name: String,
    /// Its number in the node's own pid namespace, from its pid file; `None` when there is no such file.
    pub pid: Option<i32>,
    /// Whether that process runs.
    pub alive: bool,
}

/// A fake VM, looked at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmStatus {
    /// Its name, which its network namespace and its link have too.
    pub name: String,
    /// The node it is on.
    pub node: NodeName,
    /// The logical switch port it is bound to.
    pub iface_id: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses.
    pub ips: Vec<IpNet>,
    /// Whether OVN says that its port is up.
    pub up: bool,
}

impl Cluster {
    /// Looks at the cluster as it is now.
    ///
    /// # Errors
    /// When a database that should answer gives nonsense. One that does not answer counts as not ready.
    pub async fn status(&self) -> Result<Status, Error> {
        let mut nodes = Vec::new();
        let mut complete = self.started();
        for plan in &self.plan().nodes {
            let status = match self.node(plan.name.as_str()) {
                Ok(handle) => node_status(&handle).await,
                Err(_) => dead(plan),
            };
            complete &= status.state == NodeState::Running
                && status.daemons.iter().all(|daemon| daemon.alive)
                && (!plan.role.is_chassis() || status.tunnels >= self.plan().peers(plan).count());
            nodes.push(status);
        }
        let mut up = Vec::new();
        for zone in &self.plan().zones {
            up.extend(self.ports_up(zone.number).await.unwrap_or_default());
        }
        let vms: Vec<_> = self
            .plan()
            .vms()
            .map(|vm| VmStatus {
                name: vm.name.clone(),
                node: vm.node.clone(),
                iface_id: vm.iface_id.clone(),
                mac: vm.mac,
                ips: vm
                    .addresses
                    .iter()
                    .chain(self.leases.get(&vm.name))
                    .copied()
                    .collect(),
                up: up.contains(&vm.iface_id),
            })
            .collect();
        let phases = self.phases().iter();
        Ok(Status {
            cluster: self.name().clone(),
            runtime: self.plan().runtime.name().into(),
            datapath: self.plan().datapath,
            ready: complete && vms.iter().all(|vm| vm.up),
            phases: phases
                .map(|(phase, time)| (phase.as_str().to_owned(), time.as_millis() as u64))
                .collect(),
            nodes,
            vms,
        })
    }

    /// The logical ports that the southbound database calls up.
    async fn ports_up(&self, zone: u32) -> Result<Vec<String>, Error> {
        let client = self.sb_of(zone).await?.with_deadline(PATIENCE);
        let mut transaction = Transaction::new();
        let up = [Condition::eq("up", true)];
        let select = transaction.select("Port_Binding", up, ["logical_port"]);
        let outcome = client
            .transact("OVN_Southbound", transaction)
            .await
            .map_err(|e| Error::in_node(self.name(), "reading the southbound database", e))?;
        let rows = outcome.rows(select).unwrap_or_default().iter();
        Ok(rows
            .filter_map(|row| row.str("logical_port").map(str::to_owned))
            .collect())
    }
}

async fn node_status(handle: &NodeHandle) -> NodeStatus {
    let plan = handle.plan();
    let running = handle.node().process().is_alive();
    let pids: Vec<Option<i32>> = plan.daemons.iter().map(|d| pid_of(plan, d)).collect();
    let alive = alive_in(handle, pids.clone()).await;
    let versions = versions(handle, &alive).await;
    let daemons = plan.daemons.iter().zip(pids).zip(alive);
    NodeStatus {
        name: plan.name.clone(),
        role: plan.role,
        ip: plan.address,
        pid: handle.node().process().pid(),
        state: if running {
            NodeState::Running
        } else {
            NodeState::Dead
        },
        daemons: daemons
            .map(|((daemon, pid), alive)| DaemonStatus {
                name: daemon.name.clone(),
                pid,
                alive,
            })
            .collect(),
        tunnels: tunnels(handle).await.unwrap_or(0),
        versions,
    }
}

/// A node whose first process is gone.
fn dead(plan: &NodePlan) -> NodeStatus {
    let daemons = plan.daemons.iter().map(|daemon| DaemonStatus {
        name: daemon.name.clone(),
        pid: None,
        alive: false,
    });
    NodeStatus {
        name: plan.name.clone(),
        role: plan.role,
        ip: plan.address,
        pid: 0,
        state: NodeState::Dead,
        daemons: daemons.collect(),
        tunnels: 0,
        versions: Versions::default(),
    }
}

/// The pid file of a daemon, read where the node's /run is on the host.
pub(crate) fn pid_of(node: &NodePlan, daemon: &DaemonPlan) -> Option<i32> {
    let below_run = daemon.pidfile.strip_prefix("/var/run").ok()?;
    let text = std::fs::read_to_string(node.dir.join("run").join(below_run)).ok()?;
    text.trim().parse().ok()
}

/// Which of these processes, numbered as in the node, run there.
async fn alive_in(handle: &NodeHandle, pids: Vec<Option<i32>>) -> Vec<bool> {
    let namespaces = handle.node().namespaces();
    let none = vec![false; pids.len()];
    // The node's own /proc shows its own processes only.
    let alive = blocking(move || {
        namespaces.run(|| {
            let runs = |pid: &Option<i32>| pid.is_some_and(runs_here);
            pids.iter().map(runs).collect()
        })
    });
    alive.await.unwrap_or(none)
}

/// Whether a process of the calling thread's /proc runs. One that was killed stays visible as a zombie while its other
/// threads close what they have open, which takes ovs-vswitchd a while; it does not count.
fn runs_here(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Asks a daemon of each project for its version. Of one project the first that runs is as good as any.
async fn versions(handle: &NodeHandle, alive: &[bool]) -> Versions {
    let version = async |project| {
        let mut daemons = handle.plan().daemons.iter().zip(alive);
        let (daemon, _) =
            daemons.find(|(daemon, alive)| **alive && daemon_project(daemon) == project)?;
        let mut control = handle.unixctl(&daemon.name).await.ok()?;
        control.set_deadline(PATIENCE);
        Some(control.version().await.ok()?.version)
    };
    Versions {
        ovs: version(Project::Ovs).await,
        ovn: version(Project::Ovn).await,
    }
}

fn daemon_project(daemon: &DaemonPlan) -> Project {
    let program = daemon.program.file_name().unwrap_or_default();
    Project::of(&program.to_string_lossy())
}

async fn tunnels(handle: &NodeHandle) -> Option<usize> {
    if !handle.plan().role.is_chassis() {
        return None;
    }
    let client = handle.ovs().await.ok()?.with_deadline(PATIENCE);
    let tables = [MonitorTable::new("Interface").columns(["type", "ofport", "options"])];
    let monitor = client.monitor("Open_vSwitch", &tables).await.ok()?;
    Some(count_tunnels(&monitor.snapshot()))
}
