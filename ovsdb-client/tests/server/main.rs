//! Against the real ovsdb-server.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod connections;
mod files;
mod monitors;
mod pki;
mod process;
mod refusals;
mod transactions;
mod transports;

use std::time::Duration;

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::{Client, Schema};
use process::Server;
use tokio::time::Instant;

const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const SB: &str = "/usr/share/ovn/ovn-sb.ovsschema";
const VSWITCH: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A server with an empty northbound database, and a connection to it.
async fn northbound() -> Option<(Server, Client)> {
    let directory = process::directory()?;
    let schema = Schema::parse(&process::schema(NB)).unwrap();
    DatabaseFile::new(&schema)
        .create(directory.path().join("nb.db"), Durability::Process)
        .unwrap();
    let server = Server::start(directory, "nb.db", None).await;
    let client = server.connect().await;
    Some((server, client))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
