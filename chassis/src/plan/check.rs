//! Looks for everything that makes a spec impossible.

mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use ovsdb_client::Remotes;

use crate::name::{ClusterName, NodeName};
use crate::plan::addresses::Hosts;
use crate::plan::container::{EngineFacts, REQUIRED, TUN, container_name};
use crate::plan::nodes::{first_address, has_hosts, host_address, host_names, raw_names};
use crate::plan::{Datapath, HostFacts, Plan, PlanProblem, Role};
use crate::spec::{ChassisSpec, ClusterSpec, DatapathChoice, Workload};
use crate::topology::{Topology, demo};

/// Longest path of a socket: `sun_path` without the final zero byte, unix(7).
const LONGEST_SOCKET_PATH: usize = 107;

/// The least that IPv6 takes (RFC 8200 section 5), and the most that a veth does (`ETH_MAX_MTU` without the header).
const MTU: std::ops::RangeInclusive<u32> = 1280..=65521;

/// What servers of a RAFT cluster take, in milliseconds (`raft_validate_election_timer` of `ovsdb/raft.c`).
const ELECTION_TIMER: std::ops::RangeInclusive<u32> = 100..=600_000;

/// What Geneve over IPv6 adds to a packet with OVN's option (ovn-architecture(7)): 40 + 8 + 8 + 8, and an Ethernet header.
const ENCAPSULATION_OVERHEAD: u32 = 78;

pub(super) fn check(
    spec: &ClusterSpec,
    facts: &HostFacts,
    topologies: &[Topology],
    state_dir: &Path,
) -> Vec<PlanProblem> {
    let mut check = Check(Vec::new());
    check.zones(spec);
    // The names and addresses of others make no sense without zones.
    if !check.0.is_empty() {
        return check.0;
    }
    check.node_names(spec);
    check.addresses(spec);
    check.mtu(spec, topologies);
    check.security(spec);
    check.election_timer(spec);
    check.uplink(spec, facts);
    check.datapath(spec, facts);
    check.environment(spec);
    if let Some(engine) = &facts.engine {
        check.engine(spec, facts, engine);
    }
    for (zone, topology) in (1..).zip(topologies) {
        check.vms(spec, zone, topology);
        check.names(topology);
        check.physical_networks(spec, topology);
    }
    check.vm_names(topologies);
    check.socket_paths(spec, state_dir);
    check.0
}

/// Looks for everything that keeps a chassis from being added to a running cluster.
pub(super) fn check_chassis(
    plan: &Plan,
    spec: &ClusterSpec,
    facts: &HostFacts,
    chassis: &ChassisSpec,
) -> Vec<PlanProblem> {
    let mut check = Check(Vec::new());
    let location = format!("chassis {}", chassis.name);
    if plan.node_named(chassis.name.as_str()).is_some() {
        check.problem(
            &location,
            "the cluster has a node of that name".to_owned(),
            "choose another name",
        );
    }
    let zones = plan.zones.len();
    if let Some(zone) = chassis
        .zone
        .filter(|zone| !(1..=zones as u32).contains(zone))
    {
        check.problem(
            &location,
            format!("there is no zone {zone}"),
            format!("choose one from 1 to {zones}"),
        );
    }
    check.remote(&location, chassis.remote.as_deref());
    let hosts = Hosts::of(plan.underlay);
    let reserved = plan.nodes.iter().filter(|node| node.role == Role::Host);
    let mut reserved = reserved.map(|node| node.address);
    let next = plan.next_address;
    if !hosts.contains(next) || reserved.any(|address| address == next) {
        check.problem(
            "underlay",
            format!(
                "all addresses of {} have been given to nodes",
                plan.underlay
            ),
            "start a cluster with a larger subnet",
        );
    }
    if let Some(engine) = &facts.engine {
        check.container_name(engine, &spec.name, chassis.name.as_str());
    }
    check.socket_path(Role::Chassis, chassis.name.as_str(), &plan.state_dir);
    check.0
}

struct Check(Vec<PlanProblem>);

impl Check {
    fn problem(&mut self, location: impl Into<String>, what: String, hint: impl Into<String>) {
        self.0.push(PlanProblem {
            what,
            location: location.into(),
            hint: hint.into(),
        });
    }

    fn zones(&mut self, spec: &ClusterSpec) {
        match &spec.remote {
            None if spec.zones == 0 => {
                let what = "a cluster without a central has no databases".to_owned();
                self.problem("zones", what, "ask for at least one");
            }
            Some(_) if spec.zones > 0 || spec.gateways() > 0 || spec.workload != Workload::None => {
                let what = "chassis that use somebody else's databases come without zones, gateways and VMs";
                self.problem("remote", what.to_owned(), "ask for chassis only");
            }
            remote => self.remote("remote", remote.as_deref()),
        }
        if spec.workload == Workload::Demo && spec.zones > demo::ZONES {
            self.problem(
                "zones",
                format!(
                    "the demo has addresses for {} zones, not for {}",
                    demo::ZONES,
                    spec.zones
                ),
                "ask for fewer, or for no fake VMs (--no-fake-vms)",
            );
        }
        match &spec.workload {
            Workload::Custom(topologies) if topologies.len() > spec.zones as usize => self.problem(
                "topology",
                format!(
                    "it is for {} zones, and there are {}",
                    topologies.len(),
                    spec.zones
                ),
                "ask for more zones",
            ),
            _ => {}
        }
        if let (Some(name), true) = (&spec.names.central, spec.zones > 1) {
            self.problem(
                "name of the central",
                format!("{} centrals cannot all be {name:?}", spec.zones),
                "give a prefix for their names instead",
            );
        }
    }

