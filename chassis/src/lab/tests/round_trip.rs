//! What is written down is read back.

use std::net::Ipv4Addr;
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::name::{MacAddr, NodeName};
use crate::software::Sources;
use crate::spec::{self, ChassisSpec, NodeNames};
use crate::topology::{Dhcp, Nat, NatKind, VmSpec};

const ZONES: u32 = 3;

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
}

fn net() -> impl Strategy<Value = IpNet> {
    (address(), 0u8..=128).prop_map(|(address, prefix)| {
        let longest = IpNet::from(address).max_prefix_len();
        IpNet::new_assert(address, prefix.min(longest))
    })
}

/// Text with what is special in TOML.
fn text() -> impl Strategy<Value = String> {
    "[a-z\"'\\\\ #\\[\\]{}=.,\n\té-]{0,9}"
}

fn choice<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(values)
}

fn dhcp() -> impl Strategy<Value = Dhcp> {
    let range = option::of((1u8..=9, 10u8..=99));
    (any::<[u8; 2]>(), range, mac(), any::<u32>()).prop_map(
        |([a, b], range, server_mac, lease_time)| {
            let host = |last| Ipv4Addr::new(10, a, b, last);
            Dhcp {
                subnet: Ipv4Net::new_assert(host(0), 24),
                exclude: range.map(|(first, last)| (host(first), host(last))),
                router: host(1),
                server_mac,
                lease_time,
            }
        },
    )
}

fn nat() -> impl Strategy<Value = Nat> {
    let kind = choice(&[NatKind::Snat, NatKind::Dnat, NatKind::DnatAndSnat]);
    let distributed = option::of((text(), mac()));
    (kind, address(), net(), distributed).prop_map(
        |(kind, external_ip, logical_ip, distributed)| Nat {
            kind,
            external_ip,
            logical_ip,
            distributed,
        },
    )
}

prop_compose! {
    fn vm(zone: u32)(
        name in text(),
        port in option::of(text()),
        number in 0..2u32,
        mac in mac(),
        addresses in vec(net(), 0..3),
        gateways in vec(address(), 0..3),
        dhcp_address in option::of(any::<Ipv4Addr>()),
        mtu in prop_oneof![Just(1400), any::<u32>()],
    ) -> VmSpec {
        let port = port.unwrap_or_else(|| name.clone());
        let chassis = zone + number * ZONES;
        let dhcp = false;
        VmSpec { name, port, chassis, mac, addresses, gateways, dhcp, dhcp_address, mtu }
    }
}

prop_compose! {
    /// A topology of which every switch, router and VM has its own name, by a prefix.
    fn topology(zone: u32, count: Range<usize>)(
        switches in vec((any::<bool>(), option::of(dhcp()), vec((text(), mac(), vec(address(), 0..3)), 0..3), vec((any::<bool>(), text()), 0..3)), count),
        routers in vec((vec((any::<prop::sample::Index>(), mac(), vec(net(), 0..3), vec(0..=32767i64, 0..3)), 0..4), vec(nat(), 0..3)), 0..3),
        vms in vec((any::<prop::sample::Index>(), vm(zone)), 0..4),
    ) -> Topology {
        let mut t = Topology::new();
        let mut ids = Vec::new();
        let mut leased = Vec::new();
        for (index, (transit, dhcp, ports, localnets)) in switches.into_iter().enumerate() {
            let name = format!("sw{index}");
            let id = if transit { t.transit_switch(&name) } else { t.switch(&name) };
            for (usual, network) in localnets {
                t.localnet(id, if usual { format!("ln-{name}") } else { format!("x{network}") }, network);
            }
            for (name, mac, ips) in ports {
                t.port(id, name, mac, &ips);
            }
            leased.push(dhcp.is_some());
            if let Some(dhcp) = dhcp {
                t.dhcp(id, dhcp);
            }
            ids.push(id);
        }
        for (index, (ports, nats)) in routers.into_iter().enumerate() {
            let id = t.router(format!("lr{index}"));
            for (switch, mac, networks, priorities) in ports {
                let connection = t.connect(id, *switch.get(&ids), mac, &networks);
                for priority in priorities {
                    t.gateway_chassis(connection, format!("gw{zone}"), priority);
                }
            }
            for nat in nats {
                t.nat(id, nat);
            }
        }
        for (index, (switch, mut vm)) in vms.into_iter().enumerate() {
            let at = switch.index(ids.len());
            vm.name = format!("{zone}-{index}-{}", vm.name);
            vm.dhcp = leased[at];
            vm.dhcp_address = vm.dhcp_address.filter(|_| vm.dhcp);
            t.vm(ids[at], vm);
        }
        t
    }
}

