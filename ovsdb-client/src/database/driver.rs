//! The task that stays connected.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::fitness::{self, Demands, Served, Unfit};
use super::options::{Endpoint, Options};
use super::{SessionError, Status};
use crate::client::{Client, ClientBuilder};
use crate::error::{CallError, Disconnect};
use crate::lock::{Lock, LockError, Request, WeakLock};
use crate::monitor::{Monitor, MonitorError, MonitorTable, WeakMonitor};
use crate::remote::Remote;
use crate::replica::{MonitorEnded, Trouble};
use crate::schema::Schema;

/// Something that a handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    /// Provide a monitor, now and after each reconnection.
    Monitor(Monitor, oneshot::Sender<Result<(), MonitorError>>),
    /// Ask for a lock, now and after each reconnection.
    Lock(Lock, Request, oneshot::Sender<Result<(), LockError>>),
}

/// What the handles hold of the task.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) troubles: mpsc::UnboundedSender<Trouble>,
    pub(super) client: watch::Receiver<Option<Client>>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) alive: Arc<watch::Sender<()>>,
}

/// Connects, looks after the session, and begins anew when it ends.
pub(super) struct Driver {
    client: ClientBuilder,
    order: Order,
    demands: Demands,
    backoff: Backoff,
    /// Number of the current or last session.
    session: u64,
    monitors: Vec<WeakMonitor>,
    locks: Vec<WeakLock>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// What the handles asked for when the session ended.
    unfinished: VecDeque<Command>,
    troubles: mpsc::UnboundedReceiver<Trouble>,
    current: watch::Sender<Option<Client>>,
    status: watch::Sender<Status>,
    /// Closed when the last handle is gone.
    alive: watch::Receiver<()>,
}

/// Where to connect next.
enum Order {
    Remotes { remotes: Vec<Remote>, next: usize },
    Listener(crate::listener::Listener),
}

impl Driver {
    pub(super) fn new(options: Options) -> (Self, Ends) {
        let (commands, from_handles) = mpsc::unbounded_channel();
        let (troubles, from_monitors) = mpsc::unbounded_channel();
        let (current, client) = watch::channel(None);
        let (status, status_seen) = watch::channel(Status::default());
        let (alive, alive_seen) = watch::channel(());
        let (order, cluster_id) = match options.endpoint {
            Endpoint::Remotes(remotes) => {
                let cluster_id = remotes.cluster_id();
                let mut remotes = remotes.as_slice().to_vec();
                if options.shuffle {
                    fastrand::shuffle(&mut remotes);
                }
                (Order::Remotes { remotes, next: 0 }, cluster_id)
            }
            Endpoint::Listener(listener) => (Order::Listener(listener), None),
        };
        let driver = Self {
            client: options.client,
            order,
            demands: Demands::new(&options.name, options.leader_only, cluster_id),
            backoff: Backoff::new(options.backoff.0, options.backoff.1),
            session: 0,
            monitors: Vec::new(),
            locks: Vec::new(),
            commands: from_handles,
            unfinished: VecDeque::new(),
            troubles: from_monitors,
            current,
            status,
            alive: alive_seen,
        };
        let ends = Ends {
            commands,
            troubles,
            client,
            status: status_seen,
            alive: Arc::new(alive),
        };
        (driver, ends)
    }

    /// Runs until the last handle is dropped.
    pub(super) async fn run(mut self) {
        let mut alive = self.alive.clone();
        tokio::select! {
            // Nothing is ever sent: it only closes.
            _ = alive.changed() => {}
            () = self.sessions() => {}
        }
        for monitor in self.monitors.iter().filter_map(WeakMonitor::upgrade) {
            monitor.replica().end(MonitorEnded::Dropped);
        }
    }

