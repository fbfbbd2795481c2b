//! What a process of this program does when it is a client to be measured.

use std::path::{Path, PathBuf};

use ovsdb_client::{Client, ClientBuilder, Remote, RpcLayer};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::cost::Cost;
use crate::{load, lookup, report, transactions, updates};

/// Work for one process, which prints what it took as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Small transactions, with so many in flight.
    Transact {
        layer: Layer,
        threads: usize,
        count: usize,
        window: usize,
    },
    /// A replica of the large table.
    Load { layer: Layer },
    /// The bytes of it, of which nothing is made.
    Read,
    /// Updates from a peer in the same process.
    Replay { layer: Layer, reader: Reader },
    /// Updates that [`Job::Write`] causes.
    Follow { layer: Layer },
    /// Changes of the large table.
    Write { round: usize },
    /// Look-ups of every kind; prints nanoseconds by name instead.
    LookUp,
}

/// [`RpcLayer`], to be written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Layer {
    Jsonrpsee,
    Direct,
}

/// Who looks at the rows while they change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reader {
    Nobody,
    Subscriber,
    /// A subscriber that keeps a snapshot, a new one after every update.
    Snapshots,
}

/// What is handed to the process that does it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    job: Job,
    socket: PathBuf,
}

impl Job {
    /// The argument before an [`Errand`].
    pub(crate) const FLAG: &str = "--job";

    /// The arguments of the process that does this.
    pub(crate) fn arguments(self, socket: &Path) -> serde_json::Result<[String; 2]> {
        let socket = socket.to_owned();
        let errand = serde_json::to_string(&Errand { job: self, socket })?;
        Ok([Self::FLAG.to_owned(), errand])
    }

    pub(crate) fn parse(errand: &str) -> serde_json::Result<Errand> {
        serde_json::from_str(errand)
    }
}

impl Errand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let socket = &self.socket;
        let cost = match self.job {
            Job::Transact {
                layer,
                threads,
                count,
                window,
            } => runtime(threads)?.block_on(async {
                let client = layer.connect(socket).await?;
                transactions::transact(&client, count, window).await
            }),
            Job::Load { layer } => runtime(1)?.block_on(load::load(layer, socket)),
            Job::Read => load::read(socket),
            Job::Replay { layer, reader } => runtime(1)?.block_on(updates::replay(layer, reader)),
            Job::Follow { layer } => runtime(1)?.block_on(updates::follow(layer, socket)),
            Job::Write { round } => runtime(1)?.block_on(updates::write(socket, round)),
            Job::LookUp => {
                let figures = runtime(1)?.block_on(lookup::look_up())?;
                report::say(&serde_json::to_string(&figures)?);
                return Ok(());
            }
        };
        report::say(&serde_json::to_string::<Cost>(&cost?)?);
        Ok(())
    }
}

impl Layer {
    pub(crate) fn builder(self) -> ClientBuilder {
        Client::builder().rpc_layer(match self {
            Self::Jsonrpsee => RpcLayer::Jsonrpsee,
            Self::Direct => RpcLayer::Direct,
        })
    }

    pub(crate) async fn connect(self, socket: &Path) -> anyhow::Result<Client> {
        let remote = Remote::Unix(socket.to_owned());
        Ok(self.builder().connect(&remote).await?)
    }
}

/// A runtime for a client: the tasks on one thread, or on several beside the caller.
fn runtime(threads: usize) -> std::io::Result<Runtime> {
    match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build(),
    }
}
