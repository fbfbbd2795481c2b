//! Rows of every table, written through the types and read back through the types.

use ovsdb_client::typed::{SchemaView, Skew};
use ovsdb_client::{Condition, Schema, Transaction};

use crate::{IC_NB, IC_SB, NB, SB, SERVER, VSWITCH, arbitrary, installed, serve};

const SEEDS: u64 = 3;

/// The schema under a name that a server does not keep for itself.
fn schema(path: &str) -> Option<Schema> {
    let text = installed(path)?;
    Some(Schema::parse(&text.replace(r#""_Server""#, r#""Server""#)).unwrap())
}

macro_rules! databases {
    ($($module:ident: $path:expr;)*) => {$(
        #[tokio::test]
        async fn $module() {
            use ovsdb_models::$module::{AnyRow, DATABASE, TABLES, VERSION};

            let Some(schema) = schema($path) else {
                return;
            };
            if schema.version() != VERSION {
                let found = schema.version();
                return crate::skip(&format!("{} has version {found}, not {VERSION}", $path));
            }
            let Some((_server, client)) = serve(&schema).await else {
                return;
            };
            for seed in 0..SEEDS {
                let mut txn = Transaction::new();
                for table in TABLES {
                    txn.delete(table.table, []);
                }
                let mut written = Vec::new();
                for (table, uuid, row) in arbitrary::rows(&schema, seed) {
                    let row = AnyRow::from_row(&table, uuid, &row).unwrap().unwrap();
                    row.insert_into(&mut txn);
                    written.push(row);
                }
                // Before the commit, at which rows that nobody refers to vanish.
                let selects: Vec<_> = written
                    .iter()
                    .map(|row| {
                        let this = [Condition::uuid(row.uuid())];
                        txn.select::<&str>(row.table(), this, [])
                    })
                    .collect();
                txn.validate(&schema).unwrap();
                let outcome = client.transact(schema.name(), txn).await.unwrap();
                for (row, select) in written.iter().zip(selects) {
                    let [found] = outcome.rows(select).unwrap() else {
                        panic!("seed {seed}: not one row for {row:?}");
                    };
                    let uuid = found.uuid("_uuid").unwrap();
                    let read = AnyRow::from_row(row.table(), uuid, found).unwrap().unwrap();
                    assert_eq!(&read, row, "seed {seed}");
                }

                // A monitor brings the rows that stayed, differences and defaults worked in.
                let mut tables = TABLES.to_vec();
                if DATABASE == "_Server" {
                    tables.iter_mut().for_each(|table| table.database = "Server");
                }
                let view = SchemaView::new(&schema, tables, Skew::Strict).unwrap();
                let monitored = view.monitor_tables();
                let monitor = client.monitor(schema.name(), &monitored).await.unwrap();
                let snapshot = monitor.snapshot();
                for row in written.iter().filter(|row| schema.is_root(row.table())) {
                    let found = snapshot.row(row.table(), row.uuid()).unwrap();
                    let read = AnyRow::decode(&view, row.table(), row.uuid(), found);
                    assert_eq!(read.unwrap().unwrap().uuid(), row.uuid(), "seed {seed}");
                }
                monitor.cancel().await.unwrap();
            }
        }
    )*};
}

databases! {
    open_vswitch: VSWITCH;
    ovn_northbound: NB;
    ovn_southbound: SB;
    ovn_ic_northbound: IC_NB;
    ovn_ic_southbound: IC_SB;
    server: SERVER;
}
