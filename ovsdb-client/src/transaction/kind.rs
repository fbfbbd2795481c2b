//! The short names of errors, for callers that act on them.

/// What kind of failure stopped a transaction; see
/// [`TransactError::kind`](super::TransactError::kind).
///
/// The names are those of RFC 7047 §3.1 and §5.2, and of ovsdb-server's own sources where the RFC
/// has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransactErrorKind {
    /// `constraint violation`: a value outside of what the schema allows, a duplicate in an index,
    /// too many rows, a change of an immutable column.
    ConstraintViolation,
    /// `referential integrity violation`: a strong reference to a row that is not there.
    ReferentialIntegrityViolation,
    /// `timed out`: a wait was not satisfied in time, which includes every failed
    /// [`verify`](super::Transaction::verify).
    TimedOut,
    /// `not owner`: an asserted lock is not held.
    NotOwner,
    /// `aborted`: an abort operation asked for it.
    Aborted,
    /// `not allowed`: the server, or this database of it, is read-only.
    NotAllowed,
    /// `permission error`: the client's role does not permit it (role-based access control).
    PermissionError,
    /// `resources exhausted`: the server ran out of memory or disk space.
    ResourcesExhausted,
    /// `I/O error`: the server could not write the transaction down.
    Io,
    /// `cluster error`: the cluster did not take the transaction, for the leader changed or there
    /// is none. It may have committed all the same.
    Cluster,
    /// `duplicate uuid`: the UUID chosen for a row is taken.
    DuplicateUuid,
    /// `duplicate uuid-name`: two inserts under one name.
    DuplicateUuidName,
    /// `domain error`: a division by zero.
    Domain,
    /// `range error`: the result of an arithmetic mutation cannot be represented.
    Range,
    /// `unknown column`.
    UnknownColumn,
    /// `unknown database`.
    UnknownDatabase,
    /// `database not available`: the server knows the database but cannot serve it now, as a member
    /// of a cluster that has not joined yet.
    DatabaseNotAvailable,
    /// `syntax error`: the server does not understand the operation; an unknown table and a value
    /// of another type than the column's are among them.
    Syntax,
    /// `canceled`: the call was canceled before it was done.
    Canceled,
    /// Another name, or a reply that fits no transaction.
    Other,
    /// No reply: whether the transaction committed is unknown.
    Undecided,
}

impl TransactErrorKind {
    /// Recognises the short name of an error.
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "constraint violation" => Self::ConstraintViolation,
            "referential integrity violation" => Self::ReferentialIntegrityViolation,
            "timed out" => Self::TimedOut,
            "not owner" => Self::NotOwner,
            "aborted" => Self::Aborted,
            "not allowed" => Self::NotAllowed,
            "permission error" => Self::PermissionError,
            "resources exhausted" => Self::ResourcesExhausted,
            "I/O error" => Self::Io,
            "cluster error" => Self::Cluster,
            "duplicate uuid" => Self::DuplicateUuid,
            "duplicate uuid-name" => Self::DuplicateUuidName,
            "domain error" => Self::Domain,
            "range error" => Self::Range,
            "unknown column" => Self::UnknownColumn,
            "unknown database" => Self::UnknownDatabase,
            "database not available" => Self::DatabaseNotAvailable,
            "syntax error" => Self::Syntax,
            "canceled" => Self::Canceled,
            _ => Self::Other,
        }
    }
}