    /// One session after another.
    async fn sessions(&mut self) {
        // Attempts since the last success.
        let mut attempts = 0;
        loop {
            if attempts > 0 && attempts % self.order.len() == 0 {
                let pause = self.backoff.pause();
                tracing::debug!(?pause, database = self.demands.database, "waiting");
                // The end of the task is all that could come earlier.
                let never = std::future::pending::<()>();
                drop(tokio::time::timeout(pause, never).await);
            }
            attempts += 1;
            let failure = match self.session().await {
                Ok((cause, lasted)) => {
                    // A server that takes clients on and drops them at once is no success.
                    if lasted > self.backoff.shortest() {
                        attempts = 0;
                        self.backoff.reset();
                    }
                    SessionError::Ended { source: cause }
                }
                Err(failure) => failure,
            };
            tracing::debug!(%failure, database = self.demands.database, "no session");
            self.current.send_replace(None);
            self.status.send_modify(|status| {
                status.connected = None;
                status.failure = Some(Arc::new(failure));
            });
        }
    }

    /// Connects once, and serves until the session ends. Returns why it did, and how long it lasted.
    async fn session(&mut self) -> Result<(Disconnect, Duration), SessionError> {
        let (client, remote) = self.connect().await?;
        // Whatever ends this function ends the connection too, so that nothing of it can come late.
        let client = Ended(client);
        self.session += 1;
        let server = Server::look(&client.0).await?;
        let served = self.wait_fit(&client.0, &server).await?;
        let schema = Arc::new(client.0.get_schema(&self.demands.database).await?);
        self.resume(&client.0, &schema).await?;
        let began = Instant::now();
        self.current.send_replace(Some(client.0.clone()));
        self.status.send_modify(|status| {
            status.session = self.session;
            status.connected = Some(remote);
            status.schema = Some(Arc::clone(&schema));
            status.failure = None;
        });
        let cause = self.serve(&client.0, &server, &served, &schema).await;
        Ok((cause, began.elapsed()))
    }

    async fn connect(&mut self) -> Result<(Client, String), SessionError> {
        match &mut self.order {
            Order::Remotes { remotes, next } => {
                let remote = &remotes[*next % remotes.len()];
                *next += 1;
                let client = self.client.clone().connect(remote).await?;
                Ok((client, remote.to_string()))
            }
            Order::Listener(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((self.client.clone().from_stream(stream), peer.to_string()))
            }
        }
    }

    /// Waits until the server will do; not for long where there are others.
    async fn wait_fit(&mut self, client: &Client, server: &Server) -> Result<Served, SessionError> {
        let Server::Known(monitor) = server else {
            return Ok(Served { schema: None });
        };
        let (mut snapshot, mut changes) = monitor.subscribe();
        loop {
            match self.demands.judge(&snapshot) {
                Ok(served) => return Ok(served),
                Err(source) if self.order.len() > 1 => return Err(SessionError::Unfit { source }),
                // There is nowhere else to go, and the server will say when it has changed.
                Err(source) => {
                    self.status.send_modify(|status| {
                        status.failure = Some(Arc::new(SessionError::Unfit { source }));
                    });
                }
            }
            tokio::select! {
                event = changes.next() => drop(event.map_err(MonitorError::from)?),
                source = client.closed() => return Err(SessionError::Ended { source }),
            }
            snapshot = monitor.snapshot();
        }
    }

    /// Provides monitors and locks on a new connection.
    async fn resume(&mut self, client: &Client, schema: &Schema) -> Result<(), SessionError> {
        let monitors: Vec<_> = self
            .monitors
            .iter()
            .filter_map(WeakMonitor::upgrade)
            .collect();
        self.monitors.retain(|monitor| monitor.upgrade().is_some());
        let session = self.session;
        let started = monitors
            .iter()
            .map(|monitor| monitor.start(client, schema, session));
        for (monitor, started) in monitors.iter().zip(join_all(started).await) {
            keep_or_end(monitor, started)?;
        }
        self.locks.retain(|lock| lock.upgrade().is_some());
        for lock in self.locks.iter().filter_map(WeakLock::upgrade) {
            lock.start(client, Request::Lock).await?;
        }
        Ok(())
    }

