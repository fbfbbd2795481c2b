//! `ofm suite`, with a tree in the place of OVN's that ends in all the ways in which a test can end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use ofm_tests::{Place, describe, on_kernel_datapath, pause, wait_until_gone};
use rustix::process::{Pid, Signal, kill_process};

use crate::traffic::GRACE;

/// What stands for the script that autom4te makes of `multinode.at`. It is called with `-l`, or as
/// `-C FOLDER AUTOTEST_PATH=FOLDERS NUMBER`, and says what Autotest would.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
if [ "$1" = -l ]; then
    cat <<'LIST'
ovn 0.0 test suite test groups:

 NUM: FILE-NAME:LINE     TEST-GROUP-NAME
      KEYWORDS

   1: multinode.at:1     nodes are reached
   2: multinode.at:2     a kernel is needed
   3: multinode.at:3     a step fails
   4: multinode.at:4     one that goes on for ever
LIST
    exit 0
fi
work=$2 number=$4
test -f "$work/atconfig"
log=$work/multinode-testsuite.dir/$number
mkdir -p "$log"
case $number in
1)
    test "$(podman exec ovn-chassis-4 hostname)" = ovn-chassis-4
    test "$(docker exec ovn-gw-4 hostname)" = ovn-gw-4
    test "$(podman ps --format '{{.Names}}' | wc -l)" = 9
    podman exec ovn-central-az1-1 ovn-nbctl --wait=hv ls-add one
    podman exec ovn-central-az1-1 ovn-nbctl ls-list | grep '(one)'
    echo '  1: nodes are reached                  ok'
    ;;
2)
    # This test's cluster has not the other's switch.
    test -z "$(podman exec ovn-central-az1-1 ovn-nbctl ls-list)"
    echo '  2: a kernel is needed                 skipped (multinode.at:2)'
    ;;
3)
    echo './multinode.at:3: podman exec ovn-chassis-1 false' >"$log/multinode-testsuite.log"
    podman exec ovn-chassis-1 false || echo '  3: a step fails                       FAILED (multinode.at:3)'
    exit 1
    ;;
4)
    sleep 1000 &
    echo $! >"$(dirname "$0")/sleeper"
    wait
    ;;
esac
"#;

const TESTS: &str = "AT_SETUP([nodes are reached])\nAT_SKIP_IF([test ! -e /proc/a/kernel])\n";

/// A tree of OVN's as it is after `make`, as far as `ofm suite` looks.
fn tree(place: &Place) -> anyhow::Result<PathBuf> {
    let tree = place.root().join("tree");
    let tests = tree.join("tests");
    fs::create_dir_all(&tests)?;
    for (file, text) in [
        ("multinode.at", TESTS),
        ("multinode-testsuite", SCRIPT),
        ("atconfig", ""),
        ("atlocal", ""),
    ] {
        fs::write(tests.join(file), text)?;
    }
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(tests.join("multinode-testsuite"), mode)?;
    Ok(tree)
}

/// `ofm suite` for a tree, with the programs of this machine.
fn suite(place: &Place, tree: &Path, args: &[&str]) -> Command {
    let mut command = place.ofm(&["suite"]);
    command
        .arg(tree)
        .args(["--ovs", "/", "--ovn", "/", "--output"])
        .arg(results(place))
        .args(args);
    if on_kernel_datapath() {
        command.args(["--datapath", "system"]);
    }
    command
}

fn results(place: &Place) -> PathBuf {
    place.root().join("results")
}

/// The line of a table that begins with a word.
fn row<'a>(output: &'a Output, first: &str) -> anyhow::Result<Vec<&'a str>> {
    let text = std::str::from_utf8(&output.stdout)?;
    let mut rows = text.lines().map(|line| line.split_whitespace().collect());
    let row: Option<Vec<_>> = rows.find(|row: &Vec<&str>| row.first() == Some(&first));
    row.with_context(|| format!("no line {first}: {}", describe(output)))
}

