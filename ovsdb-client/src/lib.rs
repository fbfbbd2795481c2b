#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod client;
pub mod error;
pub mod file;
pub mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod monitor;
mod remote;
pub mod schema;
pub mod transaction;
mod transport;
pub mod unixctl;
pub mod value;

pub use client::{Client, ClientBuilder};
pub use error::{CallError, ConnectError, Disconnect, RpcError};
pub use monitor::{
    Changes, Monitor, MonitorEnded, MonitorError, MonitorTable, Replica, RowChange, WaitError,
};
pub use remote::{ParseRemoteError, Remote};
pub use schema::{Schema, SchemaError};
pub use transaction::{Condition, Mutation, TransactError, Transaction, TransactionOutcome, Until};
pub use unixctl::{Unixctl, UnixctlError};
