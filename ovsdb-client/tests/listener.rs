//! Both ends of a stream are ours: what each of them sees.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "server/pki.rs"]
mod pki;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ovsdb_client::listener::{AcceptError, ListenError, Peer};
use ovsdb_client::tls::{CertificateFault, Pem, Tls, TlsConfigError, TlsRole};
use ovsdb_client::{
    ConnectError, Listener, PassiveRemote, Remote, Stream, StreamOptions, TlsError,
};
use pki::{Authority, Valid};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No test waits longer for anything that should happen.
const SOON: Duration = Duration::from_secs(10);

/// Listens on a port of this host.
async fn listen(method: &str, options: &StreamOptions) -> (Listener, Remote) {
    let remote = format!("{method}:0:127.0.0.1").parse().unwrap();
    let listener = Listener::bind(&remote, options).await.unwrap();
    let address = |port: &u16| ([127, 0, 0, 1], *port);
    let remote = match listener.local_remote() {
        PassiveRemote::Tcp { port, .. } => Remote::tcp(address(port)),
        PassiveRemote::Ssl { port, .. } => Remote::ssl(address(port)),
        PassiveRemote::Unix(path) => panic!("{path:?}"),
    };
    (listener, remote)
}

/// Connects, and returns both ends.
async fn pair(method: &str, options: &StreamOptions) -> (Stream, Stream) {
    let (mut listener, remote) = listen(method, options).await;
    let (accepted, connected) = tokio::join!(listener.accept(), Stream::connect(&remote, options));
    (accepted.unwrap().0, connected.unwrap())
}

fn with_tls(tls: Tls) -> StreamOptions {
    StreamOptions::default().tls(tls)
}

