//! What is left when the starting process dies: nothing.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use ofm_tests::{Place, binary, program, wait_until_gone};

const KILLS: u32 = 40;
const GRACE: Duration = Duration::from_secs(2);

/// Kills `ofm start` at 40 instants spread over a whole start.
pub(crate) fn start(place: &Place) -> Result<(), Failed> {
    let began = Instant::now();
    place.run(&["start"])?;
    let whole = began.elapsed();
    place.run(&["stop"])?;
    for k in 0..KILLS {
        let mut child = place
            .ofm(&["start"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // The instants are spread evenly; the scheduler adds the chance.
        let after = whole * k / KILLS;
        let (_never_sends, never) = std::sync::mpsc::channel::<()>();
        let _elapsed = never.recv_timeout(after);
        child.kill()?;
        if child.wait()?.code().is_some() {
            // It had ended by itself, and left a cluster as it should.
            place.run(&["stop"])?;
            continue;
        }
        if let Err(left) = wait_until_gone(place, GRACE) {
            // The one thing that may stay is a cluster that was ready before the signal came, and it is a whole one.
            let status = place
                .run(&["status", "--json"])
                .map_err(|e| format!("killed after {after:?}: {left}; {e}"))?;
            let status: serde_json::Value = serde_json::from_str(&status)?;
            assert_eq!(status["ready"], true, "killed after {after:?}: {left}");
            place.run(&["stop"])?;
        }
    }
    place.run(&["start"])?;
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

pub(crate) fn harness(place: &Place) -> Result<(), Failed> {
    let mut child = spawn_harness(place, "wait")?;
    child.kill()?;
    child.wait()?;
    wait_until_gone(place, GRACE)?;
    place.run(&["start"])?;
    place.run(&["stop"])?;
    Ok(())
}

pub(crate) fn panic(place: &Place) -> Result<(), Failed> {
    let mut child = spawn_harness(place, "panic")?;
    let status = child.wait()?;
    assert_eq!(status.code(), Some(101), "a panic ends a program with 101");
    wait_until_gone(place, GRACE)?;
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    Ok(())
}

/// Starts the harness and waits until its cluster is ready.
fn spawn_harness(place: &Place, what: &str) -> Result<std::process::Child, Failed> {
    let mut child = program(&binary("harness"))
        .arg(place.root())
        .arg(what)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.as_mut() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    assert_eq!(line, "ready\n");
    Ok(child)
}
