//! What can go wrong.

use std::io;
use std::time::Duration;

use ofm_netns::EnterError;
use rustix::io::Errno;

/// Why a netlink socket was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no tokio runtime to drive the socket.
    #[error("a netlink socket needs a tokio runtime")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
    /// The namespace cannot be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The socket cannot be made or set up.
    #[error("cannot open a netlink socket")]
    Socket(#[source] io::Error),
}

/// A request that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {description}{}", explained(.explanation.as_deref()))]
pub struct RequestError {
    /// What was to be done, as in "set the MTU of eth1 to 1500".
    pub description: String,
    /// The kernel's own words, where it has any.
    pub explanation: Option<String>,
    /// The error number.
    pub source: io::Error,
}

/// Why a batch was not applied, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The kernel refused some requests. Those after the ones that were sent together with them were not sent.
    #[error("{first}{}", and_more(.others.len()))]
    Refused {
        /// The first refusal.
        #[source]
        first: Box<RequestError>,
        /// The refusals after it.
        others: Vec<RequestError>,
    },
    /// The socket ended before every request was answered; any of them may have been applied.
    #[error(
        "netlink answered only {answered} of {requests} requests, the first of them to {first}"
    )]
    Incomplete {
        /// How many were answered.
        answered: usize,
        /// How many were sent together.
        requests: usize,
        /// What the first of them was to do.
        first: String,
    },
    /// The batch took too long; any of its requests may have been applied.
    #[error(
        "after {deadline:?} there was no answer to the netlink requests that begin with: {first}"
    )]
    Deadline {
        /// The time it had.
        deadline: Duration,
        /// What the first request of the unanswered group was to do.
        first: String,
    },
    /// A network namespace descriptor of the batch could not be kept. Nothing was sent.
    #[error("cannot keep a network namespace descriptor to {description}")]
    Namespace {
        /// What the descriptor was for.
        description: String,
        /// The reason.
        source: io::Error,
    },
}

impl BatchError {
    /// Whether every refusal says that the link is not there, as when it was to be removed and went by itself.
    pub fn is_absent(&self) -> bool {
        let Self::Refused { first, others } = self else {
            return false;
        };
        let mut all = std::iter::once(&**first).chain(others);
        all.all(|refused| Errno::from_io_error(&refused.source) == Some(Errno::NODEV))
    }
}

fn explained(text: Option<&str>) -> String {
    text.map(|text| format!(": {text}")).unwrap_or_default()
}

fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    }
}
