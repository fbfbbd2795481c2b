#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod client;
pub mod error;
pub mod file;
pub mod frame;
pub mod lock;
pub mod monitor;
mod ownership;
mod remote;
pub mod replica;
pub mod schema;
pub mod transaction;
mod transport;
pub mod value;

pub use client::{Client, ClientBuilder, RpcLayer};
pub use error::{CallError, ConnectError, Disconnect, RpcError};
pub use lock::{Lock, LockError, LockState};
pub use monitor::{Monitor, MonitorError, MonitorStatistics, MonitorTable};
pub use remote::{ParseRemoteError, Remote};
pub use replica::{Changes, Event, MonitorEnded, RowChange, Snapshot, Subscription, WaitError};
pub use schema::{Schema, SchemaError};
pub use transaction::{
    Condition, Mutation, TransactError, TransactErrorKind, Transaction, TransactionOutcome, Until,
};
