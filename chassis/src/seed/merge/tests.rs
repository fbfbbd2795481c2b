//! Databases that were somebody else's.

use ovsdb_client::file::Contents;

use super::*;
use crate::topology::push;
use ovsdb_client::value::Row;

/// The global row of a database and its connection.
fn global_rows(table: &'static str, port: u16, global: Row) -> Vec<TableRow> {
    let mut rows = Vec::new();
    let target = format!("ptcp:{port}");
    let row = Row::new()
        .set("target", &target)
        .set("inactivity_probe", Some(180_000));
    let connection = push(&mut rows, "Connection", &target, row);
    push(
        &mut rows,
        table,
        "",
        global.set("connections", [connection]),
    );
    rows
}

const NB: &str = r#"{"name": "OVN_Northbound", "version": "7.0.0", "tables": {
    "NB_Global": {"isRoot": true, "maxRows": 1, "columns": {
        "name": {"type": "string"},
        "nb_cfg": {"type": "integer"}, "sb_cfg": {"type": "integer"}, "hv_cfg": {"type": "integer"},
        "options": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "external_ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "connections": {"type": {"key": {"type": "uuid", "refTable": "Connection"},
                                 "min": 0, "max": "unlimited"}},
        "ssl": {"type": {"key": {"type": "uuid", "refTable": "SSL"}, "min": 0}}}},
    "Connection": {"indexes": [["target"]], "columns": {
        "target": {"type": "string"},
        "inactivity_probe": {"type": {"key": "integer", "min": 0}}}},
    "SSL": {"maxRows": 1, "columns": {"certificate": {"type": "string"}}},
    "Logical_Switch": {"isRoot": true, "columns": {
        "name": {"type": "string"},
        "ports": {"type": {"key": {"type": "uuid", "refTable": "Logical_Switch_Port"},
                           "min": 0, "max": "unlimited"}}}},
    "Logical_Switch_Port": {"indexes": [["name"]], "columns": {
        "name": {"type": "string"},
        "addresses": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "up": {"type": {"key": "boolean", "min": 0}}}}}}"#;

const SB: &str = r#"{"name": "OVN_Southbound", "version": "20.27.0", "tables": {
    "SB_Global": {"isRoot": true, "maxRows": 1, "columns": {
        "nb_cfg": {"type": "integer"},
        "connections": {"type": {"key": {"type": "uuid", "refTable": "Connection"},
                                 "min": 0, "max": "unlimited"}}}},
    "Connection": {"indexes": [["target"]], "columns": {
        "target": {"type": "string"},
        "inactivity_probe": {"type": {"key": "integer", "min": 0}}}},
    "Chassis": {"isRoot": true, "indexes": [["name"]], "columns": {
        "name": {"type": "string"}, "hostname": {"type": "string"}, "nb_cfg": {"type": "integer"},
        "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "encaps": {"type": {"key": {"type": "uuid", "refTable": "Encap"},
                            "min": 1, "max": "unlimited"}}}},
    "Chassis_Private": {"isRoot": true, "indexes": [["name"]], "columns": {
        "name": {"type": "string"}, "nb_cfg": {"type": "integer"},
        "chassis": {"type": {"key": {"type": "uuid", "refTable": "Chassis", "refType": "weak"},
                             "min": 0}}}},
    "Encap": {"indexes": [["type", "ip"]], "columns": {
        "type": {"type": "string"}, "ip": {"type": "string"}, "chassis_name": {"type": "string"}}},
    "Port_Binding": {"isRoot": true, "indexes": [["logical_port"]], "columns": {
        "logical_port": {"type": "string"},
        "up": {"type": {"key": "boolean", "min": 0}},
        "chassis": {"type": {"key": {"type": "uuid", "refTable": "Chassis", "refType": "weak"},
                             "min": 0}},
        "encap": {"type": {"key": {"type": "uuid", "refTable": "Encap", "refType": "weak"},
                           "min": 0}}}},
    "IGMP_Group": {"isRoot": true, "indexes": [["address", "chassis"]], "columns": {
        "address": {"type": "string"},
        "chassis": {"type": {"key": {"type": "uuid", "refTable": "Chassis", "refType": "weak"},
                             "min": 0}}}}}}"#;

