//! Where a server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An active connection method as `ovsdb-server(7)` writes it: `unix:PATH` or `tcp:HOST:PORT`.
///
/// ```
/// # use ovsdb_client::Remote;
/// let remote: Remote = "tcp:[::1]:6641".parse()?;
/// assert_eq!(remote, Remote::Tcp { host: "::1".into(), port: 6641 });
/// assert_eq!(remote.to_string(), "tcp:[::1]:6641");
/// # Ok::<(), ovsdb_client::ParseRemoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remote {
    /// A Unix domain stream socket.
    Unix(PathBuf),
    /// A TCP port. The host is a name or an address; an IPv6 address stands here without its brackets.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port, 1 to 65535.
        port: u16,
    },
}

/// Why a text is not a [`Remote`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRemoteError {
    /// The text does not begin with a known method.
    #[error("{text:?} is not a remote: it begins neither with \"unix:\" nor with \"tcp:\"")]
    UnknownMethod {
        /// The text that was given.
        text: String,
    },
    /// Nothing follows `unix:`.
    #[error("{text:?} lacks the path of the socket")]
    NoPath {
        /// The text that was given.
        text: String,
    },
    /// The host is missing, or is an IPv6 address without brackets.
    #[error("{text:?} lacks a host; expected tcp:HOST:PORT, with brackets around an IPv6 address")]
    NoHost {
        /// The text that was given.
        text: String,
    },
    /// The port is missing or is not a number from 1 to 65535.
    #[error("{text:?} lacks a port from 1 to 65535")]
    NoPort {
        /// The text that was given.
        text: String,
    },
}

impl FromStr for Remote {
    type Err = ParseRemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = || text.to_owned();
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(ParseRemoteError::NoPath { text: owned() }),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let Some(address) = text.strip_prefix("tcp:") else {
            return Err(ParseRemoteError::UnknownMethod { text: owned() });
        };
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(ParseRemoteError::NoPort { text: owned() });
        };
        let port = match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(ParseRemoteError::NoPort { text: owned() }),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bare.unwrap_or(host) {
            "" => Err(ParseRemoteError::NoHost { text: owned() }),
            // Without brackets a colon cannot be told from the one before the port.
            unbracketed if bare.is_none() && unbracketed.contains(':') => {
                Err(ParseRemoteError::NoHost { text: owned() })
            }
            host => Ok(Self::Tcp {
                host: host.to_owned(),
                port,
            }),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_reads_as_it_is_written() {
        for text in [
            "unix:/run/ovn/ovnnb_db.sock",
            "tcp:192.0.2.1:6641",
            "tcp:[2001:db8::1]:6642",
            "tcp:central:6641",
        ] {
            assert_eq!(text.parse::<Remote>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = |text: &str| text.to_owned();
        let cases = [
            (
                "ssl:192.0.2.1:6641",
                ParseRemoteError::UnknownMethod {
                    text: text("ssl:192.0.2.1:6641"),
                },
            ),
            ("", ParseRemoteError::UnknownMethod { text: text("") }),
            (
                "unix:",
                ParseRemoteError::NoPath {
                    text: text("unix:"),
                },
            ),
            (
                "tcp::6641",
                ParseRemoteError::NoHost {
                    text: text("tcp::6641"),
                },
            ),
            (
                "tcp:[]:6641",
                ParseRemoteError::NoHost {
                    text: text("tcp:[]:6641"),
                },
            ),
            (
                "tcp:2001:db8::1:6641",
                ParseRemoteError::NoHost {
                    text: text("tcp:2001:db8::1:6641"),
                },
            ),
            (
                "tcp:192.0.2.1",
                ParseRemoteError::NoPort {
                    text: text("tcp:192.0.2.1"),
                },
            ),
            (
                "tcp:192.0.2.1:0",
                ParseRemoteError::NoPort {
                    text: text("tcp:192.0.2.1:0"),
                },
            ),
            (
                "tcp:192.0.2.1:70000",
                ParseRemoteError::NoPort {
                    text: text("tcp:192.0.2.1:70000"),
                },
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(given.parse::<Remote>(), Err(expected));
        }
    }
}
