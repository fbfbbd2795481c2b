//! Transactions that fail, and how that is told.

use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{CallError, Condition, Mutation, TransactError, TransactErrorKind, Transaction};
use uuid::Uuid;

use crate::case::{Case, Fixture, case};
use crate::cases::failures;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(failures::an_operation_that_fails_is_named).both_layers(),
        case!(failures::a_commit_that_fails_is_told_apart),
        case!(failures::what_is_no_transaction_is_refused_as_a_whole).both_layers(),
    ]
}

async fn an_operation_that_fails_is_named(fixture: Fixture) {
    let client = fixture.client().await;
    let taken = Uuid::from_u128(1);
    let mut txn = Transaction::new();
    txn.insert_as(
        "Thing",
        taken,
        Row::new().set("name", "there").set("number", i64::MAX),
    );
    client.transact(&fixture.name, txn).await.unwrap();

    type Operate = fn(&mut Transaction);
    let cases: [(Operate, &str, TransactErrorKind); 11] = [
        (
            |txn| {
                txn.insert("Thing", Row::new().set("level", Some(10)));
            },
            "insert into Thing",
            TransactErrorKind::ConstraintViolation,
        ),
        (
            |txn| {
                txn.insert("Thing", Row::new().set("mode", "loud"));
            },
            "insert into Thing",
            TransactErrorKind::ConstraintViolation,
        ),
        (
            |txn| {
                txn.update("Thing", [], Row::new().set("fixed", "other"));
            },
            "update of Thing",
            TransactErrorKind::ConstraintViolation,
        ),
        (
            |txn| {
                txn.insert("Thing", Row::new().set("name", 7));
            },
            "insert into Thing",
            TransactErrorKind::Syntax,
        ),
        (
            |txn| {
                txn.insert("Nothing", Row::new());
            },
            "insert into Nothing",
            TransactErrorKind::Syntax,
        ),
        (
            |txn| {
                txn.insert("Thing", Row::new().set("colour", "red"));
            },
            "insert into Thing",
            TransactErrorKind::UnknownColumn,
        ),
        (
            |txn| txn.insert_as("Thing", Uuid::from_u128(1), Row::new()),
            "insert into Thing",
            TransactErrorKind::DuplicateUuid,
        ),
        (
            |txn| {
                txn.mutate("Thing", [], [Mutation::divide("number", 0)]);
            },
            "mutate of Thing",
            TransactErrorKind::Domain,
        ),
        (
            |txn| {
                txn.mutate("Thing", [], [Mutation::add("number", 1)]);
            },
            "mutate of Thing",
            TransactErrorKind::Range,
        ),
        (
            |txn| txn.assert_lock("nobodys"),
            "assert",
            TransactErrorKind::NotOwner,
        ),
        (Transaction::abort, "abort", TransactErrorKind::Aborted),
    ];
    let monitor = fixture.things(&client).await;
    let before = monitor.snapshot();
    for (operate, called, kind) in cases {
        let mut txn = Transaction::new();
        txn.insert("Thing", Row::new().set("name", "undone"));
        operate(&mut txn);
        txn.comment("never reached");
        let failure = client.transact(&fixture.name, txn).await.unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure}");
        match failure {
            TransactError::Operation {
                index, operation, ..
            } => {
                let word = called.split(' ').next().unwrap();
                assert_eq!(index, 1);
                assert!(operation.starts_with(word), "{operation} is no {called}");
            }
            other => panic!("{called}: {other:?}"),
        }
    }
    assert_eq!(monitor.snapshot().version(), before.version());
}

async fn a_commit_that_fails_is_told_apart(fixture: Fixture) {
    let client = fixture.client().await;
    let mut txn = Transaction::new();
    let part = txn.insert("Part", Row::new().set("name", "part"));
    txn.insert(
        "Thing",
        Row::new().set("name", "taken").set("parts", [part]),
    );
    txn.insert("Counter", Row::new());
    client.transact(&fixture.name, txn).await.unwrap();

    type Operate = fn(&mut Transaction);
    let cases: [(Operate, TransactErrorKind); 4] = [
        (
            |txn| {
                txn.insert("Thing", Row::new().set("name", "taken"));
            },
            TransactErrorKind::ConstraintViolation,
        ),
        (
            |txn| {
                txn.insert("Counter", Row::new());
            },
            TransactErrorKind::ConstraintViolation,
        ),
        (
            |txn| {
                txn.insert("Thing", Row::new().set("parts", Uuid::from_u128(5)));
            },
            TransactErrorKind::ReferentialIntegrityViolation,
        ),
        (
            |txn| {
                txn.delete("Part", []);
            },
            TransactErrorKind::ReferentialIntegrityViolation,
        ),
    ];
    for (operate, kind) in cases {
        let mut txn = Transaction::new();
        operate(&mut txn);
        let failure = client.transact(&fixture.name, txn).await.unwrap_err();
        assert_eq!(failure.kind(), kind);
        assert!(
            matches!(failure, TransactError::Commit { .. }),
            "{failure:?}"
        );
    }
    // What would violate a rule halfway is fine when it does not at the end.
    let mut txn = Transaction::new();
    txn.delete("Counter", []);
    txn.insert("Counter", Row::new().set("value", 1));
    txn.insert("Thing", Row::new().set("name", "taken"));
    txn.delete(
        "Thing",
        [
            Condition::includes("parts", Datum::empty()),
            Condition::ne("parts", Datum::empty()),
        ],
    );
    client.transact(&fixture.name, txn).await.unwrap();
}

async fn what_is_no_transaction_is_refused_as_a_whole(fixture: Fixture) {
    let client = fixture.client().await;
    let failure = client.transact("Nowhere", Transaction::new()).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), TransactErrorKind::UnknownDatabase);
    assert!(
        matches!(
            failure,
            TransactError::Call {
                source: CallError::Rpc { .. }
            }
        ),
        "{failure:?}"
    );
    let mut txn = Transaction::new();
    txn.insert("Thing", Row::new().set("real", f64::NAN));
    let failure = client.transact(&fixture.name, txn).await.unwrap_err();
    assert!(
        matches!(
            failure,
            TransactError::Call {
                source: CallError::Encode { .. }
            }
        ),
        "{failure:?}"
    );
    client
        .transact(&fixture.name, Transaction::new())
        .await
        .unwrap();
}
