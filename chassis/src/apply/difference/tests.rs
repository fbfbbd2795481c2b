use ovsdb_client::file::Contents;

use super::*;
use crate::topology::{Topology, VmSpec};

/// What ovn-nb.ovsschema says of the columns that topologies have.
const SCHEMA: &str = r#"{"name": "OVN_Northbound", "version": "1.0.0", "tables": {
    "Logical_Switch": {"isRoot": true, "columns": {
        "name": {"type": "string"},
        "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "ports": {"type": {"key": {"type": "uuid", "refTable": "Logical_Switch_Port", "refType": "strong"}, "min": 0, "max": "unlimited"}},
        "external_ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}},
    "Logical_Switch_Port": {"isRoot": false, "indexes": [["name"]], "columns": {
        "name": {"type": "string"},
        "type": {"type": "string"},
        "options": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "addresses": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "dynamic_addresses": {"type": {"key": "string", "min": 0, "max": 1}},
        "dhcpv4_options": {"type": {"key": {"type": "uuid", "refTable": "DHCP_Options", "refType": "weak"}, "min": 0, "max": 1}}}},
    "Logical_Router": {"isRoot": true, "columns": {
        "name": {"type": "string"},
        "ports": {"type": {"key": {"type": "uuid", "refTable": "Logical_Router_Port", "refType": "strong"}, "min": 0, "max": "unlimited"}},
        "nat": {"type": {"key": {"type": "uuid", "refTable": "NAT", "refType": "strong"}, "min": 0, "max": "unlimited"}}}},
    "Logical_Router_Port": {"isRoot": false, "indexes": [["name"]], "columns": {
        "name": {"type": "string"},
        "mac": {"type": "string"},
        "networks": {"type": {"key": "string", "min": 1, "max": "unlimited"}},
        "gateway_chassis": {"type": {"key": {"type": "uuid", "refTable": "Gateway_Chassis", "refType": "strong"}, "min": 0, "max": "unlimited"}}}},
    "Gateway_Chassis": {"isRoot": false, "indexes": [["name"]], "columns": {
        "name": {"type": "string"},
        "chassis_name": {"type": "string"},
        "priority": {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 32767}}}}},
    "NAT": {"isRoot": false, "columns": {
        "type": {"type": {"key": {"type": "string", "enum": ["set", ["dnat", "snat", "dnat_and_snat"]]}}},
        "external_ip": {"type": "string"},
        "logical_ip": {"type": "string"},
        "options": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "logical_port": {"type": {"key": "string", "min": 0, "max": 1}},
        "external_mac": {"type": {"key": "string", "min": 0, "max": 1}}}},
    "DHCP_Options": {"isRoot": true, "columns": {
        "cidr": {"type": "string"},
        "options": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}}"#;

fn schema() -> Schema {
    Schema::parse(SCHEMA).unwrap()
}

fn database(rows: &[TableRow]) -> Contents {
    let mut contents = Contents::new(schema());
    for (table, uuid, row) in rows {
        contents.insert_as(table, *uuid, row.clone()).unwrap();
    }
    contents.settle();
    contents.check().unwrap();
    contents
}

/// Does what a server does with the changes.
fn apply(contents: &mut Contents, changes: &[RowChange]) {
    for RowChange { table, uuid, kind } in changes {
        match kind {
            ChangeKind::Insert(row) => contents.insert_as(table, *uuid, row.clone()).unwrap(),
            ChangeKind::Delete => contents.remove(table, *uuid).unwrap(),
            ChangeKind::Change { replace, many } => {
                contents.update(table, *uuid, replace.clone()).unwrap();
                for change in many {
                    let row = contents.row(table, *uuid).unwrap();
                    let value = mutated(row.get(&change.column).unwrap(), change);
                    let columns = Row::new().set(&change.column, value);
                    contents.update(table, *uuid, columns).unwrap();
                }
            }
        }
    }
    contents.settle();
    contents.check().unwrap();
}

fn mutated(value: &Datum, change: &ManyChange) -> Datum {
    let gone: Vec<_> = change.delete.set_iter().collect();
    if matches!(change.insert, Datum::Map(_)) {
        let kept = value.map_iter().filter(|(key, _)| !gone.contains(key));
        let pairs = kept.chain(change.insert.map_iter());
        return Datum::map(pairs.map(|(k, v)| (k.clone(), v.clone())));
    }
    let elements = value.set_iter().chain(change.insert.set_iter());
    Datum::set(elements.filter(|atom| !gone.contains(atom)).cloned())
}

