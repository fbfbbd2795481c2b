//! Nodes as containers: what of them is decided beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Datapath, HostFacts, NodePlan, Plan, Role};
use crate::name::ClusterName;
use crate::runtime::EngineKind;
use crate::spec::ClusterSpec;

/// Where a container sees the lock of its cluster. Its only own program waits for that lock, which the keeper holds.
pub(crate) const TIE: &str = "/run/ofm/lock";

/// The userspace datapath's ports are TAP devices.
pub(crate) const TUN: &str = "/dev/net/tun";

/// What nodes cannot do without: links, namespaces and mounts of their own, and raw sockets.
pub(crate) const REQUIRED: [&str; 3] = ["NET_ADMIN", "NET_RAW", "SYS_ADMIN"];

/// What is useful in nodes and granted where the host can: what engines grant anyway, priorities and memory locks of the
/// daemons, debuggers. BPF and PERFMON are not in it: not every engine knows them, and SYS_ADMIN includes them
/// (capabilities(7)).
const USEFUL: [&str; 20] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_CHROOT",
    "SYS_NICE",
    "SYS_PTRACE",
    "SYS_RESOURCE",
];

/// What ovs-ctl(8) loads the kernel's datapath with.
const FOR_KERNEL_DATAPATH: &str = "SYS_MODULE";

/// What a plan for containers depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Which engine it is.
    pub kind: EngineKind,
    /// The socket on which it answers.
    pub socket: PathBuf,
    /// How long it may take to answer a request.
    pub deadline: Duration,
    /// Capabilities that it can grant, without `CAP_`.
    pub capabilities: BTreeSet<String>,
    /// Whether there is a device for TAPs.
    pub tun: bool,
    /// The most that a container may be given.
    pub limits: Limits,
    /// Names that containers have already, and what is known of who has them.
    pub taken: BTreeMap<String, String>,
}

/// Limits of processes, as getrlimit(2) has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many files a process may have open.
    pub open_files: u64,
    /// How many processes a user may have.
    pub processes: u64,
}

/// What provides the nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimePlan {
    /// ofm itself.
    Native,
    /// A container engine.
    Engine(EnginePlan),
}

impl RuntimePlan {
    /// Its name: `native`, `docker`, `podman`.
    pub fn name(&self) -> &'static str {
        match self {
            RuntimePlan::Native => "native",
            RuntimePlan::Engine(engine) => engine.kind.as_str(),
        }
    }
}

/// A container engine, and what all containers of a cluster have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnginePlan {
    /// Which engine it is.
    pub kind: EngineKind,
    /// The socket on which it answers.
    pub socket: PathBuf,
    /// How long it may take to answer a request.
    pub deadline: Duration,
    /// The capabilities of each container, without `CAP_`; it has no other.
    pub capabilities: Vec<String>,
    /// The devices of the host that each container has.
    pub devices: Vec<PathBuf>,
    /// Its limits.
    pub limits: Limits,
}

/// The container that a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerPlan {
    /// Its name at the engine.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Folders and files of the host that it shows.
    pub binds: Vec<BindPlan>,
    /// Empty folders in memory, and their mount options.
    pub tmpfs: BTreeMap<PathBuf, String>,
}

/// A folder or file of the host that a container shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BindPlan {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where the container shows it.
    pub path: PathBuf,
    /// Whether the container may only read it.
    pub read_only: bool,
}

pub(super) fn runtime(datapath: Datapath, facts: &HostFacts) -> RuntimePlan {
    let Some(engine) = &facts.engine else {
        return RuntimePlan::Native;
    };
    let datapaths_own = match datapath {
        Datapath::Netdev => None,
        Datapath::System => Some(FOR_KERNEL_DATAPATH),
    };
    let wanted = REQUIRED.into_iter().chain(USEFUL).chain(datapaths_own);
    let mut capabilities: Vec<_> = wanted
        .filter(|name| engine.capabilities.contains(*name))
        .map(str::to_owned)
        .collect();
    capabilities.sort();
    RuntimePlan::Engine(EnginePlan {
        kind: engine.kind,
        socket: engine.socket.clone(),
        deadline: engine.deadline,
        capabilities,
        devices: engine.tun.then(|| TUN.into()).into_iter().collect(),
        limits: engine.limits,
    })
}

/// The name of a node's container: that of ovn-fake-multinode in the default cluster, with the cluster's name before it
/// in any other.
pub(crate) fn container_name(cluster: &ClusterName, node: &str) -> String {
    if *cluster == ClusterName::default() {
        node.to_owned()
    } else {
        format!("{cluster}-{node}")
    }
}

pub(super) fn container(plan: &Plan, spec: &ClusterSpec, node: &NodePlan) -> Option<ContainerPlan> {
    // Hosts outside of OVN are no part of what images are for.
    if plan.runtime == RuntimePlan::Native || node.role == Role::Host {
        return None;
    }
    let bind = |host: PathBuf, path: &str, read_only| BindPlan {
        host,
        path: path.into(),
        read_only,
    };
    let run = node.dir.join("run");
    let tmpfs = [
        ("/run", "rw,exec,mode=755"),
        ("/tmp", "rw,exec,mode=1777"),
        ("/etc/openvswitch", "rw,exec,mode=755"),
        ("/etc/ovn", "rw,exec,mode=755"),
        ("/var/lib/openvswitch", "rw,exec,mode=755"),
        ("/var/lib/ovn", "rw,exec,mode=755"),
        ("/opt/ovn", "rw,exec,mode=755"),
    ];
    Some(ContainerPlan {
        name: container_name(&plan.cluster, node.name.as_str()),
        image: spec.images.of(node.role).to_owned(),
        binds: vec![
            bind(plan.state_dir.join(crate::state::LOCK), TIE, true),
            bind(run.join("openvswitch"), "/run/openvswitch", false),
            bind(run.join("ovn"), "/run/ovn", false),
            bind(node.dir.join("log"), "/var/log", false),
            bind(plan.data.clone(), "/data", false),
        ],
        tmpfs: tmpfs
            .map(|(path, options)| (path.into(), options.to_owned()))
            .into(),
    })
}
