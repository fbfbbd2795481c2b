//! The checked-in modules are what the generator makes of the installed schemas.

use ovsdb_client::Schema;
use ovsdb_client::typed::{SchemaView, Skew, TableSpec};
use ovsdb_codegen::{Options, generate};

use crate::{IC_NB, IC_SB, NB, SB, SERVER, VSWITCH, installed, serve, skip};

/// Compares a module with its schema, if that is installed in the same version.
fn check(path: &str, module: &str, version: &str, tables: &[TableSpec]) {
    let Some(text) = installed(path) else {
        return;
    };
    let schema = Schema::parse(&text).unwrap();
    if schema.version() != version {
        let installed = schema.version();
        return skip(&format!("{path} has version {installed}, not {version}"));
    }
    // Not assert_eq: it would print both, thousands of lines long.
    assert!(
        generate(&schema, &Options::default()) == module,
        "the module of {path} is out of date: run ovsdb-codegen"
    );
    SchemaView::new(&schema, tables.iter().cloned(), Skew::Strict).unwrap();
    assert_eq!(tables.len(), schema.tables().count());
}

macro_rules! modules {
    ($($module:ident: $path:expr;)*) => {$(
        #[test]
        fn $module() {
            use ovsdb_models::$module::{TABLES, VERSION};
            let text = include_str!(concat!("../../src/", stringify!($module), ".rs"));
            check($path, text, VERSION, TABLES);
        }
    )*};
}

modules! {
    open_vswitch: VSWITCH;
    ovn_northbound: NB;
    ovn_southbound: SB;
    ovn_ic_northbound: IC_NB;
    ovn_ic_southbound: IC_SB;
    server: SERVER;
}

#[tokio::test]
async fn the_schema_of_the_server_itself_is_that_of_a_real_one() {
    let ours = Schema::parse(&installed(SERVER).unwrap()).unwrap();
    let empty = Schema::parse(r#"{"name": "Empty", "tables": {}}"#).unwrap();
    let Some((_server, client)) = serve(&empty).await else {
        return;
    };
    let theirs = client.get_schema("_Server").await.unwrap();
    if theirs.version() == ours.version() {
        assert_eq!(theirs, ours);
    }
    let tables = ovsdb_models::server::TABLES.iter().cloned();
    let view = SchemaView::new(&theirs, tables, Skew::Strict).unwrap();

    use ovsdb_models::server::{Database, DatabaseModel};
    let monitor = client.monitor("_Server", &view.monitor_tables()).await;
    let databases: Result<Vec<Database>, _> = monitor.unwrap().snapshot().table().collect();
    let databases = databases.unwrap();
    let served = databases.iter().find(|database| database.name == "Empty");
    let served = served.unwrap();
    assert_eq!(served.model, DatabaseModel::Standalone);
    assert!(served.connected && served.leader);
    assert_eq!(served.cid, None);
}
