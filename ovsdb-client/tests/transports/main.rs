//! Streams of every kind between the library and the real ovsdb-server, and what each end refuses.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../server/pki.rs"]
mod pki;
#[path = "../server/process.rs"]
mod process;
mod refusals;
mod transports;

use std::time::Duration;

use tokio::time::Instant;

const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
