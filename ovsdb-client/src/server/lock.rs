//! Who owns which lock: RFC 7047 §4.1.8, in the details as ovsdb/server.c does it.

use std::collections::{BTreeMap, VecDeque};

use super::session::SessionId;

/// All locks of the server.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// The sessions that queue for each lock; the first one owns it.
    queues: BTreeMap<String, VecDeque<SessionId>>,
    /// What each session has asked for and not given back, and whether it stole it. A thief that is
    /// stolen from has left the queue, but must still unlock before it can ask again.
    claims: BTreeMap<(SessionId, String), Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It waits for its turn.
    Lock,
    /// It takes the lock from whoever has it.
    Steal,
}

/// The answer to a request for a lock.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) locked: bool,
    /// The session that has lost it.
    pub(super) victim: Option<SessionId>,
}

impl Locks {
    /// Asks for a lock; `None` when the session has asked before.
    pub(super) fn lock(&mut self, session: SessionId, name: &str, claim: Claim) -> Option<Granted> {
        let key = (session, name.to_owned());
        if self.claims.contains_key(&key) {
            return None;
        }
        self.claims.insert(key, claim);
        let queue = self.queues.entry(name.to_owned()).or_default();
        if claim == Claim::Lock {
            queue.push_back(session);
            let locked = queue.front() == Some(&session);
            let victim = None;
            return Some(Granted { locked, victim });
        }
        let victim = queue.front().copied();
        if let Some(victim) = victim
            && self.claims.get(&(victim, name.to_owned())) == Some(&Claim::Steal)
        {
            queue.pop_front();
        }
        queue.push_front(session);
        Some(Granted {
            locked: true,
            victim,
        })
    }

    /// Gives a lock back, or stops waiting for it; `None` when the session has not asked for it.
    ///
    /// The session returned is to be told that it owns the lock. The server tells it so too when
    /// it has owned it all along and only another one stopped waiting.
    pub(super) fn unlock(&mut self, session: SessionId, name: &str) -> Option<Option<SessionId>> {
        self.claims.remove(&(session, name.to_owned()))?;
        let Some(queue) = self.queues.get_mut(name) else {
            return Some(None);
        };
        let Some(place) = queue.iter().position(|waiting| *waiting == session) else {
            return Some(None);
        };
        queue.remove(place);
        let owner = queue.front().copied();
        if owner.is_none() {
            self.queues.remove(name);
        }
        Some(owner)
    }

    /// The locks that a session owns.
    pub(super) fn owned(&self, session: SessionId) -> Vec<String> {
        let owned = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.front() == Some(&session));
        owned.map(|(name, _)| name.clone()).collect()
    }

    /// What a session has asked for and not given back.
    pub(super) fn claimed(&self, session: SessionId) -> Vec<String> {
        let claims = self
            .claims
            .keys()
            .filter(|(claimant, _)| *claimant == session);
        claims.map(|(_, name)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);
    const C: SessionId = SessionId(3);

    fn granted(locked: bool, victim: Option<SessionId>) -> Option<Granted> {
        Some(Granted { locked, victim })
    }

    #[test]
    fn locks_are_had_in_turn() {
        let mut locks = Locks::default();
        assert_eq!(locks.lock(A, "l", Claim::Lock), granted(true, None));
        assert_eq!(locks.lock(B, "l", Claim::Lock), granted(false, None));
        assert_eq!(locks.lock(B, "l", Claim::Steal), None);
        assert_eq!(locks.lock(B, "m", Claim::Lock), granted(true, None));
        assert_eq!(locks.owned(A), ["l"]);
        assert_eq!(locks.unlock(A, "l"), Some(Some(B)));
        assert_eq!(locks.owned(B), ["l", "m"]);
        assert_eq!(locks.unlock(B, "l"), Some(None));
        assert_eq!(locks.unlock(B, "l"), None);
    }

    #[test]
    fn the_robbed_come_before_the_patient_but_a_robbed_thief_has_nothing() {
        let mut locks = Locks::default();
        locks.lock(A, "l", Claim::Lock);
        locks.lock(B, "l", Claim::Lock);
        assert_eq!(locks.lock(C, "l", Claim::Steal), granted(true, Some(A)));
        assert_eq!(locks.unlock(C, "l"), Some(Some(A)));
        locks.lock(C, "l", Claim::Steal);
        locks.unlock(B, "l");
        assert_eq!(locks.lock(B, "l", Claim::Steal), granted(true, Some(C)));
        assert_eq!(locks.unlock(C, "l"), Some(None));
        assert_eq!(locks.unlock(B, "l"), Some(Some(A)));
    }
}
