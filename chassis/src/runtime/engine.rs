//! Docker and Podman, by the API that both have.

mod container;
pub(crate) mod containers;
mod error;
pub(crate) mod facts;
mod fleet;
pub(crate) mod image;
pub(crate) mod labels;
mod socket;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use error::{Attempt, EngineError};
pub(crate) use fleet::Fleet;
use socket::Address;
pub(crate) use socket::present_sockets;

/// How long an engine may take to answer one request, unless [`crate::ClusterSpec::engine_timeout`] says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A kind of container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl EngineKind {
    /// Its name, as in `--runtime`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EngineKind::Docker => "docker",
            EngineKind::Podman => "podman",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EngineKind::Docker => "Docker",
            EngineKind::Podman => "Podman",
        })
    }
}

/// A container engine that answers. Cheap to clone.
///
/// Requests run on a thread of its own. So they go on when whoever made them has lost interest, which is how a creation
/// that is under way can be waited for and undone, and they can be waited for without a runtime, as in a destructor.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    kind: EngineKind,
    socket: PathBuf,
    docker: Docker,
    worker: Arc<Worker>,
    deadline: Duration,
}

impl Engine {
    /// Connects to the engine of a kind: on the given socket, else where the environment says it is, else in the usual
    /// places.
    pub(crate) async fn connect(
        kind: EngineKind,
        socket: Option<&Path>,
        deadline: Duration,
    ) -> Result<Self, EngineError> {
        let addresses = match socket {
            Some(socket) => vec![Address {
                socket: socket.to_owned(),
                origin: "as asked for".to_owned(),
            }],
            None => socket::addresses(kind)?,
        };
        let mut tried = Vec::new();
        for Address { socket, origin } in addresses {
            match Self::open(&socket, deadline).await {
                Ok(engine) if engine.kind == kind => return Ok(engine),
                Ok(engine) => {
                    return Err(EngineError::OtherKind {
                        wanted: kind,
                        found: engine.kind,
                        socket,
                        origin,
                    });
                }
                Err(why) => tried.push(Attempt {
                    socket,
                    origin,
                    why: why.to_string(),
                }),
            }
        }
        Err(EngineError::NoAnswer { kind, tried })
    }

    /// Connects to whatever engine answers on a socket.
    pub(crate) async fn open(socket: &Path, deadline: Duration) -> Result<Self, EngineError> {
        let unusable = |why: String| EngineError::Unusable {
            socket: socket.to_owned(),
            why,
        };
        // The client only looks whether the file exists; what the kernel says is more telling.
        if let Err(error) = std::os::unix::net::UnixStream::connect(socket) {
            return Err(unusable(error.to_string()));
        }
        let path = socket
            .to_str()
            .ok_or_else(|| unusable("its path is not UTF-8".into()))?;
        let docker =
            Docker::connect_with_unix(path, deadline.as_secs().max(1), API_DEFAULT_VERSION)
                .map_err(|e| unusable(e.to_string()))?;
        let worker = Arc::new(Worker::new().map_err(|e| unusable(e.to_string()))?);
        let mut engine = Self {
            kind: EngineKind::Docker,
            socket: socket.to_owned(),
            docker,
            worker,
            deadline,
        };
        let docker = engine.docker.clone();
        // The negotiated version is shared by all clones of a client.
        let version = engine.call("tell its version", async move |docker| {
            docker.clone().negotiate_version().await?.version().await
        });
        let version = version.await?;
        engine.docker = docker;
        let components = version.components.unwrap_or_default();
        if components.iter().any(|c| c.name.contains("Podman")) {
            engine.kind = EngineKind::Podman;
        }
        Ok(engine)
    }

    pub(crate) fn kind(&self) -> EngineKind {
        self.kind
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The same engine, which is given another time to answer.
    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        let docker = self.docker.clone().with_timeout(deadline);
        Self {
            docker,
            deadline,
            ..self.clone()
        }
    }

    /// Makes a request; `action` says what of the engine, as in "create container x". It goes on when the caller does
    /// not wait any more.
    pub(crate) async fn call<T, F>(
        &self,
        action: impl Into<String>,
        request: impl FnOnce(Docker) -> F,
    ) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, bollard::errors::Error>> + Send + 'static,
    {
        let action = action.into();
        let answer = request(self.docker.clone());
        let answer = self
            .worker
            .spawn(tokio::time::timeout(self.deadline, answer))
            .await;
        match answer {
            Some(Ok(Ok(value))) => Ok(value),
            Some(Ok(Err(error))) => Err(EngineError::answered(
                self.kind,
                action,
                error,
                self.deadline,
            )),
            Some(Err(_)) | None => Err(EngineError::Silent {
                kind: self.kind,
                action,
                deadline: self.deadline,
            }),
        }
    }

    /// Makes a request whose answer comes in pieces, and hands each to `take`. The deadline is for each piece. It ends
    /// when the caller does not wait any more, and with it, at the engine, what was asked for.
    pub(crate) async fn follow<T: Send + 'static>(
        &self,
        action: impl Into<String>,
        request: impl for<'a> FnOnce(&'a Docker) -> BoxStream<'a, Result<T, bollard::errors::Error>>
        + Send
        + 'static,
        take: impl FnMut(T) -> Result<(), bollard::errors::Error> + Send + 'static,
    ) -> Result<(), EngineError> {
        let action = action.into();
        let deadline = self.deadline;
        let docker = self.docker.clone();
        let (alive, mut gone) = tokio::sync::oneshot::channel::<()>();
        let mut take = take;
        let job = async move {
            let mut answer = request(&docker);
            loop {
                let piece = tokio::select! {
                    piece = tokio::time::timeout(deadline, answer.next()) => piece,
                    _ = &mut gone => return Some(Ok(())),
                };
                match piece {
                    Ok(Some(piece)) => {
                        if let Err(error) = piece.and_then(&mut take) {
                            return Some(Err(error));
                        }
                    }
                    Ok(None) => return Some(Ok(())),
                    Err(_) => return None,
                }
            }
        };
        let answer = self.worker.spawn(job).await.flatten();
        drop(alive);
        match answer {
            Some(result) => result
                .map_err(|error| EngineError::answered(self.kind, action, error, self.deadline)),
            None => Err(EngineError::Silent {
                kind: self.kind,
                action,
                deadline,
            }),
        }
    }
}

/// The thread on which an engine's requests run.
#[derive(Debug)]
pub(crate) struct Worker(Option<tokio::runtime::Runtime>);

impl Worker {
    fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ofm-engine")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a future there, whoever waits for it. `None` when it was given up with the thread.
    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task = self.0.as_ref()?.spawn(future);
        match task.await {
            Ok(value) => Some(value),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }

    /// As [`Worker::spawn`], for code that cannot await. `None` also when it takes longer than `deadline`.
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        deadline: Duration,
    ) -> Option<T> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.0.as_ref()?.spawn(async move {
            let _nobody_waits = sender.send(future.await);
        });
        receiver.recv_timeout(deadline).ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which is not allowed inside another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
