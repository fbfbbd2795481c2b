//! A connection to a server, and the calls that can be made on it.

mod builder;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::{Client as RpcClient, ClientT, Error as RpcClientError};
use jsonrpsee::core::traits::ToRpcParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{CallError, ConnectError, Disconnect, RpcError};
use crate::monitor::{Monitor, MonitorError, MonitorTable};
use crate::remote::Remote;
use crate::schema::Schema;
use crate::transaction::{TransactError, Transaction, TransactionOutcome};
use crate::transport::{Fate, Route, Routes};

pub use builder::ClientBuilder;

/// A handle on one connection to an OVSDB server.
///
/// Clones share the connection, which closes when the last of them is gone; a [`Monitor`] holds
/// one. The connection works as long as the tokio runtime runs on which it was made. Every call
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
#[derive(Debug, Clone)]
pub struct Client {
    connection: Arc<Connection>,
    deadline: Duration,
}

#[derive(Debug)]
struct Connection {
    rpc: RpcClient,
    routes: Routes,
    fate: Fate,
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
        self.call("list_dbs", &()).await
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
        self.call::<serde::de::IgnoredAny>("echo", &["ovsdb-client"])
            .await?;
        Ok(())
    }

    /// Carries out a transaction (RFC 7047 §4.1.3).
    ///
    /// The server sends the updates that it causes before its reply, so a monitor of the same
    /// connection has the changes at hand when this returns: [`Monitor::catch_up`].
    ///
    /// # Errors
    ///
    /// [`TransactError`]; nothing has changed then, unless its source is a timeout or a lost
    /// connection, which leave that open.
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

    /// Follows tables of a database. Fetches its schema first; see [`Monitor::start`].
    ///
    /// # Errors
    ///
    /// [`MonitorError`], when the server refuses or its reply cannot be understood.
    pub async fn monitor(
        &self,
        database: &str,
        tables: &[MonitorTable],
    ) -> Result<Monitor, MonitorError> {
        let schema = self.get_schema(database).await?;
        Monitor::start(self, &schema, tables).await
    }

    /// Waits until the connection has ended, and tells why.
    pub async fn closed(&self) -> Disconnect {
        let error = self.connection.rpc.on_disconnect().await;
        self.connection.why_ended(&error)
    }

    /// Whether the connection has not ended, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connection.rpc.is_connected()
    }

    /// Opens the way for the notifications of a new monitor.
    pub(crate) fn open_route(&self) -> Route {
        self.connection.routes.open()
    }

    /// Calls a method and waits for its result until the deadline.
    pub(crate) async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<R, CallError> {
        let params = serde_json::value::to_raw_value(params)
            .map_err(|source| CallError::Encode { method, source })?;
        let request = self.connection.rpc.request(method, Params(params));
        let deadline = self.deadline;
        match tokio::time::timeout(deadline, request).await {
            Err(_) => Err(CallError::Timeout { method, deadline }),
            Ok(result) => result.map_err(|error| self.connection.explain(method, error)),
        }
    }
}

impl Connection {
    /// Puts an error of the JSON-RPC client into our terms.
    fn explain(&self, method: &'static str, error: RpcClientError) -> CallError {
        match error {
            RpcClientError::Call(object) => {
                let original = object
                    .data()
                    .map(|data| serde_json::from_str::<RpcError>(data.get()));
                let source = original.and_then(Result::ok).unwrap_or_else(|| RpcError {
                    error: object.message().to_owned(),
                    details: None,
                    syntax: None,
                });
                CallError::Rpc { method, source }
            }
            RpcClientError::ParseError(source) => CallError::Decode { method, source },
            error => CallError::Disconnected {
                method,
                source: self.why_ended(&error),
            },
        }
    }

    /// Why the connection ended: the transport's word if it has one, else the client's.
    fn why_ended(&self, error: &RpcClientError) -> Disconnect {
        let error = match error {
            RpcClientError::RestartNeeded(inner) => inner,
            error => error,
        };
        self.fate.cause().unwrap_or_else(|| match error {
            RpcClientError::InvalidRequestId(reason) => Disconnect::UnexpectedReply {
                reason: reason.to_string(),
            },
            error => Disconnect::Abandoned {
                reason: error.to_string(),
            },
        })
    }
}

/// A parameter of `transact`: the database, then the operations.
#[derive(Serialize)]
#[serde(untagged)]
enum Parameter<'a> {
    Database(&'a str),
    Operation(&'a crate::transaction::Operation),
}

/// Parameters that are JSON already.
struct Params(Box<RawValue>);

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(Some(self.0))
    }
}
