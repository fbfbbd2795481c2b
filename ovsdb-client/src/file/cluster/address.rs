//! Where the servers of a cluster find each other.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address of a server of a cluster, as it stands in files: `tcp:IP:PORT`, `ssl:IP:PORT` with
/// brackets around an IPv6 address, or `unix:PATH` (ovsdb(7), "Clustered Database Service Model").
///
/// Servers tell each other apart by the text, so it is kept to the letter. A host name may stand
/// for the IP, as in `raft_address_validate` of `ovsdb/raft-private.c`.
///
/// ```
/// # use ovsdb_client::file::ServerAddress;
/// let address: ServerAddress = "tcp:[::1]:6643".parse()?;
/// assert_eq!(address.to_string(), "tcp:[::1]:6643");
/// assert!("tcp:10.0.0.1".parse::<ServerAddress>().is_err());
/// # Ok::<(), ovsdb_client::file::ParseServerAddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerAddress(String);

/// A text is not the address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not tcp:IP:PORT, ssl:IP:PORT or unix:PATH")]
pub struct ParseServerAddressError {
    /// The text that was given.
    pub text: String,
}

impl ServerAddress {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = ParseServerAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = match text.split_once(':') {
            Some(("unix", path)) => !path.is_empty() && !path.contains('\0'),
            Some(("tcp" | "ssl", socket)) => is_socket(socket),
            _ => false,
        };
        if valid {
            Ok(Self(text))
        } else {
            Err(ParseServerAddressError { text })
        }
    }
}

impl FromStr for ServerAddress {
    type Err = ParseServerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

fn is_socket(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    is_port
        && match bracketed {
            // A zone may follow the address of a link.
            Some(host) => host
                .split_once('%')
                .map_or(host, |(address, _zone)| address)
                .parse::<Ipv6Addr>()
                .is_ok(),
            None => matches!(host.parse(), Ok(IpAddr::V4(_))) || is_name(host),
        }
}

fn is_name(host: &str) -> bool {
    let numeric = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !host.is_empty() && !numeric && host.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let good = [
            "tcp:10.0.0.1:6643",
            "ssl:[fd00::1]:6643",
            "tcp:[fe80::1%eth0]:6643",
            "tcp:db-0.example:6644",
            "unix:/run/s1.raft",
        ];
        for text in good {
            assert_eq!(text.parse::<ServerAddress>().unwrap().as_str(), text);
        }
        let bad = [
            "",
            "tcp",
            "10.0.0.1:6643",
            "tcp:10.0.0.1",
            "tcp:10.0.0.1:",
            "tcp:10.0.0.1:0",
            "tcp:10.0.0.1:65536",
            "tcp:10.0.0.1:+1",
            "tcp:10.0.0:1",
            "tcp:fd00::1:6643",
            "tcp:[fd00::1]",
            "tcp::6643",
            "tcp:a b:1",
            "unix:",
            "ptcp:6643:10.0.0.1",
        ];
        for text in bad {
            assert!(text.parse::<ServerAddress>().is_err(), "{text}");
        }
    }
}
