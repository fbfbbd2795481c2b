//! The types against servers that are older and newer than they are.

use ovsdb_client::typed::{SchemaView, Skew, Table};
use ovsdb_client::{Schema, Transaction};
use ovsdb_models::ovn_northbound::{
    Acl, AclAction, AclDirection, LogicalSwitch, Meter, StaticMacBinding, TABLES,
};
use serde_json::{Value, json};

use crate::{NB, installed, serve};

/// The northbound schema, less and more than the types: a column and a table are gone, a column and
/// a table are new, a type is another, an enumeration has a value more.
fn skewed() -> Option<Schema> {
    let mut json: Value = serde_json::from_str(&installed(NB)?).unwrap();
    let tables = json["tables"].as_object_mut().unwrap();
    tables.remove("Static_MAC_Binding").unwrap();
    tables["Logical_Switch"]["columns"]["novel"] = json!({"type": "integer"});
    let switch = tables["Logical_Switch"]["columns"].as_object_mut().unwrap();
    switch.remove("copp").unwrap();
    switch.remove("other_config").unwrap();
    tables.insert(
        "Novel".to_owned(),
        json!({"isRoot": true, "columns": {"name": {"type": "string"}}}),
    );
    tables["Meter"]["columns"]["fair"] = json!({"type": "string"});
    let actions = &mut tables["ACL"]["columns"]["action"]["type"]["key"]["enum"][1];
    actions.as_array_mut().unwrap().push(json!("novel"));
    Some(Schema::parse(&json.to_string()).unwrap())
}

#[tokio::test]
async fn types_and_server_make_do_with_what_both_have() {
    let Some(schema) = skewed() else {
        return;
    };
    let Some((_server, client)) = serve(&schema).await else {
        return;
    };
    let db = LogicalSwitch::DATABASE;
    let schema = client.get_schema(db).await.unwrap();

    let mismatch = SchemaView::new(&schema, TABLES.iter().cloned(), Skew::Strict).unwrap_err();
    let told: Vec<_> = mismatch
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "table Logical_Switch has no column copp",
            "table Logical_Switch has no column other_config",
            "column fair of table Meter is string, which does not fit into optional boolean",
            "there is no table Static_MAC_Binding",
        ]
    );

    let view = SchemaView::new(&schema, TABLES.iter().cloned(), Skew::Intersect).unwrap();
    assert!(view.has(LogicalSwitch::NAME) && !view.has(LogicalSwitch::COPP));
    assert!(view.has_table::<Meter>() && !view.has(Meter::FAIR));
    assert!(!view.has_table::<StaticMacBinding>());

    let mut txn = Transaction::new();
    let acl = txn.insert_row([
        Acl::ACTION.set(AclAction::from("novel")),
        Acl::DIRECTION.set(AclDirection::ToLport),
        Acl::MATCH.set("1"),
        Acl::PRIORITY.set(1),
    ]);
    let switch = txn.insert_row([
        LogicalSwitch::NAME.set("sw0"),
        LogicalSwitch::ACLS.set([acl]),
    ]);
    let switches = txn.select_rows::<LogicalSwitch>([LogicalSwitch::NAME.eq("sw0")]);
    txn.validate(&schema).unwrap();
    let outcome = client.transact(db, txn).await.unwrap();
    let acl = outcome.row(acl).unwrap();

    let selected: Result<Vec<_>, _> = view.selected(&outcome, switches).collect();
    let [selected] = selected.unwrap().try_into().unwrap();
    assert_eq!(selected.reference(), outcome.row(switch).unwrap());
    assert_eq!(selected.acls, [acl].into());
    assert!(selected.copp.is_none() && selected.other_config.is_empty());
    assert!(outcome.selected(switches).all(|row| row.is_err()));

    let monitor = client.monitor(db, &view.monitor_tables()).await.unwrap();
    let snapshot = monitor.snapshot();
    let row = snapshot.row(Acl::TABLE, acl.uuid()).unwrap();
    assert_eq!(
        row.read(Acl::ACTION),
        Ok(AclAction::Unknown("novel".to_owned()))
    );
    let switches: Result<Vec<LogicalSwitch>, _> = view.table(&snapshot).collect();
    assert_eq!(switches, Ok(vec![selected.clone()]));

    // Nothing is sent that the server lacks, and the fault is named.
    let mut txn = Transaction::new();
    txn.update_rows(selected.reference(), [LogicalSwitch::COPP.clear()]);
    txn.insert_row([StaticMacBinding::IP.set("10.0.0.1")]);
    assert_eq!(
        txn.validate(&schema).unwrap_err().to_string(),
        "operation 0 (update of Logical_Switch): there is no column copp; \
         operation 1 (insert into Static_MAC_Binding): there is no such table"
    );
}
