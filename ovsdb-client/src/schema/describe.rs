//! Column types in words.

use std::fmt;

use super::column::{BaseType, ColumnType};
use crate::value::Atom;

/// "optional integer from 1 to 4095", "set of strong references to Port", …
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.min, self.max) {
            (None, 1, Some(1)) => return self.key.describe(f, ""),
            (None, 0, Some(1)) => {
                f.write_str("optional ")?;
                return self.key.describe(f, "");
            }
            (None, ..) => f.write_str("set of ")?,
            (Some(_), ..) => f.write_str("map of ")?,
        }
        match (self.min, self.max) {
            (0, None) => {}
            (min, None) => write!(f, "at least {min} ")?,
            (0, Some(max)) => write!(f, "at most {max} ")?,
            (min, Some(max)) if min == max => write!(f, "{max} ")?,
            (min, Some(max)) => write!(f, "{min} to {max} ")?,
        }
        let plural = if self.max == Some(1) { "" } else { "s" };
        self.key.describe(f, plural)?;
        match &self.value {
            Some(value) => {
                f.write_str(" to ")?;
                value.describe(f, plural)
            }
            None => Ok(()),
        }
    }
}

/// "integer from 1 to 4095", "weak reference to Port", …
impl fmt::Display for BaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "")
    }
}

impl BaseType {
    fn describe(&self, f: &mut fmt::Formatter<'_>, plural: &str) -> fmt::Result {
        if let Some(reference) = &self.reference {
            let strength = if reference.strong { "strong" } else { "weak" };
            return write!(f, "{strength} reference{plural} to {}", reference.table);
        }
        write!(f, "{}{plural}", self.atom_type)?;
        if let Some(allowed) = &self.allowed {
            return write!(f, " out of {}", List(allowed));
        }
        bounds(f, "", self.min.as_ref(), self.max.as_ref())?;
        let min_length = Some(self.min_length).filter(|min| *min > 0);
        bounds(
            f,
            " characters",
            min_length.as_ref(),
            self.max_length.as_ref(),
        )
    }
}

fn bounds<T: fmt::Display + PartialEq>(
    f: &mut fmt::Formatter<'_>,
    unit: &str,
    min: Option<&T>,
    max: Option<&T>,
) -> fmt::Result {
    match (min, max) {
        (None, None) => Ok(()),
        (Some(min), None) => write!(f, " of at least {min}{unit}"),
        (None, Some(max)) => write!(f, " of at most {max}{unit}"),
        (Some(min), Some(max)) => write!(f, " from {min} to {max}{unit}"),
    }
}

/// Atoms with commas between them.
struct List<'a>(&'a [Atom]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for atom in self.0 {
            write!(f, "{separator}{atom}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_in_words() {
        let cases = [
            (r#""integer""#, "integer"),
            (
                r#"{"key":{"type":"integer","minInteger":1,"maxInteger":9},"min":0}"#,
                "optional integer from 1 to 9",
            ),
            (
                r#"{"key":{"type":"real","minReal":0.5},"min":0,"max":2}"#,
                "set of at most 2 reals of at least 0.5",
            ),
            (
                r#"{"key":{"type":"string","maxLength":3},"max":"unlimited"}"#,
                "set of at least 1 strings of at most 3 characters",
            ),
            (
                r#"{"key":{"type":"string","enum":["set",["b","a"]]},"value":"boolean","min":0,
                    "max":"unlimited"}"#,
                r#"map of strings out of "a", "b" to booleans"#,
            ),
            (
                r#"{"key":{"type":"uuid","refTable":"Port","refType":"weak"},"min":0}"#,
                "optional weak reference to Port",
            ),
            (r#"{"key":"string","max":3}"#, "set of 1 to 3 strings"),
        ];
        for (json, words) in cases {
            let ty: ColumnType = serde_json::from_str(json).unwrap();
            assert_eq!(ty.to_string(), words);
        }
    }
}
