//! What is left when the starting process dies: nothing, or, at an engine, what `ofm gc` removes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use ofm_tests::{EngineKind, Place, binary, containers, describe, pause, program, wait_until_gone};
use serde_json::json;

const KILLS: u32 = 40;
const KILLS_AT_ENGINE: u32 = 20;
const KILLS_OF_A_CHANGE: u32 = 8;
const KILLS_OF_AN_APPLY: u32 = 4;
const GRACE: Duration = Duration::from_secs(2);
/// An engine removes what has ended one after the other, and has other tests' containers to make meanwhile.
pub(crate) const GRACE_AT_ENGINE: Duration = Duration::from_secs(20);

/// Kills `ofm start` at 40 instants spread over a whole start.
pub(crate) fn start(place: &Place) -> anyhow::Result<()> {
    let whole = time_of_a_start(place)?;
    for k in 0..KILLS {
        let after = whole * k / KILLS;
        if !kill_a_start(place, after)? {
            // It had ended by itself, and left a cluster as it should.
            place.run(&["stop"])?;
            continue;
        }
        if let Err(left) = wait_until_gone(place, GRACE) {
            // The one thing that may stay is a cluster that was ready before the signal came, and it is a whole one.
            let status = place
                .run(&["status", "--json"])
                .with_context(|| format!("killed after {after:?}: {left}"))?;
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

/// Kills `ofm start` at 20 instants. Then `ofm gc` removes all that is ours, and nothing else.
pub(crate) fn collected(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("only an engine remembers")?;
    let whole = time_of_a_start(place)?;
    // Somebody else's, with a name like ours: one has no labels, the other has some of ours.
    let strangers =
        ["other", "labelled"].map(|kind| format!("{}-ovn-chassis-{kind}", place.name()));
    for (name, labels) in strangers
        .iter()
        .zip([json!({}), json!({ "ofm.cluster": place.name() })])
    {
        let body = json!({ "Image": ofm_tests::IMAGE, "Cmd": ["true"], "Labels": labels });
        let path = format!("/containers/create?name={name}");
        engine.request("POST", &path, body.to_string().as_bytes())?;
    }
    for k in 0..KILLS_AT_ENGINE {
        let after = whole * k / KILLS_AT_ENGINE;
        if !kill_a_start(place, after)? {
            place.run(&["stop"])?;
            continue;
        }
        // What the engine was doing when its client died, it does to the end.
        pause(GRACE);
        place.run(&["gc"])?;
        if place.run(&["ls"])?.contains("running") {
            // It was ready before the signal came.
            place.run(&["stop"])?;
        }
        wait_until_gone(place, GRACE_AT_ENGINE).with_context(|| format!("after {after:?}"))?;
        assert_eq!(std::fs::read_dir(place.root())?.count(), 0, "{after:?}");
        let names: Vec<_> = containers(engine)?
            .iter()
            .map(|container| container["Names"][0].to_string())
            .collect();
        for stranger in &strangers {
            let is_there = names.iter().any(|name| name.contains(stranger.as_str()));
            assert!(is_there, "{stranger} is gone: {names:?}");
        }
    }
    for stranger in strangers {
        engine.request("DELETE", &format!("/containers/{stranger}?force=1"), b"")?;
    }
    place.run(&["start"])?;
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE_AT_ENGINE)?;
    Ok(())
}

/// Kills `ofm add-chassis` at 8 instants. What it had made by then ends with the next change, and the cluster is as before.
pub(crate) fn add_chassis(place: &Place) -> anyhow::Result<()> {
    let start = [
        "start",
        "--chassis",
        "1",
        "--gateways",
        "0",
        "--no-fake-vms",
    ];
    place.run(&start)?;
    let nodes = nodes(place)?;
    let began = Instant::now();
    place.run(&["add-chassis", "late"])?;
    let whole = began.elapsed();
    place.run(&["stop-chassis", "late"])?;
    for k in 0..KILLS_OF_A_CHANGE {
        let after = whole * k / KILLS_OF_A_CHANGE;
        kill_after(place, &["add-chassis", "late"], after)?;
        let stop = place.ofm(&["stop-chassis", "late"]).output()?;
        // Killed at once, it had not told anybody of the chassis.
        let unknown = String::from_utf8_lossy(&stop.stderr).contains("has no node late");
        assert!(
            stop.status.success() || unknown,
            "killed after {after:?}: {}",
            describe(&stop)
        );
        assert_eq!(self::nodes(place)?, nodes, "killed after {after:?}");
        let list = ["ovn-sbctl", "--bare", "--columns=name", "list", "Chassis"];
        let listed = place.run(&[&["exec", "ovn-central-az1", "--"][..], &list].concat())?;
        assert_eq!(listed.trim(), "ovn-chassis-1", "killed after {after:?}");
    }
    place.run(&["add-chassis", "late"])?;
    assert_eq!(self::nodes(place)?.len(), nodes.len() + 1);
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// Kills `ofm apply` at 4 instants, while it adds chassis. Doing it again goes on where it stopped.
pub(crate) fn apply(place: &Place) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |chassis: u32| -> anyhow::Result<String> {
        let path = folder.path().join(format!("{chassis}.toml"));
        let text = format!("chassis = {chassis}\ngateways = 0\ndemo = false\n");
        std::fs::write(&path, text)?;
        Ok(path.to_str().context("a path of letters")?.to_owned())
    };
    let (few, more) = (file(1)?, file(3)?);
    place.run(&["start", "-f", &few])?;
    let began = Instant::now();
    place.run(&["apply", "-f", &more])?;
    let whole = began.elapsed();
    let there = nodes(place)?.len();
    for k in 0..KILLS_OF_AN_APPLY {
        place.run(&["apply", "-f", &few])?;
        let after = whole * k / KILLS_OF_AN_APPLY;
        kill_after(place, &["apply", "-f", &more], after)?;
        place.run(&["apply", "-f", &more])?;
        let status: serde_json::Value = serde_json::from_str(&place.run(&["status", "--json"])?)?;
        assert_eq!(status["ready"], true, "killed after {after:?}: {status:#}");
        assert_eq!(nodes(place)?.len(), there, "killed after {after:?}");
    }
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// The first processes of all nodes, whether or not anybody knows of them: what the keeper is the parent of.
fn nodes(place: &Place) -> anyhow::Result<BTreeSet<String>> {
    let state = place.root().join(place.name()).join("state.json");
    let state: serde_json::Value = serde_json::from_slice(&std::fs::read(state)?)?;
    let keeper = state["keeper"]["pid"].to_string();
    let mut nodes = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let stat = std::fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|s| s.split(' ').nth(1));
        if parent == Some(keeper.as_str()) {
            nodes.extend(stat.split(' ').next().map(str::to_owned));
        }
    }
    Ok(nodes)
}

fn time_of_a_start(place: &Place) -> anyhow::Result<Duration> {
    let began = Instant::now();
    place.run(&["start"])?;
    let whole = began.elapsed();
    place.run(&["stop"])?;
    Ok(whole)
}

/// Starts a cluster and kills that after some time. Returns whether it was still at it.
fn kill_a_start(place: &Place, after: Duration) -> anyhow::Result<bool> {
    kill_after(place, &["start"], after)
}

/// Runs `ofm` and kills it after some time. Returns whether it was still at it.
fn kill_after(place: &Place, args: &[&str], after: Duration) -> anyhow::Result<bool> {
    let mut child = place
        .ofm(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The instants are spread evenly; the scheduler adds the chance.
    pause(after);
    child.kill()?;
    Ok(child.wait()?.code().is_none())
}

pub(crate) fn harness(place: &Place) -> anyhow::Result<()> {
    let mut child = spawn_harness(place, "wait")?;
    child.kill()?;
    child.wait()?;
    wait_until_gone(place, grace(place))?;
    place.run(&["start"])?;
    place.run(&["stop"])?;
    Ok(())
}

pub(crate) fn panic(place: &Place) -> anyhow::Result<()> {
    let mut child = spawn_harness(place, "panic")?;
    let status = child.wait()?;
    assert_eq!(status.code(), Some(101), "a panic ends a program with 101");
    wait_until_gone(place, grace(place))?;
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    Ok(())
}

/// How long after a crash all must be gone without anybody's help. Containers end as fast as native nodes, but an engine
/// forgets them one after the other.
fn grace(place: &Place) -> Duration {
    match place.engine().map(|engine| engine.kind()) {
        None => GRACE,
        Some(EngineKind::Docker | EngineKind::Podman) => GRACE_AT_ENGINE,
    }
}

/// Starts the harness and waits until its cluster is ready.
fn spawn_harness(place: &Place, what: &str) -> anyhow::Result<Child> {
    let mut child = program(&binary("harness"))
        .arg(serde_json::to_string(&place.spec())?)
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
