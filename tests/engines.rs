//! Clusters and their container engine: whose containers are whose, and what a bad engine leads to.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use ofm::image::packages::Distribution;
use ofm_tests::{
    Engine, EngineKind, EngineOptions, IMAGE, Place, build, containers, describe, pause, rootfs,
    traces, wait_until_gone,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::crash::GRACE_AT_ENGINE;

/// A cluster is found, and ended, by what its engine knows of it.
pub(crate) fn found(place: &Place) -> anyhow::Result<()> {
    let listed =
        || -> anyhow::Result<Value> { Ok(serde_json::from_str(&place.run(&["ls", "--json"])?)?) };
    place.run(&["start", "--no-fake-vms"])?;
    std::fs::remove_dir_all(place.root().join(place.name()))?;
    let clusters = listed()?;
    assert_eq!(clusters[0]["name"], place.name(), "{clusters}");
    assert_eq!(clusters[0]["running"], true, "{clusters}");
    place.run(&["gc"])?;
    assert_eq!(listed()?, clusters, "what runs is no garbage");
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE_AT_ENGINE)?;
    assert_eq!(listed()?, json!([]));

    place.run(&["start", "--no-fake-vms"])?;
    let state = std::fs::read(place.root().join(place.name()).join("state.json"))?;
    let state: Value = serde_json::from_slice(&state)?;
    let keeper = state["keeper"]["pid"].as_i64().context("no keeper")?;
    signal(i32::try_from(keeper)?, Signal::KILL)?;
    // Its containers go by themselves, whoever has killed it.
    let folder = place.root().join(place.name());
    let began = Instant::now();
    while !place.containers()?.is_empty() {
        assert!(
            began.elapsed() < GRACE_AT_ENGINE,
            "{:?}",
            place.containers()?
        );
        pause(Duration::from_millis(10));
    }
    assert_eq!(listed()?[0]["running"], false);
    place.run(&["stop"])?;
    assert!(!folder.exists());
    Ok(())
}

/// What is started in a container from outside is accounted for and limited as if it had been started inside.
pub(crate) fn confined(place: &Place) -> anyhow::Result<()> {
    place.run(&[
        "start",
        "--no-fake-vms",
        "--chassis",
        "1",
        "--gateways",
        "0",
    ])?;
    let read = |script: &str| place.run(&["exec", "ovn-chassis-1", "--", "sh", "-c", script]);
    let first = read("cat /proc/1/cgroup")?;
    let pidfiles = [
        "openvswitch/ovs-vswitchd",
        "openvswitch/ovsdb-server",
        "ovn/ovn-controller",
    ];
    for pidfile in pidfiles {
        let daemons = read(&format!("cat /proc/$(cat /run/{pidfile}.pid)/cgroup"))?;
        assert_eq!(daemons, first, "{pidfile}");
    }
    assert_eq!(read("cat /proc/self/cgroup")?, first);
    let own = std::fs::read_to_string("/proc/self/cgroup")?;
    assert_ne!(first, own, "a container has cgroups of its own");
    let capabilities = read("grep CapBnd /proc/1/status")?;
    assert_eq!(read("grep CapBnd /proc/self/status")?, capabilities);
    let ours = std::fs::read_to_string("/proc/self/status")?;
    assert!(
        !ours.contains(capabilities.trim()),
        "a container is given less than we have"
    );
    place.run(&["stop"])?;
    Ok(())
}

