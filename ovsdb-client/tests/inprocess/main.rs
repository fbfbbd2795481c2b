//! Against the in-process server: the tests that the real one passes, and what only this one can.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../differential/link.rs"]
mod link;
#[path = "../server/monitors.rs"]
mod monitors;
mod playing;
mod resuming;
#[path = "../server/transactions.rs"]
mod transactions;

use std::path::Path;
use std::time::Duration;

use ovsdb_client::{Client, Schema};
use tokio::time::Instant;

const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";

/// A server with the interface that tests of the real one expect.
struct Server(ovsdb_client::server::Server);

impl Server {
    async fn connect(&self) -> Client {
        Client::from_stream(self.0.connect())
    }
}

/// A server with an empty northbound database, and a connection to it.
///
/// Nothing when its schema is not installed: says so then, and fails where everything is required.
async fn northbound() -> Option<(Server, Client)> {
    if !Path::new(NB).exists() {
        let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "{NB} is missing and OFM_TEST_REQUIRE=all");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {NB} is missing");
        }
        return None;
    }
    let schema = Schema::parse(&std::fs::read_to_string(NB).unwrap()).unwrap();
    let server = ovsdb_client::server::Server::new();
    server.add(schema).unwrap();
    let server = Server(server);
    let client = server.connect().await;
    Some((server, client))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A small schema of our own.
fn pets() -> Schema {
    Schema::parse(
        r#"{"name": "Pets", "version": "1.0.0", "tables": {"Cat": {"isRoot": true, "columns":
            {"name": {"type": "string"}, "lives": {"type": "integer"}}}}}"#,
    )
    .unwrap()
}
