//! Clustered databases on the disk: ovsdb(5), "Clustered Format".

mod address;
mod log;
mod new;
mod record;

pub use address::{ParseServerAddressError, ServerAddress};
pub use log::{BadClusterRecord, BadEntry, ClusteredLog, Entries};
pub use new::{ClusteredFile, NewCluster, NewClusterError};
