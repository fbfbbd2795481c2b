//! Typed tables from the generated code to the operations and back.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::pets::{Cat, CatMood, Owner, TABLES};
use super::{DecodeError, Difference, Ref, RowRef, SchemaView, Skew, Table, TableSpec, ValueError};
use crate::schema::Schema;
use crate::transaction::{Condition, Transaction};
use crate::value::{Atom, Row};

const PETS: &str = include_str!("pets.ovsschema");

fn pets() -> Schema {
    Schema::parse(PETS).unwrap()
}

/// The schema without some of its parts: `["Cat", "chip"]` is a column, `["Cat"]` a table.
fn pets_without(parts: &[&[&str]]) -> Schema {
    let mut json: serde_json::Value = serde_json::from_str(PETS).unwrap();
    for part in parts {
        let tables = &mut json["tables"];
        match part {
            [table, column] => tables[table]["columns"]
                .as_object_mut()
                .unwrap()
                .remove(*column),
            [table] => tables.as_object_mut().unwrap().remove(*table),
            _ => unreachable!("a table or a column"),
        };
    }
    Schema::parse(&json.to_string()).unwrap()
}

fn tom() -> Row {
    Row::new()
        .set("name", "Tom")
        .set("born", 2020)
        .set("chip", Some(7))
        .set("lives", 9)
        .set("weight", 4)
        .set("mood", "playful")
        .set("notes", crate::value::Datum::map([("food", "fish")]))
}

#[test]
fn operations_are_written_as_in_the_rfc() {
    let ann = Ref::<Owner>::new(Uuid::from_u128(1));
    let old = Ref::<Cat>::new(Uuid::from_u128(2));
    let mut txn = Transaction::new();
    let tom = txn.insert_row([
        Cat::NAME.set("Tom"),
        Cat::CHIP.set(7),
        Cat::MOOD.set(CatMood::Sleepy),
    ]);
    txn.update_rows(
        ann,
        [Owner::CATS.set([RowRef::from(tom), RowRef::from(old)])],
    );
    txn.update_rows(
        [Cat::CHIP.is_empty()],
        [Cat::NOTES.clear(), Cat::CHIP.clear()],
    );
    txn.mutate_rows(
        [
            Cat::LIVES.le(1),
            Cat::NAME.ne("Tim"),
            Cat::NOTES.excludes([("a", "b")]),
        ],
        [
            Cat::LIVES.add(1),
            Cat::CHIP.remainder(2),
            Cat::WEIGHT.multiply(0.5),
            Cat::NOTES.insert([("k", "v")]),
            Cat::NOTES.remove_keys(["k"]),
            Cat::NOTES.remove_pairs([("k", "v")]),
        ],
    );
    txn.mutate_rows([Owner::UUID.eq(ann)], [Owner::CATS.remove([old])]);
    txn.delete_rows::<Owner>([Owner::CATS.includes([tom])]);
    txn.verify_row(old, [Cat::NAME.set("Old")]);
    txn.select_rows::<Cat>([]);

    let [one, two] = [1, 2].map(Uuid::from_u128);
    assert_eq!(
        serde_json::to_value(txn.operations()).unwrap(),
        json!([
            {"op": "insert", "table": "Cat", "uuid-name": "row0",
             "row": {"name": "Tom", "chip": 7, "mood": "sleepy"}},
            {"op": "update", "table": "Owner", "where": [["_uuid", "==", ["uuid", one]]],
             "row": {"cats": ["set", [["uuid", two], ["named-uuid", "row0"]]]}},
            {"op": "update", "table": "Cat", "where": [["chip", "==", ["set", []]]],
             "row": {"notes": ["map", []], "chip": ["set", []]}},
            {"op": "mutate", "table": "Cat",
             "where": [["lives", "<=", 1], ["name", "!=", "Tim"],
                       ["notes", "excludes", ["map", [["a", "b"]]]]],
             "mutations": [["lives", "+=", 1], ["chip", "%=", 2], ["weight", "*=", 0.5],
                           ["notes", "insert", ["map", [["k", "v"]]]],
                           ["notes", "delete", ["set", ["k"]]],
                           ["notes", "delete", ["map", [["k", "v"]]]]]},
            {"op": "mutate", "table": "Owner", "where": [["_uuid", "==", ["uuid", one]]],
             "mutations": [["cats", "delete", ["set", [["uuid", two]]]]]},
            {"op": "delete", "table": "Owner",
             "where": [["cats", "includes", ["set", [["named-uuid", "row0"]]]]]},
            {"op": "wait", "timeout": 0, "table": "Cat", "until": "==", "columns": ["name"],
             "where": [["_uuid", "==", ["uuid", two]]], "rows": [{"name": "Old"}]},
            {"op": "select", "table": "Cat", "where": []},
        ])
    );
    txn.validate(&pets()).unwrap();
}