fn database(schema: &str) -> Contents {
    Contents::new(Schema::parse(schema).unwrap())
}

/// The only row of a table in which a column has this value.
fn find(contents: &Contents, table: &str, column: &str, value: &str) -> Row {
    let rows = contents.rows(table).map(|(_, row)| row);
    let rows: Vec<_> = rows.filter(|row| row.str(column) == Some(value)).collect();
    assert_eq!(rows.len(), 1, "{table} {column} {value}: {rows:?}");
    rows[0].clone()
}

fn global(contents: &Contents, table: &str) -> Row {
    assert_eq!(contents.len(table), 1);
    contents.rows(table).next().unwrap().1
}

/// What a cluster wants in its northbound database: a switch with two ports.
fn nb_rows() -> Vec<TableRow> {
    let columns = Row::new()
        .set("name", "central")
        .set("options", Datum::map([("ours", "1"), ("both", "ours")]));
    let mut rows = global_rows("NB_Global", 6641, columns);
    let ports = ["p1", "p2"].map(|name| {
        let row = Row::new().set("name", name).set("addresses", ["ours"]);
        push(&mut rows, "Logical_Switch_Port", name, row)
    });
    let row = Row::new().set("name", "sw0").set("ports", ports);
    push(&mut rows, "Logical_Switch", "sw0", row);
    rows
}

