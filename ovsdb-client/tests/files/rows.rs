//! Any rows of a schema that has every kind of column, and their way through files.

use std::sync::{Arc, LazyLock};

use ovsdb_client::Schema;
use ovsdb_client::file::{self, Annotation, Contents, Durability, NewCluster, StandaloneFile};
use ovsdb_client::value::{Atom, Datum, Row};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use uuid::Uuid;

use crate::intact;

/// A schema with columns of every type. `Leaf` lives by being referred to.
pub(crate) fn schema(name: &str) -> Schema {
    let scalars = ["integer", "real", "boolean", "string", "uuid"];
    let mut columns: Vec<String> = Vec::new();
    for ty in scalars {
        columns.push(format!(r#""{ty}": {{"type": "{ty}"}}"#));
        for (suffix, min, max) in [
            ("option", "0", "1"),
            ("set", "0", "\"unlimited\""),
            ("few", "0", "4"),
            ("some", "1", "\"unlimited\""),
        ] {
            columns.push(format!(
                r#""{ty}_{suffix}": {{"type": {{"key": "{ty}", "min": {min}, "max": {max}}}}}"#
            ));
        }
        for value in scalars {
            columns.push(format!(
                r#""{ty}_{value}": {{"type": {{"key": "{ty}", "value": "{value}", "min": 0, "max": "unlimited"}}}}"#
            ));
        }
    }
    columns.push(
        r#""mode": {"type": {"key": {"type": "string", "enum": ["set", ["", "a", "b"]]}}}"#
            .to_owned(),
    );
    let reference = |table: &str, kind: &str, max: &str| {
        format!(
            r#"{{"type": {{"key": {{"type": "uuid", "refTable": "{table}", "refType": "{kind}"}}, "min": 0, "max": {max}}}}}"#
        )
    };
    columns.push(format!(
        r#""leaves": {}"#,
        reference("Leaf", "strong", "\"unlimited\"")
    ));
    columns.push(format!(r#""leaf": {}"#, reference("Leaf", "strong", "1")));
    columns.push(format!(
        r#""peers": {}"#,
        reference("Tree", "weak", "\"unlimited\"")
    ));
    columns.push(
        r#""by_name": {"type": {"key": "string", "value": {"type": "uuid", "refTable": "Leaf"},
            "min": 0, "max": "unlimited"}}"#
            .to_owned(),
    );
    let json = format!(
        r#"{{"name": "{name}", "version": "1.2.3", "tables": {{
            "Tree": {{"isRoot": true, "columns": {{{}}}}},
            "Leaf": {{"columns": {{"name": {{"type": "string"}}}}}}}}}}"#,
        columns.join(",\n")
    );
    Schema::parse(&json).unwrap()
}

static ANY: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(schema("Any")));

fn atom(ty: &str) -> BoxedStrategy<Atom> {
    match ty {
        "integer" => prop_oneof![0..4_i64, any::<i64>()]
            .prop_map(Atom::from)
            .boxed(),
        // Servers write 15 digits, and do not tell the two zeros apart.
        "real" => prop_oneof![0..4_i16, any::<i16>()]
            .prop_map(|eighths| Atom::from(f64::from(eighths) / 8.0))
            .boxed(),
        "boolean" => any::<bool>().prop_map(Atom::from).boxed(),
        "string" => prop_oneof!["[a-c]?", "[^\\x00]{0,8}"]
            .prop_map(Atom::from)
            .boxed(),
        "uuid" => prop_oneof![0..4_u128, any::<u128>()]
            .prop_map(|bits| Atom::from(Uuid::from_u128(bits)))
            .boxed(),
        _ => unreachable!("no such type: {ty}"),
    }
}

/// A value for a column of [`schema`], told by its name.
fn datum(column: &str) -> BoxedStrategy<Datum> {
    let Some((key, rest)) = column.split_once('_') else {
        return atom(column).prop_map(Datum::from).boxed();
    };
    match rest {
        "option" => proptest::option::of(atom(key))
            .prop_map(Datum::from)
            .boxed(),
        "set" => btree_set(atom(key), 0..6).prop_map(Datum::set).boxed(),
        "few" => btree_set(atom(key), 0..=4).prop_map(Datum::set).boxed(),
        "some" => btree_set(atom(key), 1..=2).prop_map(Datum::set).boxed(),
        value => btree_map(atom(key), atom(value), 0..5)
            .prop_map(Datum::map)
            .boxed(),
    }
}

