//! A cluster as a file of TOML: its size and kind, and what is in its northbound databases.
//!
//! ```
//! use ofm::lab::Lab;
//!
//! let lab = Lab::parse(r#"
//!     chassis = 1
//!
//!     [[switch]]
//!     name = "sw0"
//!
//!     [[vm]]
//!     name = "vm1"
//!     switch = "sw0"
//!     chassis = 1
//!     addresses = ["10.0.0.2/24"]
//! "#)?;
//! let spec = lab.spec()?;
//! assert_eq!(spec.chassis(), 1);
//! assert_eq!(Lab::parse(&Lab::from_spec(&spec).to_toml())?.spec()?, spec);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What each key means is in `docs/topology-file.md`, and [`Lab::schema`] says it to editors.

mod describe;
mod items;
mod print;
mod problem;
mod resolve;
mod schema;
mod settings;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{ClusterName, NodeName};
use crate::spec::{DatabaseMode, DatapathChoice, Encapsulation, RuntimeChoice};

pub use items::{
    Dhcp, GatewayChassis, Images, NamedChassis, Names, Nat, Port, Router, RouterPort, Software,
    SoftwarePaths, Switch, Vm,
};
pub use problem::{LabError, LabProblem, LabProblems, Place};
use source::Source;

/// A cluster of ofm: what is not said is as `ofm start` has it.
///
/// Make one with [`Lab::parse`] or [`Lab::read`], or from [`Default`] by setting fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(
    title = "Topology file of ofm",
    description = "A cluster of ofm. What is not said is as `ofm start` has it."
)]
pub struct Lab {
    /// Name of the cluster, unique on the machine: a-z, 0-9 and '-', at most 32 bytes. Default: `default`.
    #[schemars(
        with = "Option<String>",
        length(min = 1, max = 32),
        regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: Option<ClusterName>,
    /// Number of availability zones, each with databases of its own. Default: 1.
    #[schemars(range(min = 1))]
    pub zones: Option<u32>,
    /// Number of chassis, dealt round robin to the zones. Default: 2 per zone.
    pub chassis: Option<u32>,
    /// Number of gateways, dealt round robin to the zones. Default: 1 per zone.
    pub gateways: Option<u32>,
    /// Number of relays of the southbound database in each zone. Default: 0.
    pub relays: Option<u32>,
    /// How each zone's databases are served. Default: `standalone`.
    pub db: Option<DatabaseMode>,
    /// Milliseconds without a sign of the leader after which a server of `raft` calls an election. Default: 1000.
    #[schemars(range(min = 100, max = 600_000))]
    pub election_timer: Option<u32>,
    /// Whether databases are reached by TLS instead of TCP. Default: true.
    pub tls: Option<bool>,
    /// Whether a chassis may change only what concerns itself in the southbound database. Default: false.
    pub rbac: Option<bool>,
    /// Whether the zones are interconnected, by ovn-ic in each and databases at the first. Default: true.
    pub interconnection: Option<bool>,
    /// The southbound databases of somebody else that all chassis use, as `tcp:IP:PORT`, several separated by commas. Then
    /// `zones`, `relays`, `interconnection` and `demo` are nothing unless they are said. Default: none.
    pub remote: Option<String>,
    /// Numbered gateways and chassis that are left out, by name. Default: none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(with = "BTreeSet<String>")]
    pub absent: BTreeSet<NodeName>,
    /// A file with the northbound database that each zone begins with, relative to the file.
    pub nb_db: Option<PathBuf>,
    /// A file with the southbound database that each zone begins with, relative to the file.
    pub sb_db: Option<PathBuf>,
    /// Folder of this machine that all nodes show as /data, relative to the file. Default: one of the cluster's own.
    pub data: Option<PathBuf>,
    /// What provides the nodes. Default: `native`.
    pub runtime: Option<RuntimeChoice>,
    /// Image of all nodes, where a container engine provides them. Default: the one that `ofm build` makes.
    pub image: Option<String>,
    /// Open vSwitch of all nodes, where ofm itself provides them: an installation's prefix, a build tree, or a root file
    /// system, relative to the file. Default: this machine's.
    pub ovs: Option<PathBuf>,
    /// OVN of all nodes, likewise. Default: this machine's.
    pub ovn: Option<PathBuf>,
    /// The Unix socket of the container engine. Default: found by the environment and in the usual places.
    pub engine_socket: Option<PathBuf>,
    /// Seconds that a container engine may take to answer a request. Default: 60.
    #[schemars(range(min = 1))]
    pub engine_timeout: Option<u32>,
    /// Seconds that a daemon may take until it serves, and then all of them until the cluster is ready. Default: 120.
    #[schemars(range(min = 1))]
    pub ready_timeout: Option<u32>,
    /// Datapath of the switches. Default: `auto`.
    pub datapath: Option<DatapathChoice>,
    /// Subnet on which the tunnels run, IPv4 or IPv6. Default: `170.168.0.0/16`.
    #[schemars(with = "Option<String>")]
    pub underlay: Option<IpNet>,
    /// Address of the first node; the others follow. Default: the second one of the subnet.
    pub first_address: Option<IpAddr>,
    /// MTU of the underlay in bytes. Default: 1500.
    #[schemars(range(min = 1280, max = 65521))]
    pub mtu: Option<u32>,
    /// Interface of this machine that joins the underlay while the cluster runs; a virtual one goes with it. Default: none.
    pub uplink: Option<String>,
    /// How packets between chassis are encapsulated. Default: `geneve`.
    pub encap: Option<Encapsulation>,
    /// Whether there is the physical network `public`, with `eth2` of each node and `br-ex` of gateways and chassis.
    /// Default: true.
    pub public: Option<bool>,
    /// Whether databases begin with what the daemons would write at their start. Default: true.
    pub seed: Option<bool>,
    /// Whether each chassis keeps a copy of the whole southbound database. Default: false.
    pub monitor_all: Option<bool>,
    /// Milliseconds of silence after which a chassis probes its southbound database, 0 for never. Default: 180000.
    pub remote_probe_interval: Option<u32>,
    /// Seconds of silence after which ovn-controller and ovs-vswitchd probe each other, 0 for never. Default: 60.
    pub openflow_probe_interval: Option<u32>,
    /// Whether each zone has the demo: three switches, a router, four fake VMs, and hosts outside. Default: true, unless
    /// there is a switch, a router or a VM in the file.
    pub demo: Option<bool>,
    /// Names of the nodes.
    pub names: Names,
    /// Images of single roles, before the one for all.
    pub images: Images,
    /// Open vSwitch and OVN of single roles, before those for all.
    pub software: Software,
    /// Environment variables of all programs in nodes: daemons, and what is run beside them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Gateways and chassis besides the numbered ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub named_chassis: Vec<NamedChassis>,
    /// The logical switches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub switch: Vec<Switch>,
    /// The logical routers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub router: Vec<Router>,
    /// The fake VMs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vm: Vec<Vm>,
    /// Where it is from, for what is said about it.
    #[serde(skip)]
    source: Source,
}

