//! The methods: RFC 7047 §4.1 and ovsdb-server(7) §4.1.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::Hub;
use crate::server::constraint::check_id;
use crate::server::failure::Failure;
use crate::server::lock::{Claim, Granted};
use crate::server::monitor::{Dialect, Monitor};
use crate::server::served::{Served, Waiting};
use crate::server::session::SessionId;

/// A result, an error, or nothing as long as the answer has to wait.
type Answer = Option<Result<Value, Value>>;

/// The error of a request as a whole: an object, or a bare string.
enum Refusal {
    Failure(Failure),
    Name(&'static str),
}

/// What a session is told that has ended, or whose monitor's database has: it does not hear it.
const GONE: Refusal = Refusal::Name("canceled");

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Refusal> for Value {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failure(failure) => json!(failure),
            Refusal::Name(name) => json!(name),
        }
    }
}

impl Hub {
    /// Carries out a request.
    pub(super) fn request(
        &mut self,
        id: SessionId,
        method: &str,
        params: &[Value],
        request: &Value,
        now: Instant,
    ) -> Answer {
        let result = match method {
            "echo" => Ok(json!(params)),
            "list_dbs" => Ok(json!(self.databases.keys().collect::<Vec<_>>())),
            "get_server_id" => Ok(json!(self.server_id)),
            "get_schema" => self.get_schema(params),
            "transact" => match self.transact(id, params, request, now) {
                Ok(()) => return None,
                Err(failure) => Err(failure.into()),
            },
            "monitor_cond_change" => self.monitor_cond_change(id, params),
            "monitor_cancel" => self.monitor_cancel(id, params),
            "lock" => self.lock(id, params, Claim::Lock),
            "steal" => self.lock(id, params, Claim::Steal),
            "unlock" => match lock_name(params) {
                Ok(name) if self.unlock(id, name) => Ok(json!({})),
                Ok(name) => Err(Failure::syntax(format!("{name} was not asked for")).into()),
                Err(failure) => Err(failure.into()),
            },
            "set_db_change_aware" => self.set_db_change_aware(id, params),
            method => match Dialect::of_request(method) {
                Some(dialect) => self.monitor(id, dialect, params),
                None => Err(Refusal::Name("unknown method")),
            },
        };
        Some(result.map_err(Value::from))
    }

    fn get_schema(&self, params: &[Value]) -> Result<Value, Refusal> {
        let (_, served) = find(&self.databases, params)?;
        // The schema was parsed from this text, so it is JSON.
        Ok(serde_json::from_str(served.database.schema.json()).unwrap_or(Value::Null))
    }

    fn transact(
        &mut self,
        session: SessionId,
        params: &[Value],
        id: &Value,
        now: Instant,
    ) -> Result<(), Failure> {
        let mut waiting = self.databases.values().flat_map(|served| &served.waiting);
        if waiting.any(|waiting| waiting.session == session && waiting.id == *id) {
            return Err(Failure::syntax("duplicate request id"));
        }
        let (name, _) = find(&self.databases, params)?;
        let transaction = Waiting {
            session,
            id: id.clone(),
            operations: params[1..].to_vec(),
            since: now,
            until: None,
        };
        self.run(name, vec![transaction], now);
        Ok(())
    }

