//! What schemas may hold that those of Open vSwitch and OVN do not: the generated code compiles,
//! and does what it says.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[expect(dead_code, unreachable_pub, reason = "generated for others to use, all of it public")]
#[rustfmt::skip]
#[path = "zoo/generated.rs"]
mod generated;

use std::collections::{BTreeMap, BTreeSet};

use generated::{
    AnyRow, Enums, EnumsBothKey, EnumsBothValue, EnumsKey, EnumsLevel, EnumsLevels, EnumsSpeed,
    EnumsSpeeds, EnumsWord, Numbers, OptionRow, TABLES,
};
use ovsdb_client::Schema;
use ovsdb_client::typed::{Real, Ref, SchemaView, Skew, Table};
use ovsdb_client::value::Row;
use ovsdb_codegen::{Options, generate};
use uuid::Uuid;

const ZOO: &str = include_str!("zoo/zoo.ovsschema");
const PETS: &str = include_str!("../../src/typed/pets.ovsschema");

fn zoo() -> Schema {
    Schema::parse(ZOO).unwrap()
}

#[test]
fn the_checked_in_code_is_up_to_date() {
    let cases = [
        (ZOO, include_str!("zoo/generated.rs"), "zoo/generated.rs"),
        (PETS, include_str!("../../src/typed/pets.rs"), "pets.rs"),
    ];
    for (schema, code, name) in cases {
        let schema = Schema::parse(schema).unwrap();
        let generated = generate(&schema, &Options::default());
        assert!(
            generated == code,
            "{name} is out of date: run ovsdb-codegen"
        );
    }
}

#[test]
fn a_schema_in_normal_form_makes_the_same_code() {
    let normal = Schema::parse(&serde_json::to_string(&zoo()).unwrap()).unwrap();
    let options = Options::default();
    assert!(generate(&normal, &options) == generate(&zoo(), &options));
}

/// A row through its assignments and back.
fn through_a_row<T: Table>(row: &T) -> T {
    let assignments = row.assignments().into_iter();
    let untyped: Row = assignments
        .map(|set| (set.column(), set.value().clone()))
        .collect();
    T::from_row(row.uuid(), &untyped).unwrap()
}

#[test]
fn enumerations_of_every_type_go_through() {
    let row = Enums {
        uuid: Uuid::from_u128(1),
        both: BTreeMap::from([
            (EnumsBothKey::V1, EnumsBothValue::Y),
            (EnumsBothKey::Unknown(3), EnumsBothValue::from("z")),
        ]),
        door: Some(true),
        key: Some(EnumsKey::from(Uuid::from_u128(7))),
        level: EnumsLevel::Minus1,
        levels: BTreeSet::from([EnumsLevels::V2, EnumsLevels::Unknown(-9)]),
        speed: EnumsSpeed::V2_5,
        speeds: BTreeSet::from([EnumsSpeeds::V1, EnumsSpeeds::from(0.25)]),
        word: Some(EnumsWord::Unknown_),
    };
    assert_eq!(through_a_row(&row), row);
}

#[test]
fn enumerations_know_their_values() {
    let levels: Vec<i64> = EnumsLevel::KNOWN.iter().map(EnumsLevel::value).collect();
    assert_eq!(levels, [-1, 0, 10]);
    assert_eq!(EnumsLevel::from(10), EnumsLevel::V10);
    assert_eq!(EnumsLevel::from(11), EnumsLevel::Unknown(11));

    let speeds: Vec<f64> = EnumsSpeed::KNOWN.iter().map(EnumsSpeed::value).collect();
    assert_eq!(speeds, [-0.5, 1.0, 2.5]);
    assert_eq!(EnumsSpeed::from(3.0), EnumsSpeed::Unknown(Real(3.0)));

    let [key] = EnumsKey::KNOWN;
    assert_eq!(EnumsKey::from(key.value()), key);
    assert_eq!(EnumsKey::from(Uuid::nil()), EnumsKey::Unknown(Uuid::nil()));

    let words: Vec<&str> = EnumsWord::KNOWN.iter().map(EnumsWord::as_str).collect();
    assert_eq!(
        words,
        ["", "+", "802.1ad", "TCP", "a-b", "a_b", "self", "unknown"]
    );
    for word in words {
        assert_eq!(EnumsWord::from(word).to_string(), word);
    }
    assert_eq!(EnumsWord::from("TCP"), EnumsWord::Tcp);
    assert_eq!(EnumsWord::from("tcp"), EnumsWord::Unknown("tcp".to_owned()));
}

#[test]
fn reals_are_found_in_sets_and_maps() {
    let row = Numbers {
        uuid: Uuid::from_u128(1),
        by_real: BTreeMap::from([(Real(0.5), 1.0), (Real(-2.0), 2.0)]),
        mac: Some("aa".to_owned()),
        option: Some(Ref::new(Uuid::from_u128(2))),
        options: BTreeMap::from([("a".to_owned(), Ref::new(Uuid::from_u128(3)))]),
        pair: BTreeMap::from([(1, true)]),
        reals: BTreeSet::from([Real(1.0), Real(0.1)]),
    };
    assert_eq!(through_a_row(&row), row);
}

#[test]
fn names_that_rust_needs_are_evaded() {
    let row = OptionRow {
        uuid: Uuid::from_u128(1),
        self_: None,
        table: true,
        type_: "t".to_owned(),
        uuid_: Uuid::from_u128(2),
    };
    assert_eq!(through_a_row(&row), row);
    assert_eq!(
        (OptionRow::TYPE.name(), OptionRow::UUID_.name()),
        ("type", "uuid")
    );
    // The token of the column hides the constant of the trait.
    assert_eq!(OptionRow::TABLE.name(), "table");
    assert_eq!(<OptionRow as Table>::TABLE, "Option");
    let any = AnyRow::OptionRow(Box::new(row));
    assert_eq!(any.table(), "Option");
}

#[test]
fn the_types_fit_their_schema() {
    let view = SchemaView::new(&zoo(), TABLES.iter().cloned(), Skew::Strict).unwrap();
    assert!(view.has(Enums::LEVEL) && view.has(Numbers::MAC));
}

#[test]
fn a_reference_to_a_table_that_is_left_out_is_a_uuid() {
    let code = generate(&zoo(), &Options::default().tables(["Numbers"]));
    assert!(code.contains("pub option: Option<Uuid>,"));
    assert!(code.contains("pub options: BTreeMap<String, Uuid>,"));
    assert!(!code.contains("pub struct OptionRow"));
}

#[test]
fn a_schema_without_tables_makes_a_module_without_types() {
    let empty = Schema::parse(r#"{"name": "Empty", "tables": {}}"#).unwrap();
    let code = generate(&empty, &Options::default());
    assert!(code.contains("pub const TABLES: &[TableSpec] = &[];"));
    assert!(!code.contains("AnyRow"));
}
