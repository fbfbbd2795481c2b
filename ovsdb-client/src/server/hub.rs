//! Everything that the server knows, and what it does when something happens.
//!
//! All of it is synchronous: messages go in, answers and notifications go into the outboxes of the
//! sessions, in the order in which they are to be sent.

mod request;
mod status;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use uuid::Uuid;

use super::lock::Locks;
use super::message::{self, Message, Unacceptable};
use super::served::{Served, Waiting};
use super::session::{Session, SessionId};
use super::transact::{Circumstances, Execution, RowDelta};

/// The state of the server.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) server_id: Uuid,
    pub(super) databases: BTreeMap<String, Served>,
    sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
    locks: Locks,
    /// Methods that are answered with an error instead of being carried out.
    pub(super) refused: HashMap<String, String>,
    /// Whether new connections are served.
    pub(super) accepting: bool,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            server_id: Uuid::new_v4(),
            databases: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_session: 0,
            locks: Locks::default(),
            refused: HashMap::new(),
            accepting: true,
        }
    }
}

/// What came of trying a transaction.
enum Attempt {
    Over { changed: bool },
    Blocked(Waiting),
}

impl Hub {
    /// Begins a session.
    pub(super) fn connect(&mut self, outbox: UnboundedSender<String>) -> SessionId {
        self.last_session += 1;
        let id = SessionId(self.last_session);
        self.sessions.insert(id, Session::new(outbox));
        id
    }

    /// Number of sessions.
    pub(super) fn connections(&self) -> usize {
        self.sessions.len()
    }

    /// Ends a session: its transactions and monitors are forgotten, its locks go to the next.
    pub(super) fn disconnect(&mut self, id: SessionId) {
        if self.sessions.remove(&id).is_none() {
            return;
        }
        for served in self.databases.values_mut() {
            served.waiting.retain(|waiting| waiting.session != id);
        }
        for name in self.locks.claimed(id) {
            self.unlock(id, &name);
        }
    }

