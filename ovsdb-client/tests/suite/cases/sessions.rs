//! Connections, and the calls that are about the server.

use ovsdb_client::{CallError, Client, Disconnect, MonitorEnded, Schema};

use crate::backend::Backend;
use crate::case::{Case, Fixture, case, schema};
use crate::cases::sessions;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(sessions::a_server_tells_what_it_serves).both_layers(),
        case!(sessions::a_server_is_known_by_its_id).both_layers(),
        case!(sessions::calls_may_overlap).both_layers(),
        case!(sessions::the_end_of_the_server_is_noticed_by_all)
            .both_layers()
            .own_servers(),
        case!(sessions::a_conversion_cancels_monitors)
            .both_layers()
            .on(&[Backend::Standalone, Backend::Cluster]),
        case!(sessions::a_conversion_that_fails_changes_nothing)
            .on(&[Backend::Standalone, Backend::Cluster]),
    ]
}

async fn a_server_tells_what_it_serves(fixture: Fixture) {
    let client = fixture.client().await;
    let names = client.list_dbs().await.unwrap();
    assert!(names.contains(&fixture.name), "{names:?}");
    assert!(names.contains(&"_Server".to_owned()), "{names:?}");

    let (served, written) = (
        client.get_schema(&fixture.name).await.unwrap(),
        schema(&fixture.name),
    );
    assert_eq!(served.version(), "1.0.0");
    let columns = |schema: &Schema| -> Vec<_> {
        let tables = schema.tables();
        let columns = tables.flat_map(|(name, table)| {
            let columns = table.columns();
            columns
                .map(move |(column, known)| format!("{name}.{column}: {:?}", known.column_type()))
        });
        columns.collect()
    };
    assert_eq!(columns(&served), columns(&written));

    match client.get_schema("Nowhere").await.unwrap_err() {
        CallError::Rpc { source, .. } => assert_eq!(source.error, "unknown database"),
        other => panic!("{other:?}"),
    }
    client.echo().await.unwrap();
}

async fn a_server_is_known_by_its_id(fixture: Fixture) {
    let mut ids = Vec::new();
    for remote in fixture.servers.remotes().iter() {
        let (first, second) = (
            fixture.client_to(remote).await,
            fixture.client_to(remote).await,
        );
        let id = first.get_server_id().await.unwrap();
        assert_eq!(second.get_server_id().await.unwrap(), id);
        assert!(!ids.contains(&id), "two servers have the same id");
        ids.push(id);
    }
}

async fn calls_may_overlap(fixture: Fixture) {
    let client = fixture.client().await;
    let calls = (0..200).map(|_| async {
        client.echo().await.unwrap();
        client.list_dbs().await.unwrap().len()
    });
    let counts = futures::future::join_all(calls).await;
    assert_eq!(counts.len(), 200);
}

async fn the_end_of_the_server_is_noticed_by_all(fixture: Fixture) {
    let client = fixture.client().await;
    let monitor = fixture.things(&client).await;
    let (_, mut changes) = monitor.subscribe();
    fixture.servers.kill();
    for _ in 0..2 {
        match changes.next().await.unwrap_err() {
            MonitorEnded::Disconnected {
                source: Disconnect::Closed | Disconnect::Read { .. },
            } => {}
            other => panic!("{other:?}"),
        }
    }
    client.closed().await;
    assert!(!client.is_connected() && !monitor.is_live());
    assert!(matches!(
        client.echo().await,
        Err(CallError::NotSent { method: "echo", .. })
    ));
}

/// A second version of the schema, with one more table.
pub(super) fn converted(name: &str) -> Schema {
    let text = include_str!("../schema.ovsschema")
        .replacen("\"Suite\"", &format!("\"{name}\""), 1)
        .replacen("1.0.0", "1.1.0", 1)
        .replacen(
            "\"tables\": {",
            "\"tables\": {\"Added\": {\"isRoot\": true, \"columns\": {\"name\": {\"type\": \"string\"}}},",
            1,
        );
    Schema::parse(&text).unwrap()
}

async fn a_conversion_cancels_monitors(fixture: Fixture) {
    let client = fixture.client().await;
    let other = fixture.client().await;
    let monitors = [fixture.things(&client).await, fixture.things(&other).await];
    let new = converted(&fixture.name);
    client.convert(&fixture.name, &new).await.unwrap();
    for monitor in monitors {
        let (_, mut changes) = monitor.subscribe();
        let ended = changes.next().await.unwrap_err();
        assert!(matches!(ended, MonitorEnded::Canceled), "{ended:?}");
    }
    for client in [client, other] {
        converted_schema_is_served(&client, &fixture.name).await;
    }
}

async fn converted_schema_is_served(client: &Client, name: &str) {
    let served = client.get_schema(name).await.unwrap();
    assert_eq!(served.version(), "1.1.0");
    assert!(served.table("Added").is_some());
}

async fn a_conversion_that_fails_changes_nothing(fixture: Fixture) {
    let client = fixture.client().await;
    let monitor = fixture.things(&client).await;
    let elsewhere = schema("Elsewhere");
    let refused = client.convert(&fixture.name, &elsewhere).await.unwrap_err();
    assert!(matches!(
        refused,
        CallError::Rpc {
            method: "convert",
            ..
        }
    ));
    client.echo().await.unwrap();
    assert!(monitor.is_live());
}
