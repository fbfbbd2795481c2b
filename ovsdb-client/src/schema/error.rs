//! Why a text is not a schema.

use std::fmt;

use super::Violation;

/// A text is not a schema.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("not JSON")]
    Json {
        /// Where it ceases to be.
        source: serde_json::Error,
    },
    /// It is JSON, but breaks a rule of RFC 7047 §3.2 or one that servers add.
    #[error("{}{problem}", Place(.place))]
    Invalid {
        /// Where, from the outside inwards: `table Cat`, `column name`, `key`. Empty for the
        /// schema as a whole.
        place: Vec<String>,
        /// Which rule.
        problem: SchemaProblem,
    },
}

impl SchemaError {
    pub(super) fn new(problem: SchemaProblem) -> Self {
        Self::Invalid {
            place: Vec::new(),
            problem,
        }
    }

    /// Adds a step to the place, which grows from the inside outwards.
    pub(super) fn within(mut self, step: impl Into<String>) -> Self {
        if let Self::Invalid { place, .. } = &mut self {
            place.insert(0, step.into());
        }
        self
    }
}

/// "table Cat, column name: ", or nothing.
struct Place<'a>(&'a [String]);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            steps => write!(f, "{}: ", steps.join(", ")),
        }
    }
}

/// What is wrong with a schema.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SchemaProblem {
    /// Something is not a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A member that must be there is not.
    #[error("member {member} is missing")]
    Missing {
        /// Name of the member.
        member: &'static str,
    },
    /// A member that must not be there is: one that nobody knows, or one that belongs to another
    /// type, such as `minInteger` of a string or `refTable` of an integer.
    #[error("member {member} is not allowed here")]
    NotAllowed {
        /// Name of the member.
        member: String,
    },
    /// A member has a value of the wrong kind.
    #[error("member {member} is not {expected}")]
    Member {
        /// Name of the member.
        member: &'static str,
        /// What it must be: `a boolean`, `an object`, …
        expected: &'static str,
    },
    /// A name that is not an identifier (RFC 7047 §3.1 `<id>`).
    #[error(
        "{name:?} is not an identifier, which has only letters, digits and _, and no digit first"
    )]
    Identifier {
        /// The name.
        name: String,
    },
    /// The name of a table or a column that begins with an underscore.
    #[error("{name} begins with _, which is reserved")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A version that is not three numbers.
    #[error("version {version:?} does not have the form x.y.z")]
    Version {
        /// The version.
        version: String,
    },
    /// A table without columns.
    #[error("there are no columns")]
    NoColumns,
    /// A table without room for a row.
    #[error("maxRows is {max_rows}, less than 1")]
    MaxRows {
        /// The limit.
        max_rows: i64,
    },
    /// An index without columns.
    #[error("an index has no columns")]
    EmptyIndex,
    /// An index over a column that the table lacks.
    #[error("an index names {column}, which is no column")]
    IndexedUnknown {
        /// Name of the column.
        column: String,
    },
    /// An index that names a column twice.
    #[error("an index names column {column} twice")]
    IndexedTwice {
        /// Name of the column.
        column: String,
    },
    /// An index over a column that is not on disk.
    #[error("an index names column {column}, which is ephemeral")]
    IndexedEphemeral {
        /// Name of the column.
        column: String,
    },
    /// A type that there is not.
    #[error("{name} is not an atomic type")]
    AtomicType {
        /// The name.
        name: String,
    },
    /// An enumeration that is not a set of distinct atoms of the type.
    #[error("the enumeration is no set of the type: {violation}")]
    Enumeration {
        /// In what way.
        violation: Violation,
    },
    /// An enumeration that is not a value at all.
    #[error("the enumeration is neither an atom nor a set")]
    EnumerationForm,
    /// A lower bound above its upper bound.
    #[error("{min} exceeds {max}")]
    Bounds {
        /// Name of the lower bound.
        min: &'static str,
        /// Name of the upper bound.
        max: &'static str,
    },
    /// A least number of elements other than 0 or 1, a largest one of 0, or either of them not a
    /// number below 4294967295.
    #[error("min must be 0 or 1, and max at least 1 or \"unlimited\"")]
    Cardinality,
    /// A reference that is neither strong nor weak.
    #[error("refType is {name:?}, neither \"strong\" nor \"weak\"")]
    ReferenceType {
        /// What it is.
        name: String,
    },
    /// A reference to a table that the schema lacks.
    #[error("a reference to table {table}, which is not in the schema")]
    UndefinedTable {
        /// Name of the table.
        table: String,
    },
}
