//! A connection to a server, and the calls that can be made on it.

mod builder;
mod rpc;
mod source;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{CallError, ConnectError, Disconnect};
use crate::remote::Remote;
use crate::schema::Schema;
use crate::transaction::{TransactError, Transaction, TransactionOutcome};
use crate::transport::Wire;
use rpc::Rpc;

pub use builder::ClientBuilder;
pub use rpc::RpcLayer;
pub(crate) use source::{Current, Source};

/// A handle on one connection to an OVSDB server.
///
/// Clones share the connection, which closes when the last of them is gone; monitors and locks hold
/// one each. The connection works as long as the tokio runtime runs on which it was made. Every call
/// has a deadline, 30 seconds unless [`with_deadline`](Self::with_deadline) sets another.
///
/// ```no_run
/// # use ovsdb_client::{Client, Remote, Transaction, value::Row};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect(&"unix:/run/ovn/ovnnb_db.sock".parse()?).await?;
/// let mut txn = Transaction::new();
/// let switch = txn.insert("Logical_Switch", Row::new().set("name", "sw0"));
/// let outcome = client.transact("OVN_Northbound", txn).await?;
/// println!("made {:?}", outcome.uuid(switch));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
    deadline: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("deadline", &self.deadline)
            .field("ended", &self.connection.wire.fate.cause())
            .finish_non_exhaustive()
    }
}

struct Connection {
    rpc: Rpc,
    wire: Wire,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.wire.fate.seal(Disconnect::Dropped);
    }
}

impl Client {
    /// Starts the description of a connection that departs from the defaults.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] when nobody listens there or nobody answers within the deadline.
    pub async fn connect(remote: &Remote) -> Result<Self, ConnectError> {
        Self::builder().connect(remote).await
    }

    /// Connects to a Unix domain socket.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_unix(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        Self::connect(&Remote::Unix(path.as_ref().to_owned())).await
    }

    /// Connects to a TCP port, with `TCP_NODELAY`: calls are small and each is waited for.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_tcp(address: SocketAddr) -> Result<Self, ConnectError> {
        Self::connect(&Remote::tcp(address)).await
    }

    /// Speaks over a stream that is connected already: opened in another network namespace,
    /// accepted, wrapped in TLS.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn from_stream<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self::builder().from_stream(stream)
    }

    /// A handle on the same connection whose calls have another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            connection: Arc::clone(&self.connection),
            deadline,
        }
    }

    /// How long a call of this handle may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Names the databases that the server has (RFC 7047 §4.1.1).
    ///
    /// # Errors
    ///
    /// [`CallError`], as for every call.
    pub async fn list_dbs(&self) -> Result<Vec<String>, CallError> {
        self.call("list_dbs", &NO_PARAMS).await
    }

    /// Fetches the schema of a database (RFC 7047 §4.1.2).
    ///
    /// # Errors
    ///
    /// [`CallError::Rpc`] for an unknown database, and [`CallError`] as for every call.
    pub async fn get_schema(&self, database: &str) -> Result<Schema, CallError> {
        self.call("get_schema", &[database]).await
    }

    /// Asks the server for a sign of life (RFC 7047 §4.1.11).
    ///
    /// # Errors
    ///
    /// [`CallError`], as for every call.
    pub async fn echo(&self) -> Result<(), CallError> {
        self.call::<IgnoredAny>("echo", &["ovsdb-client"]).await?;
        Ok(())
    }

    /// Asks the server which one it is (ovsdb-server(7) §4.1.17). The answer stays the same as long
    /// as the process runs.
    ///
    /// # Errors
    ///
    /// [`CallError::Rpc`] from a server older than 2.7, and [`CallError`] as for every call.
    pub async fn get_server_id(&self) -> Result<uuid::Uuid, CallError> {
        self.call("get_server_id", &NO_PARAMS).await
    }

    /// Converts a database to another version of its schema (ovsdb-server(7) §4.1.19). Monitors of
    /// the database are canceled.
    ///
    /// # Errors
    ///
    /// [`CallError::Rpc`] when the rows do not fit the new schema, and [`CallError`] as for every
    /// call.
    pub async fn convert(&self, database: &str, schema: &Schema) -> Result<(), CallError> {
        let method = "convert";
        let schema = RawValue::from_string(schema.json().to_owned())
            .map_err(|source| CallError::Encode { method, source })?;
        self.call::<IgnoredAny>(method, &(database, schema)).await?;
        Ok(())
    }

    /// Carries out a transaction (RFC 7047 §4.1.3).
    ///
    /// The server sends the updates that it causes before its reply, so a monitor of the same
    /// connection shows the changes when this returns. When the future is dropped, or the deadline
    /// passes, the server is asked to give the transaction up.
    ///
    /// # Errors
    ///
    /// [`TransactError`]; nothing has changed then, except that [`TransactError::Uncertain`] leaves
    /// it open.
    pub async fn transact(
        &self,
        database: &str,
        transaction: Transaction,
    ) -> Result<TransactionOutcome, TransactError> {
        let operations = transaction.operations().iter().map(Parameter::Operation);
        let params: Vec<_> = std::iter::once(Parameter::Database(database))
            .chain(operations)
            .collect();
        let results = self.call("transact", &params).await?;
        TransactionOutcome::judge(&transaction, results)
    }

    /// Waits until the connection has ended, and tells why.
    pub async fn closed(&self) -> Disconnect {
        self.connection.wire.fate.ended().await
    }

    /// Whether the connection has not ended, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connection.wire.fate.cause().is_none()
    }

    /// Ends the connection for all its handles, with this reason. When it returns its monitors and
    /// locks know, and nothing reaches them from it any more, whatever it is still reading.
    pub(crate) fn disconnect(&self, cause: Disconnect) {
        let Wire { fate, routes, .. } = &self.connection.wire;
        routes.close(&fate.seal(cause));
    }

    /// The parts that monitors and locks attach to.
    pub(crate) fn wire(&self) -> &Wire {
        &self.connection.wire
    }

    /// Calls a method and waits for its result until the deadline.
    pub(crate) async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<R, CallError> {
        let result = self.call_raw(method, params).await?;
        serde_json::from_str(result.get()).map_err(|source| CallError::Decode { method, source })
    }

    /// Calls a method whose result the caller reads.
    pub(crate) async fn call_raw(
        &self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<Box<RawValue>, CallError> {
        let params = to_raw_value(params).map_err(|source| CallError::Encode { method, source })?;
        let Connection { rpc, wire } = &*self.connection;
        let deadline = self.deadline;
        let request = rpc.request(wire, method, &params);
        match tokio::time::timeout(deadline, request).await {
            Err(_) => Err(CallError::Timeout { method, deadline }),
            Ok(reply) => reply?.map_err(|source| CallError::Rpc { method, source }),
        }
    }
}

/// Parameters of a method that takes none.
const NO_PARAMS: [&str; 0] = [];

/// A parameter of `transact`: the database, then the operations.
#[derive(Serialize)]
#[serde(untagged)]
enum Parameter<'a> {
    Database(&'a str),
    Operation(&'a crate::transaction::Operation),
}