    /// Ends all sessions, or those only that cannot bear a change of the databases.
    pub(super) fn disconnect_all(&mut self, aware_too: bool) {
        let sessions = self.sessions.iter();
        let ended: Vec<_> = sessions
            .filter(|(_, session)| aware_too || !session.db_change_aware)
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            self.disconnect(id);
        }
    }

    /// Takes a message of a client.
    pub(super) fn receive(
        &mut self,
        id: SessionId,
        frame: &[u8],
        now: Instant,
    ) -> Result<(), Unacceptable> {
        match Message::parse(frame)? {
            Message::Request {
                method,
                params,
                id: request,
            } => {
                let answer = match self.refused.get(&method) {
                    Some(error) => Some(Err(json!(error))),
                    None => self.request(id, &method, &params, &request, now),
                };
                if let Some(answer) = answer {
                    self.reply(id, &request, answer);
                }
            }
            Message::Notification { method, params } => {
                if let ("cancel", [request]) = (&*method, &*params) {
                    self.cancel(id, request);
                }
            }
        }
        Ok(())
    }

    fn reply(&self, id: SessionId, request: &Value, answer: Result<Value, Value>) {
        if let Some(session) = self.sessions.get(&id) {
            session.send(message::reply(request, answer));
        }
    }

    /// Tries transactions in turn, and after each one that changes something those that wait.
    fn run(&mut self, database: &str, transactions: Vec<Waiting>, now: Instant) {
        let mut queue = VecDeque::from(transactions);
        while let Some(transaction) = queue.pop_front() {
            let attempt = self.attempt(database, transaction, now);
            let Some(served) = self.databases.get_mut(database) else {
                return;
            };
            match attempt {
                Attempt::Blocked(transaction) => served.waiting.push(transaction),
                Attempt::Over { changed: true } => {
                    queue.extend(std::mem::take(&mut served.waiting))
                }
                Attempt::Over { changed: false } => {}
            }
        }
        if let Some(served) = self.databases.get_mut(database) {
            served.waiting.sort_by_key(|waiting| waiting.since);
        }
    }

    /// Tries a transaction, and answers if it is over.
    fn attempt(&mut self, database: &str, mut transaction: Waiting, now: Instant) -> Attempt {
        let locks = self.locks.owned(transaction.session);
        let circumstances = Circumstances {
            locks: &locks,
            age: now.saturating_duration_since(transaction.since),
            read_only: database.starts_with('_'),
        };
        let Some(served) = self.databases.get_mut(database) else {
            return Attempt::Over { changed: false };
        };
        match served
            .database
            .execute(&transaction.operations, circumstances)
        {
            Execution::Blocked { until } => {
                transaction.until = until;
                Attempt::Blocked(transaction)
            }
            Execution::Done { results, changes } => {
                self.publish(database, &changes);
                let Waiting { session, id, .. } = transaction;
                self.reply(session, &id, Ok(Value::Array(results)));
                Attempt::Over {
                    changed: !changes.is_empty(),
                }
            }
        }
    }

    /// Carries out a transaction of the server's owner, in which no wait waits; `None` when there is
    /// no such database.
    pub(super) fn carry_out(&mut self, name: &str, operations: &[Value]) -> Option<Vec<Value>> {
        let circumstances = Circumstances {
            locks: &[],
            age: Duration::MAX,
            read_only: false,
        };
        let served = self.databases.get_mut(name)?;
        let Execution::Done { results, changes } =
            served.database.execute(operations, circumstances)
        else {
            // A wait without a timeout, which `Transaction` does not make.
            return Some(Vec::new());
        };
        self.publish(name, &changes);
        let served = self.databases.get_mut(name)?;
        let waiting = std::mem::take(&mut served.waiting);
        self.run(name, waiting, Instant::now());
        Some(results)
    }

    /// Tells everybody who follows a database what has changed in it.
    fn publish(&mut self, name: &str, changes: &[RowDelta]) {
        let Some(served) = self.databases.get_mut(name).filter(|_| !changes.is_empty()) else {
            return;
        };
        served.record(changes);
        let last = served.last_transaction();
        for session in self.sessions.values() {
            let monitors = session.monitors.iter();
            for monitor in monitors.filter(|monitor| monitor.database == name) {
                let update = monitor.update(&served.database, changes);
                if !update.is_empty() {
                    session.notify(monitor.dialect.notification(), monitor.params(update, last));
                }
            }
        }
        if served.is_clustered() {
            self.count_commit(name);
        }
    }

    /// Gives up a transaction that waits (RFC 7047 §4.1.4).
    ///
    /// The RFC has it answered, the server does so only for a client that is aware of database
    /// changes (`ovsdb_jsonrpc_trigger_complete` of ovsdb/jsonrpc-server.c).
    fn cancel(&mut self, id: SessionId, request: &Value) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        for served in self.databases.values_mut() {
            let before = served.waiting.len();
            served
                .waiting
                .retain(|waiting| waiting.session != id || waiting.id != *request);
            if served.waiting.len() < before && session.db_change_aware {
                session.send(message::reply(request, Err(json!("canceled"))));
            }
        }
    }

    /// Gives back a lock and tells its new owner; `false` when the session has not asked for it.
    fn unlock(&mut self, id: SessionId, name: &str) -> bool {
        let Some(owner) = self.locks.unlock(id, name) else {
            return false;
        };
        if let Some(session) = owner.and_then(|owner| self.sessions.get(&owner)) {
            session.notify("locked", json!([name]));
        }
        true
    }

    /// Carries out transactions whose waits end now.
    pub(super) fn expire(&mut self, now: Instant) {
        let names: Vec<String> = self.databases.keys().cloned().collect();
        for name in names {
            let due = |waiting: &mut Waiting| waiting.deadline().is_some_and(|end| end <= now);
            if let Some(served) = self.databases.get_mut(&name) {
                let due = served.waiting.extract_if(.., due).collect();
                self.run(&name, due, now);
            }
        }
    }

    /// When [`expire`](Self::expire) has to be called next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.databases.values().flat_map(|served| &served.waiting);
        waiting.filter_map(Waiting::deadline).min()
    }
}
