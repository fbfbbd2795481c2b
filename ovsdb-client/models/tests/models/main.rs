//! The generated tables against the schemas they come from and the real ovsdb-server.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod arbitrary;
mod generated;
#[path = "../../../tests/server/process.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of ovsdb-client, which use all of it"
)]
mod process;
mod rows;
mod skew;

use std::path::Path;

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::{Client, Schema};
use process::Server;

const VSWITCH: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const SB: &str = "/usr/share/ovn/ovn-sb.ovsschema";
const IC_NB: &str = "/usr/share/ovn/ovn-ic-nb.ovsschema";
const IC_SB: &str = "/usr/share/ovn/ovn-ic-sb.ovsschema";
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/_server.ovsschema");

/// The text of a schema, or nothing where it is not installed.
///
/// Says so then, and fails where everything is required.
fn installed(path: &str) -> Option<String> {
    if Path::new(path).exists() {
        return Some(std::fs::read_to_string(path).unwrap());
    }
    let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
    assert!(!required, "{path} is missing and OFM_TEST_REQUIRE=all");
    skip(&format!("{path} is missing"));
    None
}

fn skip(why: &str) {
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {why}");
    }
}

/// A server with an empty database of this schema, and a connection to it.
async fn serve(schema: &Schema) -> Option<(Server, Client)> {
    let directory = process::directory()?;
    DatabaseFile::new(schema)
        .create(directory.path().join("test.db"), Durability::Process)
        .unwrap();
    let server = Server::start(directory, "test.db", None).await;
    let client = server.connect().await;
    Some((server, client))
}
