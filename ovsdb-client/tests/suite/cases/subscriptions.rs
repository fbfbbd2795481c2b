//! Every change in order, or the truth for who is too slow.

use ovsdb_client::value::Row;
use ovsdb_client::{Condition, Event, Mutation, Transaction};

use crate::case::{Case, Fixture, case};
use crate::cases::monitors::insert;
use crate::cases::subscriptions;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(subscriptions::changes_come_one_transaction_after_another),
        case!(subscriptions::changes_of_two_writers_add_up),
        case!(subscriptions::a_slow_subscriber_is_told_the_rows_instead),
    ]
}

async fn changes_come_one_transaction_after_another(fixture: Fixture) {
    let client = fixture.client().await;
    insert(&fixture, &client, "a", 0).await;
    let monitor = fixture.things(&client).await;
    let (before, mut changes) = monitor.subscribe();
    assert_eq!(before.len("Thing"), 1);
    for _ in 0..50 {
        let mut txn = Transaction::new();
        txn.mutate("Thing", [], [Mutation::add("number", 1)]);
        client.transact(&fixture.name, txn).await.unwrap();
    }
    for number in 0..50 {
        let Event::Changes(change) = changes.next().await.unwrap() else {
            panic!("there is room for all")
        };
        let [row] = &change.rows[..] else {
            panic!("{change:?}")
        };
        let number_in = |row: &Option<std::sync::Arc<Row>>| row.as_ref().unwrap().i64("number");
        assert_eq!(number_in(&row.old), Some(number));
        assert_eq!(number_in(&row.new), Some(number + 1));
    }
    assert!(changes.try_next().is_none());
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", "b"));
    txn.delete("Thing", [Condition::eq("name", "a")]);
    client.transact(&fixture.name, txn).await.unwrap();
    let Some(Event::Changes(change)) = changes.try_next() else {
        panic!("it is here when the transaction returns")
    };
    assert_eq!(
        change.of("Thing").count(),
        2,
        "one event for one transaction"
    );
}

/// What the changes add up to is the snapshot.
async fn changes_of_two_writers_add_up(fixture: Fixture) {
    let (first, second) = (fixture.client().await, fixture.client().await);
    let reader = fixture.client().await;
    let monitor = fixture.things(&reader).await;
    let (_, mut changes) = monitor.subscribe();
    let write = async |client, name: &str| {
        for round in 0..40 {
            insert(&fixture, client, &format!("{name} {round}"), round).await;
            if round % 3 == 0 {
                let mut txn = Transaction::new();
                txn.delete(
                    "Thing",
                    [Condition::eq("name", format!("{name} {}", round / 2))],
                );
                client.transact(&fixture.name, txn).await.unwrap();
            }
        }
        insert(&fixture, client, &format!("{name} done"), 0).await;
    };
    tokio::join!(write(&first, "first"), write(&second, "second"));

    let mut rows = std::collections::BTreeMap::new();
    let mut done = 0;
    while done < 2 {
        let Event::Changes(change) = changes.next().await.unwrap() else {
            panic!("there is room for all")
        };
        for row in change.rows {
            assert_eq!(rows.get(&row.uuid), row.old.as_ref());
            match row.new {
                Some(new) => {
                    done += usize::from(new.str("name").unwrap().ends_with("done"));
                    rows.insert(row.uuid, new);
                }
                None => drop(rows.remove(&row.uuid)),
            }
        }
    }
    let snapshot = monitor.snapshot();
    assert!(
        snapshot
            .rows("Thing")
            .eq(rows.iter().map(|(uuid, row)| (*uuid, row)))
    );
}

async fn a_slow_subscriber_is_told_the_rows_instead(fixture: Fixture) {
    let client = fixture.client().await;
    let monitor = fixture.things(&client).await;
    let (_, mut slow) = monitor.subscribe_with_capacity(4);
    let (_, mut patient) = monitor.subscribe();
    for number in 0..10 {
        insert(&fixture, &client, &number.to_string(), number).await;
    }
    let Some(Event::Resync(rows)) = slow.try_next() else {
        panic!("ten rows are more than four")
    };
    assert_eq!(rows.len("Thing"), 10);
    assert!(slow.try_next().is_none());
    insert(&fixture, &client, "after", 11).await;
    assert!(matches!(slow.try_next(), Some(Event::Changes(change)) if change.rows.len() == 1));
    let events = std::iter::from_fn(|| patient.try_next());
    assert_eq!(
        events
            .filter(|event| matches!(event, Event::Changes(_)))
            .count(),
        11
    );
}
