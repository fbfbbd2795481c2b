//! Where the server's notifications go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// Something that the server tells a monitor.
#[derive(Debug)]
pub(crate) enum Event {
    /// The parameters of an `update3`.
    Update(Box<RawValue>),
    /// The server ended the monitor: `monitor_canceled`.
    Canceled,
}

/// The monitors of one connection, by the id that they gave themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last_id: AtomicU64,
    /// The queues are unbounded: to drop an update is to hold a stale view without knowing, and to
    /// wait for a slow consumer would stop the replies on the same connection. What a queue can
    /// hold is what the server sends, at most the message limit each, while its consumer does not
    /// look.
    queues: Mutex<HashMap<String, mpsc::UnboundedSender<Event>>>,
}

impl Inner {
    fn queues(&self) -> MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<Event>>> {
        // No code that runs under the lock leaves the map half-changed.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving end of one monitor's notifications. Dropping it closes the route.
#[derive(Debug)]
pub(crate) struct Route {
    id: String,
    queue: mpsc::UnboundedReceiver<Event>,
    routes: Routes,
}

impl Routes {
    /// Opens a route under a new id; before the monitor is requested, so that nothing is missed.
    pub(crate) fn open(&self) -> Route {
        let number = self.0.last_id.fetch_add(1, Ordering::Relaxed);
        let id = format!("monitor-{number}");
        let (sender, queue) = mpsc::unbounded_channel();
        self.0.queues().insert(id.clone(), sender);
        Route {
            id,
            queue,
            routes: self.clone(),
        }
    }

    /// Queues a notification for the monitor that it names.
    ///
    /// One for a monitor that was dropped is no error: the server does not know yet. The lock
    /// notifications (`locked`, `stolen`) end here as well, as this client takes no locks.
    pub(super) fn deliver(&self, method: &str, params: Box<RawValue>) {
        let queues = self.0.queues();
        let Some(queue) = addressee(&params).and_then(|id| queues.get(&id)) else {
            return tracing::debug!(method, "ignored a notification that nobody waits for");
        };
        let event = match method {
            "update3" => Event::Update(params),
            "monitor_canceled" => Event::Canceled,
            _ => return tracing::debug!(method, "ignored a notification of unknown purpose"),
        };
        // The queue is closed only while its route is being dropped.
        drop(queue.send(event));
    }

    /// Closes all routes: nothing will come any more.
    pub(super) fn close(&self) {
        self.0.queues().clear();
    }
}

/// The id that the parameters of a notification begin with, if it can be one of ours.
fn addressee(params: &RawValue) -> Option<String> {
    let first = params.get().strip_prefix('[')?;
    // Only the first element is parsed; what follows may be megabytes.
    String::deserialize(&mut serde_json::Deserializer::from_str(first)).ok()
}

impl Route {
    /// The id of the monitor.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The next event; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await
    }

    /// The next event if it is here already.
    pub(crate) fn try_next(&mut self) -> Result<Event, mpsc::error::TryRecvError> {
        self.queue.try_recv()
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.routes.0.queues().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_notification_reaches_the_monitor_that_it_names() {
        let routes = Routes::default();
        let (mut first, mut second) = (routes.open(), routes.open());
        routes.deliver("update3", params(r#"[ "monitor-1", "0", {}]"#));
        routes.deliver("monitor_canceled", params(r#"["monitor-0"]"#));
        for stray in ["[]", "{}", "[null]", r#"["monitor-7"]"#] {
            routes.deliver("update3", params(stray));
        }
        routes.deliver("update2", params(r#"["monitor-0", {}]"#));

        assert!(
            matches!(second.try_next(), Ok(Event::Update(params)) if params.get().ends_with("{}]"))
        );
        assert!(matches!(first.try_next(), Ok(Event::Canceled)));
        assert!(first.try_next().is_err() && second.try_next().is_err());
    }

    #[test]
    fn a_dropped_route_and_a_closed_one_end() {
        let routes = Routes::default();
        let (dropped, mut closed) = (routes.open(), routes.open());
        drop(dropped);
        assert_eq!(routes.0.queues().len(), 1);
        routes.close();
        assert_eq!(
            closed.try_next().unwrap_err(),
            mpsc::error::TryRecvError::Disconnected
        );
    }
}
