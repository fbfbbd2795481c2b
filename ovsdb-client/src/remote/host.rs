//! The host of a connection method.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::parse::Expected;

/// A host as a connection method names it.
///
/// Displayed it is as it stands before a port: an IPv6 address in brackets.
///
/// ```
/// # use ovsdb_client::remote::{Host, Remote};
/// let remote: Remote = "tcp:[fe80::1%eth0]:6641".parse()?;
/// let address = "fe80::1".parse().unwrap();
/// let host = Host::V6 { address, scope: Some("eth0".into()) };
/// assert_eq!(host.to_string(), "[fe80::1%eth0]");
/// assert_eq!(remote, Remote::Tcp { host, port: 6641 });
/// # Ok::<(), ovsdb_client::ParseRemoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6 {
        /// The address.
        address: Ipv6Addr,
        /// The network device, by name or index, that a link-local address needs.
        scope: Option<String>,
    },
    /// A name, resolved anew by the system for each connection.
    Name(String),
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6 {
                address,
                scope: None,
            },
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6 {
                address,
                scope: None,
            } => write!(f, "[{address}]"),
            Self::V6 {
                address,
                scope: Some(scope),
            } => write!(f, "[{address}%{scope}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What is wrong with a host, and after how many of its bytes.
type Refusal = (usize, Expected);

/// Reads what stands between brackets.
pub(super) fn bracketed(text: &str) -> Result<Host, Refusal> {
    let (address, scope) = match text.split_once('%') {
        None => (text, None),
        Some((address, scope)) => (address, Some(scope)),
    };
    let other = |c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.');
    let parsed = address
        .parse()
        .map_err(|_| (address.find(other).unwrap_or(0), Expected::Ipv6))?;
    if let Some(scope) = scope {
        // What the kernel allows in the name of a device (dev_valid_name in net/core/dev.c).
        let forbidden = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        let wrong = match scope.find(forbidden) {
            Some(at) => Some(at),
            None if scope.is_empty() || scope.len() > 15 => Some(0),
            None => None,
        };
        if let Some(at) = wrong {
            return Err((address.len() + 1 + at, Expected::Device));
        }
    }
    Ok(Host::V6 {
        address: parsed,
        scope: scope.map(str::to_owned),
    })
}

/// Reads an IPv4 address or a name.
pub(super) fn unbracketed(text: &str) -> Result<Host, Refusal> {
    if text.is_empty() {
        return Err((0, Expected::Host));
    }
    if let Ok(address) = text.parse() {
        return Ok(Host::V4(address));
    }
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(at) = text.find(|c| !valid(c)) {
        return Err((at, Expected::HostName));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return Err((253, Expected::ShorterName));
    }
    let mut start = 0;
    for label in name.split('.') {
        match label.len() {
            0 => return Err((start, Expected::HostName)),
            64.. => return Err((start + 63, Expected::ShorterName)),
            length => start += length + 1,
        }
    }
    // A resolver takes 1.2.3, 010.0.0.1 and 0x7f.1 for addresses, and not for the ones that their
    // writer has in mind.
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let number = match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    match number {
        true => Err((0, Expected::Ipv4)),
        false => Ok(Host::Name(text.to_owned())),
    }
}
