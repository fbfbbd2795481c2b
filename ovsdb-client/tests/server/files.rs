//! Files that this crate writes, read by the server.

use std::collections::BTreeSet;

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Condition, Schema, Transaction};

use super::process::{self, Server};
use super::{NB, SB, VSWITCH};

#[tokio::test]
async fn a_file_with_rows_is_served_as_it_was_written() {
    let Some(directory) = process::directory() else {
        return;
    };
    let schema = Schema::parse(&process::schema(VSWITCH)).unwrap();
    let mut file = DatabaseFile::new(&schema);
    let interface = file.insert(
        "Interface",
        Row::new().set("name", "br0").set("type", "internal"),
    );
    let port = file.insert(
        "Port",
        Row::new().set("name", "br0").set("interfaces", interface),
    );
    let bridge = Row::new()
        .set("name", "br0")
        .set("ports", [port])
        .set("fail_mode", "secure");
    let bridge = file.insert("Bridge", bridge);
    let ids = Datum::map([("system-id", "chassis-1"), ("quoted", "a \"b\" é")]);
    file.insert(
        "Open_vSwitch",
        Row::new()
            .set("bridges", [bridge])
            .set("external_ids", ids.clone()),
    );
    file.comment("initial rows");
    file.create(directory.path().join("conf.db"), Durability::Disk)
        .unwrap();

    let server = Server::start(directory, "conf.db", None).await;
    let client = server.connect().await;
    let mut txn = Transaction::new();
    let roots = txn.select("Open_vSwitch", [], ["bridges", "external_ids"]);
    let bridges = txn.select(
        "Bridge",
        [Condition::uuid(bridge)],
        ["name", "ports", "fail_mode"],
    );
    let interfaces = txn.select::<&str>("Interface", [Condition::eq("name", "br0")], []);
    let outcome = client.transact("Open_vSwitch", txn).await.unwrap();

    let [root] = outcome.rows(roots).unwrap() else {
        panic!("{outcome:?}")
    };
    assert_eq!(root.uuid("bridges"), Some(bridge));
    assert_eq!(root.get("external_ids"), Some(&ids));
    let [row] = outcome.rows(bridges).unwrap() else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (row.str("name"), row.str("fail_mode")),
        (Some("br0"), Some("secure"))
    );
    assert_eq!(row.uuids("ports").collect::<Vec<_>>(), [port]);
    let [row] = outcome.rows(interfaces).unwrap() else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (row.uuid("_uuid"), row.str("type")),
        (Some(interface), Some("internal"))
    );
}

#[tokio::test]
async fn every_installed_schema_makes_a_file_that_is_served() {
    for path in [NB, SB, VSWITCH] {
        let Some(directory) = process::directory() else {
            return;
        };
        let schema = Schema::parse(&process::schema(path)).unwrap();
        DatabaseFile::new(&schema)
            .create(directory.path().join("db"), Durability::Process)
            .unwrap();
        let server = Server::start(directory, "db", None).await;
        let client = server.connect().await;
        assert!(
            client
                .list_dbs()
                .await
                .unwrap()
                .contains(&schema.name().to_owned())
        );
        let served = client.get_schema(schema.name()).await.unwrap();
        assert_eq!(served.version(), schema.version());
        let names = |schema: &Schema| {
            schema
                .tables()
                .map(|(name, _)| name.to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(names(&served), names(&schema));
    }
}
