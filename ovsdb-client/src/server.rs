//! An OVSDB server in the same process, for tests.
//!
//! It speaks the whole protocol and keeps every rule of the database, so that a program can be
//! tested without ovsdb-server, and in situations into which the real one is hard to bring: a lost
//! leader, an old server without some method, a connection that breaks.
//!
//! ```
//! use ovsdb_client::server::Server;
//! use ovsdb_client::{Client, Schema, Transaction, value::Row};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new();
//! server.add(Schema::parse(r#"{"name": "Pets", "version": "1.0.0", "tables":
//!     {"Cat": {"columns": {"name": {"type": "string"}}, "isRoot": true}}}"#)?)?;
//!
//! let client = Client::from_stream(server.connect());
//! let mut txn = Transaction::new();
//! let tom = txn.insert("Cat", Row::new().set("name", "Tom"));
//! let outcome = client.transact("Pets", txn).await?;
//! let rows = server.rows("Pets", "Cat").unwrap();
//! assert_eq!(rows[0].uuid("_uuid"), outcome.uuid(tom));
//! # Ok(())
//! # }
//! ```
//!
//! # Where it differs from ovsdb-server
//!
//! The names of errors are those of ovsdb-server, their details are not, and there is no `syntax`.
//! Nothing is written to disk, so `commit` with `durable` means nothing and ephemeral columns are
//! like others. It sends no probes, knows no roles (RBAC), and has neither relays nor `convert`.
//!
//! - `get_schema` and `_Server` give the schema as it was given, not in a normal form.
//! - An operation is parsed as a whole before it is carried out, so that of several things wrong
//!   with it another one may name the error. A key that is twice in a map is a `syntax error`, not
//!   an `ovsdb error`.
//! - Integers above 2⁶³ - 1 are not read as reals, UUIDs are also read without hyphens, zero has no
//!   sign, and a `select` cannot `sort`, which RFC 7047 does not know.
//!
//! It does not repeat these faults of version 3.1.0:
//!
//! - The products of integers close to the limits are checked in a wrong way, and that of a negative
//!   integer and zero ends the server.
//! - `monitor` without requests and `monitor_cond_change` without `where` end the server; here they
//!   are syntax errors.
//! - A weak reference to a row that is collected as garbage stays when the row that holds it is
//!   changed by the same transaction.
//! - Of several requests for one table with conditions, which count is left to chance; here those of
//!   the first.
//! - A `monitor_cond_change` that fails may have changed some conditions, which shows in later
//!   updates; here it has changed none.
//! - Monitors of the same columns share state, so that the conditions of one decide whether the other
//!   is told, with an empty modification, of a column that only conditions look at; here each goes
//!   by its own.

mod condition;
mod connection;
mod constraint;
mod database;
mod failure;
mod hub;
mod lock;
mod message;
mod monitor;
mod mutation;
mod served;
mod session;
mod transact;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::error::{CallError, RpcError};
use crate::schema::Schema;
use crate::transaction::{TransactError, Transaction, TransactionOutcome};
use crate::value::Row;
use connection::SocketFile;
use hub::Hub;

/// Bytes that are under way in each direction of a connection made by [`Server::connect`].
const DUPLEX_CAPACITY: usize = 64 * 1024;

/// A handle on a server in this process.
///
/// Clones are handles on the same server. When the last one is dropped, its connections end.
#[derive(Debug, Clone)]
pub struct Server(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hub: Mutex<Hub>,
    /// Rung when a transaction may have begun to wait, or waits for something else.
    deadlines_changed: Arc<Notify>,
    /// The tasks of connections and listeners; they end with the server. They hold it weakly.
    tasks: Mutex<JoinSet<()>>,
}

