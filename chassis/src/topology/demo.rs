//! The demo: what ovn-fake-multinode makes in each availability zone, with its names and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Dhcp, Nat, NatKind, PUBLIC_NETWORK, Topology, VmSpec};
use crate::name::MacAddr;

/// The zones that the demo's addresses have room for: their number is a digit of MAC addresses.
pub(crate) const ZONES: u32 = 9;

/// The transit switch that joins the zones.
const TRANSIT: &str = "ts1";

/// What of a cluster the demo of a zone depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DemoPlace<'a> {
    /// Number of the zone, from 1.
    pub(crate) zone: u32,
    /// Of how many.
    pub(crate) zones: u32,
    /// Numbers of two chassis of the zone, which may be the same.
    pub(crate) chassis: [u32; 2],
    /// The gateway of the zone that hosts its gateway ports.
    pub(crate) gateway: Option<&'a str>,
    /// Whether the zones are interconnected.
    pub(crate) interconnection: bool,
}

/// An outside host's addresses in the physical network `public` of a zone.
pub(crate) fn outside(zone: u32) -> (MacAddr, [IpNet; 2], IpAddr) {
    let digits = Digits::of(zone);
    (
        MacAddr([0x30, 0x50 + digits.byte, 0, 0, 0, 0x50]),
        [digits.public4(50, 24).into(), digits.ip6(3, 0xb, 64).into()],
        digits.public4(100, 24).addr().into(),
    )
}

/// The MAC address of a zone's host on the underlay.
pub(crate) fn inside(zone: u32) -> MacAddr {
    MacAddr([0x30, 0x50 + Digits::of(zone).byte, 0, 0, 0, 0x60])
}

/// The number of a zone as it is part of addresses.
#[derive(Clone, Copy)]
struct Digits {
    byte: u8,
}

impl Digits {
    fn of(zone: u32) -> Self {
        Self {
            byte: u8::try_from(zone.min(ZONES)).expect("it is at most nine"),
        }
    }

    /// `1{n}.0.0.host` for the tens 1, `2{n}.0.0.host` for the tens 2.
    fn ip4(self, tens: u8, host: u8, prefix: u8) -> Ipv4Net {
        let address = Ipv4Addr::new(10 * tens + self.byte, 0, 0, host);
        Ipv4Net::new_assert(address, prefix)
    }

    fn public4(self, host: u8, prefix: u8) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::new(172, 16, self.byte, host), prefix)
    }

    /// `{thousands}00{n}::host`.
    fn ip6(self, thousands: u16, host: u16, prefix: u8) -> Ipv6Net {
        let first = 0x1000 * thousands + u16::from(self.byte);
        let address = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, host);
        Ipv6Net::new_assert(address, prefix)
    }
}

impl Topology {
    /// Makes the demo for a number of chassis in a single zone, which `ovn-gw-1` joins to the physical network.
    pub fn demo(chassis: u32) -> Self {
        Self::demo_at(DemoPlace {
            zone: 1,
            zones: 1,
            chassis: [1, chassis.clamp(1, 2)],
            gateway: Some("ovn-gw-1"),
            interconnection: true,
        })
    }

