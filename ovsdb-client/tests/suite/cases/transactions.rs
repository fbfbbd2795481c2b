//! Operations and their results.

use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Condition, MonitorTable, Mutation, Transaction};
use uuid::Uuid;

use crate::case::{Case, Fixture, case, soon};
use crate::cases::transactions;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(transactions::operations_do_what_their_names_say).both_layers(),
        case!(transactions::values_of_every_type_come_back_as_they_were),
        case!(transactions::rows_may_refer_to_rows_that_come_later),
        case!(transactions::rows_that_nobody_refers_to_are_collected),
        case!(transactions::ten_clients_count_without_losing_a_step),
    ]
}

async fn operations_do_what_their_names_say(fixture: Fixture) {
    let client = fixture.client().await;
    let chosen = Uuid::from_u128(0x2f77b348_9768_4866_b761_89d5177ecdab);
    let mut txn = Transaction::new();
    let first = txn.insert("Thing", Row::new().set("name", "first"));
    txn.insert_as("Thing", chosen, Row::new().set("name", "second"));
    let part = txn.insert("Part", Row::new().set("name", "part"));
    let mutated = txn.mutate(
        "Thing",
        [Condition::eq("name", "first")],
        [
            Mutation::insert("parts", part),
            Mutation::insert("options", Datum::map([("a", "1"), ("b", "2")])),
            Mutation::insert("numbers", [3, 1, 2]),
            Mutation::add("number", 7),
            Mutation::multiply("number", 3),
            Mutation::subtract("number", 1),
            Mutation::divide("number", 3),
        ],
    );
    txn.comment("two things");
    txn.commit(true);
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    let (first, part) = (outcome.uuid(first).unwrap(), outcome.uuid(part).unwrap());
    assert_eq!(outcome.count(mutated), Some(1));

    let mut txn = Transaction::new();
    let known = Row::new().set("name", "first").set("number", 6);
    txn.verify("Thing", first, ["name", "number"], &known);
    txn.mutate(
        "Thing",
        [Condition::uuid(first)],
        [
            Mutation::delete("options", ["a"]),
            Mutation::delete("numbers", [2, 9]),
            Mutation::remainder("number", 4),
        ],
    );
    let row = Row::new().set("name", "third");
    let updated = txn.update("Thing", [Condition::uuid(chosen)], row);
    let columns = ["parts", "options", "numbers", "number"];
    let rows = txn.select("Thing", [Condition::uuid(first)], columns);
    let deleted = txn.delete("Thing", [Condition::eq("name", "third")]);
    let gone = txn.select("Thing", [Condition::uuid(chosen)], ["name"]);
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    assert_eq!(outcome.count(updated), Some(1));
    assert_eq!(outcome.count(deleted), Some(1));
    let [row] = outcome.rows(rows).unwrap() else {
        panic!("{outcome:?}")
    };
    assert_eq!(row.len(), 4);
    assert_eq!(row.uuid("parts"), Some(part));
    assert_eq!(row.get("options"), Some(&Datum::map([("b", "2")])));
    assert_eq!(row.get("numbers"), Some(&Datum::set([1, 3])));
    assert_eq!(row.i64("number"), Some(2));
    assert_eq!(outcome.rows(gone).unwrap(), []);
}

async fn values_of_every_type_come_back_as_they_were(fixture: Fixture) {
    let client = fixture.client().await;
    let monitor = fixture.things(&client).await;
    let id = Uuid::from_u128(7);
    let row = Row::new()
        .set("name", "a \"b\" \\ é \u{1f980}\n")
        .set("number", i64::MIN)
        .set("real", 0.1)
        .set("flag", true)
        .set("id", id)
        .set("level", Some(9))
        .set("mode", "off")
        .set("fixed", "for ever")
        .set("numbers", [i64::MAX, -1, 0])
        .set("reals", [1.5, -2.25e-300])
        .set("words", ["", "b", "a"])
        .set("ids", [id, Uuid::nil()])
        .set("pair", ["x", "y"])
        .set("options", Datum::map([("k", "v"), ("", "")]))
        .set("weights", Datum::map([(-1, 0.5), (4, 1e100)]));
    let mut txn = Transaction::new();
    let thing = txn.insert("Thing", row.clone());
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    let uuid = outcome.uuid(thing).unwrap();

    let schema = client.get_schema(&fixture.name).await.unwrap();
    let table = schema.table("Thing").unwrap();
    let canonical = |column: &str, value: &Datum| {
        let known = table.column(column).unwrap();
        known.column_type().canonical(value.clone())
    };
    let snapshot = monitor.snapshot();
    let seen = snapshot.row("Thing", uuid).unwrap();
    let mut txn = Transaction::new();
    let selected = txn.select::<&str>("Thing", [Condition::uuid(uuid)], []);
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    let [selected] = outcome.rows(selected).unwrap() else {
        panic!("{outcome:?}")
    };
    for (column, value) in row.iter() {
        let wanted = canonical(column, value);
        assert_eq!(seen.get(column), Some(&wanted), "{column}");
        let selected = canonical(column, selected.get(column).unwrap());
        assert_eq!(selected, wanted, "{column}");
    }
    for column in ["parts", "friend", "slots"] {
        assert!(seen.get(column).unwrap().is_empty(), "{column}");
    }
}

