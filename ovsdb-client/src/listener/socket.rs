//! Listening sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Type};
use tokio::net::{TcpListener, UnixListener};

use super::{ListenError, Peer};
use crate::remote::{Host, PassiveRemote};
use crate::stream::{Stream, resolve};

/// How many connections the kernel completes ahead of us; as in Open vSwitch.
const BACKLOG: i32 = 64;

#[derive(Debug)]
pub(super) enum Socket {
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "held for its Drop")] SocketFile,
    ),
    Tcp(TcpListener),
}

impl Socket {
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
                Ok((Stream::Unix(stream), Peer::Unix { pid }))
            }
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::Tcp(address)))
            }
        }
    }
}

/// Listens, and says where in truth.
pub(super) async fn bind(remote: &PassiveRemote) -> Result<(Socket, PassiveRemote), ListenError> {
    match remote {
        PassiveRemote::Unix(path) => Ok((bind_unix(remote, path)?, remote.clone())),
        PassiveRemote::Tcp { port, host } => {
            let (listener, port) = bind_tcp(remote, host.as_ref(), *port).await?;
            let host = host.clone();
            Ok((Socket::Tcp(listener), PassiveRemote::Tcp { port, host }))
        }
        PassiveRemote::Ssl { port, host } => {
            let (listener, port) = bind_tcp(remote, host.as_ref(), *port).await?;
            let host = host.clone();
            Ok((Socket::Tcp(listener), PassiveRemote::Ssl { port, host }))
        }
    }
}

fn refused(remote: &PassiveRemote) -> impl Fn(io::Error) -> ListenError {
    |source| ListenError::Refused {
        remote: remote.clone(),
        source,
    }
}

fn bind_unix(remote: &PassiveRemote, path: &Path) -> Result<Socket, ListenError> {
    let listener = match bind_path(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let remote = remote.clone();
            match Occupant::at(path).map_err(refused(&remote))? {
                Occupant::Alive => return Err(ListenError::InUse { remote }),
                Occupant::NoSocket => return Err(ListenError::Occupied { remote }),
                Occupant::Dead => std::fs::remove_file(path).and_then(|()| bind_path(path)),
            }
        }
        bound => bound,
    };
    let listener = listener.map_err(refused(remote))?;
    let file = SocketFile::at(path).map_err(refused(remote))?;
    Ok(Socket::Unix(listener, file))
}

/// Listens on a TCP port, and says which: the kernel may have chosen it.
async fn bind_tcp(
    remote: &PassiveRemote,
    host: Option<&Host>,
    port: u16,
) -> Result<(TcpListener, u16), ListenError> {
    let addresses = match host {
        None => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
        Some(host) => {
            let addresses = resolve(host, port).await;
            addresses.map_err(|source| ListenError::Resolve {
                remote: remote.clone(),
                source,
            })?
        }
    };
    let listener = bind_first(&addresses).map_err(refused(remote))?;
    let port = listener.local_addr().map_err(refused(remote))?.port();
    Ok((listener, port))
}

/// Listens on the first address that is ours.
fn bind_first(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match bind_address(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn bind_address(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A port whose last connections linger in TIME_WAIT may be had again.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] is for both families, whatever net.ipv6.bindv6only says (ovsdb(7)).
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn bind_path(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux makes the file with the mode of the socket, less the umask. The umask is a matter of
    // the whole process and not touched.
    fchmod(&socket, Mode::RWXU | Mode::RWXG)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

/// What is at a path on which we cannot listen.
enum Occupant {
    /// A socket on which a process listens.
    Alive,
    /// A socket that is left over from a process that is gone.
    Dead,
    NoSocket,
}

impl Occupant {
    /// Looks by connecting.
    ///
    /// Two that look at the same time may both find a dead socket, and the later one then takes the
    /// place of the earlier one. Who must exclude that needs a lock of their own.
    fn at(path: &Path) -> io::Result<Self> {
        if !path.symlink_metadata()?.file_type().is_socket() {
            return Ok(Self::NoSocket);
        }
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // One whose queue is full must not block us; it is alive.
        socket.set_nonblocking(true)?;
        match socket.connect(&SockAddr::unix(path)?) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Self::Dead),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(Self::Alive),
        }
    }
}

/// The file of a Unix socket. Removed when dropped, unless another has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            // Absolute, because the current directory may change until the drop.
            path: std::path::absolute(path)?,
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// What tells one file from another at the same path.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = path.symlink_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
