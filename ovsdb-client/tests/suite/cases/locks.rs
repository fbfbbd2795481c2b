//! Locks: who owns them, and what that is good for.

use ovsdb_client::value::Row;
use ovsdb_client::{
    Client, Lock, LockError, LockState, TransactError, TransactErrorKind, Transaction,
};

use crate::case::{Case, Fixture, case, soon};
use crate::cases::locks;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(locks::a_lock_goes_from_one_to_the_next_in_order).both_layers(),
        case!(locks::a_stolen_lock_comes_back_to_its_first_owner).both_layers(),
        case!(locks::a_transaction_can_depend_on_a_lock),
        case!(locks::a_lock_is_asked_for_once_per_connection),
        case!(locks::a_lock_is_lost_with_its_connection),
    ]
}

impl Fixture {
    /// A name for a lock. Locks belong to the server, not to the database.
    pub(super) fn lock_name(&self) -> String {
        format!("{}_lock", self.name)
    }
}

async fn owned(lock: &Lock) {
    assert!(lock.wait_owned(soon()).await, "{lock:?}");
}

async fn a_lock_goes_from_one_to_the_next_in_order(fixture: Fixture) {
    let name = fixture.lock_name();
    let remote = fixture.leader().await;
    let clients = [
        fixture.client_to(&remote).await,
        fixture.client_to(&remote).await,
        fixture.client_to(&remote).await,
        fixture.client_to(&remote).await,
    ];
    let [first, second, third, fourth] = &clients;
    let first = first.lock(&name).await.unwrap();
    assert_eq!(first.state(), LockState::Owned);
    let second = second.lock(&name).await.unwrap();
    let third = third.lock(&name).await.unwrap();
    let fourth = fourth.lock(&name).await.unwrap();
    for lock in [&second, &third, &fourth] {
        assert_eq!(lock.state(), LockState::Waiting);
    }
    first.unlock().await.unwrap();
    owned(&second).await;
    assert_eq!(third.state(), LockState::Waiting);
    // One who goes leaves the queue, and the lock as well if it is his.
    drop(third);
    drop(second);
    owned(&fourth).await;
    for client in &clients[..3] {
        client.echo().await.unwrap();
        assert!(client.is_connected());
    }
    let again = clients[0].lock(&name).await.unwrap();
    assert_eq!(again.state(), LockState::Waiting);
}

async fn a_stolen_lock_comes_back_to_its_first_owner(fixture: Fixture) {
    let name = fixture.lock_name();
    let remote = fixture.leader().await;
    let (one, two, three) = (
        fixture.client_to(&remote).await,
        fixture.client_to(&remote).await,
        fixture.client_to(&remote).await,
    );
    let first = one.lock(&name).await.unwrap();
    let second = two.lock(&name).await.unwrap();
    let thief = three.steal(&name).await.unwrap();
    assert_eq!(thief.state(), LockState::Owned);
    assert_eq!(first.changed(LockState::Owned).await, LockState::Stolen);
    assert_eq!(second.state(), LockState::Waiting);
    thief.unlock().await.unwrap();
    // The one who was robbed is before the one who waited.
    owned(&first).await;
    two.echo().await.unwrap();
    assert_eq!(second.state(), LockState::Waiting);
    first.unlock().await.unwrap();
    owned(&second).await;
}

async fn a_transaction_can_depend_on_a_lock(fixture: Fixture) {
    let name = fixture.lock_name();
    let remote = fixture.leader().await;
    let (one, two) = (
        fixture.client_to(&remote).await,
        fixture.client_to(&remote).await,
    );
    let write = async |client: &Client| -> Result<(), TransactError> {
        let mut txn = Transaction::new();
        txn.assert_lock(&name);
        txn.insert("Counter", Row::new());
        txn.delete("Counter", []);
        client.transact(&fixture.name, txn).await.map(drop)
    };
    let refused = async |client: &Client| {
        let failure = write(client).await.unwrap_err();
        assert_eq!(failure.kind(), TransactErrorKind::NotOwner, "{failure}");
    };
    refused(&one).await;
    let first = one.lock(&name).await.unwrap();
    write(&one).await.unwrap();
    let waiting = two.lock(&name).await.unwrap();
    refused(&two).await;
    waiting.unlock().await.unwrap();
    let stolen = two.steal(&name).await.unwrap();
    write(&two).await.unwrap();
    // The server knows, whatever our own state says at this moment.
    refused(&one).await;
    drop(stolen);
    owned(&first).await;
    write(&one).await.unwrap();
    refused(&two).await;
}

async fn a_lock_is_asked_for_once_per_connection(fixture: Fixture) {
    let name = fixture.lock_name();
    let client = fixture.client().await;
    let lock = client.lock(&name).await.unwrap();
    for again in [client.lock(&name).await, client.steal(&name).await] {
        assert!(
            matches!(again, Err(LockError::Requested { .. })),
            "{again:?}"
        );
    }
    drop(lock);
    let lock = client.lock(&name).await.unwrap();
    assert_eq!(lock.state(), LockState::Owned);
    let other = client.lock(&format!("{name}_2")).await.unwrap();
    assert_eq!(other.state(), LockState::Owned);
}

async fn a_lock_is_lost_with_its_connection(fixture: Fixture) {
    let name = fixture.lock_name();
    let proxy = fixture.proxy().await;
    let (one, two) = (
        fixture.client_to(&proxy.remote()).await,
        fixture.client_to(&proxy.remote()).await,
    );
    let first = one.lock(&name).await.unwrap();
    assert_eq!(first.state(), LockState::Owned);
    let second = two.lock(&name).await.unwrap();
    proxy.cut();
    for lock in [&first, &second] {
        let mut state = lock.state();
        while state != LockState::Disconnected {
            state = lock.changed(state).await;
        }
    }
    let three = fixture.client_to(&proxy.remote()).await;
    let third = three.lock(&name).await.unwrap();
    owned(&third).await;
    // Giving back what is lost is no error worth a panic.
    drop(first);
    assert!(second.unlock().await.is_err());
}
