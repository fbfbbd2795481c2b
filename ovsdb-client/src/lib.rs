#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod client;
pub mod error;
pub mod file;
pub mod frame;
pub mod monitor;
mod remote;
pub mod schema;
#[cfg(feature = "server")]
pub mod server;
pub mod transaction;
mod transport;
pub mod value;

pub use client::{Client, ClientBuilder};
pub use error::{CallError, ConnectError, Disconnect, RpcError};
pub use monitor::{
    Changes, Monitor, MonitorEnded, MonitorError, MonitorTable, Replica, RowChange, WaitError,
};
pub use remote::{ParseRemoteError, Remote};
pub use schema::{Schema, SchemaError};
pub use transaction::{
    Condition, Mutation, TransactError, TransactErrorKind, Transaction, TransactionOutcome, Until,
};
