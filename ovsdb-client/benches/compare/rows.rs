//! The rows that are loaded and changed: pods of a cluster, as ovn-kubernetes writes them.

use std::fmt::Write as _;

use anyhow::Context;
use ovsdb_client::Schema;
use ovsdb_client::value::{Datum, Row};
use uuid::Uuid;

pub(crate) const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
pub(crate) const DATABASE: &str = "OVN_Northbound";
pub(crate) const TABLE: &str = "Logical_Switch_Port";

/// Rows of the large table.
pub(crate) const ROWS: usize = 50_000;
/// Rows of it that one switch refers to.
pub(crate) const PORTS_OF_A_SWITCH: usize = 100;

/// The key of `external_ids` that is indexed.
pub(crate) const INDEXED_KEY: &str = "pod-uid";

pub(crate) fn schema() -> anyhow::Result<Schema> {
    let text = std::fs::read_to_string(SCHEMA).context(SCHEMA)?;
    Ok(Schema::parse(&text)?)
}

/// The same in every run, and spread as random ones are.
pub(crate) fn uuid(row: usize) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &row.to_be_bytes())
}

pub(crate) fn name(row: usize) -> String {
    format!("namespace-{}_deployment-7d9c5b6f4-{row:05}", row % 97)
}

/// The value of the indexed key.
pub(crate) fn pod(row: usize) -> String {
    uuid(ROWS + row).to_string()
}

pub(crate) fn port(row: usize) -> Row {
    let [.., high, low] = row.to_be_bytes();
    let address = format!("0a:58:0a:f4:{high:02x}:{low:02x} 10.244.{high}.{low}");
    let namespace = format!("namespace-{}", row % 97);
    Row::new()
        .set("name", name(row))
        .set("addresses", address.as_str())
        .set("port_security", address.as_str())
        .set("up", true)
        .set(
            "external_ids",
            Datum::map([
                ("namespace", namespace),
                ("pod", "true".to_owned()),
                (INDEXED_KEY, pod(row)),
            ]),
        )
        .set("options", options(row, 0))
}

/// The options of a port after its n-th change.
pub(crate) fn options(row: usize, change: usize) -> Datum {
    Datum::map([
        ("iface-id-ver", format!("{change:08}")),
        ("requested-chassis", format!("worker-{}", row % 250)),
    ])
}

/// The row that the n-th update changes: all over the table, none twice in a row.
pub(crate) fn changed(update: usize) -> usize {
    update * 7919 % ROWS
}

/// The initial contents, as a server replies to `monitor_cond_since`.
pub(crate) fn contents() -> serde_json::Result<String> {
    let nil = Uuid::nil();
    let mut json = format!(r#"[false,"{nil}",{{"{TABLE}":{{"#);
    for row in 0..ROWS {
        let comma = if row == 0 { "" } else { "," };
        let columns = serde_json::to_string(&port(row))?;
        let uuid = uuid(row);
        // A String takes whatever is written.
        let _ = write!(json, r#"{comma}"{uuid}":{{"initial":{columns}}}"#);
    }
    json.push_str("}}]");
    Ok(json)
}

/// The n-th update, as a server sends it: a scalar, and the difference of a map.
pub(crate) fn update(monitor: &str, update: usize) -> String {
    let (nil, row) = (Uuid::nil(), changed(update));
    let (uuid, up) = (uuid(row), !update.is_multiple_of(2));
    format!(
        concat!(
            r#"{{"id":null,"method":"update3","params":["{monitor}","{nil}",{{"{table}":{{"#,
            r#""{uuid}":{{"modify":{{"up":{up},"options":["map",[["iface-id-ver","{update:08}"]]]}}}}"#,
            r#"}}}}]}}"#
        ),
        monitor = monitor,
        nil = nil,
        table = TABLE,
        uuid = uuid,
        up = up,
        update = update,
    )
}
