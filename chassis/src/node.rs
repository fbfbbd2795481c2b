//! A handle on a running node.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use ofm_netns::{Command, Node, Output};
use ovsdb_client::unixctl::{Unixctl, find_socket};
use ovsdb_client::{Client, ConnectError};

use crate::error::{Cause, Error};
use crate::ping;
use crate::plan::NodePlan;
use crate::trace::{self, SpanKind, Trace};

/// How much of a log an error shows.
const LOG_LINES: usize = 8;

/// A node of a cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    pub(crate) plan: NodePlan,
    pub(crate) node: Node,
    /// How long its daemons may take.
    pub(crate) ready_timeout: Duration,
    /// The timeline of its cluster's start, if somebody asked for one.
    pub(crate) trace: Option<Trace>,
}

impl NodeHandle {
    /// What was planned for it: names, addresses, daemons.
    pub fn plan(&self) -> &NodePlan {
        &self.plan
    }

    /// Its first process and its namespaces.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// A program to be run in it.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        self.node.command(program).envs(&self.plan.env)
    }

    /// Runs a program in it, with nothing on standard input, and returns what it wrote and how it ended.
    ///
    /// # Errors
    /// When the program cannot be started. That it fails is told by its status.
    pub async fn exec<A: Into<OsString>>(
        &self,
        argv: impl IntoIterator<Item = A>,
    ) -> Result<Output, Error> {
        let mut argv = argv.into_iter().map(Into::into);
        let program = argv.next().unwrap_or_default();
        let command = self.command(program).args(argv);
        let child = blocking(move || command.spawn()).await?;
        Ok(child.output().await?)
    }

    /// Sends ICMP echo requests from it, as [`Vm::ping`](crate::Vm::ping) does from a VM, until one is answered; returns
    /// the round trip of that one.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] after 5 seconds.
    pub async fn ping(&self, address: IpAddr) -> Result<Duration, Error> {
        self.ping_within(address, ping::DEADLINE).await
    }

    /// [`NodeHandle::ping`] with a patience of its own.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] after that time.
    pub async fn ping_within(&self, address: IpAddr, within: Duration) -> Result<Duration, Error> {
        ping::ping(
            self.plan.name.as_str(),
            self.node.namespaces(),
            address,
            within,
        )
        .await
    }

    /// A client of its own OVS database.
    ///
    /// # Errors
    /// When there is none, as on a central, or it does not answer.
    pub async fn ovs(&self) -> Result<Client, Error> {
        self.connect("openvswitch/db.sock").await
    }

    /// A client of its own OVS database, unless nobody serves that.
    pub(crate) async fn ovs_if_served(&self) -> Result<Option<Client>, Error> {
        let socket = "openvswitch/db.sock";
        match Client::connect_unix(self.plan.dir.join("run").join(socket)).await {
            Ok(client) => Ok(Some(client)),
            Err(ConnectError::Refused { source, .. })
                if [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound]
                    .contains(&source.kind()) =>
            {
                Ok(None)
            }
            Err(error) => {
                let action = format!("connecting to {socket}");
                Err(Error::in_node(&self.plan.name, action, error))
            }
        }
    }

    /// The control socket of one of its daemons, on which it takes what `ovs-appctl` sends.
    ///
    /// # Errors
    /// When it has no such daemon, or that does not run.
    pub async fn unixctl(&self, daemon: &str) -> Result<Unixctl, Error> {
        let mut connections = self.unixctls(daemon, 1).await?;
        Ok(connections.swap_remove(0))
    }

    /// As [`NodeHandle::unixctl`], but several connections.
    pub(crate) async fn unixctls(&self, daemon: &str, count: usize) -> Result<Vec<Unixctl>, Error> {
        let action = || format!("connecting to the control socket of {daemon}");
        let failed = |e: Cause| Error::in_node(&self.plan.name, action(), e);
        let plan = self.plan.daemons.iter().find(|plan| plan.name == daemon);
        let plan = plan.ok_or_else(|| failed("it has none of that name".into()))?;
        let below_run = plan
            .pidfile
            .strip_prefix("/var/run")
            .unwrap_or(&plan.pidfile);
        let pidfile = self.plan.dir.join("run").join(below_run);
        let folder = pidfile.parent().unwrap_or(Path::new("/"));
        // Below a descriptor, because the whole path may be longer than that of a socket may be (unix(7)).
        let opened = File::open(folder).map_err(|e| failed(e.into()))?;
        let folder = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
        let name = pidfile.file_stem().unwrap_or_default().to_string_lossy();
        let given = plan
            .args
            .iter()
            .find_map(|arg| arg.strip_prefix("--unixctl="));
        let given = given.and_then(|path| Path::new(path).file_name());
        let socket = match given {
            Some(given) => folder.join(given),
            None => find_socket(folder, &name).map_err(|e| failed(e.into()))?,
        };
        let connections = (0..count).map(|_| Unixctl::connect(&socket));
        let connections = try_join_all(connections).await;
        connections.map_err(|e| failed(e.into()))
    }

    /// Does work of a start as a span of the trace, if there is one.
    pub(crate) async fn span<T, E: std::error::Error + 'static>(
        &self,
        kind: SpanKind,
        name: impl std::fmt::Display,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        trace::span(self.trace.as_ref(), Some(&self.plan.name), kind, name, work).await
    }

    /// Connects to a socket below the node's /run.
    pub(crate) async fn connect(&self, socket: &str) -> Result<Client, Error> {
        let path = self.plan.dir.join("run").join(socket);
        Client::connect_unix(&path)
            .await
            .map_err(|e| Error::in_node(&self.plan.name, format!("connecting to {socket}"), e))
    }

    /// The end of a daemon's log, to be put behind an error; empty when there is none.
    pub(crate) fn log_tail(&self, daemon: &str) -> String {
        let daemon = self.plan.daemons.iter().find(|d| d.name == daemon);
        let Some(path) = daemon.and_then(|daemon| self.plan.log_of(daemon)) else {
            return String::new();
        };
        let Ok(text) = std::fs::read_to_string(path) else {
            return String::new();
        };
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        tail.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// Runs what blocks for a moment away from the threads that must not.
pub(crate) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(f).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("a blocking task is never cancelled while it is awaited"),
        },
    }
}
