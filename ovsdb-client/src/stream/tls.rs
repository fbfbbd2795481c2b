//! TLS over TCP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ConnectionCommon, SideData};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::remote::Host;
use crate::tls::{Tls, TlsError, TlsRole};

/// A TLS connection. Its errors can be asked for their reason: [`TlsError::from_io`].
///
/// A peer that hangs up without the closing alert of TLS is at the end of its stream here, not in
/// error, as in Open vSwitch: a JSON-RPC message that was cut shows by its open brackets.
#[derive(Debug)]
pub struct TlsStream {
    stream: tokio_rustls::TlsStream<TcpStream>,
    view: View,
}

/// What an error is judged by.
#[derive(Debug, Clone, Copy)]
struct View {
    role: TlsRole,
    has_certificate: bool,
}

impl TlsStream {
    /// Does the handshake of a client with `host`.
    pub(crate) async fn connect(tls: &Tls, host: &Host, stream: TcpStream) -> io::Result<Self> {
        let view = View {
            role: TlsRole::Client,
            has_certificate: tls.has_certificate(),
        };
        let name = server_name(host, &stream)?;
        let connector = TlsConnector::from(Arc::clone(tls.client()));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Self {
                stream: stream.into(),
                view,
            }),
            Err(error) => Err(view.explain_handshake(error)),
        }
    }

    /// Does the handshake of a server.
    pub(crate) async fn accept(
        config: Arc<rustls::ServerConfig>,
        stream: TcpStream,
    ) -> io::Result<Self> {
        let view = View {
            role: TlsRole::Server,
            has_certificate: true,
        };
        match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => Ok(Self {
                stream: stream.into(),
                view,
            }),
            Err(error) => Err(view.explain_handshake(error)),
        }
    }

    /// The TCP connection below.
    pub fn tcp(&self) -> &TcpStream {
        self.stream.get_ref().0
    }

    /// The certificate of the peer in DER, then those that the peer sent to lead to its CA.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.stream.get_ref().1.peer_certificates().unwrap_or(&[])
    }

    /// Looks for the reason behind a failed write.
    ///
    /// A server that refuses us says so and hangs up. When our write meets the reset, what the
    /// server said waits unread in the socket, and is the reason that counts.
    fn reason_behind(&mut self, error: io::Error) -> io::Error {
        let alert = match &mut self.stream {
            tokio_rustls::TlsStream::Client(stream) => {
                let (tcp, session) = stream.get_mut();
                last_words(tcp, session)
            }
            tokio_rustls::TlsStream::Server(stream) => {
                let (tcp, session) = stream.get_mut();
                last_words(tcp, session)
            }
        };
        match alert {
            Some(alert) => self.view.wrap(error.kind(), &alert),
            None => self.view.explain(error),
        }
    }
}

/// Takes in what has arrived, up to the end or an error.
///
/// Past the readiness that tokio knows of, which may lag behind. A later read meets the same error:
/// a session keeps it.
fn last_words<S: SideData>(
    tcp: &TcpStream,
    session: &mut ConnectionCommon<S>,
) -> Option<rustls::Error> {
    let socket = SockRef::from(tcp);
    while session.read_tls(&mut &*socket).is_ok_and(|count| count > 0) {
        if let Err(error) = session.process_new_packets() {
            return Some(error);
        }
    }
    None
}

impl View {
    /// Puts the reason into an error, if TLS is to blame.
    fn explain(self, error: io::Error) -> io::Error {
        let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref()) else {
            return error;
        };
        self.wrap(error.kind(), cause)
    }

    fn wrap(self, kind: io::ErrorKind, cause: &rustls::Error) -> io::Error {
        let reason = TlsError::judge(cause, self.role, self.has_certificate);
        io::Error::new(kind, reason)
    }

    /// The same for an error during the handshake, when the end of the stream is one as well.
    fn explain_handshake(self, error: io::Error) -> io::Error {
        match error.kind() {
            kind @ (io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe) => {
                let peer = self.role.peer();
                io::Error::new(kind, TlsError::HungUp { peer })
            }
            _ => self.explain(error),
        }
    }
}

/// The name that a client asks a server for: that of the host, else the address.
fn server_name(host: &Host, stream: &TcpStream) -> io::Result<ServerName<'static>> {
    if let Host::Name(name) = host {
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Ok(name) = ServerName::try_from(name.to_owned()) {
            return Ok(name);
        }
    }
    Ok(ServerName::from(stream.peer_addr()?.ip()))
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match ready!(Pin::new(&mut this.stream).poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read.map_err(|error| this.view.explain(error))),
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, buf));
        Poll::Ready(written.map_err(|error| this.reason_behind(error)))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.stream).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| this.reason_behind(error)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Drop for TlsStream {
    /// Tells the peer that the connection ends, as far as that goes without waiting.
    fn drop(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        // Whoever wants to know whether the peer was told calls `shutdown`.
        let _ = Pin::new(&mut self.stream).poll_shutdown(&mut context);
    }
}