#[test]
fn a_condition_serves_a_monitor_as_well() {
    let condition = Condition::from(Cat::NAME.eq("Tom"));
    assert_eq!(condition, Condition::eq("name", "Tom"));
}

#[test]
fn a_row_is_read_whole_or_by_the_column() {
    let uuid = Uuid::from_u128(3);
    let cat = Cat::from_row(uuid, &tom()).unwrap();
    assert_eq!((cat.uuid, cat.reference()), (uuid, Ref::new(uuid)));
    assert_eq!((cat.chip, cat.mood.clone()), (Some(7), CatMood::Playful));
    assert_eq!(cat.weight, 4.0);
    assert_eq!(tom().read(Cat::CHIP).unwrap(), cat.chip);
    assert_eq!(tom().read(Cat::NOTES).unwrap(), cat.notes);
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |source| DecodeError {
        table: "Cat",
        column: "chip",
        source,
    };
    assert_eq!(Row::new().read(Cat::CHIP), Err(error(ValueError::Absent)));
    let wrong = Row::new().set("chip", "x").read(Cat::CHIP).unwrap_err();
    assert_eq!(wrong.to_string(), "column chip of table Cat cannot be read");
    assert_eq!(
        wrong.source.to_string(),
        r#""x" is not of the type optional integer"#
    );
}

#[test]
fn a_mood_that_the_schema_lacks_survives() {
    for name in ["", "playful", "grumpy", "Playful"] {
        assert_eq!(CatMood::from(name).as_str(), name);
    }
    assert!(
        CatMood::KNOWN
            .iter()
            .all(|mood| CatMood::from(mood.as_str()) == *mood)
    );
    assert_eq!(
        CatMood::from("grumpy"),
        CatMood::Unknown("grumpy".to_owned())
    );
}

#[test]
fn an_equal_schema_and_a_larger_one_fit() {
    let mut larger: serde_json::Value = serde_json::from_str(PETS).unwrap();
    larger["tables"]["Dog"] = json!({"columns": {"name": {"type": "string"}}});
    larger["tables"]["Cat"]["columns"]["fur"] = json!({"type": "string"});
    for schema in [pets(), Schema::parse(&larger.to_string()).unwrap()] {
        let view = SchemaView::new(&schema, TABLES.iter().cloned(), Skew::Strict).unwrap();
        assert!(view.has(Cat::CHIP) && view.has_table::<Owner>());
        let tables = view.monitor_tables();
        assert_eq!(tables.len(), 2);
        assert_eq!(view.monitor_table::<Cat>(), Some(tables[0].clone()));
        assert_eq!(
            Some(crate::MonitorTable::of::<Cat>()),
            view.monitor_table::<Cat>()
        );
    }
}

#[test]
fn a_smaller_schema_is_refused_or_made_do_with() {
    let schema = pets_without(&[&["Cat", "chip"], &["Cat", "mood"], &["Owner"]]);
    let mismatch = SchemaView::new(&schema, TABLES.iter().cloned(), Skew::Strict).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "schema Pets 1.0.0 of the server does not fit: table Cat has no column chip; \
         table Cat has no column mood; there is no table Owner"
    );

    let view = SchemaView::new(&schema, TABLES.iter().cloned(), Skew::Intersect).unwrap();
    assert_eq!(view.differences(), mismatch.differences);
    assert!(view.has(Cat::NAME) && !view.has(Cat::CHIP) && !view.has(Owner::NAME));
    assert!(view.has_table::<Cat>() && !view.has_table::<Owner>());
    assert_eq!(view.monitor_table::<Owner>(), None);
    assert_eq!(view.monitor_tables().len(), 1);

    let row: Row = tom()
        .into_iter()
        .filter(|(name, _)| !["chip", "mood"].contains(&name.as_str()))
        .collect();
    assert!(Cat::from_row(Uuid::nil(), &row).is_err());
    let cat: Cat = view.decode(Uuid::nil(), &row).unwrap();
    assert_eq!((cat.chip, cat.mood, cat.lives), (None, CatMood::Empty, 9));

    // What is missing for another reason is an error all the same.
    let row: Row = row
        .into_iter()
        .filter(|(name, _)| name != "lives")
        .collect();
    assert!(view.decode::<Cat>(Uuid::nil(), &row).is_err());

    let mut txn = Transaction::new();
    txn.update_rows([Cat::NAME.eq("Tom")], [Cat::CHIP.set(7)]);
    let invalid = txn.validate(&schema).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "operation 0 (update of Cat): there is no column chip"
    );
}

