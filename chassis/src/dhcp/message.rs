//! The messages of RFC 2131 section 2, with the options of RFC 2132.

use std::net::Ipv4Addr;

use dhcproto::v4::{
    DhcpOption, Encodable as _, Flags, HType, MAGIC, MIN_PACKET_SIZE, Message, MessageType, Opcode,
    OptionCode,
};
use dhcproto::{Decodable as _, v4};
use ipnet::Ipv4Net;

use super::{Flaw, Lease};
use crate::name::MacAddr;

/// The fixed part of a message, of which the last four bytes are the magic cookie.
const HEADER: usize = 240;
/// The least MTU of IPv4, RFC 2132 section 5.1.
const LEAST_MTU: u16 = 68;

const NO_ADDRESS: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// What is asked for, option 55; servers identify themselves unasked.
const PARAMETERS: [OptionCode; 5] = [
    OptionCode::SubnetMask,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::InterfaceMtu,
    OptionCode::AddressLeaseTime,
];

/// What else is read of a reply. Of other options dhcproto 0.15 panics at some that are malformed.
const OTHERS: [OptionCode; 3] = [
    OptionCode::MessageType,
    OptionCode::ServerIdentifier,
    OptionCode::Message,
];

/// What all messages between a DISCOVER and its ACK have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transaction {
    pub(super) mac: MacAddr,
    pub(super) xid: u32,
    /// Seconds since the client began, when it sent its first DISCOVER of this transaction.
    pub(super) secs: u16,
}

impl Transaction {
    pub(super) fn discover(&self) -> Vec<u8> {
        self.message([DhcpOption::MessageType(MessageType::Discover)])
    }

    /// Accepts an offer, RFC 2131 section 4.3.2, state SELECTING.
    pub(super) fn request(&self, offer: &Lease) -> Vec<u8> {
        self.message([
            DhcpOption::MessageType(MessageType::Request),
            DhcpOption::RequestedIpAddress(offer.address.addr()),
            DhcpOption::ServerIdentifier(offer.server),
        ])
    }

    fn message(&self, options: impl IntoIterator<Item = DhcpOption>) -> Vec<u8> {
        let none = NO_ADDRESS;
        let mut message = Message::new_with_id(self.xid, none, none, none, none, &self.mac.0);
        // Without an address there is nothing to be answered to but the broadcast, RFC 2131 section 4.1.
        message.set_flags(Flags::default().set_broadcast());
        message.set_secs(self.secs);
        let parameters = DhcpOption::ParameterRequestList(PARAMETERS.to_vec());
        message.set_opts(options.into_iter().chain([parameters]).collect());
        let mut bytes = message
            .to_vec()
            .expect("options of fixed size are within all limits");
        // RFC 1542 section 2.1: a shorter one may be discarded.
        bytes.resize(bytes.len().max(MIN_PACKET_SIZE), 0);
        bytes
    }

    /// Reads a reply to this transaction; `None` for everything else, and for what is cut off.
    pub(super) fn reply(&self, message: &[u8]) -> Option<Reply> {
        let (header, options) = message.split_at_checked(HEADER)?;
        if !header.ends_with(&MAGIC) {
            return None;
        }
        let header = Message::from_bytes(header).ok()?;
        // The length first: dhcproto takes it for granted.
        let ours = header.opcode() == Opcode::BootReply
            && header.htype() == HType::Eth
            && usize::from(header.hlen()) == self.mac.0.len()
            && header.chaddr() == self.mac.0
            && header.xid() == self.xid;
        if !ours {
            return None;
        }
        Reply::read(header.yiaddr(), options)
    }
}

/// A reply, as far as its options go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) kind: MessageType,
    /// Field `yiaddr`.
    pub(super) address: Ipv4Addr,
    pub(super) server: Option<Ipv4Addr>,
    /// The server's explanation, RFC 2132 section 9.9.
    pub(super) message: Option<String>,
    mask: Option<Ipv4Addr>,
    router: Option<Ipv4Addr>,
    mtu: Option<u16>,
    dns: Vec<Ipv4Addr>,
    seconds: Option<u32>,
}

impl Reply {
    /// Reads options up to the one that says End. One that is malformed counts as missing, whatever is before and
    /// after it; which is why dhcproto, which would stop there, is shown one at a time.
    fn read(address: Ipv4Addr, mut options: &[u8]) -> Option<Self> {
        let mut reply = Self {
            kind: MessageType::Unknown(0),
            address,
            server: None,
            message: None,
            mask: None,
            router: None,
            mtu: None,
            dns: Vec::new(),
            seconds: None,
        };
        loop {
            let (code, rest) = options.split_first()?;
            let code = OptionCode::from(*code);
            match code {
                OptionCode::Pad => options = rest,
                OptionCode::End => break,
                _ => {
                    let length = 2 + usize::from(*rest.first()?);
                    let (option, rest) = options.split_at_checked(length)?;
                    if PARAMETERS.contains(&code) || OTHERS.contains(&code) {
                        reply.take(DhcpOption::from_bytes(option));
                    }
                    options = rest;
                }
            }
        }
        Some(reply)
    }

