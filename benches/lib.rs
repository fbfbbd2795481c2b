//! Benchmarks of whole clusters and of the parts that a start is made of. They need root and the programs of Open
//! vSwitch and OVN: `sudo -E cargo bench -p ofm-benches`.
//!
//! - `start`: from the request to a cluster that is ready, with 1, 10 and 50 chassis.
//! - `engine`: a cluster of containers beside idle containers and a native cluster, with the ratio that is to be kept.
//! - `parts`: a batch of 100 veth pairs by netlink, and one transaction with the northbound database.
//!
//! This library is empty; a package needs a target besides its benches.
