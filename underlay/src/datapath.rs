//! Whether the kernel has Open vSwitch's datapath.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};

/// `GENL_ID_CTRL`: the family that knows the others.
const CONTROLLER: u16 = 0x10;
/// `CTRL_CMD_GETFAMILY`, and the version of that family.
const GET_FAMILY: [u8; 4] = [3, 2, 0, 0];
/// `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_NAME: u16 = 2;
const NAME: &[u8] = b"ovs_datapath\0";

/// Whether the kernel has the datapath of Open vSwitch. Asking makes it load the module, if it can.
///
/// `false` also when the kernel cannot be asked.
pub fn has_openvswitch_datapath() -> bool {
    ask().unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot ask for the openvswitch datapath");
        false
    })
}

fn ask() -> io::Result<bool> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // The kernel handles a request within the send, so that the answer is there when it returns; without waiting, a
    // kernel that has none cannot block the caller.
    socket.set_non_blocking(true)?;
    socket.send(&get_family(), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let kind = answer.get(4..6).and_then(<[u8]>::first_chunk).copied();
    Ok(kind.map(u16::from_ne_bytes) == Some(CONTROLLER))
}

fn get_family() -> Vec<u8> {
    let attribute = 4 + NAME.len();
    let total = 16 + GET_FAMILY.len() + attribute.next_multiple_of(4);
    let mut message = Vec::with_capacity(total);
    message.extend((total as u32).to_ne_bytes());
    message.extend(CONTROLLER.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(GET_FAMILY);
    message.extend((attribute as u16).to_ne_bytes());
    message.extend(FAMILY_NAME.to_ne_bytes());
    message.extend(NAME);
    message.resize(total, 0);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_aligned() {
        let message = get_family();
        assert_eq!(message.len(), 40);
        assert_eq!(message[..4], 40_u32.to_ne_bytes());
        assert_eq!(message[20..22], 17_u16.to_ne_bytes());
    }

    #[test]
    fn the_kernel_answers() {
        // Whatever the answer is, there is one.
        ask().unwrap();
    }
}
