//! Errors of connections and calls. Each module that can fail in its own way has its own besides.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::frame::FrameError;
use crate::remote::Remote;
use crate::tls::TlsError;

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name of the host, or the network device of its address, is not known.
    #[error("cannot find the host of {remote}")]
    Resolve {
        /// Where to.
        remote: Remote,
        /// The resolver's reason.
        source: io::Error,
    },
    /// None of the addresses that a host name has can be connected to.
    #[error("cannot connect to {remote}: {}", each(.attempts))]
    Unreachable {
        /// Where to.
        remote: Remote,
        /// The addresses in the order in which they were tried, and the operating system's reasons.
        attempts: Vec<(SocketAddr, io::Error)>,
    },
    /// The remote is `ssl:`, and nobody said whom to trust.
    #[error("cannot connect to {remote} without a configuration of TLS")]
    NoTls {
        /// Where to.
        remote: Remote,
    },
    /// One end refused the other.
    #[error("no TLS connection to {remote}")]
    Tls {
        /// Where to.
        remote: Remote,
        /// Who refused whom, and why.
        source: TlsError,
    },
    /// The operating system refused.
    #[error("cannot connect to {remote}")]
    Refused {
        /// Where to.
        remote: Remote,
        /// Its reason.
        source: io::Error,
    },
    /// The connection ended before the server had said anything.
    #[error("{remote} accepted the connection and ended it")]
    Silent {
        /// Where to.
        remote: Remote,
        /// Why it ended.
        source: Disconnect,
    },
    /// Nobody answered in time.
    #[error("no connection to {remote} within {deadline:?}")]
    Timeout {
        /// Where to.
        remote: Remote,
        /// How long it was tried.
        deadline: Duration,
    },
}

/// What happened at each address.
fn each(attempts: &[(SocketAddr, io::Error)]) -> String {
    let attempt = |(address, error): &(SocketAddr, io::Error)| format!("{address}: {error}");
    attempts.iter().map(attempt).collect::<Vec<_>>().join("; ")
}

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Disconnect {
    /// The server closed it, or went away, between two messages.
    #[error("the server closed the connection")]
    Closed,
    /// The server closed it, or went away, inside a message.
    #[error("the server closed the connection {bytes} bytes into a message")]
    Truncated {
        /// How much of the message had arrived.
        bytes: usize,
    },
    /// Reading failed.
    #[error("cannot read from the server")]
    Read {
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// Writing failed.
    #[error("cannot write to the server")]
    Write {
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// What the server sends is not a sequence of JSON objects, or an object is too large.
    #[error("the server's messages cannot be told apart")]
    Frame {
        /// What was found.
        #[from]
        source: FrameError,
    },
    /// A message is not JSON, or not in UTF-8, or is no JSON-RPC message.
    #[error("the server sent {bytes} bytes that are not a JSON-RPC message")]
    Malformed {
        /// Length of the message.
        bytes: usize,
        /// What is wrong with it.
        source: Arc<MalformedMessage>,
    },
    /// The server answered a request that was never made, or answered one twice.
    #[error("the server sent an unexpected reply, to request {id}")]
    UnexpectedReply {
        /// The id in the reply.
        id: u64,
    },
    /// The server did not answer a probe.
    #[error(
        "nothing came from the server for {silence:?}, although it was asked for a sign of life"
    )]
    Unresponsive {
        /// How long nothing came.
        silence: Duration,
    },
    /// The server can serve the database no more: it lost the leadership or its cluster, or the
    /// schema changed.
    #[error("the server was left: {reason}")]
    Left {
        /// Why.
        reason: String,
    },
    /// The last handle on the connection was dropped.
    #[error("the connection is not used any more")]
    Dropped,
    /// The connection's tasks ended for another reason, such as the shutdown of their runtime.
    #[error("the connection was given up: {reason}")]
    Abandoned {
        /// What is known about it.
        reason: String,
    },
}

