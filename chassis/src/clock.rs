//! The time of a start, and who is told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Event, Phase};
use crate::trace::{OpenSpan, SpanKind, Trace};

/// Whoever wants to hear of the start.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// Tells the listener what happens and remembers how long it took.
pub(crate) struct Clock {
    pub(crate) listener: Listener,
    pub(crate) phases: BTreeMap<Phase, Duration>,
    /// How much of the phase was done before.
    pub(crate) done_before: usize,
    /// Where phases are recorded, if they are.
    trace: Option<Trace>,
}

/// A phase that goes on.
pub(crate) struct Begun {
    at: Instant,
    span: Option<OpenSpan>,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn new(listener: Listener) -> Self {
        Self {
            listener,
            phases: BTreeMap::new(),
            done_before: 0,
            trace: None,
        }
    }

    /// Has phases recorded.
    pub(crate) fn traced(self, trace: Option<Trace>) -> Self {
        Self { trace, ..self }
    }

    /// A clock that nobody hears.
    pub(crate) fn deaf() -> Self {
        Self::new(Arc::new(|_| {}))
    }

    /// A clock for the rest of a phase of which so much is done.
    pub(crate) fn after(&self, done: usize) -> Self {
        Self {
            done_before: done,
            ..Self::new(self.listener.clone())
        }
    }

    pub(crate) fn begin(&self, phase: Phase, total: usize) -> Begun {
        (self.listener)(Event::Started { phase, total });
        let trace = self.trace.as_ref();
        Begun {
            at: Instant::now(),
            span: trace.and_then(|trace| trace.open(None, SpanKind::Phase, phase.as_str())),
        }
    }

    pub(crate) fn progress(&self, phase: Phase, done: usize, total: usize) {
        let (done, total) = (self.done_before + done, self.done_before + total);
        (self.listener)(Event::Progress { phase, done, total });
    }

    pub(crate) fn end(&mut self, phase: Phase, began: Begun) {
        let elapsed = began.at.elapsed();
        if let Some(span) = began.span {
            span.end(None);
        }
        self.phases.insert(phase, elapsed);
        (self.listener)(Event::Finished { phase, elapsed });
    }
}
