//! Our reading of schemas against that of the real ovsdb-tool: what it refuses we refuse, and what
//! it accepts we write in the very normal form that it writes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use ovsdb_client::Schema;
use serde_json::{Value, json};

const PROGRAM: &str = "/usr/bin/ovsdb-tool";

/// A schema whose table `T` has these members.
fn table(members: Value) -> Value {
    json!({"name": "S", "version": "1.0.0", "tables": {"T": members, "U": {
        "columns": {"u": {"type": "string"}}, "isRoot": true}}})
}

/// A schema with a column of this type.
fn of_type(ty: Value) -> Value {
    column(json!({"type": ty}))
}

/// A schema with this column.
fn column(column: Value) -> Value {
    table(json!({"columns": {"c": column}}))
}

/// A schema with a column of this key type.
fn key(base: Value) -> Value {
    of_type(json!({"key": base}))
}

fn with_columns(more: &str, value: Value) -> Value {
    table(
        json!({"columns": {"a": {"type": "string"}, "e": {"type": "string", "ephemeral": true}},
        more: value}),
    )
}

/// Schemas, and whether they are good.
fn cases() -> Vec<(bool, Value)> {
    let string = || json!({"columns": {"c": {"type": "string"}}});
    vec![
        // The whole.
        (true, json!({"name": "S", "version": "1.0.0", "tables": {}})),
        (true, json!({"name": "_S", "tables": {"T": string()}})),
        (
            true,
            json!({"name": "S", "version": "1.0.0", "cksum": "1 2", "tables": {}}),
        ),
        (
            true,
            json!({"name": "S", "version": "1.0.0", "cksum": "", "tables": {}}),
        ),
        (false, json!([])),
        (false, json!({})),
        (false, json!({"name": "S", "version": "1.0.0"})),
        (false, json!({"version": "1.0.0", "tables": {}})),
        (
            false,
            json!({"name": "S", "version": "1.0.0", "tables": []}),
        ),
        (false, json!({"name": "S", "version": "1.0", "tables": {}})),
        (
            false,
            json!({"name": "S", "version": "1.0.0.0", "tables": {}}),
        ),
        (
            false,
            json!({"name": "S", "version": "1.0.x", "tables": {}}),
        ),
        (false, json!({"name": "S", "version": "", "tables": {}})),
        (false, json!({"name": "S", "version": 1, "tables": {}})),
        (
            false,
            json!({"name": "S", "version": "1.0.0", "tables": {}, "more": 1}),
        ),
        (
            false,
            json!({"name": "S-1", "version": "1.0.0", "tables": {}}),
        ),
        (
            false,
            json!({"name": "1S", "version": "1.0.0", "tables": {}}),
        ),
        (false, json!({"name": "", "version": "1.0.0", "tables": {}})),
        (
            false,
            json!({"name": "Š", "version": "1.0.0", "tables": {}}),
        ),
        (false, json!({"name": "S", "tables": {"_T": string()}})),
        (false, json!({"name": "S", "tables": {"T-1": string()}})),
        (false, json!({"name": "S", "tables": {"": string()}})),
        (true, json!({"name": "S", "tables": {"T1_": string()}})),
        // Tables.
        (true, table(string())),
        (true, with_columns("isRoot", json!(true))),
        (true, with_columns("isRoot", json!(false))),
        (true, with_columns("mutable", json!(false))),
        (true, with_columns("maxRows", json!(1))),
        (true, with_columns("maxRows", json!(1.0))),
        (true, with_columns("maxRows", json!(4_294_967_295_u64))),
        (true, with_columns("maxRows", json!(8_294_967_295_u64))),
        (false, with_columns("maxRows", json!(0))),
        (false, with_columns("maxRows", json!(-1))),
        (false, with_columns("maxRows", json!(1.5))),
        (false, with_columns("maxRows", json!("1"))),
        (false, with_columns("isRoot", json!(1))),
        (false, with_columns("more", json!(1))),
        (true, with_columns("indexes", json!([]))),
        (true, with_columns("indexes", json!([["a"]]))),
        (true, with_columns("indexes", json!([["a"], ["a"]]))),
        (false, with_columns("indexes", json!(["a"]))),
        (false, with_columns("indexes", json!([[]]))),
        (false, with_columns("indexes", json!([["a", "a"]]))),
        (false, with_columns("indexes", json!([["e"]]))),
        (false, with_columns("indexes", json!([["b"]]))),
        (false, with_columns("indexes", json!([[1]]))),
        (false, table(json!({"columns": {}}))),
        (false, table(json!({}))),
        (false, table(json!({"columns": {"_c": {"type": "string"}}}))),
        (
            false,
            table(json!({"columns": {"c-d": {"type": "string"}}})),
        ),
        // Columns.
        (true, column(json!({"type": "string", "ephemeral": true}))),
        (true, column(json!({"type": "string", "mutable": false}))),
        (
            true,
            column(json!({"type": "string", "mutable": true, "ephemeral": false})),
        ),
        (false, column(json!({"type": "string", "mutable": "no"}))),
        (false, column(json!({"type": "string", "ephemeral": 1}))),
        (false, column(json!({"type": "string", "more": 1}))),
        (false, column(json!({}))),
        (false, column(json!("string"))),
        (false, of_type(json!(1))),
        (false, of_type(json!("text"))),
        (false, of_type(json!({}))),
        (true, of_type(json!({"key": "integer"}))),
        (true, of_type(json!({"key": "integer", "value": "real"}))),
        (false, of_type(json!({"key": "integer", "more": 1}))),
        (false, of_type(json!({"value": "integer"}))),
        (false, of_type(json!({"key": "integer", "value": "void"}))),
        // A weak reference stays mutable, a strong one to a table that is no root is kept on disk.
        (
            true,
            column(
                json!({"type": {"key": {"type": "uuid", "refTable": "T", "refType": "weak"}},
            "mutable": false, "ephemeral": true}),
            ),
        ),
        (
            true,
            column(json!({"type": {"key": {"type": "uuid", "refTable": "T"}},
            "mutable": false, "ephemeral": true})),
        ),
        (
            true,
            column(json!({"type": {"key": {"type": "uuid", "refTable": "U"}},
            "mutable": false, "ephemeral": true})),
        ),
        (
            true,
            column(
                json!({"type": {"key": "string", "value": {"type": "uuid", "refTable": "T"}},
            "ephemeral": true}),
            ),
        ),
        // Cardinality.
        (true, of_type(json!({"key": "integer", "min": 0}))),
        (true, of_type(json!({"key": "integer", "min": 1, "max": 1}))),
        (true, of_type(json!({"key": "integer", "min": 0, "max": 3}))),
        (true, of_type(json!({"key": "integer", "max": "unlimited"}))),
        (
            true,
            of_type(json!({"key": "integer", "max": 4_294_967_294_u64})),
        ),
        (
            false,
            of_type(json!({"key": "integer", "max": 4_294_967_295_u64})),
        ),
        (
            false,
            of_type(json!({"key": "integer", "min": 2, "max": 3})),
        ),
        (false, of_type(json!({"key": "integer", "min": -1}))),
        (
            false,
            of_type(json!({"key": "integer", "min": 0, "max": 0})),
        ),
        (false, of_type(json!({"key": "integer", "max": "many"}))),
        (false, of_type(json!({"key": "integer", "max": true}))),
        // Base types.
        (true, key(json!({"type": "integer"}))),
        (
            true,
            key(json!({"type": "integer", "minInteger": 1, "maxInteger": 1})),
        ),
        (
            true,
            key(json!({"type": "integer", "minInteger": -9_223_372_036_854_775_808_i64})),
        ),
        (
            true,
            key(json!({"type": "integer", "maxInteger": 9_223_372_036_854_775_807_i64})),
        ),
        (
            true,
            key(json!({"type": "real", "minReal": f64::MIN, "maxReal": f64::MAX})),
        ),
        (
            false,
            key(json!({"type": "integer", "minInteger": 2, "maxInteger": 1})),
        ),
        (false, key(json!({"type": "integer", "minInteger": 0.5}))),
        (false, key(json!({"type": "integer", "minReal": 1}))),
        (false, key(json!({"type": "integer", "minLength": 1}))),
        (
            true,
            key(json!({"type": "real", "minReal": 1, "maxReal": 1.5})),
        ),
        (
            false,
            key(json!({"type": "real", "minReal": 2, "maxReal": 1.5})),
        ),
        (false, key(json!({"type": "real", "minInteger": 1}))),
        (
            true,
            key(json!({"type": "string", "minLength": 1, "maxLength": 2})),
        ),
        (
            true,
            key(json!({"type": "string", "maxLength": 4_294_967_295_u64})),
        ),
        (
            false,
            key(json!({"type": "string", "maxLength": 4_294_967_296_u64})),
        ),
        (
            false,
            key(json!({"type": "string", "minLength": 3, "maxLength": 2})),
        ),
        (false, key(json!({"type": "string", "minLength": -1}))),
        (false, key(json!({"type": "string", "refTable": "T"}))),
        (true, key(json!({"type": "uuid", "refTable": "T"}))),
        (
            true,
            key(json!({"type": "uuid", "refTable": "T", "refType": "strong"})),
        ),
        (
            false,
            key(json!({"type": "uuid", "refTable": "T", "refType": "firm"})),
        ),
        (false, key(json!({"type": "uuid", "refTable": "V"}))),
        (false, key(json!({"type": "uuid", "refTable": 1}))),
        (false, key(json!({"type": "uuid", "refType": "weak"}))),
        (false, key(json!({"type": "boolean", "minInteger": 0}))),
        (false, key(json!({"enum": ["set", ["a"]]}))),
        // Enumerations, of every type.
        (true, key(json!({"type": "string", "enum": "a"}))),
        (true, key(json!({"type": "string", "enum": ["set", ["a"]]}))),
        (
            true,
            key(json!({"type": "string", "enum": ["set", ["b", "a", ""]]})),
        ),
        (
            true,
            key(json!({"type": "integer", "enum": ["set", [10, 9, -1]]})),
        ),
        (
            true,
            key(json!({"type": "real", "enum": ["set", [1, 0.5]]})),
        ),
        (true, key(json!({"type": "boolean", "enum": true}))),
        (
            true,
            key(json!({"type": "uuid",
            "enum": ["uuid", "2f77b348-9768-4866-b761-89d5177ecdab"]})),
        ),
        (
            true,
            of_type(json!({"key": {"type": "integer", "enum": ["set", [1, 2]]},
            "value": {"type": "string", "enum": ["set", ["x", "y"]]}, "min": 0})),
        ),
        (false, key(json!({"type": "string", "enum": ["set", []]}))),
        (
            false,
            key(json!({"type": "string", "enum": ["set", ["a", "a"]]})),
        ),
        (
            false,
            key(json!({"type": "string", "enum": ["set", ["a", 1]]})),
        ),
        (
            false,
            key(json!({"type": "string", "enum": ["map", [["a", "b"]]]})),
        ),
        (false, key(json!({"type": "string", "enum": ["a", "b"]}))),
        (
            false,
            key(json!({"type": "integer", "enum": ["set", [1.5]]})),
        ),
        (
            false,
            key(json!({"type": "string", "enum": "a", "maxLength": 2})),
        ),
        (
            false,
            key(json!({"type": "integer", "enum": 1, "minInteger": 1})),
        ),
        (
            false,
            key(json!({"type": "uuid", "enum": ["uuid", "x"], "refTable": "T"})),
        ),
    ]
}

