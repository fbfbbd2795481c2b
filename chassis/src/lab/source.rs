//! The text of a topology file, and what is where in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::problem::{LabProblem, Place};

/// The text that something was read from. It is no part of what was read: all are equal.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    text: Option<String>,
}

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A step from a value into it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Key(&'static str),
    Index(usize),
}

impl Source {
    pub(super) fn new(file: Option<&Path>, text: &str) -> Self {
        Self {
            file: file.map(Path::to_owned),
            text: Some(text.to_owned()),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// What the parser found.
    pub(super) fn problem_of(&self, error: &toml::de::Error) -> LabProblem {
        let message = error.message().trim().replace('\n', ", ");
        let hint = if message.starts_with("unknown field") {
            "check the spelling, and in which table it is; `ofm schema` describes every key"
        } else if message.starts_with("missing field") {
            "add it; `ofm schema` describes every key"
        } else {
            "`ofm schema` describes every key and what it takes"
        };
        LabProblem {
            place: error.span().map(|span| self.place(&span)),
            location: String::new(),
            what: message,
            hint: hint.to_owned(),
        }
    }

    /// Where a value is, or else the innermost one around it that is there.
    pub(super) fn find(&self, path: &[Step]) -> Option<Place> {
        let root = DeTable::parse(self.text.as_deref()?).ok()?;
        let (first, rest) = path.split_first()?;
        let Step::Key(key) = first else { return None };
        let mut found = root.get_ref().get(*key)?;
        for step in rest {
            let next = match (step, found.get_ref()) {
                (Step::Key(key), DeValue::Table(table)) => table.get(*key),
                (Step::Index(index), DeValue::Array(array)) => array.get(*index),
                _ => None,
            };
            match next {
                Some(next) => found = next,
                None => break,
            }
        }
        Some(self.place(&found.span()))
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text().get(..span.start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}
