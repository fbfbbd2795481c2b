//! The states of a client until it is BOUND, RFC 2131 section 4.4, figure 5. Pure: it is told what came and what time
//! it is, and says what to send.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use dhcproto::v4::MessageType;

use super::message::{Reply, Transaction};
use super::{DhcpError, Flaw, Lease, datagram};
use crate::name::MacAddr;

/// The first wait for an answer, which doubles up to the last. RFC 2131 section 4.1 begins with 4 seconds, for
/// networks that are larger than one machine.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How often a REQUEST is sent before the client starts over, RFC 2131 section 3.1, item 5.
const REQUESTS: u32 = 4;
/// How often a server may answer its own offer with NAK.
const REFUSALS: u32 = 3;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Send(Vec<u8>),
    Done(Lease),
}

#[derive(Debug)]
enum State {
    /// A new transaction is to begin.
    Init,
    /// DISCOVER is sent.
    Selecting {
        /// Why what was offered is of no use. A better offer may come until the wait is over.
        flaw: Option<Flaw>,
    },
    /// REQUEST is sent.
    Requesting {
        offer: Lease,
        /// How often.
        sent: u32,
    },
}

#[derive(Debug)]
struct Refusal {
    server: Ipv4Addr,
    message: Option<String>,
}

#[derive(Debug)]
pub(super) struct Client {
    rng: fastrand::Rng,
    began: Instant,
    state: State,
    transaction: Transaction,
    wait: Duration,
    wake: Instant,
    discovers: u32,
    requests: u32,
    refusals: u32,
    /// The last one, until there is a new offer.
    refusal: Option<Refusal>,
}

impl Client {
    /// A client whose [wake-up](Self::wake) is due.
    pub(super) fn new(mac: MacAddr, rng: fastrand::Rng, now: Instant) -> Self {
        let (xid, secs) = (0, 0);
        Self {
            rng,
            began: now,
            state: State::Init,
            transaction: Transaction { mac, xid, secs },
            wait: FIRST_WAIT,
            wake: now,
            discovers: 0,
            requests: 0,
            refusals: 0,
            refusal: None,
        }
    }

    /// When [`Self::time_out`] is to be called, unless a packet changes that.
    pub(super) fn wake(&self) -> Instant {
        self.wake
    }

    /// The wait is over: returns the message to send.
    pub(super) fn time_out(&mut self, now: Instant) -> Result<Vec<u8>, DhcpError> {
        match &self.state {
            State::Selecting { flaw: Some(flaw) } => Err((*flaw).into()),
            State::Requesting { offer, sent } if *sent < REQUESTS => {
                let (offer, sent) = (offer.clone(), *sent);
                Ok(self.request(offer, sent + 1, now))
            }
            State::Selecting { flaw: None } => Ok(self.discover(now)),
            State::Init | State::Requesting { .. } => {
                self.transaction.xid = self.rng.u32(..);
                let secs = now.saturating_duration_since(self.began).as_secs();
                self.transaction.secs = u16::try_from(secs).unwrap_or(u16::MAX);
                Ok(self.discover(now))
            }
        }
    }

    /// An IPv4 packet came in. What is no valid reply to this client is ignored.
    pub(super) fn receive(&mut self, packet: &[u8], now: Instant) -> Result<Step, DhcpError> {
        let reply = datagram::payload(packet).and_then(|message| self.transaction.reply(message));
        let Some(reply) = reply else {
            return Ok(Step::Wait);
        };
        match (&self.state, reply.kind) {
            (State::Selecting { .. }, MessageType::Offer) => match reply.lease() {
                Ok(offer) => {
                    self.wait = FIRST_WAIT;
                    Ok(Step::Send(self.request(offer, 1, now)))
                }
                Err(flaw) => {
                    self.state = State::Selecting { flaw: Some(flaw) };
                    Ok(Step::Wait)
                }
            },
            (State::Requesting { offer, .. }, MessageType::Ack)
                if reply.server == Some(offer.server) && reply.address == offer.address.addr() =>
            {
                Ok(Step::Done(reply.lease()?))
            }
            // OVN's NAK does not identify its server, though RFC 2131 section 4.3.1 says that it must.
            (State::Requesting { offer, .. }, MessageType::Nak)
                if reply.server.is_none_or(|server| server == offer.server) =>
            {
                self.refuse(offer.server, reply)
            }
            _ => Ok(Step::Wait),
        }
    }

