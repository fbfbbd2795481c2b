//! What the integration tests share: running `ofm` in a state folder of its own, and counting what the host has.

mod engine;
mod image;
mod place;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

pub use engine::{Engine, EngineKind, EngineOptions};
pub use image::{other_release, rootfs};
pub use place::{
    IMAGE, Place, Runtime, build, build_command, containers, on_kernel_datapath, patience,
    shared_engine, stop_shared_engines,
};

/// Why a test cannot run here, or `None`. With `OFM_TEST_REQUIRE=all` nothing is ever missing: the test runs and fails.
pub fn missing(programs: &[&str]) -> Option<String> {
    if std::env::var_os("OFM_TEST_REQUIRE").is_some_and(|value| value == "all") {
        return None;
    }
    let found = |name: &&&str| {
        let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
        !folders.iter().any(|f| Path::new(f).join(name).exists())
    };
    let missing: Vec<_> = programs.iter().filter(found).copied().collect();
    (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")))
}

/// A test that fails with all causes of its error. What it lacks is its reason to be skipped, shown in its name.
pub fn trial(
    name: impl Into<String>,
    lacks: Option<String>,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Trial {
    let run = || run().map_err(|error| format!("{error:#}").into());
    match lacks {
        None => Trial::test(name, run),
        Some(reason) => {
            let name = format!("{} (skipped: {reason})", name.into());
            Trial::test(name, run).with_ignored_flag(true)
        }
    }
}

/// A finished program in words.
pub fn describe(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// The end of what a program wrote, where its reasons are.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// A program of the host, for tests only.
#[expect(
    clippy::disallowed_methods,
    reason = "tests run the command under test and tools that watch it"
)]
pub fn program(path: &Path) -> Command {
    Command::new(path)
}

/// Copies a program that is to be run. Another process does it: a descriptor of this one that can write to the copy would be
/// inherited for a moment by whatever other tests start just then, and a program that can be written to is not executed
/// (execve(2), ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) -> std::io::Result<()> {
    let copied = program(Path::new("cp"))
        .arg("-L")
        .arg(from)
        .arg(to)
        .status()?;
    if copied.success() {
        Ok(())
    } else {
        Err(std::io::Error::other(format!(
            "cp {}: {copied}",
            from.display()
        )))
    }
}

/// A binary of this workspace, beside the running test in the target folder.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.ancestors().nth(2).unwrap_or(Path::new("."));
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built; `make test` builds it",
        path.display()
    );
    path
}

/// What the host, and the engine, have that a cluster might leave behind and that can be told apart from other tests'
/// clusters.
pub fn leftovers(place: &Place) -> anyhow::Result<BTreeSet<String>> {
    let mut found = place.containers()?;
    found.extend(traces(&place.root().to_string_lossy()));
    Ok(found)
}

/// Lets time pass: for an instant to come, or between two looks at what tells nobody when it changes.
pub fn pause(time: Duration) {
    let (_never_sends, never) = std::sync::mpsc::channel::<()>();
    let _elapsed = never.recv_timeout(time);
}

/// Processes whose mount table or command line shows a path or a part of one, and mounts that do.
pub fn traces(mark: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(mark))
            .map(str::to_owned),
    );
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in processes {
        let path = entry.path();
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        let read = |file: &str| std::fs::read(path.join(file)).unwrap_or_default();
        let marked = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(mark);
        if is_process && (marked(&read("cmdline")) || marked(&read("mountinfo"))) {
            let name = String::from_utf8_lossy(&read("comm")).trim().to_owned();
            found.insert(format!("process {} {name}", path.display()));
        }
    }
    found
}

/// Waits until nothing is left, for as long as the kernel may take to end a killed cluster.
pub fn wait_until_gone(place: &Place, deadline: Duration) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let left = leftovers(place)?;
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() > deadline {
            anyhow::bail!("left after {deadline:?}: {left:#?}");
        }
        pause(Duration::from_millis(10));
    }
}
