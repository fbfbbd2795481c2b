//! `ofm` in the place of a container engine.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use ofm_tests::{Place, describe, program, wait_until_gone};

use crate::traffic::GRACE;

/// A started cluster with links to ofm in the name of engines.
pub(crate) struct Shim<'a> {
    place: &'a Place,
    pub(crate) folder: PathBuf,
}

impl<'a> Shim<'a> {
    pub(crate) fn start(place: &'a Place, options: &[&str]) -> anyhow::Result<Self> {
        place.run(&[&["start"], options].concat())?;
        let folder = place.root().join("bin");
        let said = place.run(&["shim", "install", &folder.to_string_lossy()])?;
        assert!(said.contains(&*folder.to_string_lossy()), "{said}");
        Ok(Self { place, folder })
    }

    fn command(&self, engine: &str, args: &[&str]) -> Command {
        let mut command = program(&self.folder.join(engine));
        command
            .args(args)
            .env("OFM_CLUSTER", self.place.name())
            .env("OFM_STATE_ROOT", self.place.root())
            .stdin(Stdio::null());
        command
    }

    fn podman(&self, args: &[&str]) -> Command {
        self.command("podman", args)
    }

    /// What a call that must succeed says.
    fn says(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.podman(args).output()?;
        if !output.status.success() || !output.stderr.is_empty() {
            bail!("podman {args:?}: {}", describe(&output));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The status of a call that must fail, and what it said about it.
    fn fails(&self, args: &[&str]) -> anyhow::Result<(i32, String)> {
        let output: Output = self.podman(args).output()?;
        let status = output.status.code().context("it was killed")?;
        if status == 0 {
            bail!("podman {args:?} succeeded");
        }
        Ok((status, String::from_utf8(output.stderr)?))
    }

    fn stop(self) -> anyhow::Result<()> {
        self.place.run(&["stop"])?;
        wait_until_gone(self.place, GRACE)?;
        Ok(())
    }
}

const CHASSIS: &str = "ovn-chassis-1";

pub(crate) fn exec(place: &Place) -> anyhow::Result<()> {
    let shim = Shim::start(place, &["--no-fake-vms"])?;

    let script = "echo out; echo err >&2; exit 3";
    let output = shim
        .podman(&["exec", CHASSIS, "sh", "-c", script])
        .output()?;
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(shim.fails(&["exec", CHASSIS, "no-such-program"])?.0, 127);
    assert_eq!(shim.fails(&["exec", CHASSIS, "/etc/passwd"])?.0, 126);
    assert_eq!(
        shim.fails(&["exec", "-w", "/absent", CHASSIS, "true"])?.0,
        126
    );
    let (status, said) = shim.fails(&["exec", "stranger", "true"])?;
    assert!(status == 125 && said.contains(CHASSIS), "{status} {said}");
    let (status, said) = shim.fails(&["build", "."])?;
    assert!(status == 125 && said.contains("build"), "{status} {said}");

    assert_eq!(shim.says(&["exec", CHASSIS, "pwd"])?, "/\n");
    let there = [
        "exec",
        "-w",
        "/tmp",
        "-e",
        "A=1 2",
        CHASSIS,
        "sh",
        "-c",
        "pwd; echo $A",
    ];
    assert_eq!(shim.says(&there)?, "/tmp\n1 2\n");
    let ids = shim.says(&["exec", "-u", "nobody:0", CHASSIS, "id", "-u"])?;
    assert_eq!(ids, "65534\n");
    let (status, said) = shim.fails(&["exec", "-u", "absent", CHASSIS, "true"])?;
    assert!(status == 125 && said.contains("absent"), "{status} {said}");

    // A program in the background of the caller ends with it.
    let mut ping = shim.podman(&["exec", CHASSIS, "sh", "-c", "echo $$; exec sleep 1000"]);
    let mut ping = ping.stdout(Stdio::piped()).spawn()?;
    let mut pid = String::new();
    let stdout = ping.stdout.take().context("no standard output")?;
    BufReader::new(stdout).read_line(&mut pid)?;
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&ping),
        rustix::process::Signal::TERM,
    )?;
    assert_eq!(ping.wait()?.code(), Some(128 + 15));
    let gone = shim.fails(&["exec", CHASSIS, "kill", "-0", pid.trim()])?;
    assert!(gone.1.contains("No such process"), "{}", gone.1);

