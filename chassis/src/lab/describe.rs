//! From what was asked for to a topology file.

use super::resolve::{LEASE_TIME, SERVER_MAC, localnet_name, mac_of, vm_port};
use super::settings::usual;
use super::{
    Dhcp, GatewayChassis, Images, Lab, NamedChassis, Names, Nat, Port, Router, RouterPort,
    Software, SoftwarePaths, Switch, Vm,
};
use crate::name::MacAddr;
use crate::software::{Source, Sources};
use crate::spec::{self, ChassisSpec, ClusterSpec, NodeNames, Workload};
use crate::topology::{self, Connection, Topology, VmSpec};

/// A value, unless it is the usual one.
fn unusual<T: PartialEq>(value: T, usual: T) -> Option<T> {
    (value != usual).then_some(value)
}

impl Lab {
    /// Describes a spec, leaving out what is as usual.
    ///
    /// Of specs that can be planned, [`Lab::spec`] gives the same again, with connections in the order of their routers.
    pub fn from_spec(spec: &ClusterSpec) -> Self {
        let usual = usual(spec.remote.is_some());
        // All fields, so that none is forgotten.
        let ClusterSpec {
            name,
            zones,
            chassis,
            gateways,
            others,
            absent,
            relays,
            names,
            database,
            election_timer,
            tls,
            rbac,
            interconnection,
            remote,
            nb_db,
            sb_db,
            data,
            runtime,
            images,
            software,
            env,
            engine_socket,
            engine_timeout,
            ready_timeout,
            datapath,
            workload,
            underlay,
            first_address,
            mtu,
            uplink,
            public,
            encapsulation,
            seed,
            monitor_all,
            remote_probe_interval,
            openflow_probe_interval,
        } = spec.clone();
        let (image, images) = images_of(images);
        let (SoftwarePaths { ovs, ovn }, software) = software_of(software);
        let mut lab = Self {
            name: unusual(name, usual.name),
            zones: unusual(zones, usual.zones),
            chassis,
            gateways,
            relays: unusual(relays, usual.relays),
            db: unusual(database, usual.database),
            election_timer: unusual(election_timer, usual.election_timer),
            tls: unusual(tls, usual.tls),
            rbac: unusual(rbac, usual.rbac),
            interconnection: unusual(interconnection, usual.interconnection),
            remote,
            absent,
            named_chassis: others.into_iter().map(named_chassis).collect(),
            nb_db,
            sb_db,
            data,
            runtime: unusual(runtime, usual.runtime),
            image,
            ovs,
            ovn,
            engine_socket,
            engine_timeout: unusual(engine_timeout, usual.engine_timeout),
            ready_timeout: unusual(ready_timeout, usual.ready_timeout),
            datapath: unusual(datapath, usual.datapath),
            underlay: unusual(underlay, usual.underlay),
            first_address,
            mtu: unusual(mtu, usual.mtu),
            uplink,
            encap: unusual(encapsulation, usual.encapsulation),
            public: unusual(public, usual.public),
            seed: unusual(seed, usual.seed),
            monitor_all: unusual(monitor_all, usual.monitor_all),
            remote_probe_interval: unusual(remote_probe_interval, usual.remote_probe_interval),
            openflow_probe_interval: unusual(
                openflow_probe_interval,
                usual.openflow_probe_interval,
            ),
            demo: None,
            names: names_of(names),
            images,
            software,
            env,
            switch: Vec::new(),
            router: Vec::new(),
            vm: Vec::new(),
            source: super::Source::default(),
        };
        if let Workload::Custom(topologies) = &workload {
            for (zone, topology) in (1..).zip(topologies) {
                lab.add_topology(zone, topology);
            }
        }
        if !lab.has_topology() && workload != usual.workload {
            lab.demo = Some(workload == Workload::Demo);
        }
        lab
    }

    fn add_topology(&mut self, number: u32, topology: &Topology) {
        let zone = unusual(number, 1);
        for switch in topology.switches() {
            self.switch.push(describe_switch(number, switch));
        }
        for (router, connections) in topology.routers() {
            let ports = connections.into_iter().map(|(connection, switch)| {
                let name = format!("{}-{}", router.name, switch.name);
                describe_router_port(number, &name, connection, switch)
            });
            self.router.push(Router {
                name: router.name.clone(),
                zone,
                ports: ports.collect(),
                nat: router.nats.iter().map(describe_nat).collect(),
            });
        }
        for (switch, vm) in topology.placed_vms() {
            self.vm.push(describe_vm(number, switch, vm));
        }
    }
}

