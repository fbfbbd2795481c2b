//! Requests, in the order in which they are to be applied.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};

use crate::error::BatchError;

/// The index of the loopback link in every network namespace.
pub const LOOPBACK: u32 = 1;

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;
const NEW_OR_CHANGED: u16 = NLM_F_CREATE | NLM_F_REPLACE;
const CHANGED: u16 = 0;

/// One end of a veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethEnd {
    /// Its name.
    pub name: String,
    /// Its index, free in its namespace.
    pub index: u32,
    /// Its hardware address; chosen by the kernel where there is none.
    pub mac: Option<[u8; 6]>,
    /// The largest packet that it sends; the kernel's default where there is none.
    pub mtu: Option<u32>,
    /// The index of the bridge that it is attached to. Only for the near end: the kernel ignores it for the peer.
    pub controller: Option<u32>,
}

impl VethEnd {
    fn link<T>(&self, mut link: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
        link = link.index(self.index);
        if let Some(mac) = self.mac {
            link = link.address(mac.to_vec());
        }
        if let Some(mtu) = self.mtu {
            link = link.mtu(mtu);
        }
        link
    }
}

/// Requests to apply in their order. Descriptors of namespaces are duplicated and live until the batch was applied.
#[derive(Debug, Default)]
#[must_use = "a batch does nothing until it is applied"]
pub struct Batch {
    requests: Vec<Request>,
    namespaces: Vec<Namespace>,
    broken: Option<BatchError>,
}

#[derive(Debug)]
pub(crate) struct Request {
    message: RouteNetlinkMessage,
    flags: u16,
    description: String,
}

impl Request {
    pub(crate) fn into_message(self) -> (NetlinkMessage<RouteNetlinkMessage>, String) {
        let mut message = NetlinkMessage::from(self.message);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | self.flags;
        (message, self.description)
    }
}

/// A network namespace kept open, and what tells it from others.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
    id: (u64, u64),
}

impl Batch {
    /// No requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Creates a bridge that is up, without multicast snooping and spanning tree.
    pub fn bridge(&mut self, name: &str, index: u32) -> &mut Self {
        let link = LinkBridge::new(name)
            .index(index)
            .mcast_snooping(false)
            .stp_state(BridgeStpState::Disabled)
            .up()
            .build();
        let description = format!("create the bridge {name}");
        self.push(RouteNetlinkMessage::NewLink(link), NEW, description)
    }

    /// Creates a veth pair: `here`, which is up, and `peer` in the namespace `peer_netns`, which is down.
    pub fn veth(
        &mut self,
        here: &VethEnd,
        peer: &VethEnd,
        peer_netns: BorrowedFd<'_>,
    ) -> &mut Self {
        let description = format!("create the veth pair {} and {}", here.name, peer.name);
        let netns = match self.keep(peer_netns) {
            Ok(netns) => netns,
            Err(source) => {
                self.broken.get_or_insert(BatchError::Namespace {
                    description,
                    source,
                });
                return self;
            }
        };
        // Up in this message would be refused for the peer: the other end is not there yet.
        let far = LinkMessageBuilder::<LinkUnspec>::new()
            .name(&peer.name)
            .setns_by_fd(netns);
        let far = peer.link(far).build();
        let mut near = here
            .link(LinkMessageBuilder::<LinkVeth>::new(&here.name, ""))
            .up();
        if let Some(controller) = here.controller {
            near = near.controller(controller);
        }
        let near = near
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
            .build();
        self.push(RouteNetlinkMessage::NewLink(near), NEW, description)
    }

    /// Moves a link of this name to another network namespace, where it keeps its name, loses its addresses and has an
    /// index that is free there.
    pub fn move_to(&mut self, name: &str, index: u32, netns: BorrowedFd<'_>) -> &mut Self {
        let description = format!("move {name} to another network namespace");
        match self.keep(netns) {
            Ok(netns) => {
                let link = LinkMessageBuilder::<LinkUnspec>::new()
                    .name(name)
                    .setns_by_fd(netns)
                    .append_extra_attribute(LinkAttribute::NewIfIndex(index.cast_signed()));
                self.push(
                    RouteNetlinkMessage::SetLink(link.build()),
                    CHANGED,
                    description,
                )
            }
            Err(source) => {
                self.broken.get_or_insert(BatchError::Namespace {
                    description,
                    source,
                });
                self
            }
        }
    }

    /// Makes a link of this name a port of a bridge, and sets it up.
    pub fn join(&mut self, name: &str, controller: u32) -> &mut Self {
        let link = LinkMessageBuilder::<LinkUnspec>::new()
            .name(name)
            .controller(controller)
            .up();
        let description = format!("make {name} a port of the bridge");
        self.push(
            RouteNetlinkMessage::SetLink(link.build()),
            CHANGED,
            description,
        )
    }

