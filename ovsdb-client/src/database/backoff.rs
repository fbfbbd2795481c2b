//! How long to wait before the next attempt.

use std::time::Duration;

/// The pauses between rounds of attempts, in each of which every remote is tried once.
///
/// The first round comes at once, the pause before the second is the shortest, and each one after
/// is twice as long up to the longest. Up to a quarter is taken off at random, so that clients that
/// lost the same server do not come back in step.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            next: shortest,
        }
    }

    /// The pause before the second round.
    pub(super) fn shortest(&self) -> Duration {
        self.shortest
    }

    /// The pause before the next round.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest).max(self.shortest);
        pause.mul_f64(1.0 - 0.25 * fastrand::f64())
    }

    /// Begins anew, after a success.
    pub(super) fn reset(&mut self) {
        self.next = self.shortest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 5 * second);
        for full in [1, 2, 4, 5, 5] {
            let pause = backoff.pause();
            assert!(
                pause <= full * second && pause >= full * second * 3 / 4,
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= second);
    }
}
