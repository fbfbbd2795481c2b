//! The requests that wait for their replies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::error::RpcError;

/// What a server replied: a result or an error.
pub(crate) type Reply = Result<Box<RawValue>, RpcError>;

/// The requests of one connection that wait for their replies.
///
/// A request that its caller has given up stays here, because its reply is still to come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// By the id on the wire.
    waiting: HashMap<u64, Waiting>,
    /// The requests that go through `jsonrpsee`, which chooses their ids, by our own number.
    tagged: HashMap<u64, Tagged>,
}

#[derive(Debug)]
enum Waiting {
    /// The caller waits here.
    Caller(oneshot::Sender<Reply>),
    /// The caller waits in `jsonrpsee`; this is our number of its request.
    Tagged(u64),
}

/// How far a request through `jsonrpsee` has got.
#[derive(Debug, Clone, Copy)]
enum Tagged {
    /// Not on its way yet.
    Early,
    /// Given up before it was on its way.
    GivenUp,
    /// On its way under this id.
    Sent(u64),
}

impl Calls {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No code that runs under the lock leaves the maps half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a request and returns its id, and where its reply will come.
    pub(crate) fn register(&self) -> (u64, oneshot::Receiver<Reply>) {
        let (sender, reply) = oneshot::channel();
        let mut inner = self.inner();
        let id = inner.next;
        inner.next += 1;
        inner.waiting.insert(id, Waiting::Caller(sender));
        (id, reply)
    }

    /// Registers a request that will go through `jsonrpsee`, and returns our number of it.
    pub(crate) fn tag(&self) -> u64 {
        let mut inner = self.inner();
        let tag = inner.next;
        inner.next += 1;
        inner.tagged.insert(tag, Tagged::Early);
        tag
    }

    /// Notes the id under which a tagged request leaves. Returns whether it was given up already.
    pub(super) fn sent(&self, tag: u64, id: u64) -> bool {
        let mut inner = self.inner();
        inner.waiting.insert(id, Waiting::Tagged(tag));
        let before = inner.tagged.insert(tag, Tagged::Sent(id));
        matches!(before, Some(Tagged::GivenUp))
    }

    /// Notes that nobody waits for a tagged request any more. Returns its id if a cancellation
    /// makes sense; if the request has not left yet, [`sent`](Self::sent) will tell.
    pub(crate) fn give_up(&self, tag: u64) -> Option<u64> {
        let mut inner = self.inner();
        match inner.tagged.get_mut(&tag)? {
            Tagged::Sent(id) => Some(*id),
            early => {
                *early = Tagged::GivenUp;
                None
            }
        }
    }

    /// Whether a reply to the request is still to come.
    pub(crate) fn waits(&self, id: u64) -> bool {
        self.inner().waiting.contains_key(&id)
    }

    /// Takes a request off the list because its reply has come. Returns whether it was there, and
    /// its caller if that waits here.
    pub(super) fn settle(&self, id: u64) -> Option<Option<oneshot::Sender<Reply>>> {
        let mut inner = self.inner();
        Some(match inner.waiting.remove(&id)? {
            Waiting::Caller(sender) => Some(sender),
            Waiting::Tagged(tag) => {
                inner.tagged.remove(&tag);
                None
            }
        })
    }

    /// Ends all waiting, as the connection is gone.
    pub(super) fn clear(&self) {
        let mut inner = self.inner();
        inner.waiting.clear();
        inner.tagged.clear();
    }
}
