#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

// Generated code, an example of which the tests use, names this crate.
#[cfg(test)]
extern crate self as ovsdb_client;

pub mod client;
pub mod database;
pub mod error;
pub mod file;
pub mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod listener;
pub mod lock;
pub mod monitor;
mod ownership;
pub mod remote;
pub mod replica;
pub mod schema;
#[cfg(feature = "server")]
pub mod server;
pub mod stream;
pub mod tls;
pub mod transaction;
mod transport;
pub mod typed;
pub mod unixctl;
pub mod value;

pub use client::{Client, ClientBuilder, RpcLayer};
pub use database::{Database, DatabaseBuilder, OpenError, SessionError};
pub use error::{CallError, ConnectError, Disconnect, RpcError};
pub use listener::Listener;
pub use lock::{Lock, LockError, LockState};
pub use monitor::{Monitor, MonitorError, MonitorStatistics, MonitorTable};
pub use remote::{ParseRemoteError, PassiveRemote, Remote, Remotes};
pub use replica::{Changes, Event, MonitorEnded, RowChange, Snapshot, Subscription, WaitError};
pub use schema::{Schema, SchemaError};
pub use stream::{Stream, StreamOptions};
pub use tls::{Tls, TlsError};
pub use transaction::{
    Condition, Mutation, TransactError, TransactErrorKind, Transaction, TransactionOutcome, Until,
};
pub use unixctl::{Unixctl, UnixctlError};
