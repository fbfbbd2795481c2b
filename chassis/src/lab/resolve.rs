//! From a topology file to what is asked for.

use uuid::Uuid;

use super::problem::{LabProblem, LabProblems};
use super::settings::usual;
use super::source::Step::{self, Index, Key};
use super::{Dhcp, Lab, Nat, Port, Router, RouterPort, Switch, Vm};
use crate::name::MacAddr;
use crate::plan::{chassis_names, zone_of};
use crate::spec::{ClusterSpec, Workload};
use crate::topology::{self, RouterId, SwitchId, Topology, VmSpec};

/// What [`Lab`] takes for the server of a switch.
pub(super) const SERVER_MAC: MacAddr = MacAddr([0xc0, 0xff, 0xee, 0, 0, 1]);
pub(super) const LEASE_TIME: u32 = 3600;

/// `priority` of a `Gateway_Chassis`, ovn-nb(5).
const PRIORITY: std::ops::RangeInclusive<i64> = 0..=32767;

/// The MAC address of a port that was not given one: locally administered, and always the same.
pub(super) fn mac_of(zone: u32, port: &str) -> MacAddr {
    let text = format!("ofm/mac/{zone}/{port}");
    let [a, b, c, d, e, g, ..] = *Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).as_bytes();
    MacAddr([a & 0xfc | 0x02, b, c, d, e, g])
}

/// The name of a switch's port to a physical network.
pub(super) fn localnet_name(switch: &str) -> String {
    format!("ln-{switch}")
}

/// The name of a VM's port.
pub(super) fn vm_port(switch: &str, vm: &str) -> String {
    format!("{switch}-{vm}")
}

impl Lab {
    /// What is asked for.
    ///
    /// # Errors
    /// With everything that contradicts itself or refers to what is not there. What else may be wrong with the spec is found
    /// when it is planned.
    pub fn spec(&self) -> Result<ClusterSpec, LabProblems> {
        let mut spec = self.settings();
        let mut resolve = Resolve {
            lab: self,
            spec: &spec,
            zones: Vec::new(),
            problems: Vec::new(),
        };
        let workload = resolve.workload();
        let problems = resolve.problems;
        if problems.is_empty() {
            spec.workload = workload;
            Ok(spec)
        } else {
            Err(LabProblems { problems })
        }
    }
}

/// A zone's topology as far as it is known.
#[derive(Default)]
struct Zone<'a> {
    topology: Topology,
    switches: Vec<(&'a Switch, SwitchId)>,
    routers: Vec<&'a str>,
}

impl<'a> Zone<'a> {
    fn switch(&self, name: &str) -> Option<(&'a Switch, SwitchId)> {
        let named = |(switch, _): &&(&Switch, _)| switch.name == name;
        self.switches.iter().find(named).copied()
    }
}

struct Resolve<'a> {
    lab: &'a Lab,
    spec: &'a ClusterSpec,
    /// One for each zone that there is something in, and those before it.
    zones: Vec<Zone<'a>>,
    problems: Vec<LabProblem>,
}

impl<'a> Resolve<'a> {
    fn problem(
        &mut self,
        path: &[Step],
        location: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.problems.push(LabProblem {
            place: self.lab.source.find(path),
            location: location.into(),
            what: what.into(),
            hint: hint.into(),
        });
    }

    fn workload(&mut self) -> Workload {
        let lab = self.lab;
        if !lab.has_topology() {
            return match lab.demo {
                Some(true) => Workload::Demo,
                Some(false) => Workload::None,
                None => usual(lab.remote.is_some()).workload,
            };
        }
        if lab.demo == Some(true) {
            self.problem(
                &[Key("demo")],
                "demo",
                "it makes all switches, routers and VMs, and there are some in the file",
                "leave out either demo = true or these",
            );
        }
        for (index, switch) in lab.switch.iter().enumerate() {
            self.switch(&[Key("switch"), Index(index)], switch);
        }
        for (index, router) in lab.router.iter().enumerate() {
            self.router(&[Key("router"), Index(index)], router);
        }
        for (index, vm) in lab.vm.iter().enumerate() {
            self.vm(&[Key("vm"), Index(index)], vm);
        }
        let zones = std::mem::take(&mut self.zones).into_iter();
        Workload::Custom(zones.map(|zone| zone.topology).collect())
    }

