//! ICMP echo by a raw socket of the calling thread's network namespace.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ofm_netns::Namespaces;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

use crate::error::Error;
use crate::node::blocking;

const INTERVAL: Duration = Duration::from_millis(100);

/// How long a ping waits unless it is told.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Sends ICMP echo requests from somewhere, whose name is for errors, until one is answered; returns the round trip of
/// that one.
pub(crate) async fn ping(
    name: &str,
    namespaces: Namespaces,
    address: IpAddr,
    within: Duration,
) -> Result<Duration, Error> {
    let began = Instant::now();
    let answer = blocking(move || namespaces.run(|| echo(address, began + within)))
        .await?
        .map_err(|e| Error::in_node(name, "sending an ICMP echo", e))?;
    answer.ok_or_else(|| Error::NoAnswer {
        vm: name.to_owned(),
        address,
        waited: began.elapsed(),
    })
}

/// Asks until there is an answer, whose round trip is returned, or the deadline, which gives `None`.
fn echo(address: IpAddr, deadline: Instant) -> io::Result<Option<Duration>> {
    let (family, protocol) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::RAW, flags, Some(protocol))?;
    let identifier = std::process::id() as u16;
    for sequence in 0_u16.. {
        let sent = Instant::now();
        if sent >= deadline {
            break;
        }
        let request = request(address, identifier, sequence);
        let target = SocketAddr::new(address, 0);
        match rustix::net::sendto(&socket, &request, SendFlags::empty(), &target) {
            // No neighbour yet, or no route because the link has only just come up: asked again below.
            Ok(_) | Err(rustix::io::Errno::HOSTUNREACH | rustix::io::Errno::NETUNREACH) => {}
            Err(e) => return Err(e.into()),
        }
        let until = (sent + INTERVAL).min(deadline);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let left = left.max(Duration::from_millis(1));
            set_socket_timeout(&socket, Timeout::Recv, Some(left))?;
            let mut buffer = [0_u8; 256];
            let received = rustix::net::recvfrom(&socket, &mut buffer, RecvFlags::empty());
            let Ok((length, _, from)) = received else {
                break;
            };
            // The socket gets what comes from anywhere, and another thread may ask another address at the same time.
            let from = from.and_then(|from| SocketAddr::try_from(from).ok());
            if from.is_none_or(|from| from.ip() != address) {
                continue;
            }
            if answers(address, &buffer[..length], identifier, sequence) {
                return Ok(Some(sent.elapsed()));
            }
        }
    }
    Ok(None)
}

/// An echo request: RFC 792 for IPv4, RFC 4443 section 4.1 for IPv6, whose checksum is the kernel's task.
fn request(address: IpAddr, identifier: u16, sequence: u16) -> [u8; 16] {
    let mut packet = [0_u8; 16];
    packet[0] = if address.is_ipv4() { 8 } else { 128 };
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..].copy_from_slice(b"ofm-echo");
    if address.is_ipv4() {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// Whether a packet is the reply to that request. A raw IPv4 socket shows the IP header too (raw(7)).
fn answers(address: IpAddr, packet: &[u8], identifier: u16, sequence: u16) -> bool {
    let (header, kind) = match (address, packet.first()) {
        (IpAddr::V4(_), Some(first)) => (usize::from(first & 0x0f) * 4, 0),
        (IpAddr::V6(_), Some(_)) => (0, 129),
        (_, None) => return false,
    };
    packet.get(header..header + 8).is_some_and(|icmp| {
        icmp[0] == kind
            && icmp[4..6] == identifier.to_be_bytes()
            && icmp[6..8] == sequence.to_be_bytes()
    })
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_sums_up_to_nothing() {
        assert_eq!(checksum(&request([10, 0, 0, 1].into(), 77, 3)), 0);
    }

    #[test]
    fn only_the_reply_to_this_request_counts() {
        let address: IpAddr = "fd00::1".parse().unwrap();
        let mut packet = request(address, 5, 6);
        assert!(!answers(address, &packet, 5, 6), "a request is no reply");
        packet[0] = 129;
        assert!(answers(address, &packet, 5, 6));
        assert!(!answers(address, &packet, 5, 7));
        assert!(!answers(address, &packet[..4], 5, 6));
    }
}
