//! Where a test makes its clusters, and what provides their nodes.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ofm::image::packages::Distribution;
use ofm::spec::{DatapathChoice, Images, RuntimeChoice};
use ofm::{Builder, Cluster, ClusterSpec};
use serde_json::Value;

use crate::{Engine, EngineKind, binary, describe, program, rootfs};

/// What provides the nodes of a test's clusters. A test of clusters takes it as its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// ofm itself.
    Native,
    /// An engine of the tests' own.
    Engine(EngineKind),
}

/// The name of the image that the tests' engines have.
pub const IMAGE: &str = "ofm-test:latest";

impl Runtime {
    /// All of them.
    pub const ALL: [Runtime; 3] = [
        Runtime::Native,
        Runtime::Engine(EngineKind::Docker),
        Runtime::Engine(EngineKind::Podman),
    ];

    /// Its name, as in `--runtime`.
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Native => "native",
            Runtime::Engine(kind) => kind.as_str(),
        }
    }

    /// The programs without which its tests cannot run.
    pub fn programs(self) -> Vec<&'static str> {
        match self {
            Runtime::Native => vec![
                "ovsdb-server",
                "ovs-vswitchd",
                "ovn-northd",
                "ovn-ic",
                "ovn-controller",
            ],
            Runtime::Engine(kind) => [kind.programs(), &["mmdebstrap"]].concat(),
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether all clusters are to use the datapath of the kernel, by `OFM_TEST_DATAPATH=system`. Otherwise they have it where it
/// is, like those of users.
pub fn on_kernel_datapath() -> bool {
    match std::env::var("OFM_TEST_DATAPATH").as_deref() {
        Err(_) => false,
        Ok("system") => true,
        Ok(other) => panic!("OFM_TEST_DATAPATH may only be system, not {other:?}"),
    }
}

/// How much time to allow on this machine for what takes so long at most on an ordinary one: as many times as long as
/// `OFM_TEST_SLOWNESS` says, where a processor is emulated.
pub fn patience(time: Duration) -> Duration {
    match std::env::var("OFM_TEST_SLOWNESS") {
        Err(_) => time,
        Ok(times) => match times.parse::<u32>() {
            Ok(times) if times > 0 => time * times,
            _ => panic!("OFM_TEST_SLOWNESS is {times}, not a number from 1"),
        },
    }
}

type Shared = Mutex<Option<Result<Arc<Engine>, String>>>;

/// Both engines, each started with its image when the first test needs it.
static DOCKER: Shared = Mutex::new(None);
static PODMAN: Shared = Mutex::new(None);

fn shared(kind: EngineKind) -> MutexGuard<'static, Option<Result<Arc<Engine>, String>>> {
    let slot = match kind {
        EngineKind::Docker => &DOCKER,
        EngineKind::Podman => &PODMAN,
    };
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine of a kind that all tests share, with the image [`IMAGE`].
pub fn shared_engine(kind: EngineKind) -> anyhow::Result<Arc<Engine>> {
    let start = || {
        let engine = Engine::start(kind).with_context(|| format!("starting {}", kind.as_str()))?;
        build(&engine, &[])?;
        Ok(Arc::new(engine))
    };
    // Each test that needs it fails for the same reason.
    let start = || start().map_err(|error: anyhow::Error| format!("{error:#}"));
    let engine = shared(kind).get_or_insert_with(start).clone();
    engine.map_err(anyhow::Error::msg)
}

/// Stops the shared engines that were started. No test may use them any more.
pub fn stop_shared_engines() -> anyhow::Result<()> {
    for kind in [EngineKind::Docker, EngineKind::Podman] {
        if let Some(Ok(engine)) = shared(kind).take() {
            let engine = Arc::into_inner(engine).context("a test still uses an engine")?;
            engine
                .stop()
                .with_context(|| format!("stopping {}", kind.as_str()))?;
        }
    }
    Ok(())
}

/// Has `ofm build` make the image [`IMAGE`] of a root file system that has all the packages, without any network.
/// Returns what it said.
pub fn build(engine: &Engine, args: &[&str]) -> anyhow::Result<String> {
    let output = build_command(engine, args)?.output()?;
    ensure!(output.status.success(), "ofm build: {}", describe(&output));
    Ok(describe(&output))
}

/// The command that [`build`] runs.
pub fn build_command(engine: &Engine, args: &[&str]) -> anyhow::Result<Command> {
    let archive = rootfs(&Distribution::Debian.packages())?;
    let mut command = program(&binary("ofm"));
    // What `args` has goes before the variables.
    command.args(["build", "--rootfs"]).arg(archive).args(args);
    if !args.contains(&"--network") {
        command.args(["--network", "none"]);
    }
    environment(&mut command, engine);
    Ok(command)
}

fn environment(command: &mut Command, engine: &Engine) {
    let variable = match engine.kind() {
        EngineKind::Docker => "DOCKER_HOST",
        EngineKind::Podman => "CONTAINER_HOST",
    };
    command
        .env(variable, engine.host())
        .env("OFM_RUNTIME", engine.kind().as_str())
        .env("OFM_IMAGE", IMAGE)
        .stdin(std::process::Stdio::null());
}

/// A place of its own for one test: a folder for the state of its clusters, and a name that no other test's cluster has.
#[derive(Debug)]
pub struct Place {
    root: tempfile::TempDir,
    engine: Option<Arc<Engine>>,
    name: String,
}

impl Place {
    /// Makes the place. Its path is short because sockets are below it (unix(7): 108 bytes).
    pub fn new(runtime: Runtime) -> anyhow::Result<Self> {
        match runtime {
            Runtime::Native => Self::with(None),
            Runtime::Engine(kind) => Self::on(shared_engine(kind)?),
        }
    }

    /// Makes a place on an engine of the test's own.
    pub fn on(engine: Arc<Engine>) -> anyhow::Result<Self> {
        Self::with(Some(engine))
    }

    fn with(engine: Option<Arc<Engine>>) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let root = tempfile::Builder::new().prefix("ofm").tempdir_in("/run");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            root: root?,
            engine,
            name: format!("t{}-{number}", std::process::id()),
        })
    }

    /// Where the clusters' folders are.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The name of this place's cluster, unless a test asks for another.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine, if the nodes are containers.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.as_ref()
    }

    /// What a cluster of this place is asked for with.
    pub fn spec(&self) -> ClusterSpec {
        let name = self.name.parse().expect("letters, digits and a dash");
        let mut spec = ClusterSpec {
            name,
            ..ClusterSpec::default()
        };
        let ready = Duration::from_secs(spec.ready_timeout.into());
        spec.ready_timeout = patience(ready).as_secs() as u32;
        let election = Duration::from_millis(spec.election_timer.into());
        spec.election_timer = patience(election).as_millis() as u32;
        if on_kernel_datapath() {
            spec.datapath = DatapathChoice::System;
        }
        match &self.engine {
            None => spec,
            Some(engine) => ClusterSpec {
                runtime: match engine.kind() {
                    EngineKind::Docker => RuntimeChoice::Docker,
                    EngineKind::Podman => RuntimeChoice::Podman,
                },
                images: Images::all(IMAGE),
                engine_socket: Some(engine.socket().to_owned()),
                ..spec
            },
        }
    }

    /// A cluster of this place, to be started.
    pub fn builder(&self) -> Builder {
        Cluster::builder().spec(self.spec()).state_root(self.root())
    }

    /// `ofm` with arguments, told to keep its state here and to use this place's runtime.
    pub fn ofm(&self, args: &[&str]) -> Command {
        let mut command = program(&binary("ofm"));
        command
            .arg("--state-root")
            .arg(self.root.path())
            .args(args)
            .env("OFM_CLUSTER", &self.name)
            .stdin(std::process::Stdio::null());
        if let Some(engine) = &self.engine {
            environment(&mut command, engine);
        }
        let spec = self.spec();
        command
            .env("OFM_READY_TIMEOUT", spec.ready_timeout.to_string())
            .env("OFM_ELECTION_TIMER", spec.election_timer.to_string());
        if on_kernel_datapath() {
            command.env("OVN_DP_TYPE", "system");
        }
        command
    }

    /// Runs `ofm`, which must succeed, and returns what it wrote to standard output.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.ofm(args).output()?;
        ensure!(
            output.status.success(),
            "ofm {args:?}: {}",
            describe(&output)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The containers that the engine has of this place's clusters, by name and state.
    pub fn containers(&self) -> anyhow::Result<BTreeSet<String>> {
        let Some(engine) = &self.engine else {
            return Ok(BTreeSet::new());
        };
        let below = format!("{}/", self.root().display());
        let found = containers(engine)?.into_iter().filter(|container| {
            let state = container["Labels"]["ofm.state"].as_str();
            state.is_some_and(|state| state.starts_with(&below))
        });
        let text = |container: Value| format!("{} {}", container["Names"][0], container["State"]);
        Ok(found.map(text).collect())
    }
}

/// All containers that an engine has.
pub fn containers(engine: &Engine) -> anyhow::Result<Vec<Value>> {
    let answer = engine.request("GET", "/containers/json?all=1", b"")?;
    match serde_json::from_str(&answer) {
        Ok(Value::Array(containers)) => Ok(containers),
        other => bail!("a listing of containers: {other:?}: {answer}"),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that failed in the middle leaves nothing behind either.
        let _best_effort = self.ofm(&["stop", "--all"]).output();
    }
}
