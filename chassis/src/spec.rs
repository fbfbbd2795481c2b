//! What is asked for: the size and kind of a cluster, with defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{ClusterName, NodeName};
use crate::plan::{Datapath, Role};
use crate::runtime::EngineKind;
use crate::software::Sources;
use crate::topology::Topology;

/// A cluster as it is asked for.
///
/// Plain data: set the fields that matter and take the others from [`Default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSpec {
    /// Name of the cluster, unique on the machine. Default: `default`.
    pub name: ClusterName,
    /// Number of availability zones, each with northbound and southbound databases of its own. Default: 1.
    pub zones: u32,
    /// Number of chassis, dealt round robin to the zones. Default: 2 per zone.
    pub chassis: Option<u32>,
    /// Number of gateways, chassis that may host gateway ports, dealt round robin to the zones. Default: 1 per zone.
    pub gateways: Option<u32>,
    /// Gateways and chassis besides the numbered ones, by names of their own.
    pub others: Vec<ChassisSpec>,
    /// Numbered gateways and chassis that are left out.
    pub absent: BTreeSet<NodeName>,
    /// Number of relays of the southbound database per zone. Where there are any, chassis use them. Default: 0.
    pub relays: u32,
    /// Names of the nodes.
    pub names: NodeNames,
    /// How each zone's databases are served. Default: [`DatabaseMode::Standalone`].
    pub database: DatabaseMode,
    /// After how many milliseconds without a sign of the leader a server of a RAFT cluster calls an election, 100 to 600000;
    /// more on a machine where servers may stand still for as long. Default: 1000.
    pub election_timer: u32,
    /// Whether databases are reached by TLS, with certificates of the cluster's own. Default: yes.
    pub tls: bool,
    /// Whether the southbound database lets a chassis change only what concerns itself (ovn-sb(5), `RBAC_Role`).
    /// Default: no.
    pub rbac: bool,
    /// Whether the zones are interconnected: `ovn-ic` in each, and a transit switch. Default: yes.
    pub interconnection: bool,
    /// The southbound databases of somebody else that all chassis use. Then there are no zones, gateways and VMs of the
    /// cluster's own. Default: none.
    pub remote: Option<String>,
    /// A file with the northbound database that each zone begins with, of a standalone or a clustered server.
    pub nb_db: Option<PathBuf>,
    /// A file with the southbound database that each zone begins with, of a standalone or a clustered server.
    pub sb_db: Option<PathBuf>,
    /// The folder of this machine that all nodes show as `/data`. Default: one of the cluster's own, which ends with it.
    pub data: Option<PathBuf>,
    /// What provides the nodes. Default: [`RuntimeChoice::Native`].
    pub runtime: RuntimeChoice,
    /// Images of the nodes, where a container engine provides them.
    pub images: Images,
    /// Where Open vSwitch and OVN come from, where ofm itself provides the nodes. Default: the host.
    pub software: Sources,
    /// Environment variables of all programs in nodes: daemons, and what is run beside them. Default: none.
    pub env: BTreeMap<String, String>,
    /// The engine's Unix socket. Default: where the environment says (`DOCKER_HOST`, `CONTAINER_HOST`), else the usual
    /// places.
    pub engine_socket: Option<PathBuf>,
    /// How many seconds a container engine may take to answer one request. Default: 60.
    pub engine_timeout: u32,
    /// How many seconds a daemon may take until it serves, and then all of them until the cluster is ready. Default: 120.
    pub ready_timeout: u32,
    /// Datapath of the switches. Default: [`DatapathChoice::Auto`].
    pub datapath: DatapathChoice,
    /// Contents of the northbound database and the fake VMs. Default: [`Workload::Demo`].
    pub workload: Workload,
    /// Subnet of the underlay, on which the tunnels run, of either IP version. Default: `170.168.0.0/16`.
    pub underlay: IpNet,
    /// Address of the first node; the others follow it without a gap. Default: the second one for a host in the subnet,
    /// `170.168.0.2`.
    pub first_address: Option<IpAddr>,
    /// MTU of the underlay in bytes, 1280 to 65521. Default: 1500.
    pub mtu: u32,
    /// An interface of this machine that joins the underlay, so that nodes reach machines behind it and are reached. It is
    /// the cluster's as long as that runs; a virtual one goes with it. Default: none.
    pub uplink: Option<String>,
    /// Whether there is the physical network `public`: a second bridge, `br-ovn-ext`, with `eth2` of each node, which
    /// gateways and chassis have in `br-ex` (`ovn-bridge-mappings` of ovn-controller(8)). Default: yes.
    pub public: bool,
    /// How packets between chassis are encapsulated. Default: [`Encapsulation::Geneve`].
    pub encapsulation: Encapsulation,
    /// Whether databases begin with what the daemons would write at their start, and nodes know each other's hardware
    /// addresses; without, a start leaves that to the daemons and takes longer. Default: yes.
    pub seed: bool,
    /// Whether each chassis keeps a copy of the whole southbound database, `ovn-monitor-all` of ovn-controller(8).
    /// Default: no.
    pub monitor_all: bool,
    /// After how many milliseconds of silence a chassis probes its southbound database; 0 for never. Default: 180000.
    pub remote_probe_interval: u32,
    /// After how many seconds of silence `ovn-controller` and `ovs-vswitchd` probe each other; 0 for never. Default: 60.
    pub openflow_probe_interval: u32,
}