    /// The deadline is there: what kept it from a lease.
    pub(super) fn give_up(self, now: Instant) -> DhcpError {
        match (self.state, self.refusal) {
            (State::Selecting { flaw: Some(flaw) }, _) => flaw.into(),
            (_, Some(Refusal { server, message })) => DhcpError::Refused { server, message },
            _ => DhcpError::NoAnswer {
                discovers: self.discovers,
                requests: self.requests,
                waited: now.saturating_duration_since(self.began),
            },
        }
    }

    /// RFC 2131 section 3.1, item 5: after NAK a client starts over. It does so once the wait is over.
    fn refuse(&mut self, server: Ipv4Addr, reply: Reply) -> Result<Step, DhcpError> {
        let message = reply.message;
        self.refusals += 1;
        if self.refusals >= REFUSALS {
            return Err(DhcpError::Refused { server, message });
        }
        self.refusal = Some(Refusal { server, message });
        self.state = State::Init;
        Ok(Step::Wait)
    }

    fn discover(&mut self, now: Instant) -> Vec<u8> {
        self.state = State::Selecting { flaw: None };
        self.discovers += 1;
        self.rearm(now);
        self.transaction.discover()
    }

    fn request(&mut self, offer: Lease, sent: u32, now: Instant) -> Vec<u8> {
        let message = self.transaction.request(&offer);
        self.state = State::Requesting { offer, sent };
        self.requests += 1;
        self.rearm(now);
        message
    }

