//! What is wrong with a topology file, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A topology file that cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// There is no such file, or it is no text.
    #[error("reading {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no TOML, or says what has no meaning here.
    #[error("{0}")]
    Parse(Box<LabProblem>),
}

/// Everything that is wrong with a topology file, at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct LabProblems {
    /// The problems, at least one.
    pub problems: Vec<LabProblem>,
}

/// One thing that is wrong with a topology file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabProblem {
    /// Where it is said.
    pub place: Option<Place>,
    /// What it is wrong with, as in `router "lr0"`; empty if that is what the place says.
    pub location: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, if it has a name.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        match file {
            Some(file) => write!(f, "{}:{line}:{column}", file.display()),
            None => write!(f, "line {line}, column {column}"),
        }
    }
}

impl fmt::Display for LabProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.location.is_empty() {
            write!(f, "{}: ", self.location)?;
        }
        write!(f, "{}\n  hint: {}", self.what, self.hint)
    }
}

impl fmt::Display for LabProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the cluster makes no sense as described:")?,
            count => write!(
                f,
                "the cluster makes no sense as described, for {count} reasons:"
            )?,
        }
        let mut problems = self.problems.iter();
        problems.try_for_each(|problem| write!(f, "\n{problem}"))
    }
}