impl Lab {
    /// Reads TOML.
    ///
    /// # Errors
    /// With the place of the first thing that is no TOML or has no meaning here.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        Self::parse_source(Source::new(None, text))
    }

    /// Reads a file of TOML. Paths in it that are relative are so to its folder.
    ///
    /// # Errors
    /// When it cannot be read, and as [`Lab::parse`].
    pub fn read(path: &Path) -> Result<Self, LabError> {
        let failed = |source| LabError::Read {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let lab = Self::parse_source(Source::new(Some(path), &text))?;
        let whole = std::path::absolute(path).map_err(failed)?;
        Ok(lab.relative_to(whole.parent().unwrap_or(Path::new("/"))))
    }

    fn parse_source(source: Source) -> Result<Self, LabError> {
        let lab: Self = toml::from_str(source.text())
            .map_err(|error| LabError::Parse(Box::new(source.problem_of(&error))))?;
        Ok(Self { source, ..lab })
    }

    /// Makes the paths in it absolute: those that are relative are so to a folder.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let paths = [
            &mut self.nb_db,
            &mut self.sb_db,
            &mut self.data,
            &mut self.engine_socket,
            &mut self.ovs,
            &mut self.ovn,
        ];
        let roles = self.software.each_mut().into_iter();
        let sources = roles.flat_map(|source| [&mut source.ovs, &mut source.ovn]);
        for path in paths.into_iter().chain(sources).flatten() {
            *path = folder.join(&path);
        }
        self
    }

    /// Takes from another one what this one does not say.
    ///
    /// The demo, switches, routers and VMs are taken together or not at all. Where this one has an image for all nodes, or
    /// software for all, the other one's for single roles is not taken.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let own = self.demo.is_some() || self.has_topology();
        let (demo, switch, router, vm, source) = if own {
            (self.demo, self.switch, self.router, self.vm, self.source)
        } else {
            (
                other.demo,
                other.switch,
                other.router,
                other.vm,
                other.source,
            )
        };
        let images = if self.image.is_some() {
            self.images
        } else {
            self.images.or(other.images)
        };
        let mut software = other.software;
        for source in software.each_mut() {
            source.ovs.take_if(|_| self.ovs.is_some());
            source.ovn.take_if(|_| self.ovn.is_some());
        }
        Self {
            name: self.name.or(other.name),
            zones: self.zones.or(other.zones),
            chassis: self.chassis.or(other.chassis),
            gateways: self.gateways.or(other.gateways),
            relays: self.relays.or(other.relays),
            db: self.db.or(other.db),
            election_timer: self.election_timer.or(other.election_timer),
            tls: self.tls.or(other.tls),
            rbac: self.rbac.or(other.rbac),
            interconnection: self.interconnection.or(other.interconnection),
            remote: self.remote.or(other.remote),
            absent: or_else(self.absent, other.absent, BTreeSet::is_empty),
            named_chassis: or_else(self.named_chassis, other.named_chassis, Vec::is_empty),
            nb_db: self.nb_db.or(other.nb_db),
            sb_db: self.sb_db.or(other.sb_db),
            data: self.data.or(other.data),
            runtime: self.runtime.or(other.runtime),
            image: self.image.or(other.image),
            ovs: self.ovs.or(other.ovs),
            ovn: self.ovn.or(other.ovn),
            software: self.software.or(software),
            engine_socket: self.engine_socket.or(other.engine_socket),
            engine_timeout: self.engine_timeout.or(other.engine_timeout),
            ready_timeout: self.ready_timeout.or(other.ready_timeout),
            datapath: self.datapath.or(other.datapath),
            underlay: self.underlay.or(other.underlay),
            first_address: self.first_address.or(other.first_address),
            mtu: self.mtu.or(other.mtu),
            uplink: self.uplink.or(other.uplink),
            encap: self.encap.or(other.encap),
            public: self.public.or(other.public),
            seed: self.seed.or(other.seed),
            monitor_all: self.monitor_all.or(other.monitor_all),
            remote_probe_interval: self.remote_probe_interval.or(other.remote_probe_interval),
            openflow_probe_interval: self
                .openflow_probe_interval
                .or(other.openflow_probe_interval),
            names: self.names.or(other.names),
            env: other.env.into_iter().chain(self.env).collect(),
            demo,
            images,
            switch,
            router,
            vm,
            source,
        }
    }

    /// Whether there is anything of which a northbound database is made.
    fn has_topology(&self) -> bool {
        !(self.switch.is_empty() && self.router.is_empty() && self.vm.is_empty())
    }
}

fn or_else<T>(own: T, other: T, is_empty: impl Fn(&T) -> bool) -> T {
    if is_empty(&own) { other } else { own }
}

#[cfg(test)]
mod tests;
