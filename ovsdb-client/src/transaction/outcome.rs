//! What a transaction returned.

use serde::Deserialize;
use uuid::Uuid;

use super::{CountRef, InsertRef, InvalidTransaction, SelectRef, TransactErrorKind, Transaction};
use crate::error::CallError;
use crate::value::{Atom, Row};

/// The results of a committed transaction.
///
/// The accessors take the handles that [`Transaction`] gave out, and answer `None` only for a
/// handle of another transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactionOutcome {
    results: Vec<OperationResult>,
}

/// Why a transaction changed nothing, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// An operation failed, and with it the transaction.
    #[error("operation {index} ({operation}) failed: {error}{}", Details(.details))]
    Operation {
        /// Index of the operation, from 0.
        index: usize,
        /// What the operation was: `insert into Bridge`.
        operation: String,
        /// The server's short name of the error: `constraint violation`, `timed out`, …
        error: String,
        /// The server's explanation.
        details: Option<String>,
    },
    /// Every operation succeeded, yet the result may not be committed: a reference to no row, a
    /// duplicate in an index, a lack of permission (RFC 7047 §4.1.3).
    #[error("the commit failed: {error}{}", Details(.details))]
    Commit {
        /// The server's short name of the error: `referential integrity violation`, …
        error: String,
        /// The server's explanation.
        details: Option<String>,
    },
    /// The transaction does not fit the server's schema, and was not sent.
    #[error("the transaction does not fit the schema of the database")]
    Invalid {
        /// All that is wrong.
        source: InvalidTransaction,
    },
    /// The reply does not fit the operations that were sent.
    #[error("the reply does not fit operation {index} ({operation})")]
    Mismatch {
        /// Index of the operation, from 0.
        index: usize,
        /// What the operation was.
        operation: String,
    },
    /// Nothing was committed: the server refused the request as a whole, or never got it.
    #[error("the transaction was not carried out")]
    Call {
        /// What happened instead.
        source: CallError,
    },
    /// No result came: the connection was lost, the deadline passed, or the reply made no sense.
    /// The transaction may have committed. It is never repeated by this library; a caller who wants
    /// to repeat it must make it harmless when it happens twice: insert rows under UUIDs of his own
    /// ([`Transaction::insert_as`]), or wait for what must not be there yet.
    #[error("whether the transaction was committed is unknown")]
    Uncertain {
        /// What happened instead of a result.
        source: CallError,
    },
}

impl From<CallError> for TransactError {
    fn from(source: CallError) -> Self {
        match &source {
            // A canceled transaction may be under way through a cluster already.
            CallError::Rpc { source: error, .. } if error.error == "canceled" => {
                Self::Uncertain { source }
            }
            CallError::NotSent { .. } | CallError::Rpc { .. } | CallError::Encode { .. } => {
                Self::Call { source }
            }
            CallError::Disconnected { .. }
            | CallError::Timeout { .. }
            | CallError::Decode { .. } => Self::Uncertain { source },
        }
    }
}

impl TransactError {
    /// The kind of the failure, to be matched on.
    ///
    /// ```no_run
    /// # use ovsdb_client::{Client, TransactErrorKind, Transaction};
    /// # async fn example(client: Client, txn: Transaction) -> Result<(), Box<dyn std::error::Error>> {
    /// match client.transact("OVN_Northbound", txn).await {
    ///     Err(error) if error.kind() == TransactErrorKind::TimedOut => println!("somebody was faster"),
    ///     result => drop(result?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn kind(&self) -> TransactErrorKind {
        match self {
            Self::Operation { error, .. } | Self::Commit { error, .. } => {
                TransactErrorKind::from_name(error)
            }
            Self::Invalid { .. } | Self::Mismatch { .. } => TransactErrorKind::Other,
            Self::Call {
                source: CallError::Rpc { source, .. },
            } => TransactErrorKind::from_name(&source.error),
            Self::Call { .. } => TransactErrorKind::Other,
            Self::Uncertain { .. } => TransactErrorKind::Undecided,
        }
    }
}

/// The explanation after a colon, if there is one.
struct Details<'a>(&'a Option<String>);

impl std::fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(details) => write!(f, ": {details}"),
            None => Ok(()),
        }
    }
}