    // One that is left in the background of the node outlives its caller.
    shim.says(&[
        "exec",
        "-d",
        CHASSIS,
        "sh",
        "-c",
        "echo $$ > /tmp/pid; exec sleep 1000",
    ])?;
    let look = "until test -s /tmp/pid; do :; done; kill $(cat /tmp/pid)";
    shim.says(&["exec", CHASSIS, "sh", "-c", look])?;

    // Whoever reads what a program writes does not wait for what that leaves behind.
    let began = Instant::now();
    let left = shim.says(&["exec", CHASSIS, "sh", "-c", "sleep 1000 & echo $!"])?;
    shim.says(&["exec", CHASSIS, "kill", left.trim()])?;
    assert!(began.elapsed() < Duration::from_secs(500), "it waited");

    // What is written to one pipe in two ways keeps its order, and a reader who leaves ends the program.
    let script = "for n in $(seq 100); do echo $n; echo $n >&2; done";
    let (mut reader, writer) = std::io::pipe()?;
    let mut command = shim.podman(&["exec", CHASSIS, "sh", "-c", script]);
    let mut both = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // It holds the ends for writing.
    drop(command);
    let mut lines = String::new();
    reader.read_to_string(&mut lines)?;
    assert!(both.wait()?.success());
    let expected: String = (1..=100).map(|n| format!("{n}\n{n}\n")).collect();
    assert_eq!(lines, expected);
    let mut yes = shim.podman(&["exec", CHASSIS, "yes"]);
    let mut yes = yes.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(yes.stdout.take().context("no standard output")?).read_line(&mut line)?;
    assert_eq!((line.as_str(), yes.wait()?.code()), ("y\n", Some(128 + 13)));

    // A daemon has nothing open of whoever was there when it was started.
    let mut sh = program(Path::new("sh"));
    let podman = shim.folder.join("podman");
    let script = format!(
        "{} exec {CHASSIS} sh -c 'ls /proc/self/fd | wc -w' 5>&1",
        podman.display()
    );
    let sh = sh.args(["-c", &script]).env("OFM_CLUSTER", place.name());
    let output = sh.env("OFM_STATE_ROOT", place.root()).output()?;
    // The standard streams, and the folder itself.
    assert_eq!(String::from_utf8(output.stdout)?.trim(), "4");

    // Also without a terminal on the outside.
    assert_eq!(
        shim.says(&["exec", "-it", CHASSIS, "tty"])?.trim(),
        "/dev/pts/0"
    );
    let docker = shim
        .command("docker", &["exec", CHASSIS, "hostname"])
        .output()?;
    assert_eq!(docker.stdout, b"ovn-chassis-1\n");
    shim.stop()
}

