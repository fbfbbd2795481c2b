//! A DHCPv4 client for fake VMs (RFC 2131): it asks for a lease once, and leaves it to others to configure what it got.
//!
//! The kernel sends a broadcast from 0.0.0.0 by a UDP socket that is bound to a device without an address, as a
//! server wants to see it. It would deliver the answer to such a socket only where `rp_filter` is off, which a new
//! namespace takes over from the host and systemd turns on. So answers are read by a packet socket, before the
//! kernel routes them.

mod client;
mod datagram;
mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use ofm_netns::{EnterError, Namespaces};
use ofm_underlay::Batch;
use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, sockopt};
use thiserror::Error;
use tokio::net::UdpSocket;

use crate::name::MacAddr;
use crate::node::blocking;
use client::{Client, Step};

/// Ports of RFC 2131 section 4.1.
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;

/// What a server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The address, with the length of the subnet mask.
    pub(crate) address: Ipv4Net,
    /// The first router, RFC 2132 section 3.5.
    pub(crate) router: Option<Ipv4Addr>,
    /// The MTU of the interface, at least 68, RFC 2132 section 5.1.
    pub(crate) mtu: Option<u16>,
    /// DNS servers, RFC 2132 section 3.8.
    pub(crate) dns: Vec<Ipv4Addr>,
    /// How long the lease lasts, RFC 2132 section 9.2; `u32::MAX` is for ever.
    pub(crate) seconds: u32,
    /// The server identifier, RFC 2132 section 9.7.
    pub(crate) server: Ipv4Addr,
}

impl Lease {
    /// Adds to a batch what makes an interface use this lease: its address, the default route and the MTU.
    pub(crate) fn configure(&self, batch: &mut Batch, index: u32, interface: &str) {
        if let Some(mtu) = self.mtu {
            batch.mtu(index, interface, mtu.into());
        }
        batch.address(index, interface, IpNet::V4(self.address));
        if let Some(router) = self.router {
            batch.default_route(IpAddr::V4(router), index);
        }
    }
}

/// There is no lease.
#[derive(Debug, Error)]
pub(crate) enum DhcpError {
    /// Nobody answered until the deadline, or nobody answered what followed an offer.
    #[error(
        "no DHCP server gave a lease in {waited:.1?}: sent {discovers} DISCOVER and {requests} REQUEST messages"
    )]
    NoAnswer {
        /// How many DISCOVERs were sent.
        discovers: u32,
        /// How many REQUESTs were sent; none means that there was no offer.
        requests: u32,
        /// For how long.
        waited: Duration,
    },
    /// The server answers its own offer with NAK.
    #[error("DHCP server {server} refuses what it has offered{}", because(.message.as_deref()))]
    Refused {
        /// The server.
        server: Ipv4Addr,
        /// Its message, RFC 2132 section 9.9.
        message: Option<String>,
    },
    /// The server's OFFER or ACK lacks what a lease needs.
    #[error("what a DHCP server gives is not usable")]
    Unusable(#[from] Flaw),
    /// The VM's namespaces could not be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// A socket failed.
    #[error("{action} for DHCP on {interface} failed")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's refusal.
        source: io::Error,
    },
}

fn because(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message:?}"))
}

/// What is wrong with an OFFER or ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Flaw {
    /// Field `yiaddr` holds no unicast address.
    #[error("{0} is no address for an interface")]
    Address(Ipv4Addr),
    /// Option 54 is missing.
    #[error("it does not identify its server (option 54, server_id of OVN)")]
    NoServer,
    /// Option 1 is missing.
    #[error("it has no subnet mask (option 1, netmask of OVN)")]
    NoMask,
    /// Option 1 is not ones followed by zeros.
    #[error("{0} is no subnet mask")]
    Mask(Ipv4Addr),
    /// Option 51 is missing.
    #[error("it has no lease time (option 51, lease_time of OVN)")]
    NoTime,
}

/// Asks for a lease on an interface until the deadline. The interface must be up, and no interface in its network
/// namespace may have an IPv4 address, apart from the loopback's: the kernel would send from that one.
///
/// # Errors
/// [`DhcpError::NoAnswer`] at the deadline; earlier when what a server answers will not do.
pub(crate) async fn lease(
    namespaces: Namespaces,
    interface: &str,
    mac: MacAddr,
    deadline: Instant,
) -> Result<Lease, DhcpError> {
    let sockets = blocking(move || namespaces.run(Sockets::open)).await?;
    let sockets = sockets
        .and_then(|sockets| Sockets::new(sockets, interface))
        .map_err(failed("making sockets", interface))?;
    let client = Client::new(mac, fastrand::Rng::new(), Instant::now());
    let result = converse(client, &sockets, interface, deadline).await;
    // The kernel closes a packet socket only when no CPU can be handing it a packet, which takes up to 20 ms.
    tokio::task::spawn_blocking(move || drop(sockets));
    result
}

