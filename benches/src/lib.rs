//! Benchmarks of whole clusters and of the parts that a start is made of. They need root and the programs of Open
//! vSwitch and OVN. `cargo bench -p ofm-benches` runs those of criterion:
//!
//! - `start`: how long a cluster takes until it is ready, phase by phase, how long its end takes and one chassis more.
//! - `parts`: nodes, links, certificates, database files and transactions by themselves.
//!
//! This one runs by name, as in `cargo bench -p ofm-benches --bench engine -- --rounds 3`:
//!
//! - `engine`: a cluster of containers beside idle containers and a native cluster, with the ratio that is to be kept.
//!
//! This library has what they share. docs/benchmarks.md says what was measured.
#![forbid(unsafe_code)]

pub mod cluster;

/// Whether this is to measure. Cargo says so to a bench, but not to one that it runs as a test.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