    fn node_names(&mut self, spec: &ClusterSpec) {
        for other in &spec.others {
            let location = format!("chassis {}", other.name);
            self.remote(&location, other.remote.as_deref());
            if let Some(zone) = other.zone.filter(|zone| !(1..=spec.zones).contains(zone)) {
                let hint = format!("choose one from 1 to {}", spec.zones);
                self.problem(location, format!("there is no zone {zone}"), hint);
            }
        }
        let mut seen = BTreeSet::new();
        let hosts = (1..=spec.zones)
            .filter(|_| has_hosts(spec))
            .flat_map(host_names);
        // Of a prefix that makes bad names, one is enough.
        let mut bad = BTreeSet::new();
        for name in raw_names(spec)
            .map(|(role, _, _, name)| (Some(role), name))
            .chain(hosts.map(|name| (None, name)))
        {
            let (role, name) = name;
            match name.parse::<NodeName>() {
                Err(error) if bad.insert(role) => {
                    let hint = "choose other names or prefixes for the nodes";
                    self.problem(format!("node {name:?}"), error.problem, hint);
                }
                _ => {}
            }
            if !seen.insert(name.clone()) {
                self.problem(
                    format!("node {name:?}"),
                    "there is more than one of this name".to_owned(),
                    "choose prefixes that do not make equal names",
                );
            }
        }
    }

    fn addresses(&mut self, spec: &ClusterSpec) {
        let net = spec.underlay;
        let unusable = match net.network() {
            IpAddr::V4(ip) => {
                ip.is_loopback() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0
            }
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local(),
        };
        if unusable {
            self.problem(
                "underlay",
                format!("nodes cannot have addresses in {}", net.trunc()),
                "choose a subnet of ordinary unicast addresses",
            );
            return;
        }
        let hosts = Hosts::of(net);
        let mut first = first_address(spec);
        if !hosts.contains(first) {
            self.problem(
                "first address",
                format!("{first} is not an address for a host in {}", net.trunc()),
                format!("choose one from {} to {}", hosts.first(), hosts.last()),
            );
            first = hosts.first();
        }
        let mut reserved = 0;
        if has_hosts(spec) {
            let at_end = |zone: &u32| host_address(spec, *zone) >= first;
            reserved = (1..=spec.zones).filter(at_end).count() as u128;
        }
        let fit = hosts.from(first).saturating_sub(reserved);
        let mut count: BTreeMap<Role, u128> = BTreeMap::new();
        for (role, ..) in raw_names(spec) {
            *count.entry(role).or_default() += 1;
        }
        let of = |role| count.get(&role).copied().unwrap_or(0);
        let nodes: u128 = count.values().sum();
        if nodes > fit {
            self.problem(
                "underlay",
                format!(
                    "{nodes} nodes ({} central, {} gateways, {} relays, {} chassis) need an address each, but \
                     {fit} fit between {first} and the end of {}",
                    of(Role::Central),
                    of(Role::Gateway),
                    of(Role::Relay),
                    of(Role::Chassis),
                    net.trunc()
                ),
                "ask for fewer nodes or for a larger underlay subnet",
            );
        }
    }

    fn mtu(&mut self, spec: &ClusterSpec, topologies: &[Topology]) {
        if !MTU.contains(&spec.mtu) {
            self.problem(
                "MTU",
                format!("{} is not from {} to {}", spec.mtu, MTU.start(), MTU.end()),
                "1500 is usual",
            );
            return;
        }
        let overhead = match spec.underlay {
            IpNet::V4(_) => ENCAPSULATION_OVERHEAD - 20,
            IpNet::V6(_) => ENCAPSULATION_OVERHEAD,
        };
        let room = spec.mtu - overhead;
        for vm in topologies
            .iter()
            .flat_map(Topology::vms)
            .filter(|vm| vm.mtu > room)
        {
            self.problem(
                format!("VM {:?}", vm.name),
                format!(
                    "its MTU of {} does not fit into tunnels over an MTU of {}",
                    vm.mtu, spec.mtu
                ),
                format!("give it {room} or less, or the underlay more"),
            );
        }
    }

