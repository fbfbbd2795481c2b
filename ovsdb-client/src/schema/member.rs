//! The members of a JSON object, taken one by one until none may be left.

use serde_json::{Map, Value};

use super::error::{SchemaError, SchemaProblem};

/// What is left of an object.
pub(super) struct Members(Map<String, Value>);

impl Members {
    pub(super) fn of(value: Value) -> Result<Self, SchemaError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(SchemaError::new(SchemaProblem::NotAnObject)),
        }
    }

    /// Takes a member that must be there.
    pub(super) fn required<T>(
        &mut self,
        member: &'static str,
        kind: Kind<T>,
    ) -> Result<T, SchemaError> {
        self.optional(member, kind)?
            .ok_or_else(|| SchemaError::new(SchemaProblem::Missing { member }))
    }

    /// Takes a member that may be there.
    pub(super) fn optional<T>(
        &mut self,
        member: &'static str,
        kind: Kind<T>,
    ) -> Result<Option<T>, SchemaError> {
        let Some(value) = self.0.remove(member) else {
            return Ok(None);
        };
        let expected = kind.name;
        match (kind.read)(value) {
            Some(read) => Ok(Some(read)),
            None => Err(SchemaError::new(SchemaProblem::Member { member, expected })),
        }
    }

    /// Takes a member, whatever it is.
    pub(super) fn any(&mut self, member: &str) -> Option<Value> {
        self.0.remove(member)
    }

    /// Refuses members that nobody took.
    pub(super) fn none_left(self) -> Result<(), SchemaError> {
        match self.0.into_iter().next() {
            Some((member, _)) => Err(SchemaError::new(SchemaProblem::NotAllowed { member })),
            None => Ok(()),
        }
    }
}

/// A kind of JSON value, and what it is in Rust.
pub(super) struct Kind<T> {
    name: &'static str,
    read: fn(Value) -> Option<T>,
}

impl<T> Kind<T> {
    pub(super) fn read(&self, value: Value) -> Option<T> {
        (self.read)(value)
    }
}

/// A type is a name or an object; which of them is for its reader to see.
pub(super) const TYPE: Kind<Value> = Kind {
    name: "a type",
    read: |value| (value.is_string() || value.is_object()).then_some(value),
};

/// A number of characters.
pub(super) const LENGTH: Kind<usize> = Kind {
    name: "a length from 0 to 4294967295",
    read: |value| {
        let length = u32::try_from(integer(&value)?).ok()?;
        usize::try_from(length).ok()
    },
};

pub(super) const BOOLEAN: Kind<bool> = Kind {
    name: "a boolean",
    read: |value| value.as_bool(),
};

pub(super) const INTEGER: Kind<i64> = Kind {
    name: "an integer",
    read: |value| integer(&value),
};

pub(super) const NUMBER: Kind<f64> = Kind {
    name: "a number",
    read: |value| value.as_f64(),
};

pub(super) const STRING: Kind<String> = Kind {
    name: "a string",
    read: |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    },
};

pub(super) const IDENTIFIER: Kind<String> = Kind {
    name: "an identifier",
    read: |value| (STRING.read)(value).filter(|text| is_identifier(text)),
};

pub(super) const OBJECT: Kind<Map<String, Value>> = Kind {
    name: "an object",
    read: |value| match value {
        Value::Object(members) => Some(members),
        _ => None,
    },
};

pub(super) const ARRAY: Kind<Vec<Value>> = Kind {
    name: "an array",
    read: |value| match value {
        Value::Array(elements) => Some(elements),
        _ => None,
    },
};

pub(super) const NAMES: Kind<Vec<String>> = Kind {
    name: "an array of names",
    read: |value| (ARRAY.read)(value)?.into_iter().map(STRING.read).collect(),
};

/// A number without a fraction: servers take `1.0` for one as well.
pub(super) fn integer(value: &Value) -> Option<i64> {
    // 2^63, the first real that is no i64; its negative is one.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    value.as_i64().or_else(|| {
        let real = value.as_f64()?;
        (real.fract() == 0.0 && (-BEYOND..BEYOND).contains(&real)).then_some(real as i64)
    })
}

/// RFC 7047 §3.1 `<id>`.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
