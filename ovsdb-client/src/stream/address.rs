//! From hosts to addresses.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};

use tokio::net::TcpSocket;

use crate::remote::Host;

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
}
