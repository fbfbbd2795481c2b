//! Waiting for servers that dial out.
//!
//! A server that is told `--remote=tcp:HOST:PORT` connects to its client and is its server all the
//! same: JSON-RPC does not care who connected. A [`Listener`] is the other end.
//!
//! ```
//! use ovsdb_client::listener::{Listener, Peer};
//! use ovsdb_client::{Client, StreamOptions};
//! # use ovsdb_client::{PassiveRemote, Remote, Stream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = StreamOptions::default();
//! let mut listener = Listener::bind(&"ptcp:0:127.0.0.1".parse()?, &options).await?;
//! // Here, a server is told to dial the port of `listener.local_remote()`.
//! # let PassiveRemote::Tcp { port, .. } = *listener.local_remote() else { unreachable!() };
//! # let _server = Stream::connect(&Remote::tcp(([127, 0, 0, 1], port)), &options).await?;
//! let (stream, peer) = listener.accept().await?;
//! assert!(matches!(peer, Peer::Tcp(_)));
//! let client = Client::from_stream(stream);
//! # assert!(client.is_connected());
//! # Ok(())
//! # }
//! ```

mod socket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};

use crate::remote::PassiveRemote;
use crate::stream::{Stream, StreamOptions, TlsStream};
use crate::tls::TlsError;
use socket::Socket;

/// How long a peer may take for its TLS handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(30);

/// How many handshakes may be under way; further peers wait in the kernel's queue.
const HANDSHAKE_LIMIT: usize = 64;

/// A socket on which servers dial in.
///
/// A Unix socket is removed from the file system when the listener is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local: PassiveRemote,
    options: StreamOptions,
    tls: Option<Arc<ServerConfig>>,
    /// A peer that dawdles must not keep others out, so handshakes run beside each other.
    handshakes: JoinSet<Result<(Stream, Peer), AcceptError>>,
}

/// Who dialed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A process of this host.
    Unix {
        /// Its process ID, if this process can see it.
        pid: Option<i32>,
    },
    /// Whoever has this address.
    Tcp(SocketAddr),
    /// Whoever has this address, and a certificate; see [`TlsStream::peer_certificates`].
    Ssl(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { pid: None } => f.write_str("unix"),
            Self::Unix { pid: Some(pid) } => write!(f, "unix (process {pid})"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Ssl(address) => write!(f, "ssl:{address}"),
        }
    }
}

/// Why nobody can dial in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The operating system refused.
    #[error("cannot listen on {remote}")]
    Refused {
        /// Where.
        remote: PassiveRemote,
        /// Its reason.
        source: io::Error,
    },
    /// The name of the host, or the network device of its address, is not known.
    #[error("cannot find the host of {remote}")]
    Resolve {
        /// Where.
        remote: PassiveRemote,
        /// The resolver's reason.
        source: io::Error,
    },
    /// Another process listens on this Unix socket.
    #[error("another process listens on {remote}")]
    InUse {
        /// Where.
        remote: PassiveRemote,
    },
    /// The file at the path is no socket, so it is not ours to replace.
    #[error("cannot listen on {remote}: there is a file that is no socket")]
    Occupied {
        /// Where.
        remote: PassiveRemote,
    },
    /// The remote is `pssl:`, and there is no certificate to show to clients.
    #[error("cannot listen on {remote} without a certificate and a private key for TLS")]
    NoCertificate {
        /// Where.
        remote: PassiveRemote,
    },
}

/// Why a peer was not accepted.
///
/// All but [`Socket`](Self::Socket) concern one peer, and the listener goes on. That one may pass
/// as well, such as too many open files, but not at once: wait before the next try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The operating system refused.
    #[error("cannot accept connections on {remote}")]
    Socket {
        /// Where.
        remote: PassiveRemote,
        /// Its reason.
        source: io::Error,
    },
    /// The connection ended before it was made.
    #[error("lost the connection from {peer}")]
    Lost {
        /// Who dialed.
        peer: Peer,
        /// The operating system's reason.
        source: io::Error,
    },
    /// One end refused the other.
    #[error("no TLS connection from {peer}")]
    Tls {
        /// Who dialed.
        peer: Peer,
        /// Who refused whom, and why.
        source: TlsError,
    },
    /// The peer did not finish its handshake.
    #[error("no TLS handshake from {peer} within {deadline:?}")]
    Timeout {
        /// Who dialed.
        peer: Peer,
        /// How long it had.
        deadline: Duration,
    },
}