#[tokio::test]
async fn both_ends_have_the_options() {
    let ca = Authority::new("ca");
    let defaults = with_tls(ca.sign(Valid::Now).trusting(&ca));
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let none = defaults.clone().keepalive(None).user_timeout(None);
    let small = defaults
        .clone()
        .keepalive(Some(Duration::ZERO))
        .user_timeout(Some(Duration::ZERO));
    let cases = [
        (&defaults, seconds(10), seconds(30)),
        (&none, None, None),
        (&small, seconds(1), Some(Duration::from_millis(1))),
    ];
    for (options, keepalive, user_timeout) in cases {
        for method in ["ptcp", "pssl"] {
            // The end that timed out after a millisecond is not ours to test.
            if user_timeout < seconds(1) && user_timeout.is_some() && method == "pssl" {
                continue;
            }
            let (accepted, connected) = pair(method, options).await;
            for stream in [accepted, connected] {
                let socket = SockRef::from(stream.tcp().unwrap());
                assert!(socket.tcp_nodelay().unwrap());
                assert_eq!(socket.keepalive().unwrap(), keepalive.is_some());
                if let Some(keepalive) = keepalive {
                    assert_eq!(socket.tcp_keepalive_time().unwrap(), keepalive);
                    assert_eq!(socket.tcp_keepalive_interval().unwrap(), keepalive);
                }
                assert_eq!(socket.tcp_user_timeout().unwrap(), user_timeout);
            }
        }
    }
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_told() {
    let ca = Authority::new("ca");
    let options = with_tls(ca.sign(Valid::Now).trusting(&ca));
    for method in ["ptcp", "pssl"] {
        let (mut accepted, mut connected) = pair(method, &options).await;
        for _ in 0..2 {
            // More than any buffer between them.
            let sent = vec![7; 8 << 20];
            let mut received = vec![0; sent.len()];
            let write = async {
                accepted.write_all(&sent).await?;
                // TLS holds back what the socket did not take.
                accepted.flush().await
            };
            let both = async { tokio::join!(write, connected.read_exact(&mut received)) };
            let (written, read) = timeout(SOON, both).await.unwrap();
            written.and(read).unwrap();
            assert!(sent == received);
            std::mem::swap(&mut accepted, &mut connected);
        }
        drop(accepted);
        assert_eq!(connected.read(&mut [0]).await.unwrap(), 0, "{method}");
    }
}

#[tokio::test]
async fn a_peer_of_tls_is_told_of_the_end_and_need_not_be() {
    let ca = Authority::new("ca");
    let options = with_tls(ca.sign(Valid::Now).trusting(&ca));
    let (accepted, connected) = pair("pssl", &options).await;
    drop(accepted);
    let tcp = connected.tcp().unwrap();
    timeout(SOON, tcp.readable()).await.unwrap().unwrap();
    // The closing alert, before the end of the TCP connection.
    assert!(tcp.try_read(&mut [0; 64]).unwrap() > 0);

    let (accepted, mut connected) = pair("pssl", &options).await;
    let tcp = SockRef::from(accepted.tcp().unwrap());
    tcp.shutdown(std::net::Shutdown::Write).unwrap();
    let read = timeout(SOON, connected.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn a_peer_shows_its_certificate() {
    let ca = Authority::new("ca");
    let tls = ca.sign_for(&["localhost"], Valid::Now).builder(&ca);
    let options = with_tls(tls.verify_name().build().unwrap());
    let (mut listener, remote) = listen("pssl", &options).await;
    let remote = remote.to_string().replace("127.0.0.1", "localhost");
    let remote = remote.parse().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), Stream::connect(&remote, &options));
    let (accepted, peer) = accepted.unwrap();
    let connected = connected.unwrap();
    assert_eq!(
        Peer::Ssl(connected.tcp().unwrap().local_addr().unwrap()),
        peer
    );
    for stream in [accepted, connected] {
        let Stream::Tls(stream) = stream else {
            panic!("{stream:?}");
        };
        assert_eq!(stream.peer_certificates().len(), 1);
    }
}

/// What both ends say when a client connects and writes until it is stopped.
async fn quarrel(server: Tls, client: Tls) -> (TlsError, TlsError) {
    let (mut listener, remote) = listen("pssl", &with_tls(server)).await;
    let accepting = tokio::spawn(async move {
        match listener.accept().await.unwrap_err() {
            AcceptError::Tls { source, .. } => source,
            other => panic!("{other:?}"),
        }
    });
    let stream = timeout(SOON, Stream::connect(&remote, &with_tls(client))).await;
    let at_server = timeout(SOON, accepting).await.unwrap().unwrap();
    let mut stream = match stream.unwrap() {
        Ok(stream) => stream,
        Err(ConnectError::Tls { source, .. }) => return (at_server, source),
        Err(other) => panic!("{other:?}"),
    };
    // Only writes: the reason must not be lost when they fail before anything is read.
    let written = timeout(SOON, async {
        loop {
            if let Err(error) = stream.write_all(b"{}").await {
                return error;
            }
        }
    });
    let error = written.await.unwrap();
    (
        at_server,
        TlsError::from_io(&error).unwrap_or_else(|| panic!("{error:?}")),
    )
}

#[tokio::test]
async fn both_ends_say_who_refused_whom() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let good = || ca.sign(Valid::Now).trusting(&ca);
    let (client, server) = (TlsRole::Client, TlsRole::Server);

    let said = quarrel(good(), ca.trusted().build().unwrap()).await;
    assert_eq!(said.0, TlsError::PeerCertificateMissing { peer: client });
    assert_eq!(said.1, TlsError::OwnCertificateMissing { peer: server });

    let said = quarrel(good(), other.sign(Valid::Now).trusting(&ca)).await;
    let fault = CertificateFault::UnknownIssuer;
    let (theirs, ours) = (fault.clone(), fault);
    assert_eq!(
        said.0,
        TlsError::PeerCertificate {
            peer: client,
            fault: theirs
        }
    );
    assert_eq!(
        said.1,
        TlsError::OwnCertificate {
            peer: server,
            fault: ours
        }
    );

    let said = quarrel(good(), ca.sign(Valid::Before).trusting(&ca)).await;
    let text = said.0.to_string();
    assert!(
        text.starts_with("refused the certificate of the client: it has expired "),
        "{text}"
    );
    assert!(text.ends_with(" days ago"), "{text}");
    let fault = CertificateFault::Expired { since: None };
    assert_eq!(
        said.1,
        TlsError::OwnCertificate {
            peer: server,
            fault
        }
    );

    let said = quarrel(ca.sign(Valid::Later).trusting(&ca), good()).await;
    let text = said.1.to_string();
    assert!(
        text.starts_with("refused the certificate of the server: it is not valid yet, "),
        "{text}"
    );
    assert!(
        matches!(
            said.0,
            TlsError::OwnCertificate {
                peer: TlsRole::Client,
                ..
            }
        ),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_peer_that_dawdles_or_talks_nonsense_keeps_nobody_out() {
    let ca = Authority::new("ca");
    let options = with_tls(ca.sign(Valid::Now).trusting(&ca));
    let (mut listener, remote) = listen("pssl", &options).await;
    let Remote::Ssl { port, .. } = remote else {
        panic!("{remote}");
    };
    let _dawdler = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut babbler = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    babbler.write_all(b"{\"method\":\"echo\"}").await.unwrap();

    let refused = timeout(SOON, listener.accept()).await.unwrap();
    let Err(AcceptError::Tls { peer, source }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(peer, Peer::Ssl(babbler.local_addr().unwrap()));
    assert_eq!(
        source,
        TlsError::NotTls {
            peer: TlsRole::Client
        }
    );

    // A handshake goes on although the call that began it was given up.
    let connecting = tokio::spawn(async move { Stream::connect(&remote, &options).await });
    let accepted = timeout(SOON, async {
        loop {
            let mut accepted = std::pin::pin!(listener.accept());
            if let std::task::Poll::Ready(accepted) = futures::poll!(&mut accepted) {
                return accepted;
            }
            tokio::task::yield_now().await;
        }
    });
    accepted.await.unwrap().unwrap();
    connecting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_unix_socket_lives_as_long_as_its_listener() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db.sock");
    let remote = PassiveRemote::Unix(path.clone());
    let options = StreamOptions::default();

    let listener = Listener::bind(&remote, &options).await.unwrap();
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
    let second = Listener::bind(&remote, &options).await.unwrap_err();
    assert_eq!(
        second.to_string(),
        format!("another process listens on punix:{}", path.display())
    );
    drop(listener);
    assert!(!path.exists());

    // Left over from a process that died.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::bind(&remote, &options).await.unwrap();
    Stream::connect(&Remote::Unix(path.clone()), &options)
        .await
        .unwrap();

    // Somebody else has put another file there.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    drop(listener);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let refused = Listener::bind(&remote, &options).await;
    assert!(
        matches!(refused, Err(ListenError::Occupied { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_listener_for_tls_needs_a_certificate() {
    let ca = Authority::new("ca");
    let remote = "pssl:0:127.0.0.1".parse().unwrap();
    for options in [
        StreamOptions::default(),
        with_tls(ca.trusted().build().unwrap()),
    ] {
        let refused = Listener::bind(&remote, &options).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cannot listen on pssl:0:127.0.0.1 without a certificate and a private key for TLS"
        );
    }
}

#[test]
fn what_does_not_fit_together_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        Pem::file(path)
    };
    let ca = Authority::new("ca");
    let (one, two) = (ca.sign(Valid::Now), ca.sign(Valid::Now));
    let certificate = file("cert.pem", &one.certificate);
    let key = file("privkey.pem", &two.key);
    let error = ca
        .trusted()
        .identity(certificate.clone(), key.clone())
        .build();
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("the private key in {key} does not belong to the certificate in {certificate}")
    );
    let swapped = ca.trusted().identity(key.clone(), certificate).build();
    assert_eq!(
        swapped.unwrap_err().to_string(),
        format!("{key} holds no certificate")
    );
    let garbage = file(
        "cacert.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let error = Tls::builder().ca(garbage.clone()).build();
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("{garbage} holds a CA certificate that cannot be used")
    );
    assert!(matches!(Tls::builder().build(), Err(TlsConfigError::NoCa)));
}
