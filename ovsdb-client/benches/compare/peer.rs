//! A server that plays a script, in the process of its client.

use std::sync::Arc;

use anyhow::{Context, bail};
use ovsdb_client::frame::Framer;
use ovsdb_client::{Client, Monitor, MonitorTable};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::job::Layer;
use crate::rows::{self, DATABASE, TABLE};

/// Bytes that may be on their way: about what a socket holds.
const CAPACITY: usize = 256 * 1024;

/// The server's end of a connection.
pub(crate) struct Peer {
    stream: DuplexStream,
    framer: Framer,
    /// Updates that are sent before the reply to an `echo`.
    updates: usize,
    /// Whether each update waits until this was notified about the one before.
    step: Option<Arc<Notify>>,
    monitor: String,
}

/// A client that follows the large table of a peer.
pub(crate) struct Followed {
    pub(crate) client: Client,
    pub(crate) monitor: Monitor,
    pub(crate) peer: JoinHandle<anyhow::Result<()>>,
}

/// Connects a client to a peer and loads the table.
pub(crate) async fn follow(
    layer: Layer,
    table: MonitorTable,
    updates: usize,
    step: Option<Arc<Notify>>,
) -> anyhow::Result<Followed> {
    let (ours, stream) = tokio::io::duplex(CAPACITY);
    let peer = Peer {
        stream,
        framer: Framer::default(),
        updates,
        step,
        monitor: String::new(),
    };
    let peer = tokio::spawn(peer.play());
    let client = layer.builder().from_stream(ours);
    let monitor = client.monitor(DATABASE, &[table]).await?;
    Ok(Followed {
        client,
        monitor,
        peer,
    })
}

impl Peer {
    /// Answers until the client is gone.
    async fn play(mut self) -> anyhow::Result<()> {
        let mut updates = Vec::new();
        while let Some(request) = self.request().await? {
            let id = &request["id"];
            let result = match request["method"].as_str() {
                Some("set_db_change_aware") => "{}".to_owned(),
                // The client is about to go, and may be gone already.
                Some("monitor_cancel") => break,
                Some("get_schema") => rows::schema()?.json().to_owned(),
                Some("monitor_cond_since") => {
                    let monitor = request["params"][1].as_str().context("a monitor's id")?;
                    self.monitor = monitor.to_owned();
                    updates = (0..self.updates)
                        .map(|update| rows::update(monitor, update))
                        .collect();
                    if self.step.is_none() {
                        updates = vec![updates.concat()];
                    }
                    rows::contents()?
                }
                Some("echo") => {
                    for update in &updates {
                        self.stream.write_all(update.as_bytes()).await?;
                        if let Some(step) = &self.step {
                            step.notified().await;
                        }
                    }
                    "[]".to_owned()
                }
                _ => bail!("{request} is not in the script"),
            };
            let reply = format!(r#"{{"id":{id},"result":{result},"error":null}}"#);
            self.stream.write_all(reply.as_bytes()).await?;
        }
        Ok(())
    }

    async fn request(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(request) = self.framer.next_frame()? {
                return Ok(Some(serde_json::from_slice(&request)?));
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).await? {
                0 => return Ok(None),
                count => self.framer.push(&bytes[..count]),
            }
        }
    }
}

/// The table as all clients follow it.
pub(crate) fn table() -> MonitorTable {
    MonitorTable::new(TABLE)
}