/// A container in a state that the API has no word for does not keep others from being listed.
pub(crate) fn passing(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    place.run(&["start", "--no-fake-vms", "--chassis", "0"])?;
    let name = format!("{}-stranger", place.name());
    // The first process of a container ends by a signal only if it asks for it, so a stop takes as long as it may.
    // Podman's defaults may be more than this process may give.
    let limits = ["nofile", "nproc"].map(|name| json!({ "Name": name, "Soft": 64, "Hard": 64 }));
    let body = json!({
        "Image": IMAGE,
        "Cmd": ["sleep", "1000"],
        "HostConfig": { "Ulimits": limits },
    });
    let create = format!("/containers/create?name={name}");
    engine.request("POST", &create, body.to_string().as_bytes())?;
    engine.request("POST", &format!("/containers/{name}/start"), b"")?;
    std::thread::scope(|scope| {
        let stop =
            scope.spawn(|| engine.request("POST", &format!("/containers/{name}/stop?t=25"), b""));
        let state = || -> anyhow::Result<Value> {
            let found = engine.request("GET", &format!("/containers/{name}/json"), b"")?;
            Ok(serde_json::from_str::<Value>(&found)?["State"]["Status"].clone())
        };
        while state()? == "running" {
            pause(Duration::from_millis(10));
        }
        // Else there is nothing to see here.
        assert_eq!(state()?, "stopping");
        let clusters: Value = serde_json::from_str(&place.run(&["ls", "--json"])?)?;
        assert_eq!(clusters[0]["name"], place.name(), "{clusters}");
        place.run(&["gc"])?;
        assert_eq!(state()?, "stopping");
        engine.request("POST", &format!("/containers/{name}/kill?signal=KILL"), b"")?;
        stop.join().map_err(|_| anyhow!("the stop panicked"))??;
        anyhow::Ok(())
    })?;
    engine.request("DELETE", &format!("/containers/{name}?force=1"), b"")?;
    place.run(&["stop"])?;
    Ok(())
}

/// A name does not make a container ours, nor do some labels.
pub(crate) fn strangers(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let name = format!("{}-ovn-chassis-1", place.name());
    let state = place.root().join(place.name());
    let labels = json!({
        "ofm.cluster": place.name(),
        "ofm.node": "ovn-chassis-1",
        "ofm.state": state.to_string_lossy(),
    });
    let body = json!({ "Image": IMAGE, "Cmd": ["true"], "Labels": labels });
    let create = format!("/containers/create?name={name}");
    engine.request("POST", &create, body.to_string().as_bytes())?;
    let output = place.ofm(&["start"]).output()?;
    failed(&output, &[&name, "already", "hint:"]);
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    for args in [&["stop"][..], &["gc"], &["stop", "--all"]] {
        place.ofm(args).output()?;
    }
    assert_eq!(place.run(&["ls", "--json"])?.trim(), "[]");
    // It is where it was, so that it can be removed.
    engine.request("DELETE", &format!("/containers/{name}"), b"")?;
    Ok(())
}

pub(crate) fn absent(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let (variable, other) = match engine.kind() {
        EngineKind::Docker => ("DOCKER_HOST", "podman"),
        EngineKind::Podman => ("CONTAINER_HOST", "docker"),
    };
    let start = |address: &str| place.ofm(&["start"]).env(variable, address).output();
    let nothing = "/nonexistent/engine.sock";
    failed(
        &start(&format!("unix://{nothing}"))?,
        &[nothing, variable, "hint:"],
    );
    failed(
        &start("tcp://192.0.2.1:2375")?,
        &["tcp://192.0.2.1:2375", "hint:"],
    );
    let output = place
        .ofm(&["start", "--runtime", other])
        .env("DOCKER_HOST", engine.host())
        .env("CONTAINER_HOST", engine.host())
        .output()?;
    failed(&output, &["is the socket of", "hint:"]);
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    Ok(())
}

/// An engine that stops answering while a cluster starts.
pub(crate) fn halted(kind: EngineKind) -> anyhow::Result<()> {
    const DEADLINE: Duration = Duration::from_secs(5);
    let engine = Arc::new(Engine::start(kind)?);
    build(&engine, &[])?;
    let place = Place::on(Arc::clone(&engine))?;
    let seconds = DEADLINE.as_secs().to_string();
    let mut start = place.ofm(&["start", "--chassis", "6", "--engine-timeout", &seconds]);
    let start = start
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let began = Instant::now();
    while place.containers()?.is_empty() {
        assert!(began.elapsed() < GRACE_AT_ENGINE, "no container appears");
    }
    let daemon = i32::try_from(engine.pid())?;
    signal(daemon, Signal::STOP)?;
    let halted = Instant::now();
    let output = start.wait_with_output()?;
    // One deadline for the request that is not answered, one for each step of taking back.
    let waited = halted.elapsed();
    failed(&output, &["within 5s", "hint:"]);
    assert!(waited < 5 * DEADLINE, "{waited:?}");
    // Although nobody could ask the engine for it, nothing of the cluster runs any more.
    let mark = place.root().to_string_lossy().into_owned();
    let ended = Instant::now();
    loop {
        let mut left = traces(&mark);
        // A container that the engine was just about to start has no process of ours yet.
        left.retain(|process| !process.contains("runc:["));
        if left.is_empty() {
            break;
        }
        assert!(ended.elapsed() < DEADLINE, "{left:?}");
        pause(Duration::from_millis(10));
    }
    signal(daemon, Signal::CONT)?;
    // The engine may first do what it was asked for before it was halted.
    pause(Duration::from_secs(2));
    place.run(&["gc"])?;
    wait_until_gone(&place, GRACE_AT_ENGINE)?;
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    place.run(&["start"])?;
    place.run(&["stop"])?;
    drop(place);
    Ok(Arc::into_inner(engine).context("still in use")?.stop()?)
}

