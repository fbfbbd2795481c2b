//! The headers around a message: IPv4 (RFC 791) and UDP (RFC 768).

use super::{CLIENT_PORT, SERVER_PORT};

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
/// More fragments, and the offset of this one.
const FRAGMENTED: u16 = 0x3fff;

/// What a packet carries from the port of servers to that of clients; `None` for every other packet.
///
/// Checksums are not looked at: a veth pair hands packets on before they are filled in.
pub(super) fn payload(packet: &[u8]) -> Option<&[u8]> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(field(packet, 2)?);
    if packet[0] >> 4 != 4 || header < 20 || field(packet, 6)? & FRAGMENTED != 0 {
        return None;
    }
    if *packet.get(9)? != UDP {
        return None;
    }
    // Ethernet pads short packets.
    let datagram = packet.get(header..total)?;
    if field(datagram, 0)? != SERVER_PORT || field(datagram, 2)? != CLIENT_PORT {
        return None;
    }
    datagram.get(UDP_HEADER..usize::from(field(datagram, 4)?))
}

fn field(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([field[0], field[1]]))
}

/// Puts a message into a packet as a server does.
#[cfg(test)]
pub(super) fn packet(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len() + UDP_HEADER).unwrap();
    let mut packet = vec![0; 28];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(length + 20).to_be_bytes());
    packet[8] = 64;
    packet[9] = UDP;
    packet[16..20].copy_from_slice(&[255; 4]);
    packet[20..22].copy_from_slice(&SERVER_PORT.to_be_bytes());
    packet[22..24].copy_from_slice(&CLIENT_PORT.to_be_bytes());
    packet[24..26].copy_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(message);
    packet
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_found_between_headers_and_padding() {
        let mut bytes = packet(b"message");
        assert_eq!(payload(&bytes), Some(&b"message"[..]));
        bytes.extend_from_slice(&[0; 11]);
        assert_eq!(payload(&bytes), Some(&b"message"[..]));

        // With an option in the IP header.
        let mut bytes = packet(b"message");
        bytes[0] = 0x46;
        bytes[3] += 4;
        bytes.splice(20..20, [1, 1, 1, 0]);
        assert_eq!(payload(&bytes), Some(&b"message"[..]));
    }

    #[test]
    fn other_packets_are_none() {
        let changes: [(&str, usize, u8); 9] = [
            ("version", 0, 0x65),
            ("header length", 0, 0x44),
            ("total length", 2, 0xff),
            ("more fragments", 6, 0x20),
            ("fragment offset", 7, 1),
            ("protocol", 9, 6),
            ("source port", 21, 68),
            ("destination port", 23, 67),
            ("UDP length", 25, 200),
        ];
        for (what, at, byte) in changes {
            let mut bytes = packet(b"message");
            bytes[at] = byte;
            assert_eq!(payload(&bytes), None, "{what}");
        }
        let mut bytes = packet(b"message");
        bytes[6] = 0x40;
        assert!(payload(&bytes).is_some(), "not to be fragmented");
        bytes[25] = 7;
        assert_eq!(payload(&bytes), None, "shorter than its header");
    }

    proptest! {
        #[test]
        fn cut_packets_are_none(message in prop::collection::vec(any::<u8>(), 0..40), cut in 1..40_usize) {
            let bytes = packet(&message);
            prop_assert_eq!(payload(&bytes[..bytes.len().saturating_sub(cut)]), None);
        }
    }
}
