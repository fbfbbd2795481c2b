//! Benchmarks of whole clusters and of the parts that a start is made of. They need root and the programs of Open
//! vSwitch and OVN. `cargo bench -p ofm-benches` runs those of criterion:
//!
//! - `start`: how long a cluster takes until it is ready, phase by phase, how long its end takes and one chassis more.
//! - `parts`: nodes, links, certificates, database files and transactions by themselves.
//!
//! These run by name, as in `cargo bench -p ofm-benches --bench compare -- --rounds 3`:
//!
//! - `compare`: ofm in alternation with a script written by hand, and with ovn-fake-multinode.
//! - `growth`: what a cluster takes as it grows, in time and memory, with a plot.
//! - `engine`: a cluster of containers beside idle containers and a native cluster, with the ratio that is to be kept.
//!
//! This library has what they share. docs/benchmarks.md says what was measured.
#![forbid(unsafe_code)]

pub mod by_hand;
pub mod cluster;
pub mod cpu;
pub mod fit;
pub mod memory;
pub mod ofm_cli;
pub mod plot;
pub mod processes;
pub mod program;
pub mod table;

/// Whether this is to measure. Cargo says so to a bench, but not to one that it runs as a test.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
