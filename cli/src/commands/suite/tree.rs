//! The test suite in a build tree of OVN.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

/// The file that autom4te makes of the tests.
pub(super) const SCRIPT: &str = "multinode-testsuite";

/// A test suite that is ready to be run.
#[derive(Debug)]
pub(super) struct TestSuite {
    /// The build tree.
    tree: PathBuf,
    /// The names of the tests, by number.
    tests: BTreeMap<usize, String>,
    /// The name that the tests have for the central.
    pub(super) central: String,
    /// Whether the tests can do with TLS.
    pub(super) tls: bool,
}

impl TestSuite {
    /// Looks at a build tree.
    pub(super) async fn open(tree: &Path) -> anyhow::Result<Self> {
        let found = tree.canonicalize();
        let tree = found.with_context(|| format!("looking for {}", tree.display()))?;
        let folder = tree.join("tests");
        if !folder.join("multinode.at").is_file() {
            bail!(
                "{} has no tests/multinode.at; OVN has multi-node tests from 24.03 on",
                tree.display()
            );
        }
        let script = folder.join(SCRIPT);
        for file in [SCRIPT, "atconfig", "atlocal"] {
            if !folder.join(file).is_file() {
                bail!(
                    "{} is not there; build the tree with: ./boot.sh && ./configure && make && make tests/{SCRIPT} \
                     tests/atlocal",
                    folder.join(file).display()
                );
            }
        }
        let listed = command(&script).arg("-l").current_dir(&folder).output();
        let listed = listed
            .await
            .with_context(|| format!("running {}", script.display()))?;
        let tests = parse_list(&String::from_utf8_lossy(&listed.stdout));
        if tests.is_empty() {
            let said = String::from_utf8_lossy(&listed.stderr);
            bail!("{} -l lists no test: {said}", script.display());
        }
        let text =
            std::fs::read(&script).with_context(|| format!("reading {}", script.display()))?;
        let text = String::from_utf8_lossy(&text);
        Ok(Self {
            central: central(&text).to_owned(),
            tls: text.contains("ENABLE_SSL"),
            tests,
            tree,
        })
    }

    /// The folder of the tests.
    pub(super) fn folder(&self) -> PathBuf {
        self.tree.join("tests")
    }

    /// The folders of tools that the tests may use outside of nodes.
    pub(super) fn search_path(&self) -> String {
        let below = [
            "ovs/utilities",
            "ovs/ovsdb",
            "ovs/vswitchd",
            "utilities",
            "northd",
            "controller",
            "ic",
        ];
        let folders = below.map(|below| self.tree.join(below).display().to_string());
        folders.join(":")
    }

    /// The name of a test.
    pub(super) fn name(&self, number: usize) -> &str {
        self.tests.get(&number).map_or("", String::as_str)
    }

    /// The numbers that are asked for, all of which must be there.
    pub(super) fn choose(&self, numbers: Option<&Numbers>) -> anyhow::Result<Vec<usize>> {
        let Some(Numbers(ranges)) = numbers else {
            return Ok(self.tests.keys().copied().collect());
        };
        let last = self.tests.keys().next_back().copied().unwrap_or(0);
        for (from, to) in ranges {
            if !self.tests.contains_key(from) || !self.tests.contains_key(to) {
                bail!("--tests {from}-{to}: the tests of this tree have the numbers 1 to {last}");
            }
        }
        let chosen = self.tests.keys().copied();
        let asked = |number: &usize| {
            ranges
                .iter()
                .any(|(from, to)| (from..=to).contains(&number))
        };
        Ok(chosen.filter(asked).collect())
    }

    /// The text of a line of a file of tests, given as `multinode.at:85`.
    pub(super) fn line(&self, place: &str) -> Option<String> {
        let (file, number) = place.rsplit_once(':')?;
        let text = std::fs::read_to_string(self.folder().join(file)).ok()?;
        let number: usize = number.parse().ok()?;
        Some(text.lines().nth(number.checked_sub(1)?)?.trim().to_owned())
    }
}

/// A program of the tests, which runs on the host.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests are a program of OVN's that the user asked for; it drives nodes from outside"
)]
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(std::process::Stdio::null());
    command
}

/// The name that the tests have for the central: older ones number it as if it were one of three.
fn central(text: &str) -> &'static str {
    if text.contains("podman exec ovn-central-az1-1 ") {
        "ovn-central-az1-1"
    } else {
        "ovn-central-az1"
    }
}

/// The tests that an Autotest script lists: number, place and name in a line, then keywords.
fn parse_list(text: &str) -> BTreeMap<usize, String> {
    let tests = text.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let number = number.trim().parse().ok()?;
        let (_place, name) = rest.trim_start().split_once(char::is_whitespace)?;
        Some((number, name.trim().to_owned()))
    });
    tests.collect()
}

/// Numbers of tests: single ones and ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbers(Vec<(usize, usize)>);

impl std::str::FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.trim().parse();
            number.map_err(|_| format!("{text:?} is no number of a test"))
        };
        let ranges = text.split(',').map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            match (number(from)?, number(to)?) {
                (from, to) if from <= to => Ok((from, to)),
                (from, to) => Err(format!("{from}-{to} begins after its end")),
            }
        });
        Ok(Self(ranges.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_listed_with_their_numbers() {
        let text = "ovn 25.03.0 test suite test groups:\n\n NUM: FILE-NAME:LINE     TEST-GROUP-NAME\n      KEYWORDS\n\n   1: \
                    multinode.at:3     ovn multinode basic test\n  14: multinode.at:2780  Migration of container ports\n      \
                    nat lb\n";
        let tests = parse_list(text);
        assert_eq!(tests[&1], "ovn multinode basic test");
        assert_eq!(tests[&14], "Migration of container ports");
        assert_eq!(tests.len(), 2);
    }

    #[test]
    fn numbers_are_single_or_ranges() {
        let parse = |text: &str| text.parse::<Numbers>();
        assert_eq!(parse("1,5-9"), Ok(Numbers(vec![(1, 1), (5, 9)])));
        for wrong in ["", "a", "1-", "9-5", "1,,2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_central_has_the_name_that_the_tests_use() {
        assert_eq!(
            central("podman exec ovn-central-az1-1 x"),
            "ovn-central-az1-1"
        );
        assert_eq!(central("podman exec ovn-central-az1 x"), "ovn-central-az1");
    }
}
