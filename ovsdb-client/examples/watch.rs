//! Prints the rows of a table, and then every change to them, whatever becomes of the servers:
//!
//! ```console
//! $ cargo run --example watch tcp:192.0.2.1:6641,tcp:192.0.2.2:6641 OVN_Northbound Logical_Switch
//! ```

#![expect(clippy::print_stdout, reason = "what the program is for")]

use std::error::Error;

use ovsdb_client::{Database, Event, MonitorTable, Remotes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [remotes, database, table] = &arguments[..] else {
        return Err("usage: watch REMOTE[,REMOTE...] DATABASE TABLE".into());
    };
    let remotes: Remotes = remotes.parse()?;
    let database = Database::builder(database, remotes)
        .leader_only(false)
        .open()
        .await?;
    let monitor = database.monitor(&[MonitorTable::new(table)]).await?;

    let (rows, mut changes) = monitor.subscribe();
    for (uuid, row) in rows.rows(table) {
        println!("{uuid} is {row:?}");
    }
    loop {
        match changes.next().await? {
            Event::Changes(changes) => {
                for change in &changes.rows {
                    match (&change.old, &change.new) {
                        (_, None) => println!("{} is gone", change.uuid),
                        (None, Some(row)) => println!("{} is new: {row:?}", change.uuid),
                        (Some(_), Some(row)) => println!("{} is now {row:?}", change.uuid),
                    }
                }
            }
            Event::Resync(rows) => println!("too slow; there are {} rows now", rows.len(table)),
        }
    }
}