async fn converse(
    mut client: Client,
    sockets: &Sockets<UdpSocket>,
    interface: &str,
    deadline: Instant,
) -> Result<Lease, DhcpError> {
    let mut buffer = [0_u8; 2048];
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(client.give_up(now));
        }
        let step = if now >= client.wake() {
            Step::Send(client.time_out(now)?)
        } else {
            let until = client.wake().min(deadline);
            let received = sockets.replies.recv(&mut buffer);
            match tokio::time::timeout_at(until.into(), received).await {
                Ok(Ok(length)) => client.receive(&buffer[..length], Instant::now())?,
                Ok(Err(error)) => return Err(failed("receiving", interface)(error)),
                Err(_) => Step::Wait,
            }
        };
        match step {
            Step::Wait => {}
            Step::Send(message) => sockets
                .send(&message)
                .await
                .map_err(failed("sending", interface))?,
            Step::Done(lease) => return Ok(lease),
        }
    }
}

fn failed(action: &'static str, interface: &str) -> impl FnOnce(io::Error) -> DhcpError {
    move |source| DhcpError::Io {
        action,
        interface: interface.to_owned(),
        source,
    }
}

struct Sockets<T> {
    requests: T,
    /// A packet socket: it sees the IPv4 packets of all interfaces of its namespace, and which of them count is told by
    /// their content. It has the type of a UDP socket because tokio can wait for that one without `unsafe`, and
    /// recv(2) is the same.
    replies: T,
}

impl Sockets<std::net::UdpSocket> {
    /// Makes them in the network namespace of the calling thread.
    fn open() -> io::Result<Self> {
        let open = |family, protocol| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            rustix::net::socket_with(family, SocketType::DGRAM, flags, protocol)
        };
        let requests = open(AddressFamily::INET, None)?;
        sockopt::set_socket_broadcast(&requests, true)?;
        // Nothing is read from it, so whoever else has the port does not matter: a client of another interface.
        sockopt::set_socket_reuseaddr(&requests, true)?;
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
        rustix::net::bind(&requests, &any)?;
        // Of type DGRAM, a packet begins with the header of IP.
        let replies = open(AddressFamily::PACKET, Some(eth::IP))?;
        Ok(Self {
            requests: requests.into(),
            replies: replies.into(),
        })
    }
}

impl Sockets<UdpSocket> {
    fn new(sockets: Sockets<std::net::UdpSocket>, interface: &str) -> io::Result<Self> {
        let requests = UdpSocket::from_std(sockets.requests)?;
        requests.bind_device(Some(interface.as_bytes()))?;
        let replies = UdpSocket::from_std(sockets.replies)?;
        Ok(Self { requests, replies })
    }

    async fn send(&self, message: &[u8]) -> io::Result<()> {
        let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        self.requests.send_to(message, everyone).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_lease_is_configured_as_far_as_it_goes() {
        let mut lease = Lease {
            address: "10.0.0.5/24".parse().unwrap(),
            router: Some(Ipv4Addr::new(10, 0, 0, 1)),
            mtu: Some(1400),
            dns: Vec::new(),
            seconds: 3600,
            server: Ipv4Addr::new(10, 0, 0, 1),
        };
        let requests = |lease: &Lease| {
            let mut batch = Batch::new();
            lease.configure(&mut batch, 2, "eth0");
            batch.len()
        };
        assert_eq!(requests(&lease), 3);
        lease.router = None;
        lease.mtu = None;
        assert_eq!(requests(&lease), 1);
    }

    #[test]
    fn errors_say_what_there_was() {
        let error = DhcpError::NoAnswer {
            discovers: 5,
            requests: 0,
            waited: Duration::from_millis(2500),
        };
        let text = "no DHCP server gave a lease in 2.5s: sent 5 DISCOVER and 0 REQUEST messages";
        assert_eq!(error.to_string(), text);
        let server = Ipv4Addr::new(10, 0, 0, 1);
        let refused = |message: Option<&str>| {
            let message = message.map(str::to_owned);
            DhcpError::Refused { server, message }.to_string()
        };
        let text = "DHCP server 10.0.0.1 refuses what it has offered";
        assert_eq!(refused(None), text);
        assert_eq!(refused(Some("in use")), format!("{text}: \"in use\""));
        let error = DhcpError::from(Flaw::NoMask);
        assert!(error.source().unwrap().to_string().contains("option 1"));
    }
}
