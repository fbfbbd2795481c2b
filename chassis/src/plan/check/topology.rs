//! Topologies, and where their VMs run.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::plan::vm_outer_name;
use crate::plan::zones::zone_of;
use crate::spec::{ClusterSpec, Workload};
use crate::topology::{PUBLIC_NETWORK, Topology};

/// Longest name of an interface: `IFNAMSIZ` without the final zero byte, netdevice(7).
const LONGEST_INTERFACE_NAME: usize = 15;

impl Check {
    pub(super) fn vms(&mut self, spec: &ClusterSpec, zone: u32, topology: &Topology) {
        let chassis = spec.chassis();
        for vm in topology.without_dhcp() {
            self.problem(
                format!("VM {:?}", vm.name),
                "it asks for an address by DHCP, which its switch does not offer".to_owned(),
                "give the switch a DHCP subnet, or the VM addresses",
            );
        }
        for vm in topology.vms() {
            let location = format!("VM {:?}", vm.name);
            if vm.chassis == 0 || vm.chassis > chassis {
                let hint = match (chassis, &spec.workload) {
                    (_, Workload::Demo) => format!(
                        "ask for a chassis in each zone (at least {}), or for no fake VMs (--no-fake-vms)",
                        spec.zones
                    ),
                    (0, _) => "ask for a chassis".to_owned(),
                    (1, _) => "put it on chassis 1, or ask for more chassis".to_owned(),
                    (n, _) => format!("put it on one of the chassis 1 to {n}, or ask for more"),
                };
                self.problem(
                    &location,
                    format!("it runs on chassis {}, which does not exist", vm.chassis),
                    hint,
                );
            } else if zone_of(vm.chassis, spec.zones) != zone {
                self.problem(
                    &location,
                    format!(
                        "its switch is in zone {zone}, and chassis {} in zone {}",
                        vm.chassis,
                        zone_of(vm.chassis, spec.zones)
                    ),
                    format!("put it on chassis {zone}, {}, or so on", zone + spec.zones),
                );
            }
            let outer = vm_outer_name(&vm.name);
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

    /// A port to a physical network that there is not would just stay without a binding.
    pub(super) fn physical_networks(&mut self, spec: &ClusterSpec, topology: &Topology) {
        if spec.public {
            return;
        }
        for port in topology.localnets(PUBLIC_NETWORK) {
            let hint = match spec.workload {
                Workload::Demo => {
                    "leave out --no-public (public = false), or ask for no fake VMs (--no-fake-vms)"
                }
                _ => "leave out --no-public (public = false), or the port",
            };
            self.problem(
                format!("port {port:?}"),
                format!("the physical network {PUBLIC_NETWORK} that it leads to is left out"),
                hint,
            );
        }
    }

    /// The names of VMs must differ in all zones, so that one is enough to find a VM.
    pub(super) fn vm_names(&mut self, topologies: &[Topology]) {
        let mut seen = BTreeMap::new();
        for (zone, topology) in (1..).zip(topologies) {
            for vm in topology.vms() {
                match seen.insert(&vm.name, zone) {
                    Some(other) if other != zone => self.problem(
                        format!("VM {:?}", vm.name),
                        format!("zone {other} and zone {zone} have one of this name"),
                        "give each its own name",
                    ),
                    _ => {}
                }
            }
        }
    }

    pub(super) fn names(&mut self, topology: &Topology) {
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
}