impl ClusterSpec {
    /// The roles that the cluster has nodes of.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        let of = |count: u32, role| (count > 0).then_some(role);
        let others = |gateway| {
            let others = self.others.iter().filter(|other| other.gateway == gateway);
            others.count() as u32
        };
        [
            of(self.zones, Role::Central),
            of(self.gateways() + others(true), Role::Gateway),
            of(self.relays, Role::Relay),
            of(self.chassis() + others(false), Role::Chassis),
        ]
        .into_iter()
        .flatten()
    }

    /// The programs and schemas without which a node of a role cannot be.
    pub fn needs(&self, role: Role) -> impl Iterator<Item = &'static str> {
        let across = self.interconnection;
        let needs = role.needs().iter().copied();
        needs.filter(move |name| across || !name.contains("ovn-ic"))
    }

    /// The number of chassis, asked for or by default.
    pub fn chassis(&self) -> u32 {
        self.chassis.unwrap_or(self.zones.max(1).saturating_mul(2))
    }

    /// The number of gateways, asked for or by default.
    pub fn gateways(&self) -> u32 {
        self.gateways.unwrap_or(self.zones)
    }
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            name: ClusterName::default(),
            zones: 1,
            chassis: None,
            gateways: None,
            others: Vec::new(),
            absent: BTreeSet::new(),
            relays: 0,
            names: NodeNames::default(),
            database: DatabaseMode::default(),
            election_timer: 1000,
            tls: true,
            rbac: false,
            interconnection: true,
            remote: None,
            nb_db: None,
            sb_db: None,
            data: None,
            runtime: RuntimeChoice::default(),
            images: Images::default(),
            software: Sources::default(),
            env: BTreeMap::new(),
            engine_socket: None,
            engine_timeout: 60,
            ready_timeout: 120,
            datapath: DatapathChoice::default(),
            workload: Workload::default(),
            underlay: Ipv4Net::new_assert(Ipv4Addr::new(170, 168, 0, 0), 16).into(),
            first_address: None,
            mtu: 1500,
            uplink: None,
            public: true,
            encapsulation: Encapsulation::default(),
            seed: true,
            monitor_all: false,
            remote_probe_interval: 180_000,
            openflow_probe_interval: 60,
        }
    }
}

/// A gateway or chassis by a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChassisSpec {
    /// Its name.
    pub name: NodeName,
    /// Whether it is a gateway.
    #[serde(default)]
    pub gateway: bool,
    /// The number of its availability zone, from 1. Default: the one with the fewest gateways or chassis.
    #[serde(default)]
    pub zone: Option<u32>,
    /// The southbound databases that it uses, as `ssl:IP:PORT`, several separated by commas. Default: its zone's.
    #[serde(default)]
    pub remote: Option<String>,
}

impl ChassisSpec {
    /// A chassis of a name, and all else by default.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            gateway: false,
            zone: None,
            remote: None,
        }
    }
}

