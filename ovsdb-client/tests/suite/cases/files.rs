//! Files that this crate writes, read by the server.

use std::collections::BTreeSet;
use std::path::Path;

use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Client, Condition, Schema, Transaction};

use crate::backend::Backend;
use crate::case::{Case, Fixture, case};
use crate::cases::files;
use crate::process::Server;

pub(super) const NB: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const SB: &str = "/usr/share/ovn/ovn-sb.ovsschema";
const VSWITCH: &str = "/usr/share/openvswitch/vswitch.ovsschema";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(files::a_file_with_rows_is_served_as_it_was_written).on(&[Backend::Standalone]),
        case!(files::every_installed_schema_makes_a_file_that_is_served).on(&[Backend::Standalone]),
    ]
}

/// A schema that Open vSwitch or OVN brought along.
pub(super) fn installed(path: &str) -> Schema {
    Schema::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Serves a file, and connects.
async fn serve(directory: &Path, file: &DatabaseFile<'_>) -> (Server, Client) {
    let path = directory.join("db");
    file.create(&path, Durability::Disk).unwrap();
    let server = Server::new(directory, "server").file(path);
    server.start().await;
    let client = Client::connect(&server.remote()).await.unwrap();
    (server, client)
}

async fn a_file_with_rows_is_served_as_it_was_written(_: Fixture) {
    let directory = tempfile::tempdir().unwrap();
    let schema = installed(VSWITCH);
    let mut file = DatabaseFile::new(&schema);
    let interface = Row::new().set("name", "br0").set("type", "internal");
    let interface = file.insert("Interface", interface);
    let port = Row::new().set("name", "br0").set("interfaces", interface);
    let port = file.insert("Port", port);
    let bridge = Row::new()
        .set("name", "br0")
        .set("ports", [port])
        .set("fail_mode", "secure");
    let bridge = file.insert("Bridge", bridge);
    let ids = Datum::map([("system-id", "chassis-1"), ("quoted", "a \"b\" é")]);
    let root = Row::new()
        .set("bridges", [bridge])
        .set("external_ids", ids.clone());
    file.insert("Open_vSwitch", root);
    file.comment("initial rows");
    let (_server, client) = serve(directory.path(), &file).await;

    let mut txn = Transaction::new();
    let roots = txn.select("Open_vSwitch", [], ["bridges", "external_ids"]);
    let this = [Condition::uuid(bridge)];
    let bridges = txn.select("Bridge", this, ["name", "ports", "fail_mode"]);
    let named = [Condition::eq("name", "br0")];
    let interfaces = txn.select::<&str>("Interface", named, []);
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
    assert_eq!(row.uuid("_uuid"), Some(interface));
    assert_eq!(row.str("type"), Some("internal"));
}

async fn every_installed_schema_makes_a_file_that_is_served(_: Fixture) {
    for path in [NB, SB, VSWITCH] {
        let directory = tempfile::tempdir().unwrap();
        let schema = installed(path);
        let (_server, client) = serve(directory.path(), &DatabaseFile::new(&schema)).await;
        let name = schema.name();
        assert!(client.list_dbs().await.unwrap().contains(&name.to_owned()));
        let served = client.get_schema(name).await.unwrap();
        assert_eq!(served.version(), schema.version());
        let names = |schema: &Schema| -> BTreeSet<_> {
            let tables = schema.tables();
            tables.map(|(name, _)| name.to_owned()).collect()
        };
        assert_eq!(names(&served), names(&schema));
    }
}