    fn take(&mut self, option: Result<DhcpOption, v4::DecodeError>) {
        match option {
            Ok(DhcpOption::MessageType(kind)) => self.kind = kind,
            Ok(DhcpOption::ServerIdentifier(server)) => self.server = Some(server),
            Ok(DhcpOption::Message(message)) => self.message = Some(message),
            Ok(DhcpOption::SubnetMask(mask)) => self.mask = Some(mask),
            Ok(DhcpOption::Router(routers)) => self.router = routers.first().copied(),
            Ok(DhcpOption::InterfaceMtu(mtu)) => self.mtu = Some(mtu),
            Ok(DhcpOption::DomainNameServer(servers)) => self.dns = servers,
            Ok(DhcpOption::AddressLeaseTime(seconds)) => self.seconds = Some(seconds),
            Ok(_) | Err(_) => {}
        }
    }

    /// What an OFFER or ACK gives: RFC 2131 section 4.3.1, table 3, says what must be there. The mask need not, but
    /// nothing can be configured without.
    pub(super) fn lease(self) -> Result<Lease, Flaw> {
        if self.address.is_unspecified()
            || self.address.is_broadcast()
            || self.address.is_multicast()
            || self.address.is_loopback()
        {
            return Err(Flaw::Address(self.address));
        }
        let server = self.server.ok_or(Flaw::NoServer)?;
        let mask = self.mask.ok_or(Flaw::NoMask)?;
        let address = Ipv4Net::with_netmask(self.address, mask)
            .ok()
            .filter(|net| net.prefix_len() > 0)
            .ok_or(Flaw::Mask(mask))?;
        Ok(Lease {
            address,
            router: self.router.filter(|router| !router.is_unspecified()),
            mtu: self.mtu.filter(|mtu| *mtu >= LEAST_MTU),
            dns: self.dns,
            seconds: self.seconds.ok_or(Flaw::NoTime)?,
            server,
        })
    }
}

/// Makes the messages of a server.
#[cfg(test)]
pub(super) mod server {
    use super::*;

    pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);
    pub(crate) const OFFERED: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 5);

    /// The options with which OVN serves the VMs of ovn-fake-multinode, and two more.
    pub(crate) fn options(kind: MessageType) -> Vec<DhcpOption> {
        vec![
            DhcpOption::MessageType(kind),
            DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
            DhcpOption::Router(vec![ADDRESS]),
            DhcpOption::DomainNameServer(vec![Ipv4Addr::new(8, 8, 8, 8)]),
            DhcpOption::InterfaceMtu(1400),
            DhcpOption::AddressLeaseTime(3600),
            DhcpOption::ServerIdentifier(ADDRESS),
        ]
    }

    /// Answers a client's message.
    pub(crate) fn answer(request: &[u8], address: Ipv4Addr, options: Vec<DhcpOption>) -> Vec<u8> {
        let mut message = Message::from_bytes(request).unwrap();
        message.set_opcode(Opcode::BootReply);
        message.set_yiaddr(address);
        message.set_opts(options.into_iter().collect());
        message.to_vec().unwrap()
    }

    pub(crate) fn offer(request: &[u8]) -> Vec<u8> {
        answer(request, OFFERED, options(MessageType::Offer))
    }

    pub(crate) fn ack(request: &[u8]) -> Vec<u8> {
        answer(request, OFFERED, options(MessageType::Ack))
    }

    pub(crate) fn lease() -> Lease {
        Lease {
            address: "11.0.0.5/24".parse().unwrap(),
            router: Some(ADDRESS),
            mtu: Some(1400),
            dns: vec![Ipv4Addr::new(8, 8, 8, 8)],
            seconds: 3600,
            server: ADDRESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRANSACTION: Transaction = Transaction {
        mac: MacAddr([0x50, 0x51, 0, 0, 0, 5]),
        xid: 0x1234_5678,
        secs: 2,
    };

    fn given(address: Ipv4Addr, options: Vec<DhcpOption>) -> Result<Lease, Flaw> {
        let message = server::answer(&TRANSACTION.discover(), address, options);
        TRANSACTION.reply(&message).unwrap().lease()
    }

    fn without(code: OptionCode) -> Vec<DhcpOption> {
        let mut options = server::options(MessageType::Offer);
        options.retain(|option| OptionCode::from(option) != code);
        options
    }

    #[test]
    fn a_discover_asks_for_an_answer_by_broadcast() {
        let bytes = TRANSACTION.discover();
        assert_eq!(bytes.len(), 300);
        assert_eq!(
            bytes[..12],
            [1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 2, 0x80, 0]
        );
        assert_eq!(bytes[12..28], [0; 16], "no addresses");
        assert_eq!(bytes[28..34], TRANSACTION.mac.0);
        assert_eq!(bytes[240..251], [53, 1, 1, 55, 5, 1, 3, 6, 26, 51, 255]);
    }

    #[test]
    fn a_request_names_what_is_accepted() {
        let bytes = TRANSACTION.request(&server::lease());
        let message = Message::from_bytes(&bytes).unwrap();
        let options = message.opts();
        assert_eq!(options.msg_type(), Some(MessageType::Request));
        let address = DhcpOption::RequestedIpAddress(server::OFFERED);
        assert_eq!(options.get(OptionCode::RequestedIpAddress), Some(&address));
        let identifier = DhcpOption::ServerIdentifier(server::ADDRESS);
        assert_eq!(options.get(OptionCode::ServerIdentifier), Some(&identifier));
        assert!(message.ciaddr().is_unspecified() && message.flags().broadcast());
    }

    #[test]
    fn an_offer_becomes_a_lease() {
        let options = server::options(MessageType::Offer);
        assert_eq!(given(server::OFFERED, options), Ok(server::lease()));
        let lease = given(server::OFFERED, without(OptionCode::Router)).unwrap();
        assert_eq!(lease.router, None);
        let mut options = without(OptionCode::InterfaceMtu);
        options.push(DhcpOption::InterfaceMtu(67));
        assert_eq!(given(server::OFFERED, options).unwrap().mtu, None);
    }

    #[test]
    fn an_offer_without_what_a_lease_needs_has_a_flaw() {
        let cases = [
            (OptionCode::ServerIdentifier, Flaw::NoServer),
            (OptionCode::SubnetMask, Flaw::NoMask),
            (OptionCode::AddressLeaseTime, Flaw::NoTime),
        ];
        for (code, flaw) in cases {
            assert_eq!(given(server::OFFERED, without(code)), Err(flaw));
        }
        for mask in [[255, 0, 255, 0], [0, 0, 0, 0]] {
            let mut options = without(OptionCode::SubnetMask);
            options.push(DhcpOption::SubnetMask(mask.into()));
            assert_eq!(
                given(server::OFFERED, options),
                Err(Flaw::Mask(mask.into()))
            );
        }
        for address in [
            [0, 0, 0, 0],
            [224, 0, 0, 1],
            [127, 0, 0, 1],
            [255, 255, 255, 255],
        ] {
            let options = server::options(MessageType::Offer);
            assert_eq!(
                given(address.into(), options),
                Err(Flaw::Address(address.into()))
            );
        }
    }

    #[test]
    fn only_replies_to_this_transaction_count() {
        let good = server::offer(&TRANSACTION.discover());
        assert!(TRANSACTION.reply(&good).is_some());
        // op, htype, hlen, xid, chaddr, magic cookie; 17 is more than chaddr has.
        for (at, byte) in [(0, 1), (1, 6), (2, 5), (2, 17), (7, 0), (33, 6), (239, 0)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(TRANSACTION.reply(&bytes), None, "{byte} at {at}");
        }
        for length in 0..good.len() {
            assert_eq!(TRANSACTION.reply(&good[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_malformed_option_takes_no_other_with_it() {
        let good = server::offer(&TRANSACTION.discover());
        let mut bytes = good[..HEADER].to_vec();
        // Padding, a host name that is no text, a router of three bytes, an empty lease time.
        bytes.extend([0, 0, 12, 2, 0xff, 0xff, 3, 3, 10, 0, 0, 51, 0]);
        bytes.extend(&good[HEADER..]);
        let reply = TRANSACTION.reply(&bytes).unwrap();
        assert_eq!(reply.lease(), Ok(server::lease()));
    }

    proptest! {
        #[test]
        fn any_options_are_read(options in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = server::offer(&TRANSACTION.discover());
            bytes.truncate(HEADER);
            bytes.extend(options);
            if let Some(reply) = TRANSACTION.reply(&bytes) {
                let _ = reply.lease();
            }
        }

        #[test]
        fn an_option_of_any_content_leaves_the_others_alone(
            code in 1..255_u8,
            value in prop::collection::vec(any::<u8>(), 0..255),
        ) {
            let good = server::offer(&TRANSACTION.discover());
            let mut bytes = good[..HEADER].to_vec();
            bytes.extend([code, value.len() as u8]);
            bytes.extend(value);
            bytes.extend(&good[HEADER..]);
            let reply = TRANSACTION.reply(&bytes).unwrap();
            prop_assert_eq!(reply.lease(), Ok(server::lease()));
        }
    }
}