/// The demo, and what a user might make of it.
fn edited() -> (Vec<TableRow>, Vec<TableRow>) {
    let text = crate::Lab::from_spec(&crate::ClusterSpec {
        workload: crate::spec::Workload::Custom(vec![Topology::demo(2)]),
        ..crate::ClusterSpec::default()
    })
    .to_toml();
    let edited = text
        // Another lease time, and another address of a VM.
        .replace("dhcp = { subnet", "dhcp = { lease_time = 60, subnet")
        .replace("\"21.0.0.3/24\"", "\"21.0.0.9/24\"")
        // A VM that does not ask by DHCP any more.
        .replace(
            "dhcp = true\ndhcp_address = \"11.0.0.6\"\n",
            "addresses = [\"11.0.0.6/24\"]\n",
        )
        // A router port that no gateway hosts, and one that another one hosts too.
        .replace(
            ", gateways = [{ chassis = \"ovn-gw-1\", priority = 20 }]",
            "",
        )
        + "\n[[switch]]\nname = \"new\"\nports = [{ name = \"p\" }]\n[[router]]\nname = \"lr9\"\n";
    assert!(edited.contains("lease_time = 60") && edited.contains("21.0.0.9"));
    assert!(!edited.contains("priority") && edited.contains("addresses = [\"11.0.0.6/24\"]"));
    let rows = |text: &str| {
        let spec = crate::Lab::parse(text).unwrap().spec().unwrap();
        let crate::spec::Workload::Custom(topologies) = spec.workload else {
            panic!("it has a topology");
        };
        topologies[0].rows()
    };
    (rows(&text), rows(&edited))
}

#[test]
fn the_changes_lead_from_one_to_the_other_and_back() {
    let (old, new) = edited();
    for (old, new) in [
        (&old, &new),
        (&new, &old),
        (&old, &Vec::new()),
        (&Vec::new(), &new),
    ] {
        let mut contents = database(old);
        apply(&mut contents, &difference(&schema(), old, new));
        assert!(contents.same_rows(&database(new)));
    }
}

#[test]
fn nothing_is_done_for_what_is_the_same() {
    let (old, new) = edited();
    assert_eq!(difference(&schema(), &old, &old), []);
    let changes = difference(&schema(), &old, &new);
    let touched = |name: &str| {
        let row = |(_, _, row): &&TableRow| row.str("name") == Some(name);
        let uuid = new.iter().find(row).unwrap().1;
        changes.iter().filter(|change| change.uuid == uuid).count()
    };
    assert_eq!((touched("sw01-port1"), touched("sw11-port1")), (0, 1));
    assert_eq!(
        (touched("lr1"), touched("lr1-public1"), touched("lr9")),
        (0, 1, 1)
    );
    let inserts = changes
        .iter()
        .filter(|c| matches!(c.kind, ChangeKind::Insert(_)));
    assert_eq!(inserts.count(), 3);
    assert!(
        changes
            .iter()
            .all(|change| change.kind != ChangeKind::Delete)
    );
}

#[test]
fn only_rows_of_root_tables_are_deleted() {
    let rows = Topology::demo(2).rows();
    let deleted = difference(&schema(), &rows, &[]);
    let tables: BTreeSet<_> = deleted.iter().map(|change| change.table).collect();
    let roots = ["DHCP_Options", "Logical_Router", "Logical_Switch"];
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), roots);
}

#[test]
fn what_others_have_added_stays() {
    let mut old = Topology::new();
    let switch = old.switch("sw0");
    let mut new = old.clone();
    new.vm(
        switch,
        VmSpec {
            name: "vm".into(),
            port: "vm".into(),
            ..VmSpec::default()
        },
    );
    let mut contents = database(&old.rows());
    let (_, uuid, _) = &old.rows()[0];
    let theirs = contents
        .insert("Logical_Switch_Port", Row::new().set("name", "theirs"))
        .unwrap();
    contents
        .update("Logical_Switch", *uuid, Row::new().set("ports", [theirs]))
        .unwrap();
    apply(
        &mut contents,
        &difference(&schema(), &old.rows(), &new.rows()),
    );
    assert_eq!(contents.len("Logical_Switch_Port"), 2);
    apply(
        &mut contents,
        &difference(&schema(), &new.rows(), &old.rows()),
    );
    assert_eq!(
        contents
            .row("Logical_Switch", *uuid)
            .unwrap()
            .uuids("ports")
            .collect::<Vec<_>>(),
        [theirs]
    );
}

#[test]
fn a_transaction_keeps_columns_valid_at_every_step() {
    let port = |net: &str, lease: &str| {
        let port = Row::new().set("name", "p").set("networks", [net]);
        let options = Row::new()
            .set("cidr", "10.0.0.0/8")
            .set("options", Datum::map([("lease_time", lease)]));
        vec![
            ("Logical_Router_Port", Uuid::from_u128(1), port),
            ("DHCP_Options", Uuid::from_u128(2), options),
        ]
    };
    let changes = difference(
        &schema(),
        &port("10.0.0.1/8", "1"),
        &port("10.0.0.2/8", "2"),
    );
    assert_eq!(transaction(&changes).len(), 2);
    let steps: Vec<_> = changes
        .iter()
        .flat_map(|change| match &change.kind {
            ChangeKind::Change { many, .. } => many.iter().flat_map(mutations).collect(),
            _ => Vec::new(),
        })
        .collect();
    let expected = [
        Mutation::insert("networks", ["10.0.0.2/8"]),
        Mutation::delete("networks", ["10.0.0.1/8"]),
        Mutation::delete("options", ["lease_time"]),
        Mutation::insert("options", Datum::map([("lease_time", "2")])),
    ];
    assert_eq!(steps, expected);
}