/// An engine that lacks what nodes need says so before anything is made; and if only the engine knows, then clearly.
pub(crate) fn incapable(kind: EngineKind) -> anyhow::Result<()> {
    let options = EngineOptions {
        drop_capabilities: vec!["net_raw".to_owned()],
        ..EngineOptions::default()
    };
    let engine = Arc::new(Engine::start_with(kind, options)?);
    // It cannot run the steps of a build either; the archive is all that the image is made of.
    let archive = rootfs(&Distribution::Debian.packages())?;
    let (repository, tag) = IMAGE.split_once(':').context("no tag")?;
    let import = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
    engine.request("POST", &import, &std::fs::read(archive)?)?;
    let place = Place::on(Arc::clone(&engine))?;
    failed(&place.ofm(&["start"]).output()?, &["NET_RAW", "hint:"]);

    // With somebody in between, what the engine lacks cannot be seen.
    let socket = place.root().join("between.sock");
    let between = UnixListener::bind(&socket)?;
    let daemon = engine.socket().to_owned();
    std::thread::spawn(move || {
        for client in between.incoming().flatten() {
            if pass_on(client, &daemon).is_err() {
                return;
            }
        }
    });
    let output = place
        .ofm(&["start"])
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .output()?;
    failed(&output, &["caps", "hint:"]);
    assert!(
        containers(&engine)?.is_empty(),
        "{:?}",
        containers(&engine)?
    );
    let left: Vec<_> = std::fs::read_dir(place.root())?.flatten().collect();
    assert_eq!(left.len(), 1, "the socket is the only one left: {left:?}");
    drop(place);
    Ok(Arc::into_inner(engine).context("still in use")?.stop()?)
}

/// Joins a connection to a new one with the daemon.
fn pass_on(client: UnixStream, daemon: &Path) -> std::io::Result<()> {
    let server = UnixStream::connect(daemon)?;
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        std::thread::spawn(move || {
            let _until_either_ends = std::io::copy(&mut from, &mut to);
            let _gone = to.shutdown(std::net::Shutdown::Write);
        });
    }
    Ok(())
}

/// An engine whose disk is full.
pub(crate) fn full(kind: EngineKind) -> anyhow::Result<()> {
    let options = EngineOptions {
        data_limit: Some(2 << 30),
        ..EngineOptions::default()
    };
    let engine = Arc::new(Engine::start_with(kind, options)?);
    build(&engine, &[])?;
    let place = Place::on(Arc::clone(&engine))?;
    let disk = format!("/proc/{}/root{}", engine.pid(), engine.data().display());
    let filler = Path::new(&disk).join("filler");
    fill(&filler)?;
    let output = place.ofm(&["start"]).output()?;
    failed(&output, &["no space left on device", "hint:"]);
    std::fs::remove_file(&filler)?;
    wait_until_gone(&place, GRACE_AT_ENGINE)?;
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    place.run(&["start"])?;
    place.run(&["stop"])?;
    drop(place);
    Ok(Arc::into_inner(engine).context("still in use")?.stop()?)
}

/// Writes until the disk is full.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    for size in [1 << 20, 1] {
        let chunk = vec![0_u8; size];
        loop {
            match std::io::Write::write_all(&mut file, &chunk) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn signal(pid: i32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// Checks that a command failed and said all of these.
pub(crate) fn failed(output: &Output, words: &[&str]) {
    let text = describe(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?}: {text}");
    }
}