    /// Makes the demo of a zone.
    pub(crate) fn demo_at(place: DemoPlace<'_>) -> Self {
        let DemoPlace { zone: n, .. } = place;
        let digits = Digits::of(n);
        let byte = digits.byte;
        let [first, second] = place.chassis;
        let lan4 = |host, prefix| digits.ip4(1, host, prefix);
        let lan6 = |host, prefix| digits.ip6(1, host, prefix);
        let other4 = |host, prefix| digits.ip4(2, host, prefix);
        let other6 = |host, prefix| digits.ip6(2, host, prefix);

        let mut t = Self::new();
        let router = t.router(format!("lr{n}"));
        let mac = |last| MacAddr([0x00, byte, 0, 0, 0xff, last]);

        let lan = t.switch(format!("sw0{n}"));
        t.dhcp(
            lan,
            Dhcp {
                subnet: lan4(0, 24),
                exclude: Some((lan4(1, 24).addr(), lan4(2, 24).addr())),
                router: lan4(1, 24).addr(),
                server_mac: MacAddr([0xc0, 0xff, 0xee, 0, 0, 1]),
                lease_time: 3600,
            },
        );
        t.connect(
            router,
            lan,
            mac(1),
            &[lan4(1, 24).into(), lan6(0xa, 64).into()],
        );
        let vm_mac = |first, last| MacAddr([first, 0x50 + byte, 0, 0, 0, last]);
        let free = [lan4(4, 24).addr().into(), lan6(4, 64).addr().into()];
        t.port(lan, format!("sw0{n}-port2"), vm_mac(0x50, 4), &free);

        let other = t.switch(format!("sw1{n}"));
        t.connect(
            router,
            other,
            mac(2),
            &[other4(1, 24).into(), other6(0xa, 64).into()],
        );

        let public = t.switch(format!("public{n}"));
        t.localnet(public, format!("ln-public{n}"), PUBLIC_NETWORK);
        let public4 = |host| IpAddr::from(digits.public4(host, 24).addr());
        let public6 = |host| IpAddr::from(digits.ip6(3, host, 64).addr());
        let way_out = t.connect(
            router,
            public,
            MacAddr([0x00, byte, 0x20, 0x20, 0x12, 0x13]),
            &[
                digits.public4(100, 24).into(),
                digits.ip6(3, 0xa, 64).into(),
            ],
        );
        if let Some(gateway) = place.gateway {
            t.gateway_chassis(way_out, gateway, 20);
        }
        for (external_ip, logical_ip, port, mac) in [
            (
                public4(110),
                lan4(3, 32).into(),
                format!("sw0{n}-port1"),
                vm_mac(0x30, 3),
            ),
            (
                public6(0xc),
                lan6(3, 128).into(),
                format!("sw0{n}-port1"),
                vm_mac(0x40, 3),
            ),
            (
                public4(120),
                other4(3, 32).into(),
                format!("sw1{n}-port1"),
                vm_mac(0x30, 4),
            ),
            (
                public6(0xd),
                other6(3, 128).into(),
                format!("sw1{n}-port1"),
                vm_mac(0x40, 4),
            ),
        ] {
            let kind = NatKind::DnatAndSnat;
            let distributed = Some((port, mac));
            t.nat(
                router,
                Nat {
                    kind,
                    external_ip,
                    logical_ip,
                    distributed,
                },
            );
        }
        for network in [lan4(0, 24), other4(0, 24)] {
            t.nat(
                router,
                Nat {
                    kind: NatKind::Snat,
                    external_ip: public4(100),
                    logical_ip: network.into(),
                    distributed: None,
                },
            );
        }

        if place.interconnection {
            let transit = t.transit_switch(TRANSIT);
            if place.zones > 1 {
                let v4 = Ipv4Net::new_assert(Ipv4Addr::new(5, 0, 0, byte), 24);
                // ovn-fake-multinode has no IPv6 address there. Then routes to IPv6 networks have link-local next hops,
                // which ovn-ic advertises, finds bad, and advertises again, without end (OVN 23.03, `parse_route` of
                // `ic/ovn-ic.c`).
                let v6 = Ipv6Addr::new(0x5000, 0, 0, 0, 0, 0, 0, byte.into());
                let v6 = Ipv6Net::new_assert(v6, 64);
                let mac = MacAddr([0xaa, 0xaa, 0xaa, 0xaa, 0xaa, byte]);
                let joint = t.connect(router, transit, mac, &[v4.into(), v6.into()]);
                if let Some(gateway) = place.gateway {
                    t.gateway_chassis(joint, gateway, 1);
                }
            }
        }

        let fixed =
            |name, port, chassis, mac, addresses: [IpNet; 2], gateways: [IpAddr; 2]| VmSpec {
                name,
                port,
                chassis,
                mac,
                addresses: addresses.into(),
                gateways: gateways.into(),
                ..VmSpec::default()
            };
        t.vm(
            lan,
            fixed(
                format!("sw0{n}p1"),
                format!("sw0{n}-port1"),
                first,
                vm_mac(0x50, 3),
                [lan4(3, 24).into(), lan6(3, 64).into()],
                [lan4(1, 24).addr().into(), lan6(0xa, 64).addr().into()],
            ),
        );
        t.vm(
            other,
            fixed(
                format!("sw1{n}p1"),
                format!("sw1{n}-port1"),
                second,
                vm_mac(0x40, 3),
                [other4(3, 24).into(), other6(3, 64).into()],
                [other4(1, 24).addr().into(), other6(0xa, 64).addr().into()],
            ),
        );
        for (number, chassis) in [(3, first), (4, second)] {
            let vm = VmSpec {
                name: format!("sw0{n}p{number}"),
                port: format!("sw0{n}-port{number}"),
                chassis,
                mac: vm_mac(0x50, number + 2),
                dhcp: true,
                // Scripts for ovn-fake-multinode rely on what OVN happens to give there.
                dhcp_address: Some(lan4(number + 2, 24).addr()),
                ..VmSpec::default()
            };
            t.vm(lan, vm);
        }
        t
    }
}