    /// Removes a link of this name; with one end of a veth pair the other one goes too.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        let link = LinkMessageBuilder::<LinkUnspec>::new().name(name).build();
        let description = format!("remove {name}");
        self.push(RouteNetlinkMessage::DelLink(link), CHANGED, description)
    }

    /// Sets a link up.
    pub fn up(&mut self, index: u32, name: &str) -> &mut Self {
        self.set(index, format!("set {name} up"), |link| link.up())
    }

    /// Keeps a link from giving itself a link-local IPv6 address. Only before it is up.
    pub fn quiet(&mut self, index: u32, name: &str) -> &mut Self {
        let description = format!("turn off the link-local address of {name}");
        self.set(index, description, |link| {
            link.append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(
                vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)],
            )]))
        })
    }

    /// Sets the hardware address of a link.
    pub fn mac(&mut self, index: u32, name: &str, mac: [u8; 6]) -> &mut Self {
        let [a, b, c, d, e, f] = mac;
        let text = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        let description = format!("set the hardware address of {name} to {text}");
        self.set(index, description, |link| link.address(mac.to_vec()))
    }

    /// Sets the MTU of a link.
    pub fn mtu(&mut self, index: u32, name: &str, mtu: u32) -> &mut Self {
        self.set(index, format!("set the MTU of {name} to {mtu}"), |link| {
            link.mtu(mtu)
        })
    }

    /// Gives a link an address, which it may have already. IPv6 addresses are usable at once, without being probed for
    /// duplicates.
    pub fn address(&mut self, index: u32, name: &str, address: IpNet) -> &mut Self {
        let prefix = address.prefix_len();
        let message = match address.addr() {
            IpAddr::V4(ip) => AddressMessageBuilder::<Ipv4Addr>::new()
                .index(index)
                .address(ip, prefix)
                .build(),
            IpAddr::V6(ip) => {
                let mut message = AddressMessageBuilder::<Ipv6Addr>::new()
                    .index(index)
                    .address(ip, prefix)
                    .build();
                message
                    .attributes
                    .push(AddressAttribute::Flags(AddressFlags::Nodad));
                message
            }
        };
        let description = format!("give {name} the address {address}");
        self.push(
            RouteNetlinkMessage::NewAddress(message),
            NEW_OR_CHANGED,
            description,
        )
    }

    /// Tells which hardware address belongs to an address beyond a link, as if it had been learnt some time ago: it is used
    /// at once, and asked for again only when nothing confirms it.
    ///
    /// It is marked as learnt by somebody else than the kernel. Such entries do not count towards the limit that all network
    /// namespaces of a machine share (`gc_thresh3`, arp(7)), and stay until the link goes down.
    pub fn neighbour(&mut self, index: u32, address: IpAddr, mac: [u8; 6]) -> &mut Self {
        let mut message = NeighbourMessage::default();
        let (family, destination) = match address {
            IpAddr::V4(ip) => (AddressFamily::Inet, NeighbourAddress::Inet(ip)),
            IpAddr::V6(ip) => (AddressFamily::Inet6, NeighbourAddress::Inet6(ip)),
        };
        message.header.family = family;
        message.header.ifindex = index;
        message.header.state = NeighbourState::Stale;
        message.header.flags = NeighbourFlags::ExtLearned;
        message.attributes = vec![
            NeighbourAttribute::Destination(destination),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        let description = format!("tell the hardware address of {address}");
        self.push(
            RouteNetlinkMessage::NewNeighbour(message),
            NEW_OR_CHANGED,
            description,
        )
    }

    /// Sets the default route of the gateway's address family.
    pub fn default_route(&mut self, gateway: IpAddr, index: u32) -> &mut Self {
        let message = match gateway {
            IpAddr::V4(ip) => RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(ip)
                .output_interface(index)
                .build(),
            IpAddr::V6(ip) => RouteMessageBuilder::<Ipv6Addr>::new()
                .gateway(ip)
                .output_interface(index)
                .build(),
        };
        let description = format!("set the default route by {gateway}");
        self.push(
            RouteNetlinkMessage::NewRoute(message),
            NEW_OR_CHANGED,
            description,
        )
    }

    /// The requests, and the descriptors that must live until they are answered.
    pub(crate) fn into_parts(self) -> Result<(Vec<Request>, Vec<Namespace>), BatchError> {
        match self.broken {
            Some(error) => Err(error),
            None => Ok((self.requests, self.namespaces)),
        }
    }

    fn set(
        &mut self,
        index: u32,
        description: String,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> &mut Self {
        let link = change(LinkUnspec::new_with_index(index)).build();
        self.push(RouteNetlinkMessage::SetLink(link), CHANGED, description)
    }

    fn push(&mut self, message: RouteNetlinkMessage, flags: u16, description: String) -> &mut Self {
        self.requests.push(Request {
            message,
            flags,
            description,
        });
        self
    }

    /// Duplicates a descriptor, once per namespace: a batch may have many pairs into the same one.
    fn keep(&mut self, netns: BorrowedFd<'_>) -> io::Result<RawFd> {
        let file = File::from(netns.try_clone_to_owned()?);
        let metadata = file.metadata()?;
        let id = (metadata.dev(), metadata.ino());
        if let Some(kept) = self.namespaces.iter().find(|kept| kept.id == id) {
            return Ok(kept.file.as_raw_fd());
        }
        let fd = file.as_raw_fd();
        self.namespaces.push(Namespace { file, id });
        Ok(fd)
    }
}
