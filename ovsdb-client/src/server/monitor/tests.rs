//! What monitors tell, without connections.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::schema::Schema;
use crate::server::transact::{Circumstances, Execution};

const UUID: &str = "00000000-0000-0000-0000-000000000001";

/// A database with monitors, and what these are told of each transaction.
struct Watch {
    database: Database,
    monitors: Vec<Monitor>,
}

impl Watch {
    fn new(monitors: &[(Dialect, Value)]) -> Self {
        let schema = r#"{"name": "P", "version": "1.0.0", "tables": {"T": {"isRoot": true,
            "columns": {
                "name": {"type": "string"},
                "tag": {"type": {"key": "integer", "min": 0}},
                "trunks": {"type": {"key": "integer", "min": 0, "max": 4}},
                "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": 4}}}}}}"#;
        let database = Database::new(Schema::parse(schema).unwrap());
        let monitors = monitors.iter().map(|(dialect, requests)| {
            let requests = json!({"T": requests});
            Monitor::new(&database, *dialect, json!("m"), &requests).unwrap()
        });
        Self {
            monitors: monitors.collect(),
            database,
        }
    }

    /// Carries out one operation on table T and returns what each monitor is told of row 1; null
    /// when it is told nothing.
    fn operate(&mut self, operation: &str, members: Value) -> Vec<Value> {
        let mut json = json!({"op": operation, "table": "T"});
        json.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let circumstances = Circumstances {
            locks: &[],
            age: Duration::ZERO,
            read_only: false,
        };
        let Execution::Done { changes, .. } = self.database.execute(&[json], circumstances) else {
            panic!("nothing waits");
        };
        let told = self.monitors.iter().map(|monitor| {
            let mut update = Value::Object(monitor.update(&self.database, &changes));
            update["T"][UUID].take()
        });
        told.collect()
    }

    fn insert(&mut self, row: Value) -> Vec<Value> {
        self.operate("insert", json!({"row": row, "uuid": UUID}))
    }

    fn update(&mut self, row: Value) -> Vec<Value> {
        self.operate("update", json!({"where": [], "row": row}))
    }

    fn delete(&mut self) -> Vec<Value> {
        self.operate("delete", json!({"where": []}))
    }
}

#[test]
fn each_dialect_tells_a_change_in_its_way() {
    let columns = json!({"columns": ["name", "tag", "trunks", "ids"]});
    let dialects = [Dialect::Update, Dialect::Update2];
    let mut watch = Watch::new(&dialects.map(|dialect| (dialect, columns.clone())));
    let row = json!({"name": "a", "tag": ["set", []], "trunks": ["set", [1, 2]],
        "ids": ["map", [["k", "v"], ["l", "w"]]]});
    let without_defaults = json!({"name": "a", "trunks": ["set", [1, 2]],
        "ids": ["map", [["k", "v"], ["l", "w"]]]});
    assert_eq!(
        watch.insert(row.clone()),
        [json!({"new": row}), json!({"insert": without_defaults})]
    );
    let changed = json!({"tag": 7, "trunks": 2, "ids": ["map", [["k", "x"], ["m", "y"]]]});
    let mut new = changed.clone();
    new["name"] = json!("a");
    let mut old = row;
    old.as_object_mut().unwrap().remove("name");
    let difference = json!({"tag": 7, "trunks": 1,
        "ids": ["map", [["k", "x"], ["l", "w"], ["m", "y"]]]});
    assert_eq!(
        watch.update(changed),
        [
            json!({"old": old, "new": new}),
            json!({"modify": difference})
        ]
    );
    assert_eq!(
        watch.delete(),
        [json!({"old": new}), json!({"delete": null})]
    );
}

#[test]
fn only_what_is_selected_is_told() {
    let mut watch = Watch::new(&[
        (
            Dialect::Update,
            json!({"columns": ["name"], "select": {"insert": false}}),
        ),
        (
            Dialect::Update2,
            json!([{"columns": ["name"], "select": {"modify": false}}, {"columns": ["tag"]}]),
        ),
    ]);
    assert_eq!(
        watch.insert(json!({"name": "a"})),
        [json!(null), json!({"insert": {"name": "a"}})]
    );
    // A change that is told of no column is told all the same, if one may be.
    assert_eq!(
        watch.update(json!({"name": "b"})),
        [
            json!({"old": {"name": "a"}, "new": {"name": "b"}}),
            json!({"modify": {}})
        ]
    );
    assert_eq!(
        watch.update(json!({"trunks": 1})),
        [json!(null), json!(null)]
    );
}

#[test]
fn rows_come_and_go_with_conditions() {
    let requests = json!({"columns": ["name"], "where": [["tag", "==", 1], ["tag", "==", 2]]});
    let mut watch = Watch::new(&[(Dialect::Update3, requests)]);
    assert_eq!(watch.insert(json!({"name": "a"})), [json!(null)]);
    let name = json!({"name": "a"});
    assert_eq!(watch.update(json!({"tag": 1})), [json!({"insert": name})]);
    assert_eq!(watch.update(json!({"tag": 2})), [json!({"modify": {}})]);
    assert_eq!(watch.update(json!({"tag": 3})), [json!({"delete": null})]);

    let mut change = |conditions: Value| {
        let requests = json!({"T": [{"where": conditions}]});
        let update = watch.monitors[0].change_conditions(&watch.database, &requests);
        update.map(|update| Value::Object(update)["T"][UUID].take())
    };
    assert_eq!(
        change(json!([["tag", "==", 3]])),
        Ok(json!({"insert": name}))
    );
    assert_eq!(change(json!([true])), Ok(json!(null)));
    assert_eq!(change(json!([false])), Ok(json!({"delete": null})));
    assert_eq!(change(json!([])), Ok(json!({"insert": name})));
    assert!(change(json!([["fur", "==", 3]])).is_err());
}
