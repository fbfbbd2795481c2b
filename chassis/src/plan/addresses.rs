//! Addresses of hosts in a subnet of either IP version, and how daemons are told of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The addresses that hosts may have in a subnet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hosts {
    first: u128,
    last: u128,
    version4: bool,
}

impl Hosts {
    pub(super) fn of(net: IpNet) -> Self {
        let (low, high) = (bits(net.network()), bits(net.broadcast()));
        let version4 = matches!(net, IpNet::V4(_));
        // The first address of a subnet is its own (RFC 4291 section 2.6.1: its routers'), the last of IPv4 is for all.
        let small = net.max_prefix_len() - net.prefix_len() <= 1;
        Self {
            first: if small { low } else { low + 1 },
            last: if small || !version4 { high } else { high - 1 },
            version4,
        }
    }

    pub(super) fn first(self) -> IpAddr {
        self.ip(self.first)
    }

    pub(super) fn last(self) -> IpAddr {
        self.ip(self.last)
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.version4 && (self.first..=self.last).contains(&bits(address))
    }

    /// How many there are from an address on.
    pub(super) fn from(self, address: IpAddr) -> u128 {
        (self.last - bits(address)).saturating_add(1)
    }

    /// The one that is so many after an address.
    pub(super) fn after(self, address: IpAddr, count: u32) -> IpAddr {
        self.ip(bits(address) + u128::from(count))
    }

    /// The one that is so many before the last.
    pub(super) fn before_last(self, count: u32) -> IpAddr {
        self.ip(self.last - u128::from(count))
    }

    /// The second one, or the only one: the first is left to a host that is no node.
    pub(super) fn second(self) -> IpAddr {
        self.ip((self.first + 1).min(self.last))
    }

    fn ip(self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.version4 => Ipv4Addr::from_bits(bits).into(),
            _ => Ipv6Addr::from_bits(bits).into(),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address and a port, as `ovsdb(7)` has them in connection methods.
pub(super) fn with_port(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_leave_out_the_addresses_of_the_subnet() {
        for (net, first, last) in [
            ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
            ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
            ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff"),
        ] {
            let hosts = Hosts::of(net.parse().unwrap());
            assert_eq!(hosts.first(), first.parse::<IpAddr>().unwrap());
            assert_eq!(hosts.last(), last.parse::<IpAddr>().unwrap());
        }
        let all = Hosts::of("::/0".parse().unwrap());
        assert_eq!(all.after(all.second(), 2), "::4".parse::<IpAddr>().unwrap());
        assert!(!all.contains("10.0.0.1".parse().unwrap()));
    }
}
