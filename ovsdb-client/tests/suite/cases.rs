//! The cases, by subject.

mod conditions;
mod failover;
mod failures;
mod files;
mod indexes;
mod locks;
mod monitors;
mod outages;
mod properties;
mod random;
mod reconnects;
mod servers;
mod sessions;
mod subscriptions;
mod transactions;
mod waits;

use crate::case::Case;

/// Every case of the suite.
pub(crate) fn all() -> Vec<Case> {
    [
        sessions::cases(),
        transactions::cases(),
        failures::cases(),
        waits::cases(),
        monitors::cases(),
        conditions::cases(),
        subscriptions::cases(),
        indexes::cases(),
        properties::cases(),
        locks::cases(),
        reconnects::cases(),
        outages::cases(),
        failover::cases(),
        servers::cases(),
        files::cases(),
    ]
    .concat()
}