/// Why a database cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// There is a database of that name.
    #[error("there is a database {name} already")]
    Taken {
        /// Name of the database.
        name: String,
    },
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// Makes a server without databases, but for `_Server`.
    pub fn new() -> Self {
        let mut hub = Hub::default();
        hub.add_server_database();
        Self(Arc::new(Shared {
            hub: Mutex::new(hub),
            deadlines_changed: Arc::default(),
            tasks: Mutex::default(),
        }))
    }

    /// Adds an empty database that is standalone: it remembers no transactions, so a client that
    /// comes back gets all rows anew.
    ///
    /// Clients that have not said `set_db_change_aware` are disconnected, as ovsdb-server does.
    ///
    /// # Errors
    ///
    /// [`AddError`], when the name is taken.
    pub fn add(&self, schema: Schema) -> Result<(), AddError> {
        self.0.hub().add(schema, false)
    }

    /// Adds an empty database that behaves as one of a cluster: it is the leader at first, and
    /// remembers the last 100 transactions, so that `monitor_cond_since` can resume after one of
    /// them.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_clustered(&self, schema: Schema) -> Result<(), AddError> {
        self.0.hub().add(schema, true)
    }

    /// Removes a database, and tells whether it was there. Its monitors are canceled; clients that
    /// have not said `set_db_change_aware` are disconnected.
    pub fn remove(&self, database: &str) -> bool {
        self.0.hub().remove(database)
    }

    /// Carries out a transaction without a client, to make initial rows or to play somebody else.
    /// Waits do not wait: one that is not satisfied fails. The database `_Server` can be changed.
    ///
    /// # Errors
    ///
    /// As [`Client::transact`](crate::Client::transact).
    pub fn transact(
        &self,
        database: &str,
        transaction: &Transaction,
    ) -> Result<TransactionOutcome, TransactError> {
        let operations: Vec<Value> = transaction
            .operations()
            .iter()
            .map(|operation| json!(operation))
            .collect();
        let results = self.0.hub().carry_out(database, &operations);
        self.0.deadlines_changed.notify_one();
        let Some(results) = results else {
            return Err(TransactError::Call {
                source: CallError::Rpc {
                    method: "transact",
                    source: RpcError {
                        error: "unknown database".to_owned(),
                        details: Some(format!("there is no database {database}")),
                        syntax: None,
                    },
                },
            });
        };
        let results = serde_json::from_value(Value::Array(results)).map_err(|source| {
            TransactError::Call {
                source: CallError::Decode {
                    method: "transact",
                    source,
                },
            }
        })?;
        TransactionOutcome::judge(transaction, results)
    }

    /// The rows of a table in order of their UUIDs, with all columns, `_uuid` and `_version` among
    /// them; `None` when there is no such table.
    pub fn rows(&self, database: &str, table: &str) -> Option<Vec<Row>> {
        let rows = self.0.hub().databases.get(database)?.rows(table)?;
        Some(rows.iter().map(|row| Row::clone(row)).collect())
    }

    /// Makes a connection in memory and returns the client's end.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, on which the server's end will run.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(DUPLEX_CAPACITY);
        self.0.serve(ours);
        theirs
    }

    /// Serves a stream that is connected already.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        self.0.serve(stream);
    }

    /// Listens on a Unix domain socket, which is removed when the server ends.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`], which fails when the file exists.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub fn listen_unix(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let listener = UnixListener::bind(path.as_ref())?;
        let file = SocketFile(path.as_ref().to_owned());
        let shared = Arc::downgrade(&self.0);
        self.0
            .spawn(connection::accept_unix(shared, listener, file));
        Ok(())
    }

    /// Listens on a TCP port and returns the address, which tells the port when 0 was given.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub async fn listen_tcp(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::downgrade(&self.0);
        self.0.spawn(connection::accept_tcp(shared, listener));
        Ok(address)
    }

    /// Says in `_Server` whether this server is the leader of a database.
    pub fn set_leader(&self, database: &str, leader: bool) {
        self.set_status(database, Row::new().set("leader", leader));
    }

    /// Says in `_Server` whether this server is in touch with its cluster.
    pub fn set_connected(&self, database: &str, connected: bool) {
        self.set_status(database, Row::new().set("connected", connected));
    }

    /// Says in `_Server` how far this server has come in the log of a cluster. In a clustered
    /// database the index goes up by one with each commit by itself.
    pub fn set_index(&self, database: &str, index: i64) {
        self.set_status(database, Row::new().set("index", index));
    }

    /// Says in `_Server` to which cluster a database belongs and which member this server is.
    pub fn set_cluster(&self, database: &str, cluster: Option<Uuid>, member: Option<Uuid>) {
        self.set_status(database, Row::new().set("cid", cluster).set("sid", member));
    }

    fn set_status(&self, database: &str, row: Row) {
        self.0.hub().set_status(database, row);
        self.0.deadlines_changed.notify_one();
    }

    /// Forgets all but the last transaction of a clustered database, as a restart would: a client
    /// that comes back after an earlier one gets all rows anew.
    pub fn forget_history(&self, database: &str) {
        if let Some(served) = self.0.hub().databases.get_mut(database) {
            served.forget();
        }
    }

    /// Answers each further call of a method with an error: `"unknown method"` makes an old server.
    pub fn refuse(&self, method: impl Into<String>, error: impl Into<String>) {
        self.0.hub().refused.insert(method.into(), error.into());
    }

    /// Carries out a method again that was [refused](Self::refuse).
    pub fn permit(&self, method: &str) {
        self.0.hub().refused.remove(method);
    }

    /// Whether new connections are served, as they are at first, or closed at once.
    pub fn set_accepting(&self, accepting: bool) {
        self.0.hub().accepting = accepting;
    }

    /// Ends all connections, when what they were sent has been written.
    pub fn disconnect_all(&self) {
        self.0.hub().disconnect_all(true);
    }

    /// Number of connections that the server knows of.
    pub fn connections(&self) -> usize {
        self.0.hub().connections()
    }
}

impl Shared {
    fn hub(&self) -> MutexGuard<'_, Hub> {
        // What panics under the lock is a bug of the engine, which a test should come to see from
        // the answers, not from a second panic.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve<S>(self: &Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let mut hub = self.hub();
        if !hub.accepting {
            return;
        }
        let (sender, outbox) = mpsc::unbounded_channel();
        let session = hub.connect(sender);
        drop(hub);
        let shared = Arc::downgrade(self);
        self.spawn(connection::serve(shared, session, outbox, stream));
    }

    /// Runs a task as long as the server lives.
    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            tasks.spawn(connection::watch_time(Arc::downgrade(self)));
        }
        tasks.spawn(task);
    }
}