    /// The zone of a switch or router, made if it has to be.
    fn zone(&mut self, path: &[Step], location: &str, zone: Option<u32>) -> Option<u32> {
        let (number, zones) = (zone.unwrap_or(1), self.spec.zones);
        if number == 0 || number > zones {
            self.problem(
                &at(path, "zone"),
                location,
                match zones {
                    0 => format!("it is in zone {number}, and there are no zones"),
                    _ => format!("it is in zone {number}, and the zones are 1 to {zones}"),
                },
                "choose one that there is, or ask for more with zones = N",
            );
            return None;
        }
        while self.zones.len() < number as usize {
            self.zones.push(Zone::default());
        }
        Some(number)
    }

    fn in_zone(&mut self, number: u32) -> &mut Zone<'a> {
        &mut self.zones[number as usize - 1]
    }

    fn switch(&mut self, path: &[Step], switch: &'a Switch) {
        let location = format!("switch {:?}", switch.name);
        let Some(zone) = self.zone(path, &location, switch.zone) else {
            return;
        };
        if self.in_zone(zone).switch(&switch.name).is_some() {
            self.twice(path, &location, zone);
            return;
        }
        let topology = &mut self.in_zone(zone).topology;
        let id = if switch.transit {
            topology.transit_switch(&switch.name)
        } else {
            topology.switch(&switch.name)
        };
        if let Some(network) = &switch.localnet {
            topology.localnet(id, localnet_name(&switch.name), network);
        }
        for (index, port) in switch.ports.iter().enumerate() {
            self.port(
                &[path, &[Key("ports"), Index(index)]].concat(),
                zone,
                id,
                port,
            );
        }
        if let Some(dhcp) = &switch.dhcp {
            self.dhcp(&at(path, "dhcp"), &location, dhcp);
            let dhcp = topology::Dhcp {
                subnet: dhcp.subnet,
                exclude: dhcp.exclude.map(|[first, last]| (first, last)),
                router: dhcp.router,
                server_mac: dhcp.server_mac.unwrap_or(SERVER_MAC),
                lease_time: dhcp.lease_time.unwrap_or(LEASE_TIME),
            };
            self.in_zone(zone).topology.dhcp(id, dhcp);
        }
        self.in_zone(zone).switches.push((switch, id));
    }

    fn twice(&mut self, path: &[Step], location: &str, zone: u32) {
        self.problem(
            &at(path, "name"),
            location,
            format!("there is another one of this name in zone {zone}"),
            "give each its own name",
        );
    }

    fn port(&mut self, path: &[Step], zone: u32, switch: SwitchId, port: &Port) {
        let addressed = port.mac.is_some() || !port.addresses.is_empty();
        if port.localnet.is_some() && addressed {
            self.problem(
                path,
                format!("port {:?}", port.name),
                "a port to a physical network has no addresses of its own",
                "leave out localnet, or mac and addresses",
            );
        }
        let topology = &mut self.in_zone(zone).topology;
        match &port.localnet {
            Some(network) => topology.localnet(switch, &port.name, network),
            None => {
                let mac = port.mac.unwrap_or_else(|| mac_of(zone, &port.name));
                topology.port(switch, &port.name, mac, &port.addresses);
            }
        }
    }

    fn dhcp(&mut self, path: &[Step], location: &str, dhcp: &Dhcp) {
        let subnet = dhcp.subnet;
        if !subnet.contains(&dhcp.router) {
            self.problem(
                &at(path, "router"),
                location,
                format!("{} is not in the DHCP subnet {subnet}", dhcp.router),
                "give the address that a router has on this switch",
            );
        }
        if let Some([first, last]) = dhcp.exclude
            && (first > last || !subnet.contains(&first) || !subnet.contains(&last))
        {
            self.problem(
                &at(path, "exclude"),
                location,
                format!("{first} to {last} is no range of the DHCP subnet {subnet}"),
                "give the first and the last address of a range in it",
            );
        }
    }

    fn router(&mut self, path: &[Step], router: &'a Router) {
        let location = format!("router {:?}", router.name);
        let Some(zone) = self.zone(path, &location, router.zone) else {
            return;
        };
        if self.in_zone(zone).routers.contains(&router.name.as_str()) {
            self.twice(path, &location, zone);
        }
        self.in_zone(zone).routers.push(&router.name);
        let id = self.in_zone(zone).topology.router(&router.name);
        for (index, port) in router.ports.iter().enumerate() {
            let path = [path, &[Key("ports"), Index(index)]].concat();
            self.router_port(&path, &location, (zone, router, id), port);
        }
        for (index, nat) in router.nat.iter().enumerate() {
            let path = [path, &[Key("nat"), Index(index)]].concat();
            self.nat(&path, &location, (zone, id), nat);
        }
    }

    fn router_port(
        &mut self,
        path: &[Step],
        location: &str,
        (zone, router, id): (u32, &Router, RouterId),
        port: &RouterPort,
    ) {
        for (index, gateway) in port.gateways.iter().enumerate() {
            let path = [path, &[Key("gateways"), Index(index)]].concat();
            let known = || chassis_names(self.spec).filter(|(of, _)| *of == zone);
            if !known().any(|(_, name)| name == gateway.chassis) {
                let names = known().map(|(_, name)| name);
                let hint = one_of("the gateways and chassis of its zone are", names);
                self.problem(
                    &at(&path, "chassis"),
                    location,
                    format!(
                        "there is no gateway or chassis {:?} in zone {zone}",
                        gateway.chassis
                    ),
                    hint,
                );
            }
            if !PRIORITY.contains(&gateway.priority) {
                self.problem(
                    &at(&path, "priority"),
                    location,
                    format!("the priority {} is out of range", gateway.priority),
                    format!("choose one from {} to {}", PRIORITY.start(), PRIORITY.end()),
                );
            }
        }
        let Some((switch, switch_id)) = self.switch_of(path, location, zone, &port.switch) else {
            return;
        };
        let name = format!("{}-{}", router.name, switch.name);
        let mac = port.mac.unwrap_or_else(|| mac_of(zone, &name));
        let topology = &mut self.in_zone(zone).topology;
        let connection = topology.connect(id, switch_id, mac, &port.networks);
        for gateway in &port.gateways {
            topology.gateway_chassis(connection, &gateway.chassis, gateway.priority);
        }
    }

    /// The switch that something refers to by the key `switch`.
    fn switch_of(
        &mut self,
        path: &[Step],
        location: &str,
        zone: u32,
        name: &str,
    ) -> Option<(&'a Switch, SwitchId)> {
        let own = self.zones.get(zone as usize - 1);
        if let Some(found) = own.and_then(|zone| zone.switch(name)) {
            return Some(found);
        }
        let elsewhere = (1u32..)
            .zip(&self.zones)
            .find(|(_, zone)| zone.switch(name).is_some());
        let (what, hint) = match elsewhere {
            Some((other, _)) => (
                format!("the switch {name:?} is in zone {other}, and it is in zone {zone}"),
                if path.first().is_some_and(|step| matches!(step, Key("vm"))) {
                    format!(
                        "put it on chassis {other}, {}, or so on",
                        other.saturating_add(self.spec.zones)
                    )
                } else {
                    "give both the same zone, or connect zones by a switch with transit = true in each"
                        .to_owned()
                },
            ),
            None => {
                let zones = self.zones.get(zone as usize - 1);
                let names = zones.into_iter().flat_map(|zone| &zone.switches);
                let names = names.map(|(switch, _)| switch.name.clone());
                (
                    format!("there is no switch {name:?} in zone {zone}"),
                    one_of("the switches of its zone are", names),
                )
            }
        };
        self.problem(&at(path, "switch"), location, what, hint);
        None
    }

    fn nat(&mut self, path: &[Step], location: &str, (zone, router): (u32, RouterId), nat: &Nat) {
        if nat.port.is_some() != nat.mac.is_some() {
            let (there, missing) = if nat.port.is_some() {
                ("port", "mac")
            } else {
                ("mac", "port")
            };
            self.problem(
                &at(path, there),
                location,
                format!("a translation with {there} needs {missing} too"),
                "give both to translate on the VM's own chassis, or none to do so on the gateway",
            );
        }
        let nat = topology::Nat {
            kind: nat.kind,
            external_ip: nat.external_ip,
            logical_ip: nat.logical_ip,
            distributed: nat.port.clone().zip(nat.mac),
        };
        self.in_zone(zone).topology.nat(router, nat);
    }

    fn vm(&mut self, path: &[Step], vm: &'a Vm) {
        let location = format!("VM {:?}", vm.name);
        let others = self.lab.vm.iter();
        let others = others.take_while(|other| !std::ptr::eq(*other, vm));
        if others.into_iter().any(|other| other.name == vm.name) {
            self.problem(
                &at(path, "name"),
                &location,
                "there is another one of this name",
                "give each its own name",
            );
        }
        let chassis = self.spec.chassis();
        if vm.chassis == 0 || vm.chassis > chassis {
            let hint = match chassis {
                0 => "ask for some with chassis = N".to_owned(),
                _ => format!("choose one from 1 to {chassis}, or ask for more with chassis = N"),
            };
            self.problem(
                &at(path, "chassis"),
                &location,
                format!("there is no chassis {}", vm.chassis),
                hint,
            );
            return;
        }
        let zone = zone_of(vm.chassis, self.spec.zones);
        let Some((switch, id)) = self.switch_of(path, &location, zone, &vm.switch) else {
            return;
        };
        if vm.dhcp && switch.dhcp.is_none() {
            self.problem(
                &at(path, "dhcp"),
                &location,
                format!("the switch {:?} gives no addresses by DHCP", switch.name),
                "give the switch a key dhcp, or the VM addresses",
            );
        }
        if vm.dhcp_address.is_some() && !vm.dhcp {
            self.problem(
                &at(path, "dhcp_address"),
                &location,
                "it does not ask by DHCP for the address",
                "add dhcp = true",
            );
        }
        let port = vm.port.clone();
        let port = port.unwrap_or_else(|| vm_port(&switch.name, &vm.name));
        let usual = VmSpec::default();
        let vm = VmSpec {
            name: vm.name.clone(),
            chassis: vm.chassis,
            mac: vm.mac.unwrap_or_else(|| mac_of(zone, &port)),
            addresses: vm.addresses.clone(),
            gateways: vm.gateways.clone(),
            dhcp: vm.dhcp,
            dhcp_address: vm.dhcp_address,
            mtu: vm.mtu.unwrap_or(usual.mtu),
            port,
        };
        self.in_zone(zone).topology.vm(id, vm);
    }
}

fn at(path: &[Step], key: &'static str) -> Vec<Step> {
    [path, &[Key(key)]].concat()
}

/// A hint that lists the first names of those that would have done.
fn one_of(beginning: &str, names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<_> = names.take(9).collect();
    if names.is_empty() {
        return "there are none: add one".to_owned();
    }
    if names.len() > 8 {
        names.pop();
        names.push("…".to_owned());
    }
    format!("{beginning} {}", names.join(", "))
}
