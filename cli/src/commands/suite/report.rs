//! What is told of a run of the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite as JunitSuite};

use super::run::{Outcome, Verdict};
use super::tree::TestSuite;
use crate::output::table;

/// The report in the folder of results, by which that is known.
const JUNIT: &str = "junit.xml";

/// Makes the folder for results, or empties that of an earlier run.
pub(super) fn folder(path: &Path) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return make(path),
        Err(error) => return Err(error).with_context(|| format!("reading {shown}")),
    };
    if entries.next().is_some() {
        if !path.join(JUNIT).is_file() {
            bail!(
                "{shown} has other files than an earlier run's; name another folder with --output"
            );
        }
        std::fs::remove_dir_all(path).with_context(|| format!("emptying {shown}"))?;
    }
    make(path)
}

fn make(path: &Path) -> anyhow::Result<PathBuf> {
    let made = std::fs::create_dir_all(path).and_then(|()| path.canonicalize());
    let path = made.with_context(|| format!("making {}", path.display()))?;
    // From now on it is known, even if the run is given up.
    std::fs::write(path.join(JUNIT), "")
        .with_context(|| format!("writing to {}", path.display()))?;
    Ok(path)
}

/// Results for people.
pub(super) fn table(suite: &TestSuite, outcomes: &BTreeMap<usize, Outcome>) -> String {
    let rows = outcomes.iter().map(|(number, outcome)| {
        [
            number.to_string(),
            suite.name(*number).to_owned(),
            outcome.verdict.word().to_owned(),
            format!("{:.1}", outcome.time.as_secs_f64()),
            outcome.verdict.reason(),
        ]
    });
    let count = |wanted: fn(&Verdict) -> bool| {
        let verdicts = outcomes.values().map(|outcome| &outcome.verdict);
        verdicts.filter(|verdict| wanted(verdict)).count()
    };
    let passed = count(|verdict| *verdict == Verdict::Passed);
    let failed = count(Verdict::is_failure);
    let skipped = outcomes.len() - passed - failed;
    format!(
        "{}\n\n{passed} passed, {failed} failed, {skipped} skipped",
        table::tests(rows)
    )
}

/// Results for programs, in the form of JUnit.
pub(super) fn junit(folder: &Path, outcomes: &BTreeMap<usize, Outcome>) -> anyhow::Result<()> {
    let mut suite = JunitSuite::new("multinode");
    for (number, outcome) in outcomes {
        let failed = |kind| {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(outcome.verdict.reason());
            status
        };
        let status = match &outcome.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::Skipped(why) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(why.as_str());
                status
            }
            Verdict::Failed(_) => failed(NonSuccessKind::Failure),
            Verdict::TimedOut(_) | Verdict::Unfit(_) => failed(NonSuccessKind::Error),
        };
        let mut case = TestCase::new(format!("multinode {number}"), status);
        case.set_time(outcome.time);
        if !outcome.log.is_empty() {
            case.set_system_out(outcome.log.as_str());
        }
        suite.add_test_case(case);
    }
    let mut report = Report::new("ofm suite");
    report.add_test_suite(suite);
    let path = folder.join(JUNIT);
    std::fs::write(&path, report.to_string()?)
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_results_are_replaced() {
        let place = tempfile::tempdir().unwrap();
        let results = place.path().join("results");
        let folder = super::folder(&results).unwrap();
        std::fs::create_dir(folder.join("3")).unwrap();
        super::folder(&results).unwrap();
        assert!(!folder.join("3").exists());
        let other = place.path().join("other");
        std::fs::create_dir_all(other.join("precious")).unwrap();
        assert!(super::folder(&other).is_err());
        assert!(other.join("precious").exists());
    }
}
