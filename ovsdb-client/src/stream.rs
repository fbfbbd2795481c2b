//! Byte streams to servers: Unix sockets, TCP and TLS.
//!
//! [`Client::connect`](crate::Client::connect) opens one on its own. Here is what lies under it,
//! for those who speak over the stream themselves or hand it to
//! [`Client::from_stream`](crate::Client::from_stream).
//!
//! ```
//! # use ovsdb_client::listener::Listener;
//! # use ovsdb_client::stream::{Stream, StreamOptions};
//! # use ovsdb_client::Remote;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let options = StreamOptions::default();
//! # let _server = Listener::bind(&"ptcp:0:127.0.0.1".parse()?, &options).await?;
//! # let remote = match _server.local_remote() {
//! #     ovsdb_client::remote::PassiveRemote::Tcp { port, .. } => format!("tcp:127.0.0.1:{port}"),
//! #     other => unreachable!("{other}"),
//! # };
//! use std::time::Duration;
//!
//! // A server that is gone without a word is noticed within ten seconds.
//! let options = StreamOptions::default()
//!     .keepalive(Some(Duration::from_secs(3)))
//!     .user_timeout(Some(Duration::from_secs(10)));
//! let remote: Remote = remote.parse()?;
//! let stream = Stream::connect(&remote, &options).await?;
//! assert!(matches!(stream, Stream::Tcp(_)));
//! # Ok(())
//! # }
//! ```

mod address;
mod options;
mod tls;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::error::ConnectError;
use crate::remote::{Host, Remote};

pub(crate) use address::resolve;
pub use options::StreamOptions;
pub use tls::TlsStream;

/// A connected stream.
///
/// What was written to one over TLS may wait in it until [`flush`](tokio::io::AsyncWriteExt::flush).
#[derive(Debug)]
pub enum Stream {
    /// A Unix domain socket.
    Unix(UnixStream),
    /// A TCP connection.
    Tcp(TcpStream),
    /// TLS over a TCP connection.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Connects to a remote. Takes as long as the system does: wrap it in a timeout.
    ///
    /// The addresses of a host name are tried one after the other, in the order of the resolver.
    /// One that has neither connected nor failed after 250 ms is not waited for by the next
    /// (RFC 8305 section 5); the first connection that is made counts.
    ///
    /// With TLS 1.3 a server may still refuse our certificate afterwards: the first read or write
    /// tells, see [`TlsError::from_io`](crate::tls::TlsError::from_io).
    ///
    /// # Errors
    ///
    /// [`ConnectError`], but never its `Timeout`.
    pub async fn connect(remote: &Remote, options: &StreamOptions) -> Result<Self, ConnectError> {
        match remote {
            Remote::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                stream
                    .map(Self::Unix)
                    .map_err(|source| refused(remote, source))
            }
            Remote::Tcp { host, port } => {
                let stream = connect_tcp(remote, host, *port, options).await?;
                Ok(Self::Tcp(stream))
            }
            Remote::Ssl { host, port } => {
                let tls = options.tls.as_ref().ok_or_else(|| ConnectError::NoTls {
                    remote: remote.clone(),
                })?;
                let stream = connect_tcp(remote, host, *port, options).await?;
                let stream = TlsStream::connect(tls, host, stream).await;
                let stream = stream.map_err(|error| tls_refused(remote, error))?;
                Ok(Self::Tls(Box::new(stream)))
            }
        }
    }

    /// The TCP connection that this is or lies on, for its addresses and options.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.tcp()),
        }
    }
}

fn refused(remote: &Remote, source: io::Error) -> ConnectError {
    ConnectError::Refused {
        remote: remote.clone(),
        source,
    }
}

fn tls_refused(remote: &Remote, error: io::Error) -> ConnectError {
    match crate::tls::TlsError::from_io(&error) {
        Some(source) => ConnectError::Tls {
            remote: remote.clone(),
            source,
        },
        None => refused(remote, error),
    }
}

/// Connects to a host.
async fn connect_tcp(
    remote: &Remote,
    host: &Host,
    port: u16,
    options: &StreamOptions,
) -> Result<TcpStream, ConnectError> {
    let addresses = resolve(host, port).await;
    let addresses = addresses.map_err(|source| ConnectError::Resolve {
        remote: remote.clone(),
        source,
    })?;
    match (address::connect(addresses, options).await, host) {
        (Ok(stream), _) => Ok(stream),
        (Err(mut attempts), Host::V4(_) | Host::V6 { .. }) if attempts.len() == 1 => {
            let (_, source) = attempts.remove(0);
            Err(refused(remote, source))
        }
        (Err(attempts), _) => Err(ConnectError::Unreachable {
            remote: remote.clone(),
            attempts,
        }),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
