//! How a connection is made.

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::{Unixctl, UnixctlError};
use crate::frame::{DEFAULT_MESSAGE_LIMIT, Framer};

/// The description of a connection; see [`Unixctl::builder`].
#[derive(Debug, Clone)]
pub struct UnixctlBuilder {
    deadline: Duration,
    message_limit: usize,
}

impl Default for UnixctlBuilder {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            message_limit: DEFAULT_MESSAGE_LIMIT,
        }
    }
}

impl UnixctlBuilder {
    /// Sets how long each call may take. Default: 30 seconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the largest reply accepted, in bytes; a larger one ends the connection. Default:
    /// [`DEFAULT_MESSAGE_LIMIT`].
    #[must_use]
    pub fn message_limit(mut self, limit: usize) -> Self {
        self.message_limit = limit;
        self
    }

    /// Connects to a control socket.
    ///
    /// # Errors
    ///
    /// As [`Unixctl::connect`].
    pub async fn connect(self, path: impl AsRef<Path>) -> Result<Unixctl, UnixctlError> {
        let path = path.as_ref();
        // Never waits: the kernel accepts for the daemon, or refuses when its queue is full.
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(self.from_stream(stream)),
            Err(source) => Err(UnixctlError::Connect {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Speaks over a stream that is connected already.
    pub fn from_stream(self, stream: UnixStream) -> Unixctl {
        Unixctl {
            stream,
            framer: Framer::with_limit(self.message_limit),
            unsent: Vec::new(),
            last_id: 0,
            answered: 0,
            deadline: self.deadline,
            ended: None,
        }
    }
}