/// One image for all roles where they have the same, or one for each.
fn images_of(images: spec::Images) -> (Option<String>, Images) {
    if images == spec::Images::all(&images.central) {
        let usual = spec::Images::default().central;
        return (unusual(images.central, usual), Images::default());
    }
    let images = Images {
        central: Some(images.central),
        gateway: Some(images.gateway),
        relay: Some(images.relay),
        chassis: Some(images.chassis),
    };
    (None, images)
}

/// One source for all roles where they have the same, or one for each.
fn software_of(sources: Sources) -> (SoftwarePaths, Software) {
    let paths = |source: Source| SoftwarePaths {
        ovs: source.ovs,
        ovn: source.ovn,
    };
    if sources == Sources::all(sources.central.clone()) {
        return (paths(sources.central), Software::default());
    }
    let software = Software {
        central: paths(sources.central),
        gateway: paths(sources.gateway),
        relay: paths(sources.relay),
        chassis: paths(sources.chassis),
    };
    (SoftwarePaths::default(), software)
}

fn named_chassis(chassis: ChassisSpec) -> NamedChassis {
    NamedChassis {
        name: chassis.name,
        gateway: chassis.gateway,
        zone: chassis.zone,
        remote: chassis.remote,
    }
}

fn names_of(names: NodeNames) -> Names {
    let usual = NodeNames::default();
    Names {
        central: names.central,
        central_prefix: unusual(names.central_prefix, usual.central_prefix),
        gateway_prefix: unusual(names.gateway_prefix, usual.gateway_prefix),
        chassis_prefix: unusual(names.chassis_prefix, usual.chassis_prefix),
    }
}

fn unusual_mac(zone: u32, port: &str, mac: MacAddr) -> Option<MacAddr> {
    unusual(mac, mac_of(zone, port))
}

fn describe_switch(zone: u32, switch: &topology::Switch) -> Switch {
    let mut ports = switch.ports.as_slice();
    let mut localnet = None;
    if let [topology::Port::Localnet { name, network }, rest @ ..] = ports
        && *name == localnet_name(&switch.name)
    {
        localnet = Some(network.clone());
        ports = rest;
    }
    Switch {
        name: switch.name.clone(),
        zone: unusual(zone, 1),
        transit: switch.transit,
        localnet,
        dhcp: switch.dhcp.as_ref().map(|dhcp| Dhcp {
            subnet: dhcp.subnet,
            router: dhcp.router,
            exclude: dhcp.exclude.map(|(first, last)| [first, last]),
            lease_time: unusual(dhcp.lease_time, LEASE_TIME),
            server_mac: unusual(dhcp.server_mac, SERVER_MAC),
        }),
        ports: ports.iter().map(|port| describe_port(zone, port)).collect(),
    }
}

fn describe_port(zone: u32, port: &topology::Port) -> Port {
    match port {
        topology::Port::Plain { name, mac, ips } => Port {
            name: name.clone(),
            localnet: None,
            mac: unusual_mac(zone, name, *mac),
            addresses: ips.clone(),
        },
        topology::Port::Localnet { name, network } => Port {
            name: name.clone(),
            localnet: Some(network.clone()),
            mac: None,
            addresses: Vec::new(),
        },
    }
}

fn describe_router_port(
    zone: u32,
    name: &str,
    connection: &Connection,
    switch: &topology::Switch,
) -> RouterPort {
    let gateways = connection.gateway_chassis.iter();
    let gateways = gateways.map(|(chassis, priority)| GatewayChassis {
        chassis: chassis.clone(),
        priority: *priority,
    });
    RouterPort {
        switch: switch.name.clone(),
        mac: unusual_mac(zone, name, connection.mac),
        networks: connection.networks.clone(),
        gateways: gateways.collect(),
    }
}

fn describe_nat(nat: &topology::Nat) -> Nat {
    let (port, mac) = nat.distributed.clone().unzip();
    Nat {
        kind: nat.kind,
        external_ip: nat.external_ip,
        logical_ip: nat.logical_ip,
        port,
        mac,
    }
}

fn describe_vm(zone: u32, switch: &topology::Switch, vm: &VmSpec) -> Vm {
    Vm {
        name: vm.name.clone(),
        switch: switch.name.clone(),
        chassis: vm.chassis,
        mac: unusual_mac(zone, &vm.port, vm.mac),
        addresses: vm.addresses.clone(),
        gateways: vm.gateways.clone(),
        dhcp: vm.dhcp,
        dhcp_address: vm.dhcp_address.filter(|_| vm.dhcp),
        port: unusual(vm.port.clone(), vm_port(&switch.name, &vm.name)),
        mtu: unusual(vm.mtu, VmSpec::default().mtu),
    }
}
