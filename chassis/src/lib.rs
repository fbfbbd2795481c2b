//! OVN clusters of many nodes on one machine.
#![forbid(unsafe_code)]

pub mod name;
pub mod plan;
pub mod spec;
pub mod topology;
