//! Rows found by index: always those that a scan finds.

use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{MonitorTable, Snapshot};
use uuid::Uuid;

use crate::case::{Case, Fixture, case};
use crate::cases::indexes;
use crate::cases::random::Random;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(indexes::a_look_up_finds_what_a_scan_finds)]
}

/// The rows that meet a test, looked at one by one.
fn scan(rows: &Snapshot, meets: impl Fn(&Row) -> bool) -> Vec<Uuid> {
    let rows = rows.rows("Thing").filter(|(_, row)| meets(row));
    rows.map(|(uuid, _)| uuid).collect()
}

fn look_up(rows: &Snapshot, columns: &[&str], values: &[Datum]) -> Vec<Uuid> {
    let found = rows.find("Thing", columns, values);
    let mut found: Vec<_> = found.map(|(uuid, _)| uuid).collect();
    found.sort();
    found
}

async fn a_look_up_finds_what_a_scan_finds(fixture: Fixture) {
    let client = fixture.client().await;
    let indexed = MonitorTable::new("Thing")
        .index(["number"])
        .index(["level", "flag"])
        .index(["numbers"])
        .index_key("options", "a");
    let indexed = client.monitor(&fixture.name, &[indexed]).await.unwrap();
    let mut random = Random::new();
    for round in 0..80 {
        random.step(&fixture, &client).await;
        let rows = indexed.snapshot();
        let blame = random.blame(round);
        for number in -3..6 {
            let wanted = scan(&rows, |row| row.i64("number") == Some(number));
            assert_eq!(
                look_up(&rows, &["number"], &[number.into()]),
                wanted,
                "{blame}"
            );
        }
        for name in (0..12).map(|number| format!("thing {number}")) {
            let wanted = scan(&rows, |row| row.str("name") == Some(&name));
            assert!(wanted.len() <= 1, "{blame}");
            // The schema's own index.
            assert_eq!(look_up(&rows, &["name"], &[name.into()]), wanted, "{blame}");
        }
        for (level, flag) in [(None, false), (Some(1), true), (Some(2), false)] {
            let wanted = scan(&rows, |row| {
                row.i64("level") == level && row.bool("flag") == Some(flag)
            });
            let values = [Datum::from(level), flag.into()];
            assert_eq!(
                look_up(&rows, &["level", "flag"], &values),
                wanted,
                "{blame}"
            );
        }
        for (_, row) in rows.rows("Thing") {
            let numbers = row.get("numbers").unwrap();
            let wanted = scan(&rows, |row| row.get("numbers") == Some(numbers));
            let values = [numbers.clone()];
            assert_eq!(look_up(&rows, &["numbers"], &values), wanted, "{blame}");
        }
        for value in ["0", "1", "2", "3"] {
            // One with an index, one without.
            for key in ["a", "b"] {
                let wanted = scan(&rows, |row| row.map_get("options", key) == Some(value));
                let found = rows.find_key("Thing", "options", key, value);
                let mut found: Vec<_> = found.map(|(uuid, _)| uuid).collect();
                found.sort();
                assert_eq!(found, wanted, "{blame}");
            }
        }
    }
}