/// Each test has a cluster of its own; what became of it is in the table, in the report and in the exit status.
pub(crate) fn verdicts(place: &Place) -> anyhow::Result<()> {
    let tree = tree(place)?;
    let output = suite(place, &tree, &["--tests", "1-3", "--jobs", "2"]).output()?;
    assert_eq!(output.status.code(), Some(1), "{}", describe(&output));
    for (number, words) in [
        ("1", &["pass"][..]),
        ("2", &["skip", "multinode.at:2:", "AT_SKIP_IF([test"]),
        ("3", &["FAIL", "multinode.at:3:", "ovn-chassis-1", "false"]),
    ] {
        let row = row(&output, number)?;
        let has = |word: &&str| row.contains(word);
        assert!(words.iter().all(has), "{row:?}");
    }
    assert!(describe(&output).contains("1 passed, 1 failed, 1 skipped"));

    let report = fs::read_to_string(results(place).join("junit.xml"))?;
    for (what, times) in [
        ("<testcase ", 3),
        ("<skipped ", 1),
        ("<failure ", 1),
        ("<error ", 0),
    ] {
        assert_eq!(report.matches(what).count(), times, "{what}: {report}");
    }
    // The files of the test that failed are kept, with the logs of its nodes, and no others.
    let of_failed = results(place).join("3");
    for file in [
        "output",
        "nodes/ovn-chassis-1/ovn/ovn-controller.log",
        "nodes/ovn-gw-4/openvswitch/ovs-vswitchd.log",
    ] {
        assert!(of_failed.join(file).is_file(), "{file}");
    }
    assert!(!results(place).join("1").exists());

    let output = suite(place, &tree, &["--tests", "1"]).output()?;
    assert!(output.status.success(), "{}", describe(&output));
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// A test that takes too long, and a run that is given up, leave neither a cluster nor a process.
pub(crate) fn ended(place: &Place) -> anyhow::Result<()> {
    let tree = tree(place)?;
    let sleeper = tree.join("tests/sleeper");
    let until_gone = || -> anyhow::Result<()> {
        let number = fs::read_to_string(&sleeper)?;
        let arguments = Path::new("/proc").join(number.trim()).join("cmdline");
        let began = Instant::now();
        // One that nobody has waited for yet has none any more.
        while fs::read(&arguments).is_ok_and(|arguments| !arguments.is_empty()) {
            assert!(
                began.elapsed() < GRACE,
                "what the test had started still runs"
            );
            pause(Duration::from_millis(10));
        }
        Ok(())
    };
    let output = suite(place, &tree, &["--tests", "4", "--timeout", "2"]).output()?;
    assert_eq!(output.status.code(), Some(1), "{}", describe(&output));
    assert!(row(&output, "4")?.contains(&"TIME"));
    let report = fs::read_to_string(results(place).join("junit.xml"))?;
    assert_eq!(report.matches("<error ").count(), 1, "{report}");
    wait_until_gone(place, GRACE)?;
    until_gone()?;

    fs::remove_file(&sleeper)?;
    let mut command = suite(place, &tree, &["--tests", "4"]);
    let mut run = command.stderr(Stdio::piped()).spawn()?;
    let began = Instant::now();
    while !sleeper.exists() || fs::read(&sleeper)?.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "no test began");
        pause(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&run), Signal::INT)?;
    let said = BufReader::new(run.stderr.take().context("no standard error")?).lines();
    let said = said.collect::<Result<Vec<_>, _>>()?.join("\n");
    assert_eq!(run.wait()?.code(), Some(130), "{said}");
    assert!(said.contains("no cluster is left"), "{said}");
    wait_until_gone(place, GRACE)?;
    until_gone()?;
    Ok(())
}

/// What is not a built tree, and a number that no test has, are said before any cluster is made.
pub(crate) fn refused(place: &Place) -> anyhow::Result<()> {
    let tree = tree(place)?;
    let refused = |args: &[&str], tree: &Path| -> anyhow::Result<String> {
        let output = suite(place, tree, args).output()?;
        assert!(!output.status.success(), "{}", describe(&output));
        assert!(!results(place).exists(), "{}", describe(&output));
        Ok(String::from_utf8(output.stderr)?)
    };
    let said = refused(&["--tests", "3-7"], &tree)?;
    assert!(said.contains("the numbers 1 to 4"), "{said}");
    let said = refused(&[], &tree.join("tests"))?;
    assert!(said.contains("no tests/multinode.at"), "{said}");
    fs::remove_file(tree.join("tests/multinode-testsuite"))?;
    let said = refused(&[], &tree)?;
    assert!(said.contains("./configure"), "{said}");
    Ok(())
}
