//! What stands between a spec and its plan.

use std::fmt;

use thiserror::Error;

/// Everything that is wrong with a spec, at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct PlanErrors {
    /// The problems, at least one.
    pub problems: Vec<PlanProblem>,
}

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProblem {
    /// What is wrong.
    pub what: String,
    /// The part of the spec or of the host that it is wrong with.
    pub location: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the cluster cannot be planned:")?,
            count => write!(f, "the cluster cannot be planned, for {count} reasons:")?,
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            location,
            hint,
        } = self;
        write!(f, "{location}: {what}\n  hint: {hint}")
    }
}