    fn uplink(&mut self, spec: &ClusterSpec, facts: &HostFacts) {
        let Some(uplink) = &spec.uplink else { return };
        if uplink == "lo" || !facts.interfaces.contains(uplink) {
            let usable = facts.interfaces.iter().filter(|name| *name != "lo");
            let usable: Vec<_> = usable.map(String::as_str).collect();
            self.problem(
                format!("uplink {uplink:?}"),
                "this machine has no interface of that name to give".to_owned(),
                match &usable[..] {
                    [] => "make one; this machine has none but lo".to_owned(),
                    usable => format!("choose one of {}", usable.join(", ")),
                },
            );
        }
    }

    fn election_timer(&mut self, spec: &ClusterSpec) {
        if !ELECTION_TIMER.contains(&spec.election_timer) {
            self.problem(
                format!("election timer of {} ms", spec.election_timer),
                "ovsdb-server takes 100 to 600000 ms".to_owned(),
                "choose one in between",
            );
        }
    }

    /// No program is executed with other variables (environ(7)).
    fn environment(&mut self, spec: &ClusterSpec) {
        for (name, value) in &spec.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                self.problem(
                    format!("environment variable {name:?}"),
                    "its name is empty or has a '=', or there is a zero byte in it".to_owned(),
                    "write it as NAME=VALUE",
                );
            }
        }
    }

    fn security(&mut self, spec: &ClusterSpec) {
        if spec.rbac && !spec.tls {
            self.problem(
                "RBAC",
                "a southbound database knows a chassis by its certificate, of which there are none without TLS".to_owned(),
                "ask for TLS, or do without RBAC",
            );
        }
        if spec.rbac && spec.relays > 0 {
            self.problem(
                "RBAC",
                "a relay passes on what chassis write with rights of its own".to_owned(),
                "do without relays, or without RBAC",
            );
        }
    }

    fn datapath(&mut self, spec: &ClusterSpec, facts: &HostFacts) {
        if spec.datapath == DatapathChoice::System && !facts.openvswitch_datapath {
            self.problem(
                "datapath",
                "the kernel of this host has no openvswitch datapath, and loaded none when asked"
                    .to_owned(),
                "install and load the module (modprobe openvswitch) or choose the datapath netdev",
            );
        }
    }

    fn engine(&mut self, spec: &ClusterSpec, facts: &HostFacts, engine: &EngineFacts) {
        let kind = engine.kind;
        let missing: Vec<_> = (REQUIRED.into_iter())
            .filter(|name| !engine.capabilities.contains(*name))
            .collect();
        if !missing.is_empty() {
            self.problem(
                "container engine",
                format!(
                    "{kind} cannot grant {}, which every node needs",
                    missing.join(", ")
                ),
                "start the engine, and ofm, with all capabilities of the machine",
            );
        }
        if !engine.tun && spec.datapath.decide(facts.openvswitch_datapath) == Datapath::Netdev {
            self.problem(
                "container engine",
                format!("there is no {TUN}, which the userspace datapath needs"),
                "load the module tun",
            );
        }
        for (.., name) in raw_names(spec) {
            self.container_name(engine, &spec.name, &name);
        }
    }

    fn container_name(&mut self, engine: &EngineFacts, cluster: &ClusterName, node: &str) {
        let name = container_name(cluster, node);
        if let Some(whose) = engine.taken.get(&name) {
            self.problem(
                format!("container {name}"),
                format!("{} has one of that name already, {whose}", engine.kind),
                "choose another name for the cluster with --cluster, or remove that container",
            );
        }
    }

    /// Looks at where a chassis is to find its southbound database.
    fn remote(&mut self, location: &str, remote: Option<&str>) {
        let Some(Err(error)) = remote.map(str::parse::<Remotes>) else {
            return;
        };
        self.problem(
            location,
            format!(
                "{:?} is no way to a database: {error}",
                remote.unwrap_or_default()
            ),
            "write ssl:IP:PORT, tcp:IP:PORT or unix:PATH; several separated by commas",
        );
    }

    fn socket_paths(&mut self, spec: &ClusterSpec, state_dir: &Path) {
        let longest = raw_names(spec)
            .max_by_key(|(role, .., name)| socket_path(*role, name, state_dir).as_os_str().len());
        if let Some((role, .., name)) = longest {
            self.socket_path(role, &name, state_dir);
        }
    }

    fn socket_path(&mut self, role: Role, node: &str, state_dir: &Path) {
        let path = socket_path(role, node, state_dir);
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > LONGEST_SOCKET_PATH {
            self.problem(
                "state directory",
                format!(
                    "the path of the socket {} has {bytes} bytes, more than {LONGEST_SOCKET_PATH}",
                    path.display()
                ),
                format!(
                    "choose a state directory or a cluster name that is shorter by {} bytes",
                    bytes - LONGEST_SOCKET_PATH
                ),
            );
        }
    }
}

/// The longest path of a socket on the host that a node has.
fn socket_path(role: Role, node: &str, state_dir: &Path) -> PathBuf {
    let socket = match role {
        Role::Central => "run/ovn/ovn_ic_nb_db.sock",
        Role::Relay => "run/ovn/ovnsb_db.sock",
        Role::Gateway | Role::Chassis | Role::Host => "run/openvswitch/db.sock",
    };
    super::node_dir(state_dir, node).join(socket)
}
