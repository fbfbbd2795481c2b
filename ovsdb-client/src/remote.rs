//! Connection methods: where a server listens, and where it dials in.
//!
//! The syntax is that of Open vSwitch (ovsdb(7), "Connection Methods"). A [`Remote`] is active: the
//! client connects. [`Remotes`] are several that serve the same database. A [`PassiveRemote`] is
//! where a client listens for servers that connect to it. All of them parse, with errors that point
//! at the character, display as they parse, and are strings to serde.
//!
//! ```
//! # use ovsdb_client::remote::{Expected, Remote};
//! let error = "ssl:2001:db8::1:6641".parse::<Remote>().unwrap_err();
//! assert_eq!((error.offset(), error.expected()), (4, Expected::Brackets));
//! # assert!("ssl:[2001:db8::1]:6641".parse::<Remote>().is_ok());
//! ```

mod host;
mod list;
mod parse;
mod passive;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use parse::{Scanner, as_string};

pub use host::Host;
pub use list::Remotes;
pub use parse::{Expected, ParseRemoteError};
pub use passive::PassiveRemote;

/// The port of a remote that names none: 6640, which IANA has assigned to OVSDB.
pub const DEFAULT_PORT: u16 = 6640;

/// An active connection method: `unix:PATH`, `tcp:HOST[:PORT]` or `ssl:HOST[:PORT]`.
///
/// A port that is left out is 6640. An IPv6 address stands in brackets, and a link-local one has
/// its network device behind a percent sign: `tcp:[fe80::1%eth0]:6641`. A relative path is taken
/// from the current directory, not from the run directory of Open vSwitch.
///
/// ```
/// # use ovsdb_client::Remote;
/// let remote: Remote = "tcp:[::1]:6641".parse()?;
/// assert_eq!(remote, Remote::tcp(([0, 0, 0, 0, 0, 0, 0, 1], 6641)));
/// assert_eq!(remote.to_string(), "tcp:[::1]:6641");
/// # Ok::<(), ovsdb_client::ParseRemoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remote {
    /// A Unix domain stream socket. A path that is not UTF-8 displays with replacement characters.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// Where it is.
        host: Host,
        /// Port, 1 to 65535.
        port: u16,
    },
    /// TLS on a TCP port.
    Ssl {
        /// Where it is.
        host: Host,
        /// Port, 1 to 65535.
        port: u16,
    },
}

impl Remote {
    /// The TCP port at an address. The scope of an IPv6 address stays, as the number that it is.
    pub fn tcp(address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        let (host, port) = (host_of(address), address.port());
        Self::Tcp { host, port }
    }

    /// TLS on the TCP port at an address, of which the same is true.
    pub fn ssl(address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        let (host, port) = (host_of(address), address.port());
        Self::Ssl { host, port }
    }

    /// The path of the socket, if it is one.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let path = match self {
            Self::Unix(path) => Some(path.as_path()),
            Self::Tcp { .. } | Self::Ssl { .. } => None,
        };
        path.into_iter()
    }

    fn scan(mut scanner: Scanner<'_>) -> Result<Self, ParseRemoteError> {
        if scanner.eat("unix:") {
            return Ok(Self::Unix(scanner.path()?.into()));
        }
        let secure = scanner.eat("ssl:");
        if !secure && !scanner.eat("tcp:") {
            return Err(scanner.refuse(Expected::Method));
        }
        let host = scanner.host()?;
        let port = match scanner.eat(":") {
            true => scanner.port(1, Expected::Port)?,
            false => {
                scanner.end(Expected::Colon)?;
                DEFAULT_PORT
            }
        };
        scanner.end(Expected::End)?;
        Ok(match secure {
            true => Self::Ssl { host, port },
            false => Self::Tcp { host, port },
        })
    }
}

/// The host at an address.
fn host_of(address: SocketAddr) -> Host {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Host::V6 {
            address: *v6.ip(),
            scope: Some(v6.scope_id().to_string()),
        },
        address => address.ip().into(),
    }
}

impl FromStr for Remote {
    type Err = ParseRemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::scan(Scanner::new(text))
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Ssl { host, port } => write!(f, "ssl:{host}:{port}"),
        }
    }
}

