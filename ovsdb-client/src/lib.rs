#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

// Generated code, an example of which the tests use, names this crate.
#[cfg(test)]
extern crate self as ovsdb_client;

pub mod client;
pub mod error;
pub mod file;
pub mod frame;
pub mod monitor;
mod remote;
pub mod schema;
pub mod transaction;
mod transport;
pub mod typed;
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
