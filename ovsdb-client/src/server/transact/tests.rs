//! The engine alone, without connections.

use super::*;
use crate::schema::Schema;

const SCHEMA: &str = r#"{"name": "Net", "version": "1.0.0", "tables": {
    "Switch": {"isRoot": true, "indexes": [["name"]], "maxRows": 3, "columns": {
        "name": {"type": "string"},
        "cfg": {"type": {"key": {"type": "integer", "minInteger": 0}}},
        "load": {"type": "real"},
        "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0,
            "max": "unlimited"}},
        "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": 2}},
        "made": {"type": "string", "mutable": false},
        "peer": {"type": {"key": {"type": "uuid", "refTable": "Switch", "refType": "weak"},
            "min": 0}}}},
    "Port": {"columns": {
        "tag": {"type": {"key": "integer", "min": 0}},
        "twin": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0}}}},
    "Route": {"isRoot": true, "columns": {
        "over": {"type": {"key": {"type": "uuid", "refTable": "Switch",
            "refType": "weak"}}}}}}}"#;

struct Net(Database);

impl Net {
    fn new() -> Self {
        Self(Database::new(Schema::parse(SCHEMA).unwrap()))
    }

    fn execute(&mut self, operations: Value, age: Duration) -> Execution {
        let circumstances = Circumstances {
            locks: &["held".to_owned()],
            age,
            read_only: false,
        };
        self.0
            .execute(operations.as_array().unwrap(), circumstances)
    }

    /// The results, with the name of an error in place of the error.
    fn transact(&mut self, operations: Value) -> Value {
        let Execution::Done { results, .. } = self.execute(operations, Duration::ZERO) else {
            panic!("a wait that nobody asked for");
        };
        let results = results.into_iter().map(|result| match result.get("error") {
            Some(error) => error.clone(),
            None => result,
        });
        results.collect()
    }

    fn count(&self, table: &str) -> usize {
        self.0.tables[self.0.place(table).unwrap()].rows.len()
    }

    fn names(&mut self) -> Value {
        let select = json!([{"op": "select", "table": "Switch", "where": [],
            "columns": ["name"]}]);
        self.transact(select)[0]["rows"].clone()
    }
}

fn insert(table: &str, uuid: u128, row: Value) -> Value {
    json!({"op": "insert", "table": table, "uuid": id(uuid), "row": row})
}

fn id(uuid: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(uuid)
}

fn inserted(uuid: u128) -> Value {
    json!({"uuid": ["uuid", id(uuid)]})
}

#[test]
fn an_error_stands_in_its_place_and_undoes_everything() {
    let mut net = Net::new();
    let results = net.transact(json!([
        insert("Switch", 1, json!({"name": "a"})),
        {"op": "mutate", "table": "Switch", "where": [], "mutations": [["cfg", "+=", 5]]},
        {"op": "mutate", "table": "Switch", "where": [], "mutations": [["cfg", "-=", 6]]},
        {"op": "comment", "comment": "never reached"}]));
    let count = json!({"count": 1});
    assert_eq!(
        results,
        json!([inserted(1), count, "constraint violation", null])
    );
    assert_eq!(net.count("Switch"), 0);

    let dangling = insert("Switch", 1, json!({"ports": ["uuid", id(9)]}));
    assert_eq!(
        net.transact(json!([dangling])),
        json!([inserted(1), "referential integrity violation"])
    );
    assert_eq!(net.count("Switch"), 0);
    assert!(net.0.references.is_empty());
}

#[test]
fn rows_live_as_long_as_they_are_referred_to() {
    let mut net = Net::new();
    let twins = |a: u128, b: u128| insert("Port", a, json!({"twin": ["uuid", id(b)]}));
    net.transact(json!([
        insert("Switch", 1, json!({"ports": ["uuid", id(11)]})),
        twins(11, 12),
        twins(12, 13),
        insert("Port", 13, json!({})),
        insert("Port", 14, json!({})),
        twins(15, 15)
    ]));
    assert_eq!(
        net.count("Port"),
        3,
        "a chain, without the stray and the selfish"
    );

    let delete = json!({"op": "delete", "table": "Port", "where": [["_uuid", "==",
        ["uuid", id(12)]]]});
    assert_eq!(
        net.transact(json!([delete])),
        json!([{"count": 1}, "referential integrity violation"])
    );
    net.transact(json!([{"op": "update", "table": "Switch", "where": [],
        "row": {"ports": ["set", []]}}]));
    assert_eq!(net.count("Port"), 0);
    assert!(net.0.references.is_empty());

    // References are counted, so two rows that refer to each other stay, as in the server.
    net.transact(json!([twins(11, 12), twins(12, 11)]));
    assert_eq!(net.count("Port"), 2);
}

#[test]
fn weak_references_vanish_with_their_target_unless_they_must_not() {
    let mut net = Net::new();
    net.transact(json!([
        insert("Switch", 1, json!({"name": "a", "peer": ["uuid", id(2)]})),
        insert("Switch", 2, json!({"name": "b", "peer": ["uuid", id(2)]})),
        insert("Switch", 3, json!({"name": "c", "peer": ["uuid", id(9)]})),
        insert("Route", 4, json!({"over": ["uuid", id(3)]}))
    ]));
    let peers = json!([{"op": "select", "table": "Switch", "where": [["peer", "!=",
        ["set", []]]], "columns": ["name"]}]);
    let found = net.transact(peers.clone());
    assert_eq!(found[0]["rows"], json!([{"name": "a"}, {"name": "b"}]));

    let delete =
        |name: &str| json!([{"op": "delete", "table": "Switch", "where": [["name", "==", name]]}]);
    net.transact(delete("b"));
    assert_eq!(net.transact(peers)[0]["rows"], json!([]));
    assert_eq!(
        net.transact(delete("c")),
        json!([{"count": 1}, "constraint violation"])
    );
    assert_eq!(net.names(), json!([{"name": "a"}, {"name": "c"}]));
}

