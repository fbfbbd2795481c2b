//! What is asked for: the size and kind of a cluster, with defaults.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::name::ClusterName;
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
    /// Datapath of the switches. Default: [`DatapathChoice::Auto`].
    pub datapath: DatapathChoice,
    /// Contents of the northbound database and the fake VMs. Default: [`Workload::Demo`].
    pub workload: Workload,
    /// Subnet of the underlay, on which the tunnels run. Default: `170.168.0.0/16`.
    pub underlay: Ipv4Net,
    /// Address of the first node; the others follow it without a gap. Default: `170.168.0.2`.
    pub first_address: Ipv4Addr,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            name: "default"
                .parse()
                .expect("`default` is a valid name of a cluster"),
            chassis: 2,
            gateways: 1,
            datapath: DatapathChoice::default(),
            workload: Workload::default(),
            underlay: Ipv4Net::new_assert(Ipv4Addr::new(170, 168, 0, 0), 16),
            first_address: Ipv4Addr::new(170, 168, 0, 2),
        }
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