/// Some of the columns without references.
pub(crate) fn plain_columns() -> impl Strategy<Value = Row> {
    let names: Vec<String> = ANY
        .table("Tree")
        .unwrap()
        .columns()
        .filter(|(_, column)| column.column_type().key.reference.is_none())
        .map(|(name, _)| name.to_owned())
        .filter(|name| !matches!(name.as_str(), "mode" | "by_name"))
        .collect();
    let one = proptest::sample::select(names)
        .prop_flat_map(|name| datum(&name).prop_map(move |datum| (name.clone(), datum)));
    (
        vec(one, 0..12),
        proptest::sample::select(vec!["", "a", "b"]),
    )
        .prop_map(|(columns, mode)| columns.into_iter().collect::<Row>().set("mode", mode))
}

/// Rows that hold together: trees that own leaves and know each other.
pub(crate) fn contents() -> impl Strategy<Value = Contents> {
    let tree = (plain_columns(), 0..3_usize, any::<[bool; 3]>());
    vec(tree, 0..4).prop_map(move |trees| {
        let mut contents = Contents::new(Arc::clone(&ANY));
        let uuids: Vec<Uuid> = (1..=trees.len() as u128).map(Uuid::from_u128).collect();
        for (index, (mut row, leaves, [peers, option, map])) in trees.into_iter().enumerate() {
            let leaf = |number: usize| Uuid::from_u128((1000 + 10 * index + number) as u128);
            let mut owned: Vec<Uuid> = (0..leaves).map(leaf).collect();
            for (number, leaf) in owned.iter().enumerate() {
                let name = Row::new().set("name", format!("leaf{number}"));
                contents.insert_as("Leaf", *leaf, name).unwrap();
            }
            if peers {
                row.insert("peers", uuids.clone());
            }
            if let Some(first) = owned.first().copied() {
                if map {
                    row.insert("by_name", Datum::map([("first", first)]));
                }
                if option {
                    row.insert("leaf", first);
                }
            }
            owned.reverse();
            row.insert("leaves", owned);
            contents.insert_as("Tree", uuids[index], row).unwrap();
        }
        contents.check().unwrap();
        contents
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rows_survive_a_standalone_file(contents in contents()) {
        let bytes = contents.to_standalone(&Annotation::default()).unwrap();
        prop_assert!(intact(file::read(&bytes).unwrap()).same_rows(&contents));
    }

    #[test]
    fn rows_survive_a_clustered_file(contents in contents()) {
        let mut cluster = NewCluster::new(contents.clone());
        cluster.server("tcp:10.0.0.1:6643".parse().unwrap());
        let file = cluster.files().unwrap().remove(0);
        let read = intact(file::read(file.to_bytes()).unwrap());
        prop_assert!(read.same_rows(&contents));
        let bytes = read.to_standalone(&Annotation::default()).unwrap();
        prop_assert!(intact(file::read(&bytes).unwrap()).same_rows(&contents));
    }

}

proptest! {
    // Each case waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_survive_appended_differences(states in vec(contents(), 1..4)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("any.db");
        Contents::new(Arc::clone(&ANY))
            .create_standalone(&path, &Annotation::default(), Durability::Process)
            .unwrap();
        let mut file = StandaloneFile::open(&path).unwrap();
        for state in states {
            file.append(state.clone(), &Annotation::default()).unwrap();
            prop_assert!(intact(file::load(&path).unwrap()).same_rows(&state));
        }
        file.compact(&Annotation::default()).unwrap();
        prop_assert!(intact(file::load(&path).unwrap()).same_rows(file.contents()));
    }

}

proptest! {
    #[test]
    fn reals_survive_to_the_last_bit(real in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        let mut contents = Contents::new(Arc::clone(&ANY));
        let uuid = contents.insert("Tree", Row::new().set("real", real)).unwrap();
        let bytes = contents.to_standalone(&Annotation::default()).unwrap();
        let read = intact(file::read(&bytes).unwrap()).row("Tree", uuid).unwrap();
        prop_assert_eq!(read.f64("real").map(f64::to_bits), Some(real.to_bits()));
    }

    #[test]
    fn defaults_are_filled_in(row in plain_columns()) {
        let mut contents = Contents::new(Arc::clone(&ANY));
        let uuid = contents.insert("Tree", row.clone()).unwrap();
        let tree = ANY.table("Tree").unwrap();
        let read = contents.row("Tree", uuid).unwrap();
        prop_assert_eq!(read.len(), tree.columns().count());
        for (name, column) in tree.columns() {
            let ty = column.column_type();
            let given = row.get(name).cloned().unwrap_or_else(|| ty.default_datum());
            prop_assert_eq!(read.get(name), Some(&ty.canonical(given)), "{}", name);
        }
    }
}