    fn rearm(&mut self, now: Instant) {
        self.wake = now + self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use dhcproto::Decodable as _;
    use dhcproto::v4::{DhcpOption, Message};
    use proptest::prelude::*;

    use super::super::message::server;
    use super::*;

    const MAC: MacAddr = MacAddr([0x50, 0x51, 0, 0, 0, 5]);

    fn client() -> Client {
        Client::new(MAC, fastrand::Rng::with_seed(1), Instant::now())
    }

    /// Waits until it sends something.
    fn sends(client: &mut Client) -> Vec<u8> {
        client.time_out(client.wake()).unwrap()
    }

    /// Gives it a message a millisecond after it has begun its wait.
    fn gets(client: &mut Client, message: &[u8]) -> Result<Step, DhcpError> {
        let now = client.began + Duration::from_millis(1);
        client.receive(&datagram::packet(message), now)
    }

    fn sent(step: Result<Step, DhcpError>) -> Vec<u8> {
        match step {
            Ok(Step::Send(message)) => message,
            other => panic!("nothing sent: {other:?}"),
        }
    }

    fn nak(request: &[u8], server: Option<Ipv4Addr>) -> Vec<u8> {
        let mut options = vec![
            DhcpOption::MessageType(MessageType::Nak),
            DhcpOption::Message("no".to_owned()),
        ];
        options.extend(server.map(DhcpOption::ServerIdentifier));
        server::answer(request, Ipv4Addr::UNSPECIFIED, options)
    }

    fn kind(message: &[u8]) -> MessageType {
        let message = Message::from_bytes(message).unwrap();
        message.opts().msg_type().unwrap()
    }

    #[test]
    fn four_messages_make_a_lease() {
        let mut client = client();
        assert_eq!(client.wake(), client.began);
        let discover = sends(&mut client);
        let request = sent(gets(&mut client, &server::offer(&discover)));
        assert_eq!(kind(&discover), MessageType::Discover);
        assert_eq!(kind(&request), MessageType::Request);
        assert_eq!(discover[4..8], request[4..8], "one transaction");
        let done = gets(&mut client, &server::ack(&request)).unwrap();
        assert_eq!(done, Step::Done(server::lease()));
    }

    #[test]
    fn waits_double_up_to_a_second() {
        let mut client = client();
        let mut waits = Vec::new();
        let first = sends(&mut client);
        for _ in 0..6 {
            let before = client.wake();
            assert_eq!(sends(&mut client), first);
            waits.push((client.wake() - before).as_millis());
        }
        assert_eq!(waits, [200, 400, 800, 1000, 1000, 1000]);
        let deadline = client.began + Duration::from_secs(5);
        let error = client.give_up(deadline);
        let text = "no DHCP server gave a lease in 5.0s: sent 7 DISCOVER and 0 REQUEST messages";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn an_offer_that_is_not_acknowledged_is_forgotten() {
        let mut client = client();
        let discover = sends(&mut client);
        sent(gets(&mut client, &server::offer(&discover)));
        for _ in 1..REQUESTS {
            assert_eq!(kind(&sends(&mut client)), MessageType::Request);
        }
        let again = sends(&mut client);
        assert_eq!(kind(&again), MessageType::Discover);
        assert_ne!(discover[4..8], again[4..8], "a new transaction");
        let late = gets(&mut client, &server::offer(&discover)).unwrap();
        assert_eq!(late, Step::Wait);
        assert!(matches!(
            client.give_up(Instant::now()),
            DhcpError::NoAnswer {
                discovers: 2,
                requests: 4,
                ..
            }
        ));
    }

    #[test]
    fn after_nak_it_starts_over_until_that_is_hopeless() {
        let mut client = client();
        for round in 1..=REFUSALS {
            let discover = sends(&mut client);
            let request = sent(gets(&mut client, &server::offer(&discover)));
            // With and without an identifier.
            let server = Some(server::ADDRESS).filter(|_| round > 1);
            let step = gets(&mut client, &nak(&request, server));
            if round < REFUSALS {
                assert_eq!(step.unwrap(), Step::Wait);
                assert!(client.wake() > client.began, "not at once");
            } else {
                let text = "DHCP server 11.0.0.1 refuses what it has offered: \"no\"";
                assert_eq!(step.unwrap_err().to_string(), text);
            }
        }
    }

    #[test]
    fn a_refusal_explains_why_there_is_no_lease_at_the_deadline() {
        let mut client = client();
        let discover = sends(&mut client);
        let request = sent(gets(&mut client, &server::offer(&discover)));
        gets(&mut client, &nak(&request, None)).unwrap();
        sends(&mut client);
        let error = client.give_up(Instant::now());
        assert!(matches!(error, DhcpError::Refused { .. }), "{error}");
    }

    #[test]
    fn other_servers_do_not_matter_once_one_is_chosen() {
        let mut client = client();
        let discover = sends(&mut client);
        let request = sent(gets(&mut client, &server::offer(&discover)));
        let other = Ipv4Addr::new(11, 0, 0, 2);
        let mut ack = server::options(MessageType::Ack);
        ack.pop();
        ack.push(DhcpOption::ServerIdentifier(other));
        let another_address = server::options(MessageType::Ack);
        for message in [
            server::offer(&discover),
            nak(&request, Some(other)),
            server::answer(&request, server::OFFERED, ack),
            server::answer(&request, other, another_address),
        ] {
            assert_eq!(gets(&mut client, &message).unwrap(), Step::Wait);
        }
        let done = gets(&mut client, &server::ack(&request)).unwrap();
        assert_eq!(done, Step::Done(server::lease()));
    }

    #[test]
    fn a_better_offer_may_follow_a_useless_one() {
        let mut client = client();
        let discover = sends(&mut client);
        let mut options = server::options(MessageType::Offer);
        options.remove(1);
        let useless = server::answer(&discover, server::OFFERED, options);
        assert_eq!(gets(&mut client, &useless).unwrap(), Step::Wait);
        sent(gets(&mut client, &server::offer(&discover)));

        let mut client = self::client();
        assert_eq!(sends(&mut client), discover, "the same seed");
        assert_eq!(gets(&mut client, &useless).unwrap(), Step::Wait);
        let error = client.time_out(client.wake()).unwrap_err();
        assert!(
            matches!(error, DhcpError::Unusable(Flaw::NoMask)),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut client = client();
            let discover = sends(&mut client);
            let good = datagram::packet(&server::offer(&discover));
            let mut changed = good.clone();
            for (at, byte) in changes {
                changed[at.index(good.len())] = byte;
            }
            for packet in [&bytes[..], &good[..cut.index(good.len())], &changed[..]] {
                let _ = client.receive(packet, client.began);
            }
        }

        #[test]
        fn a_lease_is_had_whatever_is_lost_at_first(lost in prop::collection::vec(any::<bool>(), 0..12)) {
            let mut client = client();
            let mut lost = lost.into_iter();
            let mut arrives = || !lost.next().unwrap_or(false);
            let mut messages = vec![sends(&mut client)];
            let lease = loop {
                let Some(message) = messages.pop() else {
                    messages.push(sends(&mut client));
                    continue;
                };
                let answer = if kind(&message) == MessageType::Discover {
                    server::offer(&message)
                } else {
                    server::ack(&message)
                };
                if arrives() && arrives() {
                    match gets(&mut client, &answer).unwrap() {
                        Step::Done(lease) => break lease,
                        Step::Send(message) => messages.push(message),
                        Step::Wait => {}
                    }
                }
            };
            prop_assert_eq!(lease, server::lease());
        }
    }
}
