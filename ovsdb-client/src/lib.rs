#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod client;
pub mod error;
pub mod file;
pub mod frame;
pub mod listener;
pub mod monitor;
pub mod remote;
pub mod schema;
pub mod stream;
pub mod tls;
pub mod transaction;
mod transport;
pub mod value;

pub use client::{Client, ClientBuilder};
pub use error::{CallError, ConnectError, Disconnect, RpcError};
pub use listener::Listener;
pub use monitor::{
    Changes, Monitor, MonitorEnded, MonitorError, MonitorTable, Replica, RowChange, WaitError,
};
pub use remote::{ParseRemoteError, PassiveRemote, Remote, Remotes};
pub use schema::{Schema, SchemaError};
pub use stream::{Stream, StreamOptions};
pub use tls::{Tls, TlsError};
pub use transaction::{Condition, Mutation, TransactError, Transaction, TransactionOutcome, Until};
