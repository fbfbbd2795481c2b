//! The time of a start, and who is told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Event, Phase};

/// Whoever wants to hear of the start.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// Tells the listener what happens and remembers how long it took.
pub(crate) struct Clock {
    pub(crate) listener: Listener,
    pub(crate) phases: BTreeMap<Phase, Duration>,
}

impl Clock {
    pub(crate) fn begin(&self, phase: Phase, total: usize) -> Instant {
        (self.listener)(Event::Started { phase, total });
        Instant::now()
    }

    pub(crate) fn progress(&self, phase: Phase, done: usize, total: usize) {
        (self.listener)(Event::Progress { phase, done, total });
    }

    pub(crate) fn end(&mut self, phase: Phase, began: Instant) {
        let elapsed = began.elapsed();
        self.phases.insert(phase, elapsed);
        (self.listener)(Event::Finished { phase, elapsed });
    }
}
