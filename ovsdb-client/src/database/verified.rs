//! Transactions that depend on what was read, tried again when that has changed.

use tokio::time::Instant;

use super::Database;
use crate::client::Client;
use crate::monitor::Monitor;
use crate::replica::Snapshot;
use crate::transaction::{TransactError, TransactErrorKind, Transaction, TransactionOutcome};

/// Carries out what `build` makes of the rows, again for as long as they turn out to be outdated.
///
/// Not an `AsyncFn`, whose future nobody can promise to be [`Send`].
async fn verified<F>(
    monitor: &Monitor,
    deadline: Instant,
    mut build: impl FnMut(&Snapshot) -> Transaction,
    transact: impl Fn(Transaction) -> F,
) -> Result<TransactionOutcome, TransactError>
where
    F: Future<Output = Result<TransactionOutcome, TransactError>>,
{
    loop {
        let seen = monitor.snapshot();
        let failed = match transact(build(&seen)).await {
            Err(error) if error.kind() == TransactErrorKind::TimedOut => error,
            result => return result,
        };
        // The change that was in the way is on its way here, or here already.
        let newer = monitor.wait_until(deadline, |now| {
            (now.version() > seen.version()).then_some(())
        });
        if newer.await.is_err() {
            return Err(failed);
        }
    }
}

impl Client {
    /// Carries out a transaction that depends on what a monitor of this connection shows.
    ///
    /// `build` makes it of the rows as they are, and puts a
    /// [`verify`](Transaction::verify) before whatever depends on them. When the server finds that
    /// they have changed meanwhile, and so did nothing, it is made again of the new rows.
    ///
    /// # Errors
    ///
    /// As [`Client::transact`]; the kind is [`TransactErrorKind::TimedOut`] when nothing new had come
    /// by the `deadline`.
    pub async fn transact_verified(
        &self,
        monitor: &Monitor,
        deadline: Instant,
        build: impl FnMut(&Snapshot) -> Transaction,
    ) -> Result<TransactionOutcome, TransactError> {
        let transact = |txn| self.transact(monitor.database(), txn);
        verified(monitor, deadline, build, transact).await
    }
}

impl Database {
    /// Carries out a transaction that depends on what a monitor shows, as
    /// [`Client::transact_verified`] does.
    ///
    /// ```no_run
    /// # use ovsdb_client::{Condition, Database, Monitor, Transaction, value::Row};
    /// # use tokio::time::{Duration, Instant};
    /// # async fn example(nb: Database, monitor: Monitor) -> Result<(), Box<dyn std::error::Error>> {
    /// let deadline = Instant::now() + Duration::from_secs(5);
    /// nb.transact_verified(&monitor, deadline, |rows| {
    ///     let mut txn = Transaction::new();
    ///     if let Some((uuid, global)) = rows.rows("NB_Global").next() {
    ///         let next = global.i64("nb_cfg").unwrap_or(0) + 1;
    ///         txn.verify("NB_Global", uuid, ["nb_cfg"], global);
    ///         txn.update("NB_Global", [Condition::uuid(uuid)], Row::new().set("nb_cfg", next));
    ///     }
    ///     txn
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Database::transact`]; the kind is [`TransactErrorKind::TimedOut`] when nothing new had
    /// come by the `deadline`.
    pub async fn transact_verified(
        &self,
        monitor: &Monitor,
        deadline: Instant,
        build: impl FnMut(&Snapshot) -> Transaction,
    ) -> Result<TransactionOutcome, TransactError> {
        let transact = |txn| self.transact(txn);
        verified(monitor, deadline, build, transact).await
    }
}
