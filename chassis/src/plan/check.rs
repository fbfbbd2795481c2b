//! Looks for everything that makes a spec impossible.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::plan::container::{EngineFacts, REQUIRED, TUN, container_name};
use crate::plan::{CENTRAL_NAME, Datapath, HostFacts, PlanProblem};
use crate::spec::{ClusterSpec, DatapathChoice, Workload};
use crate::topology::Topology;

/// Longest name of an interface: `IFNAMSIZ` without the final zero byte, netdevice(7).
const LONGEST_INTERFACE_NAME: usize = 15;

/// Longest path of a socket: `sun_path` without the final zero byte, unix(7).
const LONGEST_SOCKET_PATH: usize = 107;

pub(super) fn check(
    spec: &ClusterSpec,
    facts: &HostFacts,
    topology: &Topology,
    state_dir: &Path,
) -> Vec<PlanProblem> {
    let mut check = Check(Vec::new());
    check.addresses(spec);
    check.datapath(spec, facts);
    if let Some(engine) = &facts.engine {
        check.engine(spec, facts, engine);
    }
    check.vms(spec, topology);
    check.names(topology);
    check.socket_paths(spec, state_dir);
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

    fn addresses(&mut self, spec: &ClusterSpec) {
        let net = spec.underlay;
        let (low, high) = if net.prefix_len() >= 31 {
            (net.network().to_bits(), net.broadcast().to_bits())
        } else {
            (net.network().to_bits() + 1, net.broadcast().to_bits() - 1)
        };
        let mut first = spec.first_address.to_bits();
        if !(low..=high).contains(&first) {
            self.problem(
                "first address",
                format!(
                    "{} is not an address for a host in {}",
                    spec.first_address,
                    net.trunc()
                ),
                format!(
                    "choose one from {} to {}",
                    Ipv4Addr::from_bits(low),
                    Ipv4Addr::from_bits(high)
                ),
            );
            first = low;
        }
        let fit = u64::from(high - first) + 1;
        let nodes = 1 + u64::from(spec.gateways) + u64::from(spec.chassis);
        if nodes > fit {
            self.problem(
                "underlay",
                format!(
                    "{nodes} nodes (1 central, {} gateways, {} chassis) need an address each, but \
                     {fit} fit between {} and the end of {}",
                    spec.gateways,
                    spec.chassis,
                    Ipv4Addr::from_bits(first),
                    net.trunc()
                ),
                "ask for fewer nodes or for a larger underlay subnet",
            );
        }
    }

    fn datapath(&mut self, spec: &ClusterSpec, facts: &HostFacts) {
        if spec.datapath == DatapathChoice::System && !facts.openvswitch_datapath {
            self.problem(
                "datapath",
                "the kernel of this host has no openvswitch datapath".to_owned(),
                "load the module (modprobe openvswitch) or choose the datapath netdev",
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
        for (name, whose) in super::node_names(spec)
            .map(|(_, name)| container_name(&spec.name, &name))
            .filter_map(|name| engine.taken.get_key_value(&name))
        {
            self.problem(
                format!("container {name}"),
                format!("{kind} has one of that name already, {whose}"),
                "choose another name for the cluster with --cluster, or remove that container",
            );
        }
    }

    fn vms(&mut self, spec: &ClusterSpec, topology: &Topology) {
        for vm in topology.vms() {
            let location = format!("VM {:?}", vm.name);
            if vm.chassis == 0 || vm.chassis > spec.chassis {
                let hint = match (spec.chassis, &spec.workload) {
                    (0, Workload::Demo) => {
                        "ask for a chassis, or for no fake VMs (--no-fake-vms)".to_owned()
                    }
                    (0, _) => "ask for a chassis".to_owned(),
                    (1, _) => "put it on chassis 1, or ask for more chassis".to_owned(),
                    (n, _) => format!("put it on one of the chassis 1 to {n}, or ask for more"),
                };
                self.problem(
                    &location,
                    format!("it runs on chassis {}, which does not exist", vm.chassis),
                    hint,
                );
            }
            let outer = super::vm_outer_name(&vm.name);
            if outer.len() > LONGEST_INTERFACE_NAME {
                self.problem(
                    &location,
                    format!(
                        "its interface {outer:?} has a name of {} bytes, more than \
                         {LONGEST_INTERFACE_NAME}",
                        outer.len()
                    ),
                    format!(
                        "give it a name of at most {} bytes",
                        LONGEST_INTERFACE_NAME + vm.name.len() - outer.len()
                    ),
                );
            }
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let starts_well = vm.name.starts_with(|c: char| c.is_ascii_alphanumeric());
            if !starts_well || !vm.name.chars().all(allowed) || vm.name == "lo" {
                self.problem(
                    &location,
                    "its name cannot be that of an interface".to_owned(),
                    "start with a letter or digit, go on with these and '-', '_', '.'; not lo",
                );
            }
        }
    }

    fn names(&mut self, topology: &Topology) {
        let mut seen = BTreeSet::new();
        let mut reported = BTreeSet::new();
        for entry in topology.names() {
            if !seen.contains(&entry) {
                seen.insert(entry);
            } else if reported.insert(entry.clone()) {
                let (kind, name) = entry;
                self.problem(
                    format!("{kind} {name:?}"),
                    "there is more than one of this name".to_owned(),
                    "give each its own name",
                );
            }
        }
        for stray in topology.strays() {
            self.problem(
                stray,
                "it refers to a switch or router that is not in the topology".to_owned(),
                "use the handles that this topology returned",
            );
        }
    }

    /// Of the nodes of a role, the last has the longest name.
    fn socket_paths(&mut self, spec: &ClusterSpec, state_dir: &Path) {
        let central = (CENTRAL_NAME.to_owned(), "run/ovn/ovnsb_db.sock");
        let gateway = (spec.gateways > 0).then(|| super::gateway_name(spec.gateways));
        let chassis = (spec.chassis > 0).then(|| super::chassis_name(spec.chassis));
        let switches = [gateway, chassis].into_iter().flatten();
        let longest = switches
            .map(|name| (name, "run/openvswitch/db.sock"))
            .chain([central])
            .map(|(name, socket)| super::node_dir(state_dir, &name).join(socket))
            .max_by_key(|path| path.as_os_str().as_bytes().len());
        let Some(path) = longest else { return };
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