impl Listener {
    /// Listens on a passive remote. `options` go for the streams that are accepted.
    ///
    /// A Unix socket on which nobody listens any more is replaced. Its new file may be used by the
    /// owner and the group (mode 0770, less the umask), as those of Open vSwitch.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub async fn bind(
        remote: &PassiveRemote,
        options: &StreamOptions,
    ) -> Result<Self, ListenError> {
        let tls = match remote {
            PassiveRemote::Ssl { .. } => {
                let config = options.tls.as_ref().and_then(|tls| tls.server());
                let config = config.ok_or_else(|| ListenError::NoCertificate {
                    remote: remote.clone(),
                })?;
                Some(Arc::clone(config))
            }
            PassiveRemote::Unix(_) | PassiveRemote::Tcp { .. } => None,
        };
        let (socket, local) = socket::bind(remote).await?;
        Ok(Self {
            socket,
            local,
            options: options.clone(),
            tls,
            handshakes: JoinSet::new(),
        })
    }

    /// Where this listens. The port is the real one, also where the kernel chose it.
    pub fn local_remote(&self) -> &PassiveRemote {
        &self.local
    }

    /// Waits for the next peer. For `pssl:` it has been authenticated then.
    ///
    /// Nothing is lost when this is dropped before it has returned, and a peer that takes its time
    /// for the handshake (at most 30 seconds) does not delay the others.
    ///
    /// # Errors
    ///
    /// [`AcceptError`].
    pub async fn accept(&mut self) -> Result<(Stream, Peer), AcceptError> {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(accepted) => return accepted,
                    Err(error) => raise(error),
                },
                accepted = self.socket.accept(), if self.handshakes.len() < HANDSHAKE_LIMIT => {
                    let (stream, peer) = accepted.map_err(|source| AcceptError::Socket {
                        remote: self.local.clone(),
                        source,
                    })?;
                    match (stream, peer, &self.tls) {
                        (Stream::Tcp(stream), Peer::Tcp(address), Some(config)) => {
                            let peer = Peer::Ssl(address);
                            self.prepare(&stream, peer)?;
                            self.handshakes.spawn(shake(Arc::clone(config), stream, peer));
                        }
                        (stream, peer, _) => {
                            if let Stream::Tcp(stream) = &stream {
                                self.prepare(stream, peer)?;
                            }
                            return Ok((stream, peer));
                        }
                    }
                }
            }
        }
    }

    fn prepare(&self, stream: &TcpStream, peer: Peer) -> Result<(), AcceptError> {
        let applied = self.options.apply(stream);
        applied.map_err(|source| AcceptError::Lost { peer, source })
    }
}

/// Goes on with the panic of a handshake. One that was cancelled, with the runtime that it began
/// on, has lost its peer and is forgotten.
fn raise(error: JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

/// Does the handshake with one peer.
async fn shake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    peer: Peer,
) -> Result<(Stream, Peer), AcceptError> {
    let deadline = HANDSHAKE_DEADLINE;
    match tokio::time::timeout(deadline, TlsStream::accept(config, stream)).await {
        Ok(Ok(stream)) => Ok((Stream::Tls(Box::new(stream)), peer)),
        Ok(Err(error)) => Err(match TlsError::from_io(&error) {
            Some(source) => AcceptError::Tls { peer, source },
            None => AcceptError::Lost {
                peer,
                source: error,
            },
        }),
        Err(_) => Err(AcceptError::Timeout { peer, deadline }),
    }
}