#[test]
fn indexes_and_limits_are_checked_at_the_end() {
    let mut net = Net::new();
    net.transact(json!([
        insert("Switch", 1, json!({"name": "a"})),
        insert("Switch", 2, json!({"name": "b"}))
    ]));
    let rename = |uuid: u128, name: &str| {
        json!({"op": "update", "table": "Switch", "where": [["_uuid", "==", ["uuid",
            id(uuid)]]], "row": {"name": name}})
    };
    let counts = json!([{"count": 1}, {"count": 1}]);
    assert_eq!(
        net.transact(json!([rename(1, "b"), rename(2, "a")])),
        counts
    );
    assert_eq!(
        net.transact(json!([rename(1, "a")])),
        json!([{"count": 1}, "constraint violation"])
    );
    assert_eq!(net.names(), json!([{"name": "b"}, {"name": "a"}]));
    let more = [3, 4].map(|uuid| insert("Switch", uuid, json!({"name": format!("{uuid}")})));
    assert_eq!(net.transact(json!(more))[2], "constraint violation");
    assert_eq!(net.transact(json!([more[0]])), json!([inserted(3)]));
}

#[test]
fn names_stand_for_rows_that_come_later() {
    let mut net = Net::new();
    let results = net.transact(json!([
        {"op": "insert", "table": "Switch", "row": {"ports": ["named-uuid", "p"]}},
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": {"tag": 7}},
        {"op": "update", "table": "Port", "where": [["_uuid", "==", ["named-uuid", "p"]]],
            "row": {"tag": 8}},
        {"op": "insert", "table": "Port", "uuid-name": "p", "row": {}}]));
    assert_eq!(results[2], json!({"count": 1}));
    assert_eq!(results[3], "duplicate uuid-name");
}

#[test]
fn waits_hold_a_transaction_back_until_their_time_is_over() {
    let mut net = Net::new();
    let wait = |timeout: Value| {
        let mut wait = json!({"op": "wait", "table": "Switch", "where": [], "until": "==",
            "columns": ["name"], "rows": [{"name": "a"}]});
        if !timeout.is_null() {
            wait["timeout"] = timeout;
        }
        json!([insert("Route", 1, json!({})), wait])
    };
    let (soon, later) = (Duration::from_millis(9), Duration::from_millis(10));
    assert!(matches!(
        net.execute(wait(json!(null)), Duration::MAX),
        Execution::Blocked { until: None }
    ));
    assert!(matches!(
        net.execute(wait(json!(10)), soon),
        Execution::Blocked { until } if until == Some(later)
    ));
    assert_eq!(
        net.count("Route"),
        0,
        "what came before the wait is undone meanwhile"
    );
    let Execution::Done { results, .. } = net.execute(wait(json!(10)), later) else {
        panic!("the time is over");
    };
    assert_eq!(results[1]["error"], "timed out");
    net.transact(json!([insert("Switch", 2, json!({"name": "a"}))]));
    let satisfied = net.transact(json!([wait(json!(null))[1]]));
    assert_eq!(satisfied, json!([{}]));
}

#[test]
fn mutations_calculate_as_the_server_does() {
    let mut net = Net::new();
    net.transact(json!([insert(
        "Switch",
        1,
        json!({"cfg": i64::MAX, "load": 1.5,
        "ids": ["map", [["a", "1"]]]})
    )]));
    let mut mutate = |column: &str, mutator: &str, value: Value| {
        let mutate = json!({"op": "mutate", "table": "Switch", "where": [],
            "mutations": [[column, mutator, value]]});
        net.transact(json!([mutate]))[0].clone()
    };
    let done = json!({"count": 1});
    let cases = [
        ("cfg", "+=", json!(1), json!("range error")),
        ("cfg", "/=", json!(0), json!("domain error")),
        ("cfg", "*=", json!(-1), json!("constraint violation")),
        ("load", "*=", json!(1e308), done.clone()),
        ("load", "*=", json!(10), json!("range error")),
        ("load", "%=", json!(1), json!("syntax error")),
        ("name", "insert", json!("a"), json!("syntax error")),
        ("made", "+=", json!(1), json!("constraint violation")),
        ("fur", "+=", json!(1), json!("unknown column")),
        ("cfg", "^=", json!(1), json!("unknown mutator")),
        (
            "ids",
            "insert",
            json!(["map", [["a", "2"], ["b", "2"]]]),
            done.clone(),
        ),
        (
            "ids",
            "insert",
            json!(["map", [["c", "3"]]]),
            json!("constraint violation"),
        ),
        ("ids", "delete", json!(["map", [["a", "2"]]]), done.clone()),
        ("ids", "delete", json!("b"), done),
    ];
    for (column, mutator, value, result) in cases {
        assert_eq!(
            mutate(column, mutator, value.clone()),
            result,
            "{column} {mutator} {value}"
        );
    }
    let ids = net.transact(json!([{"op": "select", "table": "Switch", "where": [],
        "columns": ["ids"]}]));
    assert_eq!(ids[0]["rows"], json!([{"ids": ["map", [["a", "1"]]]}]));
}