#[test]
fn a_column_of_another_type_counts_as_missing() {
    let mut json: serde_json::Value = serde_json::from_str(PETS).unwrap();
    json["tables"]["Cat"]["columns"]["chip"] = json!({"type": "string"});
    let schema = Schema::parse(&json.to_string()).unwrap();
    let some = TableSpec::some::<Cat>([Cat::NAME.spec(), Cat::CHIP.spec()]);
    let view = SchemaView::new(&schema, [some], Skew::Intersect).unwrap();
    assert!(!view.has(Cat::CHIP) && !view.has(Cat::MOOD));
    let [difference @ Difference::Type { column: "chip", .. }] = view.differences() else {
        panic!("{:?}", view.differences());
    };
    assert_eq!(
        difference.to_string(),
        "column chip of table Cat is string, which does not fit into optional integer"
    );
}

#[test]
fn the_schema_of_another_database_fits_nowhere() {
    let other = Schema::parse(r#"{"name": "Plants", "tables": {}}"#).unwrap();
    let mismatch = SchemaView::new(&other, TABLES.iter().cloned(), Skew::Intersect).unwrap_err();
    assert_eq!(mismatch.differences.len(), 2);
}

prop_compose! {
    fn cat()(
        uuid in any::<u128>(),
        born in any::<i64>(),
        chip in proptest::option::of(1..=i64::MAX),
        lives in 0..=9_i64,
        mood in prop_oneof!["[a-z]{0,8}", Just("playful".to_owned())],
        name in ".{0,8}",
        notes in proptest::collection::btree_map(".{0,4}", ".{0,4}", 0..4),
        weight in -1e9..1e9_f64,
    ) -> Cat {
        let (uuid, mood) = (Uuid::from_u128(uuid), CatMood::from(mood.as_str()));
        Cat { uuid, born, chip, lives, mood, name, notes, weight }
    }
}

proptest! {
    #[test]
    fn every_row_survives_the_types_and_the_wire(cat in cat()) {
        let assignments = cat.assignments().into_iter();
        let row: Row = assignments.map(|set| (set.column(), set.value().clone())).collect();
        prop_assert_eq!(&Cat::from_row(cat.uuid, &row).unwrap(), &cat);
        let wire: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        prop_assert_eq!(&Cat::from_row(cat.uuid, &wire).unwrap(), &cat);
    }

    #[test]
    fn every_reference_survives(uuids in proptest::collection::btree_set(any::<u128>(), 0..4)) {
        let cats: BTreeSet<Ref<Cat>> =
            uuids.into_iter().map(|bits| Ref::new(Uuid::from_u128(bits))).collect();
        let value = Owner::CATS.set(cats.clone()).value().clone();
        let row = Row::new().set("cats", value);
        prop_assert_eq!(row.read(Owner::CATS).unwrap(), cats);
    }
}

#[test]
fn a_real_comes_back_to_the_last_bit() {
    // One that a parser which rounds twice gets wrong.
    let row = Row::new().set("weight", 989922479.1450843);
    let wire: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
    assert_eq!(wire.read(Cat::WEIGHT), Ok(989922479.1450843));
}

#[test]
fn a_name_is_not_a_reference() {
    let row = Row::new().set("cats", Atom::NamedUuid("row0".to_owned()));
    assert!(row.read(Owner::CATS).is_err());
    assert_eq!(
        Row::new()
            .set("notes", BTreeMap::<String, String>::new())
            .read(Cat::NOTES),
        Ok(BTreeMap::new())
    );
}