/// The names of the ports of a switch.
fn ports(contents: &Contents, switch: &str) -> Vec<String> {
    let switch = find(contents, "Logical_Switch", "name", switch);
    let port = |uuid| contents.row("Logical_Switch_Port", uuid).unwrap();
    let names = switch
        .uuids("ports")
        .map(|uuid| port(uuid).str("name").unwrap().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn an_empty_database_gets_the_rows_as_they_are() {
    let mut merged = database(NB);
    merge(&mut merged, nb_rows()).unwrap();
    let mut expected = database(NB);
    for (table, uuid, row) in nb_rows() {
        expected.insert_as(table, uuid, row).unwrap();
    }
    assert!(merged.same_rows(&expected));
    let once = merged.clone();
    merge(&mut merged, nb_rows()).unwrap();
    assert!(merged.same_rows(&once), "what is there is not added again");
}

#[test]
fn the_global_row_keeps_what_is_the_users_and_begins_to_count_anew() {
    let mut contents = database(NB);
    let row = Row::new().set("target", "ptcp:16641");
    let connection = contents.insert("Connection", row).unwrap();
    // Ours from a cluster before, with other settings.
    let (_, uuid, _) = nb_rows()[0];
    let row = Row::new().set("target", "pssl:6641");
    contents.insert_as("Connection", uuid, row).unwrap();
    let row = Row::new().set("certificate", "/theirs.pem");
    let ssl = contents.insert("SSL", row).unwrap();
    let row = Row::new()
        .set("name", "theirs")
        .set("nb_cfg", 7)
        .set("sb_cfg", 7)
        .set("hv_cfg", 6)
        .set("options", Datum::map([("theirs", "1"), ("both", "theirs")]))
        .set("external_ids", Datum::map([("theirs", "1")]))
        .set("connections", [connection, uuid])
        .set("ssl", ssl);
    let global_uuid = contents.insert("NB_Global", row).unwrap();

    merge(&mut contents, nb_rows()).unwrap();
    let row = global(&contents, "NB_Global");
    assert!(contents.row("NB_Global", global_uuid).is_some());
    assert_eq!(row.str("name"), Some("central"));
    let options = Datum::map([("theirs", "1"), ("ours", "1"), ("both", "ours")]);
    assert_eq!(row.get("options"), Some(&options));
    assert_eq!(row.map_get("external_ids", "theirs"), Some("1"));
    let counters = ["nb_cfg", "sb_cfg", "hv_cfg"].map(|column| row.i64(column));
    assert_eq!(counters, [Some(0); 3]);
    assert_eq!(contents.len("Connection"), 1);
    assert_eq!(
        global(&contents, "Connection").str("target"),
        Some("ptcp:6641")
    );
    assert!(contents.is_empty("SSL"));
}

#[test]
fn switches_and_ports_of_the_user_count_and_get_what_they_lack() {
    let mut contents = database(NB);
    let mut port = |name: &str| {
        let row = Row::new().set("name", name).set("up", true);
        contents.insert("Logical_Switch_Port", row).unwrap()
    };
    let ports_there = [port("p1"), port("p9")];
    let row = Row::new().set("name", "sw0").set("ports", ports_there);
    let switch = contents.insert("Logical_Switch", row).unwrap();

    merge(&mut contents, nb_rows()).unwrap();
    assert!(contents.row("Logical_Switch", switch).is_some());
    assert_eq!(ports(&contents, "sw0"), ["p1", "p2", "p9"]);
    let port = find(&contents, "Logical_Switch_Port", "name", "p1");
    assert_eq!(port.get("addresses"), Some(&Datum::empty()));
    assert_eq!(port.bool("up"), Some(false), "it was up elsewhere");
}

#[test]
fn a_port_stays_with_the_switch_that_has_it() {
    let mut contents = database(NB);
    let row = Row::new().set("name", "p1");
    let port = contents.insert("Logical_Switch_Port", row).unwrap();
    let row = Row::new().set("name", "theirs").set("ports", [port]);
    contents.insert("Logical_Switch", row).unwrap();

    merge(&mut contents, nb_rows()).unwrap();
    assert_eq!(ports(&contents, "theirs"), ["p1"]);
    assert_eq!(ports(&contents, "sw0"), ["p2"]);
}

#[test]
fn a_schema_without_the_columns_is_told() {
    let mut contents = database(&NB.replace(r#""addresses""#, r#""address""#));
    let error = merge(&mut contents, nb_rows()).unwrap_err().to_string();
    let expected = "OVN_Northbound has no place for what the cluster needs: row ";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.ends_with("there is no column addresses"), "{error}");
}

/// Adds a chassis with its encapsulation, as another cluster had it.
fn chassis(contents: &mut Contents, name: &str, ip: &str) -> Uuid {
    let row = Row::new()
        .set("type", "geneve")
        .set("ip", ip)
        .set("chassis_name", name);
    let encap = contents.insert("Encap", row).unwrap();
    let row = Row::new()
        .set("name", name)
        .set("hostname", "old")
        .set("nb_cfg", 7)
        .set("other_config", Datum::map([("theirs", "1")]))
        .set("encaps", encap);
    let chassis = contents.insert("Chassis", row).unwrap();
    let row = Row::new()
        .set("name", name)
        .set("nb_cfg", 7)
        .set("chassis", chassis);
    contents.insert("Chassis_Private", row).unwrap();
    let row = Row::new()
        .set("logical_port", format!("port-{name}"))
        .set("up", true)
        .set("chassis", chassis)
        .set("encap", encap);
    contents.insert("Port_Binding", row).unwrap();
    let row = Row::new()
        .set("address", "239.0.0.1")
        .set("chassis", chassis);
    contents.insert("IGMP_Group", row).unwrap();
    chassis
}

/// What a cluster of these chassis and addresses wants in its southbound database.
fn sb_rows(chassis: &[(&str, &str)]) -> Vec<TableRow> {
    let mut rows = global_rows("SB_Global", 6642, Row::new());
    for (name, ip) in chassis {
        let encap = Row::new()
            .set("type", "geneve")
            .set("ip", *ip)
            .set("chassis_name", *name);
        let encap = push(&mut rows, "Encap", name, encap);
        let row = Row::new()
            .set("name", *name)
            .set("hostname", *name)
            .set("encaps", [encap]);
        push(&mut rows, "Chassis", name, row);
    }
    rows
}

/// The addresses of a chassis.
fn addresses(contents: &Contents, chassis: &str) -> Vec<String> {
    let chassis = find(contents, "Chassis", "name", chassis);
    let encap = |uuid| contents.row("Encap", uuid).unwrap();
    let addresses = chassis
        .uuids("encaps")
        .map(|uuid| encap(uuid).str("ip").unwrap().to_owned());
    addresses.collect()
}

#[test]
fn of_a_chassis_that_will_not_exist_nothing_is_left() {
    let mut contents = database(SB);
    chassis(&mut contents, "gone-1", "10.0.0.1");
    chassis(&mut contents, "gone-2", "10.0.0.2");
    let row = Row::new().set("logical_port", "router").set("up", true);
    contents.insert("Port_Binding", row).unwrap();

    evict_chassis(&mut contents, &BTreeSet::new()).unwrap();
    contents.check().unwrap();
    for table in ["Chassis", "Chassis_Private", "Encap", "IGMP_Group"] {
        assert!(contents.is_empty(table), "{table}");
    }
    let port = find(&contents, "Port_Binding", "logical_port", "port-gone-1");
    assert_eq!((port.uuid("chassis"), port.uuid("encap")), (None, None));
    assert_eq!(port.bool("up"), Some(false));
    let router = find(&contents, "Port_Binding", "logical_port", "router");
    assert_eq!(router.bool("up"), Some(true), "northd has said so");
}

#[test]
fn a_chassis_of_the_same_name_is_where_its_node_is() {
    let mut contents = database(SB);
    // As the nodes of the new cluster are, but the other way round.
    let first = chassis(&mut contents, "chassis-1", "10.0.0.2");
    chassis(&mut contents, "chassis-2", "10.0.0.1");
    chassis(&mut contents, "gone", "10.0.0.3");
    chassis(&mut contents, "remote", "192.0.2.1");
    let row = Row::new().set("nb_cfg", 7);
    contents.insert("SB_Global", row).unwrap();
    let rows = sb_rows(&[
        ("chassis-1", "10.0.0.1"),
        ("chassis-2", "10.0.0.2"),
        ("chassis-3", "10.0.0.3"),
    ]);

    let kept = BTreeSet::from(["chassis-1", "chassis-2", "chassis-3", "remote"]);
    evict_chassis(&mut contents, &kept).unwrap();
    merge(&mut contents, rows.clone()).unwrap();
    assert_eq!(contents.len("Chassis"), 4);
    assert_eq!(contents.len("Encap"), 4);
    assert_eq!(addresses(&contents, "chassis-1"), ["10.0.0.1"]);
    assert_eq!(addresses(&contents, "chassis-2"), ["10.0.0.2"]);
    assert_eq!(addresses(&contents, "chassis-3"), ["10.0.0.3"]);
    assert_eq!(addresses(&contents, "remote"), ["192.0.2.1"]);
    let row = contents.row("Chassis", first).unwrap();
    assert_eq!(row.str("hostname"), Some("chassis-1"));
    assert_eq!(row.map_get("other_config", "theirs"), Some("1"));
    assert_eq!(row.i64("nb_cfg"), Some(0));
    let port = find(&contents, "Port_Binding", "logical_port", "port-chassis-1");
    assert_eq!(
        (port.uuid("chassis"), port.bool("up")),
        (Some(first), Some(false))
    );
    assert!(contents.is_empty("Chassis_Private"), "none has registered");
    assert_eq!(global(&contents, "SB_Global").i64("nb_cfg"), Some(0));

    let once = contents.clone();
    evict_chassis(&mut contents, &kept).unwrap();
    merge(&mut contents, rows).unwrap();
    assert!(contents.same_rows(&once), "the second time changes nothing");
}

#[test]
fn an_address_of_two_chassis_is_told() {
    let mut contents = database(SB);
    chassis(&mut contents, "remote", "10.0.0.1");
    evict_chassis(&mut contents, &BTreeSet::from(["remote"])).unwrap();
    let error = merge(&mut contents, sb_rows(&[("chassis-1", "10.0.0.1")])).unwrap_err();
    let error = error.to_string();
    let expected = "OVN_Southbound contradicts what the cluster needs: row ";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.ends_with("has the same type and ip"), "{error}");
}
