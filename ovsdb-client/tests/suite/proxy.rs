//! A relay between a client and a server that can get in the way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ovsdb_client::Remote;
use ovsdb_client::frame::Framer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A Unix socket behind which the server of another one answers.
#[derive(Debug)]
pub(crate) struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
    /// Ends with this value.
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    rules: Mutex<Rules>,
    /// Whether what the server says is kept back.
    held: watch::Sender<bool>,
    /// Counts the orders to end all connections.
    cuts: watch::Sender<u64>,
    /// Whether new connections are served.
    open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Rules {
    /// Methods that the server is said not to know.
    unknown: Vec<String>,
    /// The request after which the server falls silent.
    hold_after: Option<(String, String)>,
    /// Methods and parameters of all requests so far.
    requests: Vec<(String, String)>,
}

impl Proxy {
    /// Listens at `socket` for the clients of the server behind `upstream`.
    pub(crate) fn start(socket: &Path, upstream: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let shared = Arc::new(Shared {
            rules: Mutex::default(),
            held: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            open: watch::Sender::new(true),
        });
        let mut tasks = JoinSet::new();
        let (accepting, upstream) = (Arc::clone(&shared), upstream.to_owned());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                // Without a server the client is hung up on.
                if *accepting.open.borrow()
                    && let Ok(server) = UnixStream::connect(&upstream).await
                {
                    connections.spawn(relay(client, server, Arc::clone(&accepting)));
                }
            }
        });
        Self {
            socket: socket.to_owned(),
            shared,
            _tasks: tasks,
        }
    }

    /// Where to connect.
    pub(crate) fn remote(&self) -> Remote {
        Remote::Unix(self.socket.clone())
    }

    /// Answers a method as a server does that does not know it.
    pub(crate) fn deny(&self, method: &str) {
        self.shared.rules().unknown.push(method.to_owned());
    }

    /// Keeps back what the server says, once a client has called `method` with these words among
    /// the parameters; returns when that has happened.
    pub(crate) async fn hold_after(&self, method: &str, words: &str) {
        self.shared.rules().hold_after = Some((method.to_owned(), words.to_owned()));
        let mut held = self.shared.held.subscribe();
        held.wait_for(|held| *held).await.unwrap();
    }

    /// How often a method was called with these words among the parameters.
    pub(crate) fn count(&self, method: &str, words: &str) -> usize {
        let rules = self.shared.rules();
        let asked = |(asked, params): &&(String, String)| asked == method && params.contains(words);
        rules.requests.iter().filter(asked).count()
    }

    /// Lets the server speak again.
    pub(crate) fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Ends all connections. New ones are served.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends all connections, and new ones as soon as they are made.
    pub(crate) fn close(&self) {
        self.shared.open.send_replace(false);
        self.cut();
    }

    /// Serves new connections again.
    pub(crate) fn open(&self) {
        self.shared.open.send_replace(true);
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to answer in the server's place, if anything.
    fn judge(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let message: Value = serde_json::from_slice(frame).unwrap();
        let method = message["method"].as_str()?;
        let mut rules = self.rules();
        if rules.unknown.iter().any(|unknown| unknown == method) {
            let answer = json!({"id": message["id"], "result": null, "error": "unknown method"});
            return Some(answer.to_string().into_bytes());
        }
        let request = (method.to_owned(), message["params"].to_string());
        let (method, params) = &request;
        let holds = |(held, words): &(String, String)| held == method && params.contains(words);
        if rules.hold_after.as_ref().is_some_and(holds) {
            rules.hold_after = None;
            self.held.send_replace(true);
        }
        rules.requests.push(request);
        None
    }
}

/// Carries a connection until either end closes it, or it is cut.
async fn relay(client: UnixStream, server: UnixStream, shared: Arc<Shared>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let mut cuts = shared.cuts.subscribe();
    tokio::select! {
        _ = cuts.changed() => {}
        () = carry_requests(from_client, to_server, &to_client, &shared) => {}
        () = carry_answers(from_server, &to_client, &shared) => {}
    }
}

async fn carry_requests(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    to_client: &tokio::sync::Mutex<OwnedWriteHalf>,
    shared: &Shared,
) {
    let mut framer = Framer::default();
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
        framer.push(&bytes[..count]);
        while let Some(frame) = framer.next_frame().unwrap() {
            let written = match shared.judge(&frame) {
                Some(answer) => to_client.lock().await.write_all(&answer).await,
                None => to_server.write_all(&frame).await,
            };
            if written.is_err() {
                return;
            }
        }
    }
}

async fn carry_answers(
    mut from_server: OwnedReadHalf,
    to_client: &tokio::sync::Mutex<OwnedWriteHalf>,
    shared: &Shared,
) {
    let mut held = shared.held.subscribe();
    let mut framer = Framer::default();
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
        framer.push(&bytes[..count]);
        // Whole messages only, so that an answer of our own never lands inside of one.
        while let Some(frame) = framer.next_frame().unwrap() {
            held.wait_for(|held| !held).await.unwrap();
            if to_client.lock().await.write_all(&frame).await.is_err() {
                return;
            }
        }
    }
}
