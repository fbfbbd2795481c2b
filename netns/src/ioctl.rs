//! The two things about links that netlink cannot do.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::ioctl::{Opcode, Setter, Updater};

/// linux/sockios.h
const SIOCETHTOOL: Opcode = 0x8946;
/// linux/ethtool.h
const ETHTOOL_STXCSUM: u32 = 0x17;
/// linux/if_tun.h: `_IOW('T', 202, int)`, `_IOW('T', 203, int)`, `_IOW('T', 218, unsigned int)`
const TUNSETIFF: Opcode = rustix::ioctl::opcode::write::<libc::c_int>(b'T', 202);
const TUNSETPERSIST: Opcode = rustix::ioctl::opcode::write::<libc::c_int>(b'T', 203);
const TUNSETIFINDEX: Opcode = rustix::ioctl::opcode::write::<libc::c_uint>(b'T', 218);

#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Switches the TX checksum offload of a link of the calling thread's network namespace.
///
/// A veth with the offload on leaves checksums to hardware that is not there; a userspace datapath at its other end would
/// receive packets that every stack then drops.
///
/// # Errors
/// `ENODEV` when there is no such link, `InvalidInput` when the name is longer than 15 bytes.
pub fn set_tx_checksum(link: &str, on: bool) -> io::Result<()> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    let mut value = EthtoolValue {
        command: ETHTOOL_STXCSUM,
        data: on.into(),
    };
    let mut request = request(link)?;
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: SIOCETHTOOL takes an ifreq whose ifr_data points to the command's structure; both outlive the call.
    let ioctl = unsafe { Updater::<SIOCETHTOOL, libc::ifreq>::new(&mut request) };
    // SAFETY: the opcode belongs to the structure.
    Ok(unsafe { rustix::ioctl::ioctl(socket.as_fd(), ioctl) }?)
}

/// Creates a TAP device with a planned interface index that stays when nobody has it open.
///
/// ovs-vswitchd opens it like one of its own, with the addresses it already has; and when ovs-vswitchd is killed the device
/// and its addresses stay. It lives in the calling thread's network namespace, and is open until what is returned is closed;
/// only so long does it have a carrier.
///
/// # Errors
/// `NotFound` or `EPERM` without a usable /dev/net/tun, `EBUSY` when the index or the name is taken.
pub fn create_tap(name: &str, index: u32) -> io::Result<OwnedFd> {
    let tun = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: TUNSETIFINDEX reads an unsigned int.
    let ioctl = unsafe { Setter::<TUNSETIFINDEX, libc::c_uint>::new(index) };
    // SAFETY: the opcode belongs to the type.
    unsafe { rustix::ioctl::ioctl(&tun, ioctl) }?;
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and fills an ifreq (the size in its opcode is historical).
    let ioctl = unsafe { Updater::<TUNSETIFF, libc::ifreq>::new(&mut request) };
    // SAFETY: the opcode belongs to the structure.
    unsafe { rustix::ioctl::ioctl(&tun, ioctl) }?;
    // SAFETY: TUNSETPERSIST takes its flag as the argument itself.
    let ioctl = unsafe { rustix::ioctl::IntegerSetter::<TUNSETPERSIST>::new_usize(1) };
    // SAFETY: the opcode takes an integer.
    unsafe { rustix::ioctl::ioctl(&tun, ioctl) }?;
    Ok(tun.into())
}

fn request(link: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all-zero is a valid ifreq: an empty name and a null union.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if link.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(link.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_is_refused_before_the_kernel_sees_it() {
        let error = set_tx_checksum("sixteen-bytes-xx", false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_link_that_is_not_there_is_named_by_the_kernel() {
        let error = set_tx_checksum("ofm-no-link", false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