/// One element of the reply. All members are optional there; which are present tells the kind.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub(crate) struct OperationResult {
    uuid: Option<Atom>,
    rows: Option<Vec<Row>>,
    count: Option<u64>,
    error: Option<String>,
    details: Option<String>,
}

impl TransactionOutcome {
    /// Tells success from the failures that hide in a successful reply: an error object at the
    /// place of the failed operation, with nulls after it, or one after the last operation.
    pub(crate) fn judge(
        transaction: &Transaction,
        results: Vec<Option<OperationResult>>,
    ) -> Result<Self, TransactError> {
        let operations = transaction.operations();
        let mut outcome = Vec::with_capacity(operations.len());
        let mut results = results.into_iter();
        for (index, operation) in operations.iter().enumerate() {
            match results.next().flatten() {
                Some(OperationResult {
                    error: Some(error),
                    details,
                    ..
                }) => {
                    let operation = operation.describe();
                    return Err(TransactError::Operation {
                        index,
                        operation,
                        error,
                        details,
                    });
                }
                Some(result) => outcome.push(result),
                None => {
                    let operation = operation.describe();
                    return Err(TransactError::Mismatch { index, operation });
                }
            }
        }
        match results.next().flatten() {
            Some(OperationResult {
                error: Some(error),
                details,
                ..
            }) => Err(TransactError::Commit { error, details }),
            _ => Ok(Self { results: outcome }),
        }
    }

    /// UUID of an inserted row.
    pub fn uuid(&self, insert: InsertRef) -> Option<Uuid> {
        self.results.get(insert.0)?.uuid.as_ref()?.as_uuid()
    }

    /// Rows that a select found.
    pub fn rows(&self, select: SelectRef) -> Option<&[Row]> {
        self.results.get(select.0)?.rows.as_deref()
    }

    /// Number of rows that an update, mutation or deletion met.
    pub fn count(&self, counted: CountRef) -> Option<u64> {
        self.results.get(counted.0)?.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two operations, judged by a reply.
    fn judge(reply: &str) -> Result<TransactionOutcome, TransactError> {
        let mut txn = Transaction::new();
        txn.insert("Bridge", Row::new());
        txn.delete("Port", []);
        TransactionOutcome::judge(&txn, serde_json::from_str(reply).unwrap())
    }

    #[test]
    fn results_are_found_by_handle() {
        let uuid = "2f77b348-9768-4866-b761-89d5177ecdab";
        let outcome = judge(&format!(r#"[{{"uuid":["uuid","{uuid}"]}},{{"count":3}}]"#)).unwrap();
        assert_eq!(outcome.uuid(InsertRef(0)), Some(uuid.parse().unwrap()));
        assert_eq!(outcome.count(CountRef(1)), Some(3));
        assert_eq!(outcome.rows(SelectRef(1)), None);
        assert_eq!(outcome.count(CountRef(2)), None);
    }

    #[test]
    fn the_three_failures_are_told_apart() {
        let cases = [
            (
                r#"[{"error":"e","details":"d"},null]"#,
                "operation 0 (insert into Bridge) failed: e: d",
            ),
            (
                r#"[{},{"error":"e"}]"#,
                "operation 1 (delete from Port) failed: e",
            ),
            (
                r#"[{},{"count":0},{"error":"e","details":"d"}]"#,
                "the commit failed: e: d",
            ),
            (
                r#"[{}]"#,
                "the reply does not fit operation 1 (delete from Port)",
            ),
            (
                r#"[{},null]"#,
                "the reply does not fit operation 1 (delete from Port)",
            ),
        ];
        for (reply, message) in cases {
            assert_eq!(judge(reply).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn failures_have_a_kind() {
        let kind = |reply| judge(reply).unwrap_err().kind();
        assert_eq!(
            kind(r#"[{"error":"timed out","details":"d"},null]"#),
            TransactErrorKind::TimedOut
        );
        assert_eq!(
            kind(r#"[{},{"count":0},{"error":"constraint violation"}]"#),
            TransactErrorKind::ConstraintViolation
        );
        assert_eq!(kind(r#"[{"error":"e"},null]"#), TransactErrorKind::Other);
        let lost = TransactError::from(CallError::Timeout {
            method: "transact",
            deadline: std::time::Duration::ZERO,
        });
        assert_eq!(lost.kind(), TransactErrorKind::Undecided);
    }
}
