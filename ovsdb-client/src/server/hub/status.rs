//! The database `_Server`, in which the server tells of itself: ovsdb-server(7), "The _Server
//! database", and ovsdb/_server.ovsschema.

use serde_json::{Value, json};
use uuid::Uuid;

use super::Hub;
use crate::schema::Schema;
use crate::server::AddError;
use crate::server::served::Served;
use crate::transaction::{Condition, Operation};
use crate::value::{Datum, Row};

/// Name of the database.
const SERVER_DATABASE: &str = "_Server";

const SCHEMA: &str = r#"{"name": "_Server", "version": "1.2.0", "tables": {"Database": {
    "columns": {
        "name": {"type": "string"},
        "model": {"type": {"key": {"type": "string",
            "enum": ["set", ["standalone", "clustered", "relay"]]}}},
        "connected": {"type": "boolean"},
        "leader": {"type": "boolean"},
        "schema": {"type": {"key": "string", "min": 0}},
        "cid": {"type": {"key": "uuid", "min": 0}},
        "sid": {"type": {"key": "uuid", "min": 0}},
        "index": {"type": {"key": "integer", "min": 0}}},
    "isRoot": true}}}"#;

impl Hub {
    /// Adds a database and tells of it.
    pub(in crate::server) fn add(
        &mut self,
        schema: Schema,
        clustered: bool,
    ) -> Result<(), AddError> {
        let name = schema.name().to_owned();
        if self.databases.contains_key(&name) {
            return Err(AddError::Taken { name });
        }
        let row = Row::new()
            .set("name", &name)
            .set("model", if clustered { "clustered" } else { "standalone" })
            .set("connected", true)
            .set("leader", true)
            .set("schema", schema.json())
            .set("cid", clustered.then(Uuid::new_v4))
            .set("sid", clustered.then(Uuid::new_v4))
            // The log of a new cluster begins with its contents and its leader's first word.
            .set("index", clustered.then_some(2));
        self.databases.insert(name, Served::new(schema, clustered));
        self.disconnect_all(false);
        self.tell(Operation::Insert {
            table: "Database".to_owned(),
            row,
            uuid_name: None,
            uuid: None,
        });
        Ok(())
    }

    /// Adds the database that tells of the others and of itself.
    pub(in crate::server) fn add_server_database(&mut self) {
        let schema = Schema::parse(SCHEMA).expect("the schema above is one");
        self.add(schema, false)
            .expect("the schema above refers to nothing, and no other database is there yet");
    }

    /// Removes a database: its monitors and waiting transactions are canceled, and clients are
    /// disconnected that would not learn of it otherwise.
    pub(in crate::server) fn remove(&mut self, name: &str) -> bool {
        let Some(served) = self.databases.remove(name) else {
            return false;
        };
        for waiting in served.waiting {
            let aware = self.sessions.get(&waiting.session);
            if aware.is_some_and(|session| session.db_change_aware) {
                self.reply(waiting.session, &waiting.id, Err(json!("canceled")));
            }
        }
        for session in self.sessions.values_mut() {
            let monitors = session
                .monitors
                .extract_if(.., |monitor| monitor.database == name);
            let canceled: Vec<Value> = monitors.map(|monitor| monitor.id).collect();
            for id in canceled.into_iter().filter(|_| session.db_change_aware) {
                session.notify("monitor_canceled", json!([id]));
            }
        }
        self.disconnect_all(false);
        self.tell(Operation::Delete {
            table: "Database".to_owned(),
            conditions: vec![Condition::eq("name", name)],
        });
        true
    }

    /// Changes what `_Server` says of a database.
    pub(in crate::server) fn set_status(&mut self, database: &str, row: Row) {
        self.tell(Operation::Update {
            table: "Database".to_owned(),
            conditions: vec![Condition::eq("name", database)],
            row,
        });
    }

    /// What `_Server` says of a database.
    fn status(&self, database: &str, column: &str) -> Option<Datum> {
        let rows = self.databases.get(SERVER_DATABASE)?.rows("Database")?;
        let row = rows.iter().find(|row| row.str("name") == Some(database))?;
        row.get(column).cloned()
    }

    /// Counts a commit of a clustered database.
    pub(super) fn count_commit(&mut self, database: &str) {
        let index = self
            .status(database, "index")
            .and_then(|index| index.as_i64())
            .unwrap_or(0);
        self.set_status(database, Row::new().set("index", index.saturating_add(1)));
    }

    /// Changes `_Server`, which clients cannot.
    fn tell(&mut self, operation: Operation) {
        self.carry_out(SERVER_DATABASE, &[json!(operation)]);
    }
}