as_string!(Remote);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    #[test]
    fn a_remote_reads_as_it_is_written() {
        for text in [
            "unix:/run/ovn/ovnnb_db.sock",
            "unix:db.sock",
            "tcp:192.0.2.1:6641",
            "tcp:[2001:db8::1]:6642",
            "ssl:[fe80::1%eth0]:6642",
            "ssl:[fe80::1%7]:6642",
            "tcp:central:6641",
            "ssl:ovn_nb.example.:6641",
            "tcp:7a.example:6641",
        ] {
            let remote: Remote = text.parse().unwrap();
            assert_eq!(remote.to_string(), text);
            let json = serde_json::to_string(&remote).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Remote>(&json).unwrap(), remote);
        }
    }

    #[test]
    fn the_port_may_be_left_out() {
        for (text, full) in [
            ("tcp:192.0.2.1", "tcp:192.0.2.1:6640"),
            ("ssl:[::1]", "ssl:[::1]:6640"),
            ("tcp:[0:0::1]:06641", "tcp:[::1]:6641"),
        ] {
            assert_eq!(text.parse::<Remote>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn errors_point_at_the_character() {
        let cases = [
            ("", 0, Expected::Method),
            ("ptcp:6640", 0, Expected::Method),
            (" tcp:a", 0, Expected::Method),
            ("unix:", 5, Expected::Path),
            ("unix:\0abstract", 5, Expected::Path),
            ("tcp:", 4, Expected::Host),
            ("tcp::6641", 4, Expected::Host),
            ("tcp:a b:1", 5, Expected::HostName),
            ("tcp:é:1", 4, Expected::HostName),
            ("tcp:a..b:1", 6, Expected::HostName),
            ("tcp:1.2.3:1", 4, Expected::Ipv4),
            ("tcp:010.0.0.1:1", 4, Expected::Ipv4),
            ("tcp:0x7f.1:1", 4, Expected::Ipv4),
            ("tcp:0x7f000001:1", 4, Expected::Ipv4),
            ("tcp:[]:1", 5, Expected::Ipv6),
            ("tcp:[::g]:1", 7, Expected::Ipv6),
            ("tcp:[::1:1", 10, Expected::ClosingBracket),
            ("tcp:[fe80::1%]:1", 13, Expected::Device),
            ("tcp:[fe80::1%a/b]:1", 14, Expected::Device),
            ("tcp:::1", 4, Expected::Brackets),
            ("tcp:2001:db8::1:6641", 4, Expected::Brackets),
            ("tcp:[::1]6641", 9, Expected::Colon),
            ("tcp:a:", 6, Expected::Port),
            ("tcp:a:0", 6, Expected::Port),
            ("tcp:a:+1", 6, Expected::Port),
            ("tcp:a:65536", 6, Expected::Port),
            ("tcp:a:66x", 8, Expected::Port),
            ("tcp:a:66:7", 8, Expected::End),
        ];
        for (text, offset, expected) in cases {
            let error = text.parse::<Remote>().unwrap_err();
            assert_eq!(
                (error.offset(), error.expected()),
                (offset, expected),
                "{text}"
            );
        }
        let long = format!("tcp:{}.a:1", "x".repeat(64));
        let error = long.parse::<Remote>().unwrap_err();
        assert_eq!(
            (error.offset(), error.expected()),
            (4 + 63, Expected::ShorterName)
        );
        let long = format!("tcp:{}a:1", "x.".repeat(127));
        let error = long.parse::<Remote>().unwrap_err();
        assert_eq!(
            (error.offset(), error.expected()),
            (4 + 253, Expected::ShorterName)
        );
    }

    #[test]
    fn a_path_that_is_no_text_is_not_written_as_another() {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/a\xff"));
        let error = serde_json::to_string(&Remotes::from(Remote::Unix(path))).unwrap_err();
        assert_eq!(error.to_string(), r#"the path "/a\xFF" is not UTF-8"#);
    }

    #[test]
    fn an_error_shows_the_place() {
        let error = "tcp:ä\n:1".parse::<Remote>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""tcp:ä\n:1": expected a host name of letters, digits, hyphens and dots at character 5, before "ä\n:1""#
        );
        assert_eq!(
            error.marked().to_string(),
            "tcp:ä\\n:1\n    ^ expected a host name of letters, digits, hyphens and dots"
        );
        let error = "tcp:a:".parse::<Remote>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""tcp:a:": expected a port from 1 to 65535 at its end"#
        );
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_to_the_same(
            text in r"(unix|tcp|ssl):([a-z0-9.\-_]{1,8}|\[[0-9a-f:.]{2,9}(%[a-z0-9]{1,5})?\])(:[0-9]{1,5})?",
        ) {
            if let Ok(remote) = text.parse::<Remote>() {
                prop_assert_eq!(remote.to_string().parse(), Ok(remote));
            }
        }

        #[test]
        fn an_address_survives(address: SocketAddr) {
            prop_assume!(address.port() > 0);
            let remote = Remote::tcp(address);
            prop_assert_eq!(remote.to_string().parse(), Ok(remote));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), method in "(tcp:|ssl:|unix:)?") {
            if let Err(error) = format!("{method}{text}").parse::<Remote>() {
                prop_assert!(error.text().is_char_boundary(error.offset()));
                prop_assert!(!error.to_string().is_empty() && !error.marked().to_string().is_empty());
            }
        }
    }
}
