//! What only the in-process server can be made to do.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../differential/link.rs"]
mod link;
mod playing;
mod resuming;

use std::time::Duration;

use ovsdb_client::Schema;
use tokio::time::Instant;

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
