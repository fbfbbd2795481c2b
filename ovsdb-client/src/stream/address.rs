//! From hosts to addresses, and to connections.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::StreamOptions;
use crate::remote::Host;

/// How long an address has before the next one is tried as well: the value of RFC 8305 section 8.
const HEAD_START: Duration = Duration::from_millis(250);

/// The addresses that failed, and why.
type Attempts = Vec<(SocketAddr, io::Error)>;

/// The addresses of a host, at least one.
pub(crate) async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::V4(address) => Ok(vec![(*address, port).into()]),
        Host::V6 { address, scope } => {
            let scope = scope.as_deref().map_or(Ok(0), scope_id)?;
            Ok(vec![SocketAddrV6::new(*address, port, 0, scope).into()])
        }
        Host::Name(name) => {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), port))
                .await?
                .collect();
            match addresses.is_empty() {
                true => Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "the name has no address",
                )),
                false => Ok(addresses),
            }
        }
    }
}

/// The index of a network device that is given by its index or its name.
fn scope_id(scope: &str) -> io::Result<u32> {
    if let Ok(index) = scope.parse() {
        return Ok(index);
    }
    // Any socket will do: it says in which network namespace the device is.
    let socket = TcpSocket::new_v6()?;
    Ok(rustix::net::netdevice::name_to_index(&socket, scope)?)
}

/// Connects to the first of some addresses that answers.
///
/// An address that leads nowhere fails only after a long time, so it does not hold up the others.
pub(super) async fn connect(
    addresses: Vec<SocketAddr>,
    options: &StreamOptions,
) -> Result<TcpStream, Attempts> {
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut failed = Vec::new();
    let mut next_start = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(attempt) = running.join_next() => match attempt {
                Ok((_, Ok(stream))) => return Ok(stream),
                Ok((address, Err(error))) => {
                    failed.push((address, error));
                    next_start = Instant::now();
                }
                // Cancelled is an attempt only with the runtime, and this with it.
                Err(error) => if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                },
            },
            () = sleep_until(next_start), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    let options = options.clone();
                    running.spawn(async move {
                        (address, connect_one(address, &options).await)
                    });
                }
                next_start = Instant::now() + HEAD_START;
            }
            else => return Err(failed),
        }
    }
}

async fn connect_one(address: SocketAddr, options: &StreamOptions) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Before connecting, so that there is no moment without them.
    options.apply(&socket)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link_local(scope: &str) -> Host {
        Host::V6 {
            address: "fe80::1".parse().unwrap(),
            scope: Some(scope.to_owned()),
        }
    }

    #[tokio::test]
    async fn a_scope_is_an_index_or_a_device() {
        // The loopback device is the first in every network namespace.
        for scope in ["lo", "1"] {
            let addresses = resolve(&link_local(scope), 6640).await.unwrap();
            assert_eq!(addresses, ["[fe80::1%1]:6640".parse().unwrap()]);
        }
        let error = resolve(&link_local("nosuchdevice"), 6640)
            .await
            .unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::NODEV.raw_os_error())
        );
    }

    #[tokio::test]
    async fn a_name_is_resolved() {
        let addresses = resolve(&Host::Name("localhost".to_owned()), 6640)
            .await
            .unwrap();
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 6640)
        );
    }

    fn loopback(listener: &TcpSocket) -> SocketAddr {
        listener.bind(([127, 0, 0, 1], 0).into()).unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_passed_over() {
        // A listener whose queue is full drops what comes.
        let silent = TcpSocket::new_v4().unwrap();
        let silent_address = loopback(&silent);
        let _silent = silent.listen(1).unwrap();
        let mut queue = Vec::new();
        let full = async {
            loop {
                let connecting = TcpStream::connect(silent_address);
                match tokio::time::timeout(HEAD_START, connecting).await {
                    Ok(stream) => queue.push(stream.unwrap()),
                    Err(_) => break,
                }
            }
        };
        full.await;

        let dead = TcpSocket::new_v4().unwrap();
        let dead_address = loopback(&dead);
        let good = TcpSocket::new_v4().unwrap();
        let good_address = loopback(&good);
        let _good = good.listen(1).unwrap();

        let options = StreamOptions::default();
        let addresses = vec![dead_address, silent_address, good_address];
        let connected = connect(addresses, &options);
        let connected = tokio::time::timeout(Duration::from_secs(10), connected).await;
        let stream = connected.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good_address);

        let failed = connect(vec![dead_address, dead_address], &options).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.len(), 2);
        assert!(failed.iter().all(|(address, _)| *address == dead_address));
    }
}