    fn monitor(
        &mut self,
        id: SessionId,
        dialect: Dialect,
        params: &[Value],
    ) -> Result<Value, Refusal> {
        let (_, served) = find(&self.databases, params)?;
        let session = self.sessions.get_mut(&id).ok_or(GONE)?;
        let (monitor_id, requests, since) = match (dialect, params) {
            (Dialect::Update3, [_, monitor_id, requests, since]) => {
                let since = since.as_str().and_then(|since| Uuid::parse_str(since).ok());
                (monitor_id, requests, Some(since))
            }
            (Dialect::Update2, [_, monitor_id, requests])
            | (Dialect::Update, [_, monitor_id, requests, ..]) => (monitor_id, requests, None),
            _ => return Err(Failure::syntax("invalid parameters").into()),
        };
        if session.monitor(monitor_id).is_some() {
            return Err(Failure::syntax("duplicate monitor id").into());
        }
        let monitor = Monitor::new(&served.database, dialect, monitor_id.clone(), requests)?;
        let reply = match since {
            None => Value::Object(monitor.initial(&served.database)),
            Some(None) => return Err(Failure::syntax("the last transaction is no UUID").into()),
            Some(Some(since)) => {
                let changes = served.changes_since(since);
                let found = changes.is_some();
                let rows = match changes {
                    Some(changes) => monitor.update(&served.database, &changes),
                    None => monitor.initial(&served.database),
                };
                json!([found, served.last_transaction(), rows])
            }
        };
        session.monitors.push(monitor);
        Ok(reply)
    }

    fn monitor_cond_change(&mut self, id: SessionId, params: &[Value]) -> Result<Value, Refusal> {
        let [old_id, new_id, requests] = params else {
            return Err(Failure::syntax("invalid parameters").into());
        };
        let session = self.sessions.get_mut(&id).ok_or(GONE)?;
        let Some(place) = session.monitor(old_id) else {
            return Err(Failure::syntax("unknown monitor").into());
        };
        if new_id != old_id && session.monitor(new_id).is_some() {
            return Err(Failure::syntax("duplicate monitor id").into());
        }
        let monitor = &mut session.monitors[place];
        let served = self.databases.get(&monitor.database).ok_or(GONE)?;
        let update = monitor.change_conditions(&served.database, requests)?;
        monitor.id = new_id.clone();
        if !update.is_empty() {
            let params = monitor.params(update, served.last_transaction());
            let method = monitor.dialect.notification();
            session.notify(method, params);
        }
        Ok(json!({}))
    }

    fn monitor_cancel(&mut self, id: SessionId, params: &[Value]) -> Result<Value, Refusal> {
        let ([monitor_id], Some(session)) = (params, self.sessions.get_mut(&id)) else {
            return Err(Refusal::Name("invalid parameters"));
        };
        let Some(place) = session.monitor(monitor_id) else {
            return Err(Refusal::Name("unknown monitor"));
        };
        session.monitors.remove(place);
        Ok(json!({}))
    }

    fn lock(&mut self, id: SessionId, params: &[Value], claim: Claim) -> Result<Value, Refusal> {
        let name = lock_name(params)?;
        let Some(Granted { locked, victim }) = self.locks.lock(id, name, claim) else {
            return Err(Failure::syntax(format!("{name} must be unlocked first")).into());
        };
        if let Some(victim) = victim.and_then(|victim| self.sessions.get(&victim)) {
            victim.notify("stolen", json!([name]));
        }
        Ok(json!({"locked": locked}))
    }

    fn set_db_change_aware(&mut self, id: SessionId, params: &[Value]) -> Result<Value, Refusal> {
        let ([Value::Bool(aware)], Some(session)) = (params, self.sessions.get_mut(&id)) else {
            return Err(Failure::syntax("true or false is expected").into());
        };
        session.db_change_aware = *aware;
        Ok(json!({}))
    }
}

/// The database that the parameters begin with.
fn find<'d, 'p>(
    databases: &'d BTreeMap<String, Served>,
    params: &'p [Value],
) -> Result<(&'p str, &'d Served), Failure> {
    let Some(Value::String(name)) = params.first() else {
        return Err(Failure::syntax(
            "the parameters do not begin with a database",
        ));
    };
    let served = databases
        .get(name)
        .ok_or_else(|| Failure::new("unknown database", format!("there is no database {name}")))?;
    Ok((name, served))
}

fn lock_name(params: &[Value]) -> Result<&str, Failure> {
    let [Value::String(name)] = params else {
        return Err(Failure::syntax("the name of a lock is expected"));
    };
    check_id("lock", name)?;
    Ok(name)
}
