//! What is asked for: the size and kind of a cluster, with defaults.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::name::ClusterName;
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
    /// Number of chassis. Default: 2.
    pub chassis: u32,
    /// Number of gateways, chassis that may host gateway ports. Default: 1.
    pub gateways: u32,
    /// What provides the nodes. Default: [`RuntimeChoice::Native`].
    pub runtime: RuntimeChoice,
    /// Images of the nodes, where a container engine provides them.
    pub images: Images,
    /// Where Open vSwitch and OVN come from, where ofm itself provides the nodes. Default: the host.
    pub software: Sources,
    /// The engine's Unix socket. Default: where the environment says (`DOCKER_HOST`, `CONTAINER_HOST`), else the usual
    /// places.
    pub engine_socket: Option<PathBuf>,
    /// How many seconds a container engine may take to answer one request. Default: 60.
    pub engine_timeout: u32,
    /// Datapath of the switches. Default: [`DatapathChoice::Auto`].
    pub datapath: DatapathChoice,
    /// Contents of the northbound database and the fake VMs. Default: [`Workload::Demo`].
    pub workload: Workload,
    /// Subnet of the underlay, on which the tunnels run. Default: `170.168.0.0/16`.
    pub underlay: Ipv4Net,
    /// Address of the first node; the others follow it without a gap. Default: `170.168.0.2`.
    pub first_address: Ipv4Addr,
}

impl ClusterSpec {
    /// The roles that the cluster has nodes of.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        let gateway = (self.gateways > 0).then_some(Role::Gateway);
        let chassis = (self.chassis > 0).then_some(Role::Chassis);
        [Some(Role::Central), gateway, chassis]
            .into_iter()
            .flatten()
    }
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            name: ClusterName::default(),
            runtime: RuntimeChoice::default(),
            images: Images::default(),
            software: Sources::default(),
            engine_socket: None,
            engine_timeout: 60,
            chassis: 2,
            gateways: 1,
            datapath: DatapathChoice::default(),
            workload: Workload::default(),
            underlay: Ipv4Net::new_assert(Ipv4Addr::new(170, 168, 0, 0), 16),
            first_address: Ipv4Addr::new(170, 168, 0, 2),
        }
    }
}

/// What is to provide the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Of the relays, of which no cluster has any yet.
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
            Role::Chassis => &self.chassis,
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self::all(DEFAULT_IMAGE)
    }
}

/// The wish for a datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// The demo: two switches, a router between them, a fake VM on each
    /// ([`Topology::demo`]).
    #[default]
    Demo,
    /// An empty northbound database and no fake VMs.
    None,
    /// A topology of one's own.
    Custom(Topology),
}
