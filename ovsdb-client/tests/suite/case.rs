//! Cases, and what they get to work with.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ovsdb_client::database::{DatabaseBuilder, Endpoint};
use ovsdb_client::{
    Client, ConnectError, Database, Monitor, MonitorTable, Remote, RpcLayer, Schema,
};
use tokio::time::Instant;

use crate::backend::{Backend, Servers};
use crate::proxy::Proxy;

/// No case waits longer for anything that should happen.
const SOON: Duration = Duration::from_secs(15);

/// The deadline of something that should happen.
pub(crate) fn soon() -> Instant {
    Instant::now() + SOON
}

/// A case of the suite: one trial for each backend and each RPC layer.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Fixture) -> Pin<Box<dyn Future<Output = ()>>>,
    pub(crate) backends: &'static [Backend],
    pub(crate) layers: &'static [RpcLayer],
    /// Whether it does to its servers what others would notice.
    pub(crate) own_servers: bool,
}

impl Case {
    /// Restricts the case to these backends.
    pub(crate) fn on(mut self, backends: &'static [Backend]) -> Self {
        self.backends = backends;
        self
    }

    /// Runs the case through both RPC layers.
    pub(crate) fn both_layers(mut self) -> Self {
        self.layers = &[RpcLayer::Jsonrpsee, RpcLayer::Direct];
        self
    }

    /// Runs the case with servers of its own.
    pub(crate) fn own_servers(mut self) -> Self {
        self.own_servers = true;
        self
    }
}

/// Makes a [`Case`] of its module and its function.
macro_rules! case {
    ($module:ident::$case:ident) => {
        $crate::case::Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |fixture| Box::pin($module::$case(fixture)),
            backends: $crate::backend::Backend::ALL,
            layers: &[ovsdb_client::RpcLayer::Jsonrpsee],
            own_servers: false,
        }
    };
}
pub(crate) use case;

/// The servers of a case, with an empty database that nobody else uses.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) backend: Backend,
    pub(crate) layer: RpcLayer,
    pub(crate) servers: Arc<Servers>,
    /// Name of the database.
    pub(crate) name: String,
}

/// The schema of the suite under another name.
pub(crate) fn schema(name: &str) -> Schema {
    let text = include_str!("schema.ovsschema");
    Schema::parse(&text.replacen("\"Suite\"", &format!("\"{name}\""), 1)).unwrap()
}

impl Fixture {
    /// Connects to the leader.
    pub(crate) async fn client(&self) -> Client {
        self.client_to(&self.leader().await).await
    }

    /// Connects to a server.
    ///
    /// It hangs up on clients that have not said yet that they are aware of changes of its
    /// databases, when one is added or removed; other cases do that all the time.
    pub(crate) async fn client_to(&self, remote: &Remote) -> Client {
        let builder = Client::builder().deadline(SOON).rpc_layer(self.layer);
        loop {
            match builder.clone().connect(remote).await {
                Err(ConnectError::Silent { .. }) => {}
                connected => return connected.unwrap(),
            }
        }
    }

    /// The server that leads the cluster, or the only one.
    pub(crate) async fn leader(&self) -> Remote {
        let leader = self.open().await.status().connected.unwrap();
        leader.parse().unwrap()
    }

    /// The members of the cluster that follow.
    pub(crate) async fn followers(&self) -> Vec<Remote> {
        let leader = self.leader().await;
        let remotes = self.servers.remotes();
        remotes
            .iter()
            .filter(|remote| **remote != leader)
            .cloned()
            .collect()
    }

    /// Puts a proxy before the leader.
    pub(crate) async fn proxy(&self) -> Proxy {
        let socket = self.servers.path(&format!("{}.proxy", self.name));
        match self.leader().await {
            Remote::Unix(upstream) => Proxy::start(&socket, &upstream),
            other => panic!("{other} is no Unix socket"),
        }
    }

    /// Describes the database, with short pauses.
    pub(crate) fn builder(&self) -> DatabaseBuilder {
        self.builder_at(self.servers.remotes())
    }

    /// Describes the database of these servers, with short pauses.
    pub(crate) fn builder_at(&self, remotes: impl Into<Endpoint>) -> DatabaseBuilder {
        Database::builder(&self.name, remotes)
            .rpc_layer(self.layer)
            .backoff(Duration::from_millis(20), Duration::from_millis(200))
            .deadline(SOON)
    }

    /// Opens the database.
    pub(crate) async fn open(&self) -> Database {
        self.builder().open().await.unwrap()
    }

    /// Follows all rows of the table of things.
    pub(crate) async fn things(&self, client: &Client) -> Monitor {
        let things = [MonitorTable::new("Thing")];
        client.monitor(&self.name, &things).await.unwrap()
    }
}