/// What the nodes of each role are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeNames {
    /// The name of the only central; with RAFT a number follows it. Default: made from the prefix.
    pub central: Option<String>,
    /// What the number of the zone follows in the name of its central. Default: `ovn-central-az`.
    pub central_prefix: String,
    /// What the number follows in the name of a gateway. Default: `ovn-gw-`.
    pub gateway_prefix: String,
    /// What the number follows in the name of a chassis. Default: `ovn-chassis-`.
    pub chassis_prefix: String,
}

impl Default for NodeNames {
    fn default() -> Self {
        Self {
            central: None,
            central_prefix: "ovn-central-az".to_owned(),
            gateway_prefix: "ovn-gw-".to_owned(),
            chassis_prefix: "ovn-chassis-".to_owned(),
        }
    }
}

/// How the databases of a zone are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseMode {
    /// By one central.
    #[default]
    Standalone,
    /// By three centrals that agree on every change (RAFT, ovsdb(7)).
    Raft,
}

impl DatabaseMode {
    /// How many centrals a zone has.
    pub const fn centrals(self) -> u32 {
        match self {
            Self::Standalone => 1,
            Self::Raft => 3,
        }
    }
}

/// How packets between chassis are encapsulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encapsulation {
    /// Geneve, which OVN needs for all its features.
    #[default]
    Geneve,
    /// VXLAN, which has less room for metadata.
    Vxlan,
    /// Each chassis offers both.
    Both,
}

impl Encapsulation {
    /// The tunnel types, as `Interface.type` and `Encap.type` name them.
    pub const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Geneve => &["geneve"],
            Self::Vxlan => &["vxlan"],
            Self::Both => &["geneve", "vxlan"],
        }
    }
}

/// What is to provide the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeChoice {
    /// ofm itself, with the programs of the host unless [`ClusterSpec::software`] says otherwise.
    #[default]
    Native,
    /// Docker, with the programs of images.
    Docker,
    /// Podman, with the programs of images.
    Podman,
}

impl RuntimeChoice {
    /// The engine, if it is one.
    pub const fn engine(self) -> Option<EngineKind> {
        match self {
            Self::Native => None,
            Self::Docker => Some(EngineKind::Docker),
            Self::Podman => Some(EngineKind::Podman),
        }
    }
}

/// The image that [`crate::image`] makes and that clusters use unless told otherwise.
pub const DEFAULT_IMAGE: &str = "ovn/ovn-multi-node:latest";

/// The image of each role. Default: [`DEFAULT_IMAGE`] for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// Of the central nodes.
    pub central: String,
    /// Of the gateways.
    pub gateway: String,
    /// Of the relays.
    pub relay: String,
    /// Of the chassis.
    pub chassis: String,
}

impl Images {
    /// The same image for every role.
    pub fn all(image: impl Into<String>) -> Self {
        let image = image.into();
        Self {
            central: image.clone(),
            gateway: image.clone(),
            relay: image.clone(),
            chassis: image,
        }
    }

    /// The image of a role.
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Central => &self.central,
            Role::Gateway => &self.gateway,
            Role::Relay => &self.relay,
            Role::Chassis | Role::Host => &self.chassis,
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self::all(DEFAULT_IMAGE)
    }
}

/// The wish for a datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatapathChoice {
    /// The kernel's datapath where the kernel has it, else the userspace one.
    #[default]
    Auto,
    /// The userspace datapath of `ovs-vswitchd`.
    Netdev,
    /// The datapath of the kernel module `openvswitch`.
    System,
}

impl DatapathChoice {
    /// The datapath on a kernel that has one of its own or not.
    pub(crate) fn decide(self, kernel_has_one: bool) -> Datapath {
        match self {
            Self::Netdev => Datapath::Netdev,
            Self::System => Datapath::System,
            Self::Auto if kernel_has_one => Datapath::System,
            Self::Auto => Datapath::Netdev,
        }
    }
}

/// What the cluster carries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// The demo in each zone ([`Topology::demo`]): three switches and a router, four fake VMs, and hosts outside.
    #[default]
    Demo,
    /// An empty northbound database and no fake VMs.
    None,
    /// Topologies of one's own: of the first zone, the second, and so on.
    Custom(Vec<Topology>),
}