fn workload() -> impl Strategy<Value = Workload> {
    // The last zone has something in it, or it would not be told from one that is not there.
    let topologies = (
        topology(1, 1..4),
        topology(2, 1..4),
        topology(3, 1..4),
        1..=3usize,
    );
    prop_oneof![
        Just(Workload::Demo),
        Just(Workload::None),
        topologies.prop_map(|(first, second, third, count)| {
            let mut topologies = vec![first, second, third];
            topologies.truncate(count);
            Workload::Custom(topologies)
        }),
    ]
}

fn names() -> impl Strategy<Value = NodeNames> {
    let prefixes = (option::of(text()), text(), text());
    prefixes.prop_map(|(central, central_prefix, chassis_prefix)| NodeNames {
        central,
        central_prefix,
        chassis_prefix,
        gateway_prefix: "gw".to_owned(),
    })
}

fn images() -> impl Strategy<Value = spec::Images> {
    prop_oneof![
        Just(spec::Images::default()),
        text().prop_map(spec::Images::all),
        [text(), text(), text(), text()].prop_map(|[central, gateway, relay, chassis]| {
            spec::Images {
                central,
                gateway,
                relay,
                chassis,
            }
        }),
    ]
}

fn others() -> impl Strategy<Value = Vec<ChassisSpec>> {
    let other = (
        node(),
        any::<bool>(),
        option::of(any::<u32>()),
        option::of(text()),
    );
    let other = other.prop_map(|(name, gateway, zone, remote)| ChassisSpec {
        name,
        gateway,
        zone,
        remote,
    });
    vec(other, 0..3)
}

fn node() -> impl Strategy<Value = NodeName> {
    "[a-z0-9]{1,9}".prop_map(|name| name.parse().unwrap())
}

fn software() -> impl Strategy<Value = Sources> {
    let source = || (path(), path()).prop_map(|(ovs, ovn)| crate::Source { ovs, ovn });
    let each = [source(), source(), source(), source()];
    prop_oneof![
        Just(Sources::default()),
        source().prop_map(Sources::all),
        each.prop_map(|[central, gateway, relay, chassis]| Sources {
            central,
            gateway,
            relay,
            chassis
        }),
    ]
}

fn path() -> impl Strategy<Value = Option<PathBuf>> {
    option::of(text().prop_map(|text| Path::new("/").join(text)))
}

prop_compose! {
    fn databases()(
        name in "[a-z0-9]{1,32}",
        relays in any::<u32>(),
        (database, election_timer) in (choice(&[DatabaseMode::Standalone, DatabaseMode::Raft]), any::<u32>()),
        [tls, rbac, interconnection] in any::<[bool; 3]>(),
        nb_db in path(),
        sb_db in path(),
        data in path(),
        (names, others, absent) in (names(), others(), btree_set(node(), 0..3)),
        workload in workload(),
    ) -> ClusterSpec {
        let name = name.parse().unwrap();
        ClusterSpec {
            name, relays, database, election_timer, tls, rbac, interconnection, nb_db, sb_db, data, names, others, absent, workload,
            zones: ZONES, chassis: Some(2 * ZONES), ..ClusterSpec::default()
        }
    }
}

prop_compose! {
    fn cluster()(
        spec in databases(),
        runtime in choice(&[RuntimeChoice::Native, RuntimeChoice::Docker, RuntimeChoice::Podman]),
        images in images(),
        (software, env, engine_socket) in (software(), btree_map(text(), text(), 0..3), path()),
        (engine_timeout, ready_timeout) in any::<(u32, u32)>(),
        datapath in choice(&[DatapathChoice::Auto, DatapathChoice::Netdev, DatapathChoice::System]),
        underlay in net(),
        first_address in option::of(address()),
        (mtu, uplink, public) in (any::<u32>(), option::of(text()), any::<bool>()),
        encapsulation in choice(&[Encapsulation::Geneve, Encapsulation::Vxlan, Encapsulation::Both]),
        (seed, monitor_all, remote_probe_interval, openflow_probe_interval) in any::<(bool, bool, u32, u32)>(),
    ) -> ClusterSpec {
        ClusterSpec {
            runtime, images, software, env, engine_socket, engine_timeout, ready_timeout, datapath, underlay, first_address, mtu, uplink, public, encapsulation,
            seed, monitor_all, remote_probe_interval, openflow_probe_interval, ..spec
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn specs_go_through_files(spec in cluster()) {
        let text = Lab::from_spec(&spec).to_toml();
        let read = Lab::parse(&text);
        let read = read.unwrap_or_else(|error| panic!("{error}\nin\n{text}"));
        let again = read.spec();
        let again = again.unwrap_or_else(|error| panic!("{error}\nin\n{text}"));
        prop_assert_eq!(again, spec);
        prop_assert_eq!(read.to_toml(), text);
    }
}
