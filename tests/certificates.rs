//! Certificates: who has which, whom the databases let in, and what a chassis may change there.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ofm::plan::Role;
use ofm::{Cluster, ClusterSpec, NodeHandle};
use ofm_tests::Place;
use ovsdb_client::tls::{Pem, Tls};
use ovsdb_client::{Client, MonitorTable, Snapshot, StreamOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::block_on;

const KEY: &str = "/opt/ovn/ovn-privkey.pem";
const CERTIFICATE: &str = "/opt/ovn/ovn-cert.pem";
const CA: &str = "/opt/ovn/pki/switchca/cacert.pem";

/// How long a server may take to answer, or to refuse to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every node has a key and a certificate of its own, which no other node and nobody on the host can read.
pub(crate) fn files(place: &Place) -> anyhow::Result<()> {
    let before = Path::new("/opt/ovn").exists();
    block_on(async {
        let spec = ClusterSpec {
            relays: 1,
            ..place.spec()
        };
        let cluster = place.builder().spec(spec).start().await?;
        let mut keys = BTreeSet::new();
        let mut authorities = BTreeSet::new();
        let nodes = cluster.plan().nodes.iter();
        let nodes: Vec<_> = nodes.filter(|node| node.role != Role::Host).collect();
        for node in &nodes {
            let name = node.name.as_str();
            let handle = cluster.node(name)?;
            let listed = handle.exec(["stat", "-c", "%a %u", KEY]).await?;
            assert_eq!(listed.text().trim(), "600 0", "{name}");
            let read = async |path: &str| -> anyhow::Result<String> {
                Ok(handle.exec(["cat", path]).await?.text())
            };
            let (key, certificate, ca) =
                (read(KEY).await?, read(CERTIFICATE).await?, read(CA).await?);
            assert_eq!(common_name(&certificate)?, name);
            // Refuses a key that belongs to another certificate.
            Tls::builder()
                .ca(Pem::text(ca.clone()))
                .identity(Pem::text(certificate), Pem::text(key.clone()))
                .build()?;
            keys.insert(key);
            authorities.insert(ca);
        }
        assert_eq!(keys.len(), nodes.len(), "nodes share a key");
        assert_eq!(authorities.len(), 1);
        let found = private_keys(place.root())?;
        let authority = place.root().join(place.name()).join("authority.pem");
        let mode = std::fs::metadata(&authority)?.permissions().mode();
        assert_eq!(found, [authority]);
        assert_eq!(mode & 0o777, 0o600);
        cluster.stop().await?;
        anyhow::Ok(())
    })??;
    assert_eq!(
        Path::new("/opt/ovn").exists(),
        before,
        "nodes write to the host"
    );
    Ok(())
}

/// The common name of a certificate's subject, the last of the two in it.
fn common_name(certificate: &str) -> anyhow::Result<String> {
    // The object identifier 2.5.4.3, and the tag of a UTF8String.
    const ID: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c];
    let der = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let at = der.windows(ID.len()).rposition(|window| window == ID);
    let name = &der[at.context("no common name")? + ID.len()..];
    Ok(String::from_utf8(name[1..=usize::from(name[0])].to_vec())?)
}

/// The files below a folder that have private keys.
fn private_keys(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(private_keys(&entry.path())?);
        } else if kind.is_file() {
            let contents = std::fs::read(entry.path())?;
            let mark = b"PRIVATE KEY";
            if contents.windows(mark.len()).any(|window| window == mark) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Every database of a central lets in who has a certificate of the cluster, and nobody else.
pub(crate) fn strangers(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let cluster = place.builder().start().await?;
        let (chassis, central) = (cluster.node("ovn-chassis-1")?, cluster.plan().central());
        let stranger = rcgen::generate_simple_self_signed(["ovn-chassis-1".to_owned()])?;
        let stranger = (
            Pem::text(stranger.cert.pem()),
            Pem::text(stranger.signing_key.serialize_pem()),
        );
        for (port, database) in [
            (6641, "OVN_Northbound"),
            (6642, "OVN_Southbound"),
            (6645, "OVN_IC_Northbound"),
            (6646, "OVN_IC_Southbound"),
        ] {
            let at = |method: &str| format!("{method}:{}:{port}", central.address);
            let own = (Pem::file(CERTIFICATE), Pem::file(KEY));
            let served = databases(&chassis, at("ssl"), Some(own))?;
            assert!(served.is_ok_and(|names| names.contains(&database.to_owned())));
            for (remote, identity) in [
                (at("tcp"), None),
                (at("ssl"), None),
                (at("ssl"), Some(stranger.clone())),
            ] {
                let served = databases(&chassis, remote, identity)?;
                assert!(served.is_err(), "port {port}: {served:?}");
            }
        }
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// Asks a server, from a node and with a certificate and its key, which databases it has.
fn databases(
    node: &NodeHandle,
    remote: String,
    identity: Option<(Pem, Pem)>,
) -> anyhow::Result<Result<Vec<String>, String>> {
    node.node().namespaces().run(|| -> anyhow::Result<_> {
        let tls = Tls::builder().ca(Pem::file(CA));
        let tls = match identity {
            Some((certificate, key)) => tls.identity(certificate, key),
            None => tls,
        };
        let options = StreamOptions::default().tls(tls.build()?);
        let remote = remote.parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(async {
            let client = Client::builder().deadline(PATIENCE).stream(options);
            let client = client.connect(&remote).await.map_err(|e| e.to_string())?;
            client.list_dbs().await.map_err(|e| e.to_string())
        }))
    })?
}

/// With role-based access control a chassis can remove its own row and not that of another one.
pub(crate) fn roles(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let spec = ClusterSpec {
            rbac: true,
            ..place.spec()
        };
        let cluster = place.builder().spec(spec).start().await?;
        let table = MonitorTable::new("Chassis").columns(["name"]);
        let sb = cluster.sb().await?;
        let monitor = sb.monitor("OVN_Southbound", &[table]).await?;
        let row_of = |rows: &Snapshot, name: &str| {
            let mut rows = rows.rows("Chassis");
            rows.find(|(_, row)| row.str("name") == Some(name))
                .map(|(uuid, _)| uuid)
        };
        let (own, other) = ("ovn-chassis-1", "ovn-chassis-2");
        let before = [own, other].map(|name| row_of(&monitor.snapshot(), name));
        assert!(before.iter().all(Option::is_some));

        let refused = destroy(&cluster, own, other).await?;
        assert!(!refused.status.success());
        let said = refused.error_text();
        assert!(said.contains("permission error"), "{said}");
        assert_eq!(row_of(&monitor.snapshot(), other), before[1]);

        let done = destroy(&cluster, own, own).await?;
        assert!(done.status.success(), "{}", done.error_text());
        // Its controller registers it again.
        let again = |rows: &Snapshot| row_of(rows, own).filter(|row| Some(*row) != before[0]);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        monitor.wait_until(deadline, again).await?;
        assert_eq!(row_of(&monitor.snapshot(), other), before[1]);
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// Removes a row of the table Chassis with the credentials of a node.
async fn destroy(
    cluster: &Cluster,
    node: &str,
    chassis: &str,
) -> anyhow::Result<ofm_netns::Output> {
    let remote = format!("--db=ssl:{}:6642", cluster.plan().central().address);
    let argv = [
        "ovn-sbctl",
        "--timeout=10",
        &remote,
        "-p",
        KEY,
        "-c",
        CERTIFICATE,
        "-C",
        CA,
    ];
    let argv = argv.into_iter().chain(["destroy", "chassis", chassis]);
    Ok(cluster.node(node)?.exec(argv).await?)
}
