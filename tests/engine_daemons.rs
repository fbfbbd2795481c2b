//! The tests' own container engines: what the tests of containers rest on. Needs root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use libtest_mimic::Arguments;
use ofm_tests::{Engine, EngineKind, EngineOptions, describe, missing, program, traces, trial};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Tells this program to be the one that is killed.
const VICTIM: &str = "OFM_TEST_VICTIM";

fn main() {
    if let Ok(kind) = std::env::var(VICTIM) {
        be_killed(&kind).expect("an engine and a container run");
    }
    let mut trials = Vec::new();
    for kind in [EngineKind::Docker, EngineKind::Podman] {
        let mut add = |name: &str, test: fn(EngineKind) -> anyhow::Result<()>| {
            let name = format!("{}_{name}", kind.as_str());
            let run = move || test(kind);
            let mut programs = kind.programs().to_vec();
            programs.extend(["catatonit", "tar"]);
            trials.push(trial(name, missing(&programs), run));
        };
        add("stops_and_leaves_nothing", stops);
        add("lacks_a_capability", lacks_capability);
        add("runs_out_of_disk", runs_out_of_disk);
        add("ends_with_a_killed_test", ends_with_a_killed_test);
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn stops(kind: EngineKind) -> anyhow::Result<()> {
    let engine = Engine::start(kind)?;
    let container = start_container(&engine)?;
    let folder = engine
        .socket()
        .parent()
        .map(Path::to_owned)
        .context("no folder")?;
    let daemon = engine.pid();
    engine.stop()?;
    assert!(!is_alive(container), "the container lives");
    assert!(!is_alive(daemon), "the daemon lives");
    assert_nothing_names(&folder);
    Ok(())
}

fn lacks_capability(kind: EngineKind) -> anyhow::Result<()> {
    const SYS_BOOT: u64 = 1 << 22;
    let drop_capabilities = vec!["sys_boot".to_owned()];
    let engine = Engine::start_with(
        kind,
        EngineOptions {
            drop_capabilities,
            ..Default::default()
        },
    )?;
    for set in ["CapBnd:", "CapEff:"] {
        assert_eq!(
            capabilities(engine.pid(), set)? & SYS_BOOT,
            0,
            "{set} has it"
        );
        assert_ne!(
            capabilities(std::process::id(), set)? & SYS_BOOT,
            0,
            "it was not there before"
        );
    }
    Ok(engine.stop()?)
}

fn runs_out_of_disk(kind: EngineKind) -> anyhow::Result<()> {
    const LIMIT: usize = 16 << 20;
    let engine = Engine::start_with(
        kind,
        EngineOptions {
            data_limit: Some(LIMIT as u64),
            ..Default::default()
        },
    )?;
    let file = tempfile::Builder::new().tempdir()?;
    std::fs::write(file.path().join("large"), vec![1; LIMIT * 2])?;
    let large = tar(file.path(), "large")?;
    let error = import(&engine, &large).expect_err("the image is larger than the disk");
    let error = format!("{error:?}");
    assert!(error.contains("no space left"), "{error}");
    Ok(engine.stop()?)
}

fn ends_with_a_killed_test(kind: EngineKind) -> anyhow::Result<()> {
    let mut test = program(&std::env::current_exe()?)
        .env(VICTIM, kind.as_str())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = test.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let words: Vec<_> = line.split_whitespace().collect();
    let [folder, daemon, container] = words[..] else {
        bail!("it said {line:?}");
    };
    let (daemon, container) = (process(daemon.parse()?)?, container.parse()?);
    assert!(is_alive(container), "not running: {line}");
    test.kill()?;
    test.wait()?;
    let ten_seconds = Duration::from_secs(10).try_into()?;
    let mut ended = [PollFd::new(&daemon, PollFlags::IN)];
    assert_eq!(poll(&mut ended, Some(&ten_seconds))?, 1, "the daemon lives");
    // The next engine removes the rest.
    Engine::start(kind)?.stop()?;
    assert!(!is_alive(container), "the container lives");
    assert_nothing_names(Path::new(folder));
    Ok(())
}

/// Starts an engine with a container, says what they are, and waits.
fn be_killed(kind: &str) -> anyhow::Result<()> {
    let mut kinds = [EngineKind::Docker, EngineKind::Podman].into_iter();
    let engine = Engine::start(
        kinds
            .find(|k| k.as_str() == kind)
            .context("no such engine")?,
    )?;
    let container = start_container(&engine)?;
    let folder = engine.socket().parent().context("no folder")?.display();
    #[expect(
        clippy::print_stdout,
        reason = "the test that kills this program reads it"
    )]
    {
        println!("{folder} {} {container}", engine.pid());
    }
    loop {
        std::thread::park();
    }
}

/// Starts a container that does nothing, and returns its process id.
fn start_container(engine: &Engine) -> anyhow::Result<u32> {
    let image = tar(Path::new("/usr/bin"), "catatonit")?;
    let image = import(engine, &image)?;
    // catatonit -P only waits. Podman would give it limits that it may be too weak to give.
    let limit = |name| serde_json::json!({"Name": name, "Soft": 100, "Hard": 100});
    let body = serde_json::json!({
        "Image": image,
        "Cmd": ["/catatonit", "-P"],
        "HostConfig": {"NetworkMode": "none", "Ulimits": [limit("nofile"), limit("nproc")]},
    });
    let body = body.to_string();
    let created = engine.request("POST", "/containers/create", body.as_bytes())?;
    let created: serde_json::Value = serde_json::from_str(&created)?;
    let id = created["Id"].as_str().context("no id")?;
    engine.request("POST", &format!("/containers/{id}/start"), b"")?;
    let shown = engine.request("GET", &format!("/containers/{id}/json"), b"")?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let pid = shown["State"]["Pid"].as_u64().context("no process")?;
    Ok(u32::try_from(pid)?)
}

/// Makes an image and returns its id. The status of the answer is 200 even if the import fails half-way.
fn import(engine: &Engine, tar: &[u8]) -> anyhow::Result<String> {
    let answer = engine.request("POST", "/images/create?fromSrc=-", tar)?;
    let last: serde_json::Value = serde_json::from_str(answer.lines().last().unwrap_or_default())?;
    Ok(last["status"].as_str().context(answer)?.to_owned())
}

fn tar(folder: &Path, file: &str) -> anyhow::Result<Vec<u8>> {
    let mut tar = program(Path::new("tar"));
    let output = tar.arg("-C").arg(folder).args(["-c", file]).output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => bail!(describe(&output)),
    }
}

fn process(pid: u32) -> anyhow::Result<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("no process")?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// One of the sets of proc_pid_status(5).
fn capabilities(pid: u32, set: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix(set))
        .context("no such set")?;
    Ok(u64::from_str_radix(set.trim(), 16)?)
}

/// No file, mount or process is left that names an engine's folder.
fn assert_nothing_names(folder: &Path) {
    let name = folder.file_name().unwrap_or_default();
    for parent in ["/run", "/var/tmp"] {
        assert!(
            !Path::new(parent).join(name).exists(),
            "{parent}/{name:?} is there"
        );
    }
    let left = traces(&name.to_string_lossy());
    assert!(left.is_empty(), "left: {left:#?}");
}
