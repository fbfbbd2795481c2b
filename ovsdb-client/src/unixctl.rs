//! Control sockets of the daemons of Open vSwitch and OVN: what `ovs-appctl` speaks.
//!
//! Every daemon listens on a Unix socket for commands with text arguments and answers with text
//! (Open vSwitch's `lib/unixctl.c`). [`Unixctl::call`] carries out any of them; the commonest have
//! methods whose results are parsed, such as [`Unixctl::cluster_status`].

mod builder;
mod cluster;
mod command;
mod error;
mod message;
mod socket;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::Disconnect;
use crate::frame::Framer;
use message::Reply;

pub use builder::UnixctlBuilder;
pub use cluster::{
    ClusterConnection, ClusterServer, ClusterStatus, MemberStatus, ParseClusterStatusError, Role,
    ServerName,
};
pub use command::{CommandUsage, ConnectionStatus, Version};
pub use error::UnixctlError;
pub use socket::{FindSocketError, find_socket};

/// Bytes asked of the stream at a time.
const READ_SIZE: usize = 16 * 1024;

/// A connection to a daemon's control socket.
///
/// A daemon works on one command of a connection at a time, so a call borrows the connection
/// exclusively. Dropping the future of a call, or its running into the deadline, does no harm: the
/// daemon may carry out the command, and a late reply is skipped.
///
/// ```no_run
/// # use ovsdb_client::unixctl::{Unixctl, find_socket};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = find_socket("/run/openvswitch", "ovs-vswitchd")?;
/// let mut vswitchd = Unixctl::connect(socket).await?;
/// println!("{}", vswitchd.version().await?);
/// print!("{}", vswitchd.call("fdb/show", &["br-int"]).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Unixctl {
    stream: UnixStream,
    framer: Framer,
    /// What is still to be written, of requests whose callers may have gone meanwhile.
    unsent: Vec<u8>,
    /// The id of the last request, and of the last one that was answered: a daemon keeps the order.
    last_id: u64,
    answered: u64,
    deadline: Duration,
    /// Why the connection ended, once it has.
    ended: Option<Disconnect>,
}

impl Unixctl {
    /// Starts the description of a connection that departs from the defaults.
    pub fn builder() -> UnixctlBuilder {
        UnixctlBuilder::default()
    }

