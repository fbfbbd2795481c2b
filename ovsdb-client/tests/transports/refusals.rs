//! Who refuses whom over TLS, and what the client says about it.

use std::error::Error;

use ovsdb_client::tls::{CertificateFault, TlsRole};
use ovsdb_client::{
    CallError, Client, ConnectError, Disconnect, Remote, StreamOptions, Tls, TlsError,
};

use super::pki::{Authority, Identity, Valid};
use super::process::Server;
use super::transports::{database, tls_arguments};

/// TLS 1.3 tells a client of its refusal only after the handshake, TLS 1.2 within.
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// A server with this certificate that trusts `ca`.
async fn serve(identity: &Identity, ca: &Authority, version: &str) -> Option<Server> {
    let directory = database()?;
    let mut arguments = tls_arguments(identity, ca, directory.path());
    arguments.push("--remote=pssl:0:127.0.0.1".to_owned());
    arguments.push(format!("--ssl-protocols={version}"));
    Some(Server::start_with(directory, "nb.db", arguments).await)
}

/// Connects and calls: a connection is good when a call has gone over it.
async fn refusal(remote: &Remote, tls: &Tls) -> TlsError {
    let options = StreamOptions::default().tls(tls.clone());
    let client = match Client::builder().stream(options).connect(remote).await {
        Ok(client) => client,
        Err(ConnectError::Tls { source, .. }) => return source,
        Err(other) => panic!("{other:?}"),
    };
    match client.echo().await.unwrap_err() {
        CallError::Disconnected {
            source: Disconnect::Read { source } | Disconnect::Write { source },
            ..
        } => TlsError::from_io(&source).unwrap_or_else(|| panic!("{source:?}")),
        other => panic!("{other:?}: {:?}", other.source()),
    }
}

#[tokio::test]
async fn a_server_that_is_not_to_be_trusted_is_refused() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let namesake = Authority::new("ca");
    let trusting = |ca| Authority::sign(ca, Valid::Now).trusting(ca);
    let cases = [
        (
            ca.sign(Valid::Now),
            trusting(&other),
            "no trusted CA has signed it",
        ),
        (
            ca.sign(Valid::Now),
            trusting(&namesake),
            "its signature is wrong; was it signed by a CA of the same name with another key?",
        ),
        (ca.sign(Valid::Before), trusting(&ca), "it has expired "),
        (
            ca.sign(Valid::Later),
            trusting(&ca),
            "it is not valid yet, ",
        ),
        (
            ca.sign(Valid::Now),
            ca.trusted().verify_name().build().unwrap(),
            "it is not for 127.0.0.1 but for no host at all",
        ),
        (
            ca.sign_for(&["nb.example", "192.0.2.1"], Valid::Now),
            ca.trusted().verify_name().build().unwrap(),
            "it is not for 127.0.0.1 but for ",
        ),
    ];
    for (identity, tls, reason) in cases {
        for version in VERSIONS {
            let Some(server) = serve(&identity, &ca, version).await else {
                return;
            };
            let refusal = refusal(&Remote::ssl(server.tcp()), &tls).await;
            let peer = TlsRole::Server;
            assert!(
                matches!(
                    &refusal,
                    TlsError::PeerCertificate {
                        peer: TlsRole::Server,
                        ..
                    }
                ),
                "{version}: {refusal:?}"
            );
            let text = refusal.to_string();
            let expected = format!("refused the certificate of the {peer}: {reason}");
            assert!(text.starts_with(&expected), "{version}: {text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_names_its_host_passes_the_check_of_names() {
    let ca = Authority::new("ca");
    let identity = ca.sign_for(&["localhost"], Valid::Now);
    let Some(server) = serve(&identity, &ca, "TLSv1.3").await else {
        return;
    };
    let tls = ca.sign(Valid::Now).builder(&ca).verify_name().build();
    let options = StreamOptions::default().tls(tls.unwrap());
    let remote = format!("ssl:localhost:{}", server.tcp().port());
    let client = Client::builder().stream(options);
    let client = client.connect(&remote.parse().unwrap()).await.unwrap();
    client.echo().await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_refused_says_why() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let namesake = Authority::new("ca");
    let refused = |fault| TlsError::OwnCertificate {
        peer: TlsRole::Server,
        fault,
    };
    let cases = [
        (
            ca.trusted().build().unwrap(),
            TlsError::OwnCertificateMissing {
                peer: TlsRole::Server,
            },
            "the server requires a certificate of its peers, and none is configured here",
        ),
        (
            other.sign(Valid::Now).trusting(&ca),
            refused(CertificateFault::UnknownIssuer),
            "the server refused our certificate: no trusted CA has signed it",
        ),
        (
            namesake.sign(Valid::Now).trusting(&ca),
            refused(CertificateFault::BadSignature),
            "the server refused our certificate: \
             its signature is wrong; was it signed by a CA of the same name with another key?",
        ),
        (
            ca.sign(Valid::Before).trusting(&ca),
            refused(CertificateFault::Expired { since: None }),
            "the server refused our certificate: it has expired",
        ),
        (
            ca.sign(Valid::Later).trusting(&ca),
            refused(CertificateFault::Other {
                reason: "it is not valid (bad_certificate)".to_owned(),
            }),
            "the server refused our certificate: it is not valid (bad_certificate)",
        ),
    ];
    for version in VERSIONS {
        let Some(server) = serve(&ca.sign(Valid::Now), &ca, version).await else {
            return;
        };
        let remote = Remote::ssl(server.tcp());
        for (tls, expected, text) in &cases {
            // The request may meet the closed connection before the reason is read.
            for _ in 0..20 {
                let refusal = refusal(&remote, tls).await;
                assert_eq!(&refusal, expected, "{version}");
                assert_eq!(refusal.to_string(), *text);
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_apart() {
    let Some(directory) = database() else {
        return;
    };
    let server = Server::start(directory, "nb.db", Some("ptcp:0:127.0.0.1")).await;
    let ca = Authority::new("ca");
    let tls = ca.sign(Valid::Now).trusting(&ca);
    let refusal = refusal(&Remote::ssl(server.tcp()), &tls).await;
    let peer = TlsRole::Server;
    assert!(
        [TlsError::HungUp { peer }, TlsError::NotTls { peer }].contains(&refusal),
        "{refusal:?}"
    );
}
