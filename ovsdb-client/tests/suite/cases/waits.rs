//! Transactions that wait, and what becomes of them when nobody waits for them any more.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use ovsdb_client::value::Row;
use ovsdb_client::{
    CallError, Client, Condition, TransactError, TransactErrorKind, Transaction, Until,
};

use crate::case::{Case, Fixture, case};
use crate::cases::waits;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(waits::a_wait_ends_when_another_client_satisfies_it).both_layers(),
        case!(waits::a_wait_that_nobody_satisfies_times_out).both_layers(),
        case!(waits::a_transaction_that_was_dropped_does_not_happen_later).both_layers(),
        case!(waits::a_transaction_that_was_dropped_early_does_not_happen_either).both_layers(),
        case!(waits::after_the_deadline_the_outcome_is_uncertain).both_layers(),
    ]
}

/// Inserts a thing once there is one of the name `sign`.
fn after_the_sign(timeout: Duration) -> Transaction {
    let mut txn = Transaction::new();
    let sign = [Row::new().set("name", "sign")];
    let named = [Condition::eq("name", "sign")];
    txn.wait("Thing", named, ["name"], Until::Equal, sign, timeout);
    txn.insert("Thing", Row::new().set("name", "late"));
    txn
}

async fn insert(fixture: &Fixture, client: &Client, name: &str) {
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("name", name));
    client.transact(&fixture.name, txn).await.unwrap();
}

/// How many things of a name there are.
async fn count(fixture: &Fixture, client: &Client, name: &str) -> usize {
    let mut txn = Transaction::new();
    let rows = txn.select("Thing", [Condition::eq("name", name)], ["name"]);
    let outcome = client.transact(&fixture.name, txn).await.unwrap();
    outcome.rows(rows).unwrap().len()
}

const LONG: Duration = Duration::from_secs(10);

async fn a_wait_ends_when_another_client_satisfies_it(fixture: Fixture) {
    let (client, other) = (fixture.client().await, fixture.client().await);
    let waiting = client.transact(&fixture.name, after_the_sign(LONG));
    let signal = async {
        // The request is on its way before this one.
        client.echo().await.unwrap();
        insert(&fixture, &other, "sign").await;
    };
    let (outcome, ()) = tokio::join!(waiting, signal);
    outcome.unwrap();
    assert_eq!(count(&fixture, &client, "late").await, 1);
}

async fn a_wait_that_nobody_satisfies_times_out(fixture: Fixture) {
    let client = fixture.client().await;
    for timeout in [Duration::ZERO, Duration::from_millis(20)] {
        let waiting = client.transact(&fixture.name, after_the_sign(timeout));
        let failure = waiting.await.unwrap_err();
        assert_eq!(failure.kind(), TransactErrorKind::TimedOut, "{failure:?}");
    }
    insert(&fixture, &client, "sign").await;
    assert_eq!(count(&fixture, &client, "late").await, 0);
}

async fn a_transaction_that_was_dropped_does_not_happen_later(fixture: Fixture) {
    let client = fixture.client().await;
    {
        let waiting = pin!(client.transact(&fixture.name, after_the_sign(LONG)));
        // The server has read the transaction when it answers what came after.
        match select(waiting, pin!(client.echo())).await {
            Either::Right((answer, _waiting)) => answer.unwrap(),
            Either::Left((outcome, _)) => panic!("nothing was there yet: {outcome:?}"),
        }
    }
    no_late_row(&fixture, &client).await;
}

async fn a_transaction_that_was_dropped_early_does_not_happen_either(fixture: Fixture) {
    let client = fixture.client().await;
    {
        let mut waiting = pin!(client.transact(&fixture.name, after_the_sign(LONG)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
    }
    no_late_row(&fixture, &client).await;
}

/// Gives the sign, and sees that nobody has waited for it.
async fn no_late_row(fixture: &Fixture, client: &Client) {
    // The cancellation is on its way before this one.
    client.echo().await.unwrap();
    let other = fixture.client().await;
    insert(fixture, &other, "sign").await;
    // What waits for a change is tried before the server turns to the next request.
    for client in [client, &other] {
        client.echo().await.unwrap();
        assert_eq!(count(fixture, client, "late").await, 0);
    }
    insert(fixture, client, "late").await;
    assert_eq!(count(fixture, &other, "late").await, 1);
}

async fn after_the_deadline_the_outcome_is_uncertain(fixture: Fixture) {
    let client = fixture.client().await;
    let deadline = Duration::from_millis(50);
    let hasty = client.with_deadline(deadline);
    let failure = hasty.transact(&fixture.name, after_the_sign(LONG)).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), TransactErrorKind::Undecided);
    match failure {
        TransactError::Uncertain {
            source: CallError::Timeout {
                deadline: waited, ..
            },
        } => assert_eq!(waited, deadline),
        other => panic!("{other:?}"),
    }
    no_late_row(&fixture, &client).await;
}