pub(crate) fn stdin(place: &Place) -> anyhow::Result<()> {
    const SIZE: usize = 100 << 20;
    let shim = Shim::start(place, &["--no-fake-vms"])?;
    let data: Vec<u8> = (0..SIZE).map(|k| (k * 31 + k / 251) as u8).collect();
    let mut cat = shim.podman(&["exec", "-i", CHASSIS, "cat"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = cat.stdin.take().context("no standard input")?;
    let output = std::thread::scope(|scope| {
        let data = &data;
        let writer = scope.spawn(move || stdin.write_all(data));
        let output = cat.wait_with_output();
        writer
            .join()
            .map_err(|_| anyhow!("the writer panicked"))??;
        anyhow::Ok(output?)
    })?;
    assert!(output.status.success());
    assert!(output.stdout == data, "what came back differs");
    shim.stop()
}

/// A tree with what is hard to copy.
fn make_tree(tree: &Path) -> std::io::Result<()> {
    let file = |name: &str, mode: u32| -> std::io::Result<()> {
        let path = tree.join(name);
        fs::write(&path, name)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
    };
    fs::create_dir_all(tree.join("a folder/ deep\nbelow"))?;
    fs::create_dir(tree.join("empty"))?;
    file("plain", 0o644)?;
    file("a folder/secret", 0o600)?;
    file("a folder/ deep\nbelow/run me", 0o4755)?;
    fs::hard_link(tree.join("plain"), tree.join("second name"))?;
    symlink("a folder/secret", tree.join("link"))?;
    symlink("/etc/absolute and absent", tree.join("dangling"))?;
    // A name that is longer than what the header of a tar entry has room for.
    file(&"n".repeat(200), 0o640)?;
    fs::set_permissions(tree.join("empty"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(tree.join("a folder"), fs::Permissions::from_mode(0o555))
}

/// All that there is in a tree: kind, mode, links and contents, by name.
fn listed(tree: &Path) -> std::io::Result<Vec<String>> {
    let mut all = Vec::new();
    let mut left = vec![tree.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            let contents = if metadata.is_symlink() {
                fs::read_link(&path)?.display().to_string()
            } else if metadata.is_dir() {
                left.push(path.clone());
                String::new()
            } else {
                fs::read_to_string(&path)?
            };
            let name = path.strip_prefix(tree).unwrap_or(&path).display();
            let (mode, names) = (metadata.mode(), metadata.nlink());
            let names = if metadata.is_dir() { 0 } else { names };
            all.push(format!(
                "{name:?} {mode:o} {names} {} {contents}",
                metadata.mtime()
            ));
        }
    }
    all.sort();
    Ok(all)
}

pub(crate) fn cp(place: &Place) -> anyhow::Result<()> {
    let shim = Shim::start(place, &["--no-fake-vms"])?;
    let here = tempfile::tempdir()?;
    let at = |path: &str| here.path().join(path).to_string_lossy().into_owned();
    let tree = here.path().join("tree");
    make_tree(&tree)?;
    let expected = listed(&tree)?;

    // There and back again, in each of the ways in which a folder can arrive, and twice in the same place.
    for _ in 0..2 {
        shim.says(&["cp", &at("tree"), "ovn-chassis-1:/tmp"])?;
        shim.says(&["cp", &at("tree/."), "ovn-chassis-1:tmp/tree"])?;
    }
    shim.says(&["cp", "ovn-chassis-1:/tmp/tree", "ovn-gw-1:/tmp/new"])?;
    shim.says(&["cp", "ovn-gw-1:/tmp/new", &at("back")])?;
    assert_eq!(listed(&here.path().join("back"))?, expected);
    fs::create_dir(here.path().join("contents"))?;
    shim.says(&["cp", "ovn-chassis-1:/tmp/tree/.", &at("contents")])?;
    assert_eq!(listed(&here.path().join("contents"))?, expected);

    // As streams.
    let packed = shim
        .podman(&["cp", "ovn-chassis-1:/tmp/tree", "-"])
        .output()?;
    fs::create_dir(at("streamed"))?;
    let mut tar = program(Path::new("tar"));
    let mut tar = tar
        .args(["-xpC", &at("streamed")])
        .stdin(Stdio::piped())
        .spawn()?;
    tar.stdin
        .take()
        .context("no standard input")?
        .write_all(&packed.stdout)?;
    assert!(tar.wait()?.success());
    assert_eq!(listed(&here.path().join("streamed/tree"))?, expected);
    let mut unpack = shim.podman(&["cp", "-", "ovn-gw-1:/opt"]);
    let mut unpack = unpack.stdin(Stdio::piped()).spawn()?;
    let mut stdin = unpack.stdin.take().context("no standard input")?;
    stdin.write_all(&packed.stdout)?;
    drop(stdin);
    assert!(unpack.wait()?.success());
    shim.says(&["cp", "ovn-gw-1:/opt/tree", &at("again")])?;
    assert_eq!(listed(&here.path().join("again"))?, expected);

    // A file with its mode, which is run afterwards.
    fs::write(at("script"), "#!/bin/sh\necho it runs\n")?;
    fs::set_permissions(at("script"), fs::Permissions::from_mode(0o755))?;
    shim.says(&["cp", &at("script"), "ovn-chassis-1:/data/other name"])?;
    assert_eq!(
        shim.says(&["exec", CHASSIS, "./data/other name"])?,
        "it runs\n"
    );

    // Nothing leads out of a node, neither by dots nor by links.
    let (status, said) = shim.fails(&["cp", &at("script"), "ovn-chassis-1:/../../escape"])?;
    assert!(
        status == 125 && said.contains("leads out"),
        "{status} {said}"
    );
    let (status, said) = shim.fails(&["cp", "ovn-chassis-1:../etc/passwd", &at("passwd")])?;
    assert!(
        status == 125 && said.contains("leads out"),
        "{status} {said}"
    );
    assert!(!Path::new(&at("passwd")).exists());
    let outside = here.path().to_string_lossy().into_owned();
    shim.says(&["exec", CHASSIS, "mkdir", "-p", &outside])?;
    shim.says(&["exec", CHASSIS, "ln", "-s", &outside, "/tmp/outside"])?;
    shim.says(&["cp", &at("script"), "ovn-chassis-1:/tmp/outside/arrived"])?;
    assert!(
        !Path::new(&at("arrived")).exists(),
        "a link led to the host"
    );
    shim.says(&["exec", CHASSIS, "test", "-x", &format!("{outside}/arrived")])?;

    // What cannot be.
    for (from, to, why) in [
        (at("absent"), "ovn-chassis-1:/tmp".to_owned(), "absent"),
        (
            at("script"),
            "ovn-chassis-1:/absent/x".to_owned(),
            "no folder /absent",
        ),
        (
            at("tree"),
            "ovn-chassis-1:/data/other name".to_owned(),
            "is a file",
        ),
        (at("script"), at("copy"), "is in a node"),
    ] {
        let (status, said) = shim.fails(&["cp", &from, &to])?;
        assert!(
            status == 125 && said.contains(why),
            "{from} {to}: {status} {said}"
        );
    }
    shim.stop()
}

pub(crate) fn looked_at(place: &Place) -> anyhow::Result<()> {
    let shim = Shim::start(place, &["--no-fake-vms"])?;
    let inspect = |format: &str| shim.says(&["inspect", "-f", format, CHASSIS]);
    let pid: u32 = inspect("{{.State.Pid}}")?.trim().parse()?;
    let of_host = fs::read_link(format!("/proc/{pid}/ns/net"))?;
    let inside = shim.says(&["exec", CHASSIS, "readlink", "/proc/1/ns/net"])?;
    assert_eq!(of_host.to_string_lossy(), inside.trim());
    let address = shim.says(&["exec", CHASSIS, "ip", "-o", "-4", "addr", "show", "eth1"])?;
    let eth1 = inspect("{{.NetworkSettings.Networks.eth1.IPAddress}}")?;
    assert!(
        address.contains(&format!(" {}/", eth1.trim())),
        "{address} {eth1}"
    );
    assert_eq!(
        inspect("{{.State.Running}} {{.Config.Hostname}}")?,
        "true ovn-chassis-1\n"
    );
    let (status, said) = shim.fails(&["inspect", "-f", "{{.State.Nothing}}", CHASSIS])?;
    assert!(status == 125 && said.contains("Nothing"), "{status} {said}");
    let all: serde_json::Value = serde_json::from_str(&shim.says(&["inspect", CHASSIS])?)?;
    assert_eq!(all[0]["State"]["Pid"], pid);

    assert_eq!(
        shim.says(&["ps", "-q", "--filter", "name=chassis"])?,
        "ovn-chassis-1\novn-chassis-2\n"
    );
    let format = [
        "ps",
        "--format",
        "{{.Names}} {{.State}}",
        "--filter",
        "name=^ovn-gw",
    ];
    assert_eq!(shim.says(&format)?, "ovn-gw-1 running\n");
    let log = shim.says(&["logs", "ovn-central-az1"])?;
    for daemon in ["ovn-northd: ", "ovsdb-server-nb: ", "ovsdb-server-sb: "] {
        assert!(log.contains(daemon), "no {daemon}in {log}");
    }
    assert!(shim.says(&["top", CHASSIS])?.contains("ovs-vswitchd"));
    assert!(shim.says(&["version"])?.contains("ofm"));
    shim.stop()
}

pub(crate) fn switched_off_and_on(place: &Place) -> anyhow::Result<()> {
    let shim = Shim::start(place, &["--relays", "1"])?;
    let tunnels = || {
        shim.says(&[
            "exec",
            "ovn-gw-1",
            "ovs-vsctl",
            "--bare",
            "--columns=options",
            "find",
            "interface",
            "type=geneve",
        ])
    };
    let before = tunnels()?.lines().filter(|line| !line.is_empty()).count();
    let vm = [
        "exec",
        "ovn-chassis-2",
        "ip",
        "netns",
        "exec",
        "sw11p1",
        "ping",
        "-c",
        "1",
        "-w",
        "5",
        "11.0.0.3",
    ];
    shim.says(&vm)?;

    // On chassis 1 there is a static VM and one with a lease.
    assert_eq!(shim.says(&["stop", CHASSIS])?, "ovn-chassis-1\n");
    assert_eq!(shim.says(&["stop", CHASSIS])?, "ovn-chassis-1\n");
    let listed = [
        "ps",
        "-a",
        "--filter",
        "name=chassis",
        "--format",
        "{{.Names}} {{.State}}",
    ];
    assert_eq!(
        shim.says(&listed)?,
        "ovn-chassis-1 exited\novn-chassis-2 running\n"
    );
    assert_eq!(
        shim.says(&["ps", "-q", "--filter", "name=chassis"])?,
        "ovn-chassis-2\n"
    );
    let (status, said) = shim.fails(&["exec", CHASSIS, "true"])?;
    assert!(
        status == 125 && said.contains("does not run"),
        "{status} {said}"
    );
    assert!(
        shim.says(&["logs", CHASSIS])?.contains("ovn-controller: "),
        "its logs went with it"
    );
    let sb = [
        "exec",
        "ovn-central-az1",
        "ovn-sbctl",
        "--bare",
        "--columns=name",
        "list",
        "chassis",
    ];
    assert!(!shim.says(&sb)?.contains(CHASSIS));

    assert_eq!(shim.says(&["start", CHASSIS])?, "ovn-chassis-1\n");
    shim.says(&vm)?;
    assert_eq!(
        tunnels()?.lines().filter(|line| !line.is_empty()).count(),
        before
    );
    let status: serde_json::Value = serde_json::from_str(&place.run(&["status", "--json"])?)?;
    assert_eq!(status["ready"], true, "{status:#}");

    // One that is killed comes back too, and so does a relay.
    let killed = shim.says(&["inspect", "-f", "{{.State.Pid}}", CHASSIS])?;
    shim.says(&["kill", CHASSIS])?;
    while Path::new("/proc").join(killed.trim()).exists() {
        std::thread::yield_now();
    }
    shim.says(&["restart", "ovn-central-az1-relay-1"])?;
    shim.says(&["start", CHASSIS])?;
    shim.says(&vm)?;
    let status: serde_json::Value = serde_json::from_str(&place.run(&["status", "--json"])?)?;
    assert_eq!(status["ready"], true, "{status:#}");

    // Databases are not thrown away, and what runs is not removed by accident.
    let (_, said) = shim.fails(&["stop", "ovn-central-az1"])?;
    assert!(said.contains("databases"), "{said}");
    let (_, said) = shim.fails(&["rm", CHASSIS])?;
    assert!(said.contains("it runs") || said.contains("runs;"), "{said}");
    shim.says(&["rm", "-f", CHASSIS])?;
    assert!(!shim.says(&["ps", "-aq"])?.contains(CHASSIS));
    shim.stop()
}