impl Disconnect {
    /// What the peer's or our own TLS objected to, if that ended the connection.
    pub fn tls(&self) -> Option<TlsError> {
        match self {
            Self::Read { source } | Self::Write { source } => TlsError::from_io(source),
            _ => None,
        }
    }
}

/// What is wrong with a message.
#[derive(Debug, thiserror::Error)]
pub enum MalformedMessage {
    /// It is not text.
    #[error("not UTF-8")]
    Encoding {
        /// Where.
        #[from]
        source: std::str::Utf8Error,
    },
    /// It is not JSON, or a member has another type than JSON-RPC gives it.
    #[error("not a JSON-RPC object")]
    Json {
        /// Where.
        #[from]
        source: serde_json::Error,
    },
    /// It is neither a request, nor a notification, nor a reply.
    #[error("neither a request, nor a notification, nor a reply")]
    Kind,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection had ended before the call was made.
    #[error("{method}: there is no connection")]
    NotSent {
        /// The method that was called.
        method: &'static str,
        /// Why the connection ended.
        source: Disconnect,
    },
    /// The connection is gone. Whether the server carried out the call is unknown.
    #[error("{method}: the connection is gone")]
    Disconnected {
        /// The method that was called.
        method: &'static str,
        /// Why the connection ended.
        source: Disconnect,
    },
    /// No reply in time. Whether the server carried out the call is unknown.
    #[error("{method}: no reply within {deadline:?}")]
    Timeout {
        /// The method that was called.
        method: &'static str,
        /// How long the call waited.
        deadline: Duration,
    },
    /// The server replied with an error.
    #[error("{method}: the server refused")]
    Rpc {
        /// The method that was called.
        method: &'static str,
        /// What it said.
        source: RpcError,
    },
    /// The server replied with something that is not a result of this method.
    #[error("{method}: the reply has an unexpected shape")]
    Decode {
        /// The method that was called.
        method: &'static str,
        /// Where in the reply.
        source: serde_json::Error,
    },
    /// The parameters cannot be written as JSON: a real that is no number is among them.
    #[error("{method}: the parameters cannot be encoded")]
    Encode {
        /// The method that was called.
        method: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
}

/// The error in a reply: RFC 7047 §4.1, and the bare strings that Open vSwitch sends beside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RpcErrorJson")]
pub struct RpcError {
    /// Short name: `unknown method`, `canceled`, `syntax error`, …
    pub error: String,
    /// Explanation.
    pub details: Option<String>,
    /// The part of the request that is to blame.
    pub syntax: Option<String>,
}

impl std::error::Error for RpcError {}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        if let Some(details) = &self.details {
            write!(f, ": {details}")?;
        }
        if let Some(syntax) = &self.syntax {
            write!(f, " (at {syntax})")?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RpcErrorJson {
    Name(String),
    Object {
        error: String,
        details: Option<String>,
        syntax: Option<String>,
    },
    Other(serde_json::Value),
}

impl From<RpcErrorJson> for RpcError {
    fn from(json: RpcErrorJson) -> Self {
        let (error, details, syntax) = match json {
            RpcErrorJson::Name(error) => (error, None, None),
            RpcErrorJson::Object {
                error,
                details,
                syntax,
            } => (error, details, syntax),
            RpcErrorJson::Other(value) => (value.to_string(), None, None),
        };
        Self {
            error,
            details,
            syntax,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_form_that_servers_send() {
        let cases = [
            (r#""unknown method""#, "unknown method"),
            (
                r#"{"error":"e","details":"d","syntax":"{}"}"#,
                "e: d (at {})",
            ),
            (r#"{"error":"e"}"#, "e"),
            ("7", "7"),
        ];
        for (json, message) in cases {
            assert_eq!(
                serde_json::from_str::<RpcError>(json).unwrap().to_string(),
                message
            );
        }
    }
}