    /// Looks after a session until it ends.
    async fn serve(
        &mut self,
        client: &Client,
        server: &Server,
        served: &Served,
        schema: &Schema,
    ) -> Disconnect {
        let mut changes = match server {
            Server::Known(monitor) => Some(monitor.subscribe().1),
            Server::Unknown => None,
        };
        for command in std::mem::take(&mut self.unfinished) {
            if let ControlFlow::Break(cause) = self.obey(command, client, schema).await {
                return cause;
            }
        }
        loop {
            if let Server::Known(monitor) = server {
                let leave = match self.demands.judge(&monitor.snapshot()) {
                    Ok(now) if now == *served => None,
                    Ok(_) => Some("the schema of the database changed".to_owned()),
                    Err(unfit) => Some(unfit.to_string()),
                };
                if let Some(reason) = leave {
                    return Disconnect::Left { reason };
                }
            }
            let server_changed = async {
                match &mut changes {
                    Some(changes) => drop(changes.next().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                cause = client.closed() => return cause,
                () = server_changed => {}
                Some(Trouble { session, reason }) = self.troubles.recv() => {
                    // Of a lost connection the connection itself says more.
                    let lost = matches!(reason, MonitorEnded::Disconnected { .. });
                    if session == self.session && !lost {
                        return Disconnect::Left { reason: reason.to_string() };
                    }
                }
                Some(command) = self.commands.recv() => {
                    if let ControlFlow::Break(cause) = self.obey(command, client, schema).await {
                        return cause;
                    }
                }
            }
        }
    }

    /// Does what a handle asked for, or keeps it for the next session when this one ends meanwhile.
    async fn obey(
        &mut self,
        command: Command,
        client: &Client,
        schema: &Schema,
    ) -> ControlFlow<Disconnect> {
        match command {
            Command::Monitor(monitor, reply) => {
                match monitor.start(client, schema, self.session).await {
                    Err(error) if is_loss(&error) => {
                        self.unfinished.push_back(Command::Monitor(monitor, reply));
                    }
                    started => {
                        if started.is_ok() {
                            self.monitors.push(monitor.downgrade());
                        }
                        // The handle may have given up.
                        drop(reply.send(started));
                    }
                }
            }
            Command::Lock(lock, request, reply) => match lock.start(client, request).await {
                Err(LockError::Call { source, .. }) if !matches!(source, CallError::Rpc { .. }) => {
                    self.unfinished
                        .push_back(Command::Lock(lock, request, reply));
                }
                started => {
                    if started.is_ok() {
                        self.locks.push(lock.downgrade());
                    }
                    drop(reply.send(started));
                }
            },
        }
        match client.is_connected() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(client.closed().await),
        }
    }
}

/// Sorts what became of a monitor on a new connection: one that the server refuses has ended, and
/// a lost connection is the session's matter.
fn keep_or_end(monitor: &Monitor, started: Result<(), MonitorError>) -> Result<(), SessionError> {
    match started {
        Ok(()) => Ok(()),
        Err(error) if is_loss(&error) => Err(error.into()),
        Err(error) => {
            let reason = error.to_string();
            monitor.replica().end(MonitorEnded::Refused { reason });
            Ok(())
        }
    }
}

/// Whether a monitor failed with its connection, and may succeed with another one.
fn is_loss(error: &MonitorError) -> bool {
    match error {
        MonitorError::Call { source } => !matches!(source, CallError::Rpc { .. }),
        MonitorError::Ended { source } => !matches!(source, MonitorEnded::Dropped),
        _ => false,
    }
}

/// A connection that ends with this value.
struct Ended(Client);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.disconnect(Disconnect::Left {
            reason: "its session ended".to_owned(),
        });
    }
}

/// What a server says of itself.
enum Server {
    /// The rows of its `_Server` database.
    Known(Monitor),
    /// It is so old that it says nothing.
    Unknown,
}

impl Server {
    async fn look(client: &Client) -> Result<Self, SessionError> {
        let table = MonitorTable::new(fitness::TABLE)
            .columns(fitness::COLUMNS)
            .optional();
        match client.monitor("_Server", &[table]).await {
            Ok(monitor) => Ok(Self::Known(monitor)),
            Err(MonitorError::Call {
                source: CallError::Rpc { source, .. },
            }) if source.error == "unknown database" => Ok(Self::Unknown),
            Err(source) => Err(source.into()),
        }
    }
}

impl Order {
    /// Attempts that make a round.
    fn len(&self) -> usize {
        match self {
            Self::Remotes { remotes, .. } => remotes.len(),
            Self::Listener(_) => 1,
        }
    }
}

impl From<Unfit> for SessionError {
    fn from(source: Unfit) -> Self {
        Self::Unfit { source }
    }
}