    /// Connects to a control socket. [`find_socket`] tells where a daemon has its own.
    ///
    /// # Errors
    ///
    /// [`UnixctlError::Connect`] when nobody listens there.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, UnixctlError> {
        Self::builder().connect(path).await
    }

    /// Speaks over a stream that is connected already.
    pub fn from_stream(stream: UnixStream) -> Self {
        Self::builder().from_stream(stream)
    }

    /// Sets how long each further call may take.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Carries out a command and returns what the daemon prints, often with a newline at the end.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`]: the daemon does not know the command, or refuses the arguments, or is not
    /// there any more, or is busy for longer than the deadline.
    pub async fn call(&mut self, command: &str, args: &[&str]) -> Result<String, UnixctlError> {
        match self.call_json(command, args).await? {
            Value::String(text) => Ok(text),
            other => Err(UnixctlError::unexpected(
                command,
                &other.to_string(),
                "text",
            )),
        }
    }

    /// Carries out a command once for each list of arguments, in their order, without waiting for
    /// one to be answered before the next is sent. What the daemon prints is left out.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), of the first that fails; the others are carried out all the same.
    /// The deadline is that of all together.
    pub async fn call_each<'a, A: AsRef<[&'a str]>>(
        &mut self,
        command: &str,
        lists: impl IntoIterator<Item = A>,
    ) -> Result<(), UnixctlError> {
        let first = self.last_id + 1;
        for args in lists {
            self.send(command, args.as_ref());
        }
        let deadline = self.deadline;
        match tokio::time::timeout(deadline, self.replies_from(first)).await {
            Err(_) => Err(UnixctlError::Timeout {
                command: command.to_owned(),
                deadline,
            }),
            Ok(Err(source)) => Err(UnixctlError::Disconnected {
                command: command.to_owned(),
                source,
            }),
            Ok(Ok(refused)) => refused.map_or(Ok(()), |message| {
                Err(UnixctlError::refused(command, message))
            }),
        }
    }

    /// Waits for the replies to all requests from one on. Returns what the first refusal says.
    async fn replies_from(&mut self, first: u64) -> Result<Option<String>, Disconnect> {
        let mut refused = None;
        while self.answered < self.last_id {
            let reply = self.next_reply().await?;
            if reply.id >= first {
                refused = refused.or(reply.outcome.err());
            }
        }
        Ok(refused)
    }

    /// As [`call`](Self::call), for a result that may be any JSON: that of a daemon of Open vSwitch
    /// 3.4 or newer after the command `set-options --format json`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn call_json(&mut self, command: &str, args: &[&str]) -> Result<Value, UnixctlError> {
        let deadline = self.deadline;
        match tokio::time::timeout(deadline, self.exchange(command, args)).await {
            Err(_) => Err(UnixctlError::Timeout {
                command: command.to_owned(),
                deadline,
            }),
            Ok(Err(source)) => Err(UnixctlError::Disconnected {
                command: command.to_owned(),
                source,
            }),
            Ok(Ok(outcome)) => outcome.map_err(|message| UnixctlError::refused(command, message)),
        }
    }

    /// Has a request sent, unless the connection has ended.
    fn send(&mut self, command: &str, args: &[&str]) {
        if self.ended.is_none() {
            self.last_id += 1;
            self.unsent
                .extend(message::request(command, args, self.last_id));
        }
    }

    /// Sends a command and waits for its reply.
    async fn exchange(
        &mut self,
        command: &str,
        args: &[&str],
    ) -> Result<Result<Value, String>, Disconnect> {
        self.send(command, args);
        loop {
            let reply = self.next_reply().await?;
            if reply.id == self.last_id {
                return Ok(reply.outcome);
            }
            tracing::debug!(
                id = reply.id,
                "skipped the reply to a call that was given up"
            );
        }
    }

    /// Waits for the next reply; why there is none is remembered for the calls that follow.
    async fn next_reply(&mut self) -> Result<Reply, Disconnect> {
        if let Some(cause) = &self.ended {
            return Err(cause.clone());
        }
        let reply = self.read_reply().await.and_then(|reply| {
            if reply.id <= self.answered || reply.id > self.last_id {
                return Err(Disconnect::UnexpectedReply { id: reply.id });
            }
            self.answered = reply.id;
            Ok(reply)
        });
        reply.inspect_err(|cause| self.ended = Some(cause.clone()))
    }

    /// Writes and reads, whichever is possible, up to the end of the next reply.
    ///
    /// Both at a time, because a daemon that has a backlog for us does not read. May be dropped at
    /// every await: what was read or written is accounted for in `self`.
    async fn read_reply(&mut self) -> Result<Reply, Disconnect> {
        loop {
            if let Some(frame) = self.framer.next_frame()? {
                return Reply::parse(&frame).map_err(|malformed| Disconnect::Malformed {
                    bytes: frame.len(),
                    source: Arc::new(malformed),
                });
            }
            let room = self.framer.room();
            room.reserve(READ_SIZE);
            let (mut read, mut write) = self.stream.split();
            tokio::select! {
                written = write.write(&self.unsent), if !self.unsent.is_empty() => {
                    let written = written.map_err(|error| Disconnect::Write {
                        source: Arc::new(error),
                    })?;
                    self.unsent.drain(..written);
                }
                read = read.read_buf(room) => match read {
                    Ok(0) => return Err(match self.framer.unfinished() {
                        0 => Disconnect::Closed,
                        bytes => Disconnect::Truncated { bytes },
                    }),
                    Ok(_) => {}
                    Err(error) => return Err(Disconnect::Read {
                        source: Arc::new(error),
                    }),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
