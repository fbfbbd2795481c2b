//! Where a client waits for servers that dial out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::DEFAULT_PORT;
use super::host::Host;
use super::parse::{Expected, ParseRemoteError, Scanner, as_string};

/// A passive connection method (ovsdb(7), "Connection Methods"): `punix:PATH`, `ptcp:[PORT][:HOST]`
/// or `pssl:[PORT][:HOST]`.
///
/// A port that is left out is 6640; port 0 lets the kernel choose one. Without a host it listens
/// on all IPv4 addresses; `[::]` is all addresses of both families. `pfd:` of newer servers has no
/// counterpart here: whoever has accepted a stream gives it to
/// [`Client::from_stream`](crate::Client::from_stream).
///
/// ```
/// # use ovsdb_client::remote::{Host, PassiveRemote};
/// let remote: PassiveRemote = "ptcp:0:127.0.0.1".parse()?;
/// let host = Some(Host::V4([127, 0, 0, 1].into()));
/// assert_eq!(remote, PassiveRemote::Tcp { port: 0, host });
/// assert_eq!("pssl:".parse::<PassiveRemote>()?.to_string(), "pssl:6640");
/// # Ok::<(), ovsdb_client::ParseRemoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PassiveRemote {
    /// A Unix domain stream socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// Port; 0 lets the kernel choose.
        port: u16,
        /// The address to listen on; all IPv4 addresses without one.
        host: Option<Host>,
    },
    /// TLS on a TCP port.
    Ssl {
        /// Port; 0 lets the kernel choose.
        port: u16,
        /// The address to listen on; all IPv4 addresses without one.
        host: Option<Host>,
    },
}

impl PassiveRemote {
    /// The path of the socket, if it is one.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let path = match self {
            Self::Unix(path) => Some(path.as_path()),
            Self::Tcp { .. } | Self::Ssl { .. } => None,
        };
        path.into_iter()
    }
}

impl FromStr for PassiveRemote {
    type Err = ParseRemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut scanner = Scanner::new(text);
        if scanner.eat("punix:") {
            return Ok(Self::Unix(scanner.path()?.into()));
        }
        let secure = scanner.eat("pssl:");
        if !secure && !scanner.eat("ptcp:") {
            return Err(scanner.refuse(Expected::PassiveMethod));
        }
        let port = match scanner.rest().chars().next() {
            None | Some(':') => DEFAULT_PORT,
            Some(_) => scanner.port(0, Expected::PassivePort)?,
        };
        let host = match scanner.eat(":") {
            true => Some(scanner.host()?),
            false => None,
        };
        scanner.end(Expected::End)?;
        Ok(match secure {
            true => Self::Ssl { port, host },
            false => Self::Tcp { port, host },
        })
    }
}

impl fmt::Display for PassiveRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, port, host) = match self {
            Self::Unix(path) => return write!(f, "punix:{}", path.display()),
            Self::Tcp { port, host } => ("ptcp", port, host),
            Self::Ssl { port, host } => ("pssl", port, host),
        };
        match host {
            None => write!(f, "{method}:{port}"),
            Some(host) => write!(f, "{method}:{port}:{host}"),
        }
    }
}

as_string!(PassiveRemote);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_passive_remote_reads_as_it_is_written() {
        for text in [
            "punix:/run/ovn/dialled.sock",
            "ptcp:6641",
            "ptcp:0:127.0.0.1",
            "pssl:6640:[::]",
            "pssl:6640:[fe80::1%eth0]",
            "ptcp:6640:central",
        ] {
            assert_eq!(text.parse::<PassiveRemote>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_port_may_be_left_out() {
        for (text, full) in [
            ("ptcp:", "ptcp:6640"),
            ("pssl:", "pssl:6640"),
            ("ptcp::192.0.2.1", "ptcp:6640:192.0.2.1"),
        ] {
            assert_eq!(text.parse::<PassiveRemote>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn errors_point_at_the_character() {
        let cases = [
            ("tcp:192.0.2.1:6641", 0, Expected::PassiveMethod),
            ("pfd:3", 0, Expected::PassiveMethod),
            ("punix:", 6, Expected::Path),
            ("ptcp:192.0.2.1", 8, Expected::PassivePort),
            ("ptcp:[::1]", 5, Expected::PassivePort),
            ("pssl:70000", 5, Expected::PassivePort),
            ("ptcp:6640:", 10, Expected::Host),
            ("ptcp:6640:::1", 10, Expected::Brackets),
            ("ptcp:6640:[::1]:7", 15, Expected::End),
            ("ptcp:6640:a:7", 11, Expected::End),
        ];
        for (text, offset, expected) in cases {
            let error = text.parse::<PassiveRemote>().unwrap_err();
            assert_eq!(
                (error.offset(), error.expected()),
                (offset, expected),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_to_the_same(
            text in r"p(unix|tcp|ssl):([0-9]{0,5})(:([a-z0-9.\-]{1,8}|\[[0-9a-f:]{2,9}(%[a-z0-9]{1,5})?\]))?",
        ) {
            if let Ok(remote) = text.parse::<PassiveRemote>() {
                prop_assert_eq!(remote.to_string().parse(), Ok(remote));
            }
        }
    }
}