/// What ovsdb-tool makes of a schema: its normal form, or nothing.
fn judge(directory: &Path, index: usize, schema: &str) -> Option<Value> {
    let source = directory.join(format!("{index}.ovsschema"));
    let database = directory.join(format!("{index}.db"));
    std::fs::write(&source, schema).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test asks the real program")]
    let output = Command::new(PROGRAM)
        .args(["-voff", "create"])
        .args([&database, &source])
        .output()
        .unwrap();
    output.status.success().then(|| {
        let file = std::fs::read_to_string(database).unwrap();
        serde_json::from_str(file.lines().nth(1).unwrap()).unwrap()
    })
}

/// Writes a whole real as servers do, without its fraction.
fn without_idle_fractions(json: Value) -> Value {
    match json {
        Value::Number(number) => match number.as_f64() {
            Some(real) if number.is_f64() && real.fract() == 0.0 && real.abs() < 1e15 => {
                json!(real as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(elements) => elements.into_iter().map(without_idle_fractions).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, without_idle_fractions(value)))
            .collect(),
        other => other,
    }
}

#[test]
fn schemas_are_judged_as_expected() {
    for (good, json) in cases() {
        let result = Schema::parse(&json.to_string());
        assert_eq!(result.is_ok(), good, "{json}: {result:?}");
    }
}

#[test]
fn the_normal_form_is_read_as_the_same_schema() {
    for (_, json) in cases().into_iter().filter(|(good, _)| *good) {
        let schema = Schema::parse(&json.to_string()).unwrap();
        let again = Schema::parse(&serde_json::to_string(&schema).unwrap()).unwrap();
        assert_eq!(schema, again, "{json}");
    }
}

#[test]
fn ovsdb_tool_agrees() {
    if !Path::new(PROGRAM).exists() {
        let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
        assert!(!required, "{PROGRAM} is missing and OFM_TEST_REQUIRE=all");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {PROGRAM} is missing");
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let installed = ["/usr/share/ovn", "/usr/share/openvswitch"]
        .into_iter()
        .flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten())
        .map(|entry| entry.unwrap().path())
        .filter(|path: &PathBuf| path.extension().is_some_and(|ext| ext == "ovsschema"))
        .map(|path| std::fs::read_to_string(path).unwrap());
    let schemas = cases().into_iter().map(|(_, json)| json.to_string());
    for (index, json) in schemas.chain(installed).enumerate() {
        let theirs = judge(directory.path(), index, &json);
        let ours = Schema::parse(&json).ok();
        let ours = ours.map(|schema| without_idle_fractions(serde_json::to_value(schema).unwrap()));
        assert_eq!(ours, theirs, "{json}");
    }
}

#[test]
fn a_server_may_say_more_than_is_known() {
    let mut json = table(json!({"columns": {"c": {"type": "string"}}, "compressed": true}));
    json["generation"] = json!(2);
    assert!(Schema::parse(&json.to_string()).is_err());
    let schema: Schema = serde_json::from_str(&json.to_string()).unwrap();
    assert!(schema.table("T").is_some());
}