async fn rows_may_refer_to_rows_that_come_later(fixture: Fixture) {
    let client = fixture.client().await;
    // A draft tells how the row is called that the second operation makes.
    let mut draft = Transaction::new();
    draft.insert("Thing", Row::new());
    let to_come = draft.insert("Thing", Row::new());
    let slots = Datum::map([(Atom::from(4), Atom::from(Uuid::from_u128(4)))]);
    let mut txn = Transaction::new();
    let row = Row::new()
        .set("name", "whole")
        .set("friend", to_come)
        .set("slots", slots);
    let thing = txn.insert("Thing", row);
    let friend = txn.insert(
        "Thing",
        Row::new().set("name", "friend").set("friend", thing),
    );
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    let monitor = fixture.things(&client).await;
    let rows = monitor.snapshot();
    let (thing, friend) = (outcome.uuid(thing).unwrap(), outcome.uuid(friend).unwrap());
    assert_eq!(
        rows.row("Thing", thing).unwrap().uuid("friend"),
        Some(friend)
    );
    assert_eq!(
        rows.row("Thing", friend).unwrap().uuid("friend"),
        Some(thing)
    );
    // A weak reference to no row is taken out at commit.
    let slots = rows
        .row("Thing", thing)
        .unwrap()
        .get("slots")
        .unwrap()
        .clone();
    assert!(slots.is_empty(), "{slots:?}");
}

async fn rows_that_nobody_refers_to_are_collected(fixture: Fixture) {
    let client = fixture.client().await;
    let tables = [MonitorTable::new("Thing"), MonitorTable::new("Part")];
    let monitor = client.monitor(&fixture.name, &tables).await.unwrap();
    let mut txn = Transaction::new();
    let parts = ["a", "b"].map(|name| txn.insert("Part", Row::new().set("name", name)));
    let stray = txn.insert("Part", Row::new().set("name", "stray"));
    let thing = txn.insert("Thing", Row::new().set("name", "whole").set("parts", parts));
    txn.insert(
        "Thing",
        Row::new().set("name", "friend").set("friend", thing),
    );
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    let rows = monitor.snapshot();
    assert_eq!(rows.len("Part"), 2);
    assert!(rows.row("Part", outcome.uuid(stray).unwrap()).is_none());

    let first = outcome.uuid(parts[0]).unwrap();
    let mut txn = Transaction::new();
    txn.mutate("Thing", [], [Mutation::delete("parts", first)]);
    client.transact(&fixture.name, txn).await.unwrap();
    let rows = monitor.snapshot();
    assert!(rows.row("Part", first).is_none());
    let mut txn = Transaction::new();
    txn.delete("Thing", [Condition::eq("name", "whole")]);
    client.transact(&fixture.name, txn).await.unwrap();
    let rows = monitor.snapshot();
    assert!(rows.is_empty("Part"));
    let (_, friend) = rows.rows("Thing").next().unwrap();
    assert_eq!(
        friend.uuid("friend"),
        None,
        "a weak reference goes with its row"
    );
}

async fn ten_clients_count_without_losing_a_step(fixture: Fixture) {
    const CLIENTS: i64 = 10;
    const STEPS: i64 = 10;
    let mut txn = Transaction::new();
    txn.insert("Counter", Row::new());
    let first = fixture.client().await;
    first.transact(&fixture.name, txn).await.unwrap();
    let counting = (0..CLIENTS).map(|_| tokio::spawn(count(fixture.clone(), STEPS)));
    for counted in futures::future::join_all(counting).await {
        counted.unwrap();
    }
    let mut txn = Transaction::new();
    let counters = txn.select("Counter", [], ["value"]);
    let outcome = first.transact(&fixture.name, txn).await.unwrap();
    assert_eq!(
        outcome.rows(counters).unwrap()[0].i64("value"),
        Some(CLIENTS * STEPS)
    );
}

async fn count(fixture: Fixture, steps: i64) {
    let client = fixture.client().await;
    let counter = [MonitorTable::new("Counter")];
    let monitor = client.monitor(&fixture.name, &counter).await.unwrap();
    for _ in 0..steps {
        let counted = client.transact_verified(&monitor, soon(), |rows| {
            let (uuid, row) = rows.rows("Counter").next().unwrap();
            let next = Row::new().set("value", row.i64("value").unwrap() + 1);
            let mut txn = Transaction::new();
            txn.verify("Counter", uuid, ["value"], row);
            txn.update("Counter", [Condition::uuid(uuid)], next);
            txn
        });
        counted.await.unwrap();
    }
}
