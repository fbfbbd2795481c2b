//! Images: building them, and starting clusters with them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ofm::image::packages::Distribution;
use ofm_tests::{
    Engine, EngineKind, IMAGE, Place, build, build_command, containers, describe, leftovers, pause,
    program, shared_engine,
};
use serde_json::{Value, json};

use crate::engines::failed;

const KILLS: u32 = 20;
/// How long an engine may take to notice that nobody waits for a build any more.
const PATIENCE: Duration = Duration::from_secs(90);

/// Makes an image of the tests' image and some more lines of a Dockerfile.
fn derive(engine: &Engine, tag: &str, lines: &str) -> anyhow::Result<()> {
    let dockerfile = format!("FROM {IMAGE}\n{lines}\n");
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    let mut context = tar::Builder::new(Vec::new());
    context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    let path = format!("/build?t={tag}&networkmode=none&rm=1&forcerm=1");
    let answer = engine.request("POST", &path, &context.into_inner()?)?;
    if answer.contains("\"error\"") {
        bail!(answer);
    }
    Ok(())
}

/// Removes an image of an engine that other tests use too. Its parents without a name stay: Docker 20.10 fails when it looks
/// for those that it has just removed for another test ("unrecognized image ID").
fn forget(engine: &Engine, image: &str) -> anyhow::Result<()> {
    engine.request("DELETE", &format!("/images/{image}?force=1&noprune=1"), b"")?;
    Ok(())
}

/// Programs and schemas that an image lacks are named, all at once, before anything is made.
pub(crate) fn lacking(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let image = format!("{}-lacking:1", place.name());
    let schema = "/usr/share/ovn/ovn-nb.ovsschema";
    derive(
        engine,
        &image,
        &format!("RUN [\"rm\", \"/usr/bin/ovn-northd\", \"{schema}\"]"),
    )?;
    let output = place.ofm(&["start", "--image", &image]).output()?;
    failed(
        &output,
        &[&image, "no ovn-northd", "no ovn/ovn-nb.ovsschema", "hint:"],
    );
    derive(engine, &image, "RUN [\"rm\", \"/usr/bin/flock\"]")?;
    let output = place.ofm(&["start", "--image", &image]).output()?;
    failed(&output, &[&image, "no flock", "hint:"]);
    derive(
        engine,
        &image,
        "RUN [\"rm\", \"/usr/bin/sleep\", \"/bin/sleep\"]",
    )
    .or_else(|_| derive(engine, &image, "RUN [\"rm\", \"/usr/bin/sleep\"]"))?;
    let output = place.ofm(&["start", "--image", &image]).output()?;
    failed(&output, &[&image, "no sleep", "hint:"]);
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    assert!(leftovers(place)?.is_empty());
    forget(engine, &image)
}

/// An image that is not there and cannot be pulled.
pub(crate) fn absent(place: &Place) -> anyhow::Result<()> {
    // Nobody listens on the first of all ports.
    let image = "127.0.0.1:1/none:1";
    for command in ["start", "plan"] {
        let output = place.ofm(&[command, "--image", image]).output()?;
        failed(&output, &[image, "ofm build", "--image"]);
    }
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    Ok(())
}

/// Each role has the image that a flag or a variable of ovn-fake-multinode gives it.
pub(crate) fn roles(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let name = |role: &str| format!("{}-{role}:1", place.name());
    let roles = ["central", "gateway", "relay", "chassis"];
    for role in roles {
        let (repository, tag) = (format!("{}-{role}", place.name()), "1");
        engine.request(
            "POST",
            &format!("/images/{IMAGE}/tag?repo={repository}&tag={tag}"),
            b"",
        )?;
    }
    let with_variables = |args: &[&str], central: &str| {
        let mut ofm = place.ofm(args);
        ofm.env_remove("OFM_RUNTIME")
            .env("RUNC_CMD", engine.kind().as_str())
            .env("RELAY_COUNT", "1")
            .env("CENTRAL_IMAGE", central)
            .env("GW_IMAGE", name("gateway"))
            .env("RELAY_IMAGE", name("relay"))
            .env("CHASSIS_IMAGE", name("chassis"));
        ofm
    };
    let mut flags = vec!["plan".to_owned(), "--json".to_owned()];
    flags.extend(["--relays".to_owned(), "1".to_owned()]);
    flags.extend(
        roles
            .iter()
            .flat_map(|role| [format!("--{role}-image"), name(role)]),
    );
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let planned = with_variables(&["plan", "--json"], &name("central")).output()?;
    assert!(planned.status.success(), "{}", describe(&planned));
    assert!(planned.stdout == place.run(&flags)?.as_bytes());

    // A flag goes before its variable.
    let args = ["start", "--central-image", &name("central")];
    let started = with_variables(&args, "no-such-image").output()?;
    assert!(started.status.success(), "{}", describe(&started));
    let mut images: Vec<_> = containers(engine)?
        .iter()
        .filter(|container| container["Labels"]["ofm.cluster"] == place.name())
        .map(|container| {
            let node = container["Labels"]["ofm.node"].as_str().unwrap_or_default();
            let image = container["Image"].as_str().unwrap_or_default();
            (node.to_owned(), image.to_owned())
        })
        .collect();
    images.sort();
    let expected = [
        ("ovn-central-az1", "central"),
        ("ovn-central-az1-relay-1", "relay"),
        ("ovn-chassis-1", "chassis"),
        ("ovn-chassis-2", "chassis"),
        ("ovn-gw-1", "gateway"),
    ];
    let expected = expected.map(|(node, role)| (node.to_owned(), name(role)));
    assert_eq!(images, expected);
    place.run(&["stop"])?;
    for role in roles {
        forget(engine, &name(role))?;
    }
    Ok(())
}

/// The same build again does nothing, and executes nothing.
pub(crate) fn cached(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let trace = place.root().join("trace");
    let build = build_command(engine, &["--json"])?;
    let mut strace = program(Path::new("strace"));
    strace
        .args(["-f", "-qq", "-e", "trace=execve,execveat", "-o"])
        .arg(&trace)
        .arg(build.get_program())
        .args(build.get_args());
    for (key, value) in build.get_envs() {
        strace.env(key, value.unwrap_or_default());
    }
    let output = strace.output()?;
    assert!(output.status.success(), "{}", describe(&output));
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    let steps = said
        .lines()
        .filter(|line| line.starts_with("step "))
        .count();
    let cached = said
        .lines()
        .filter(|line| line.contains("using cache"))
        .count();
    // All but the first, which names what the image is built on.
    assert!(steps > 3 && cached == steps - 1, "{said}");
    let built: Value = serde_json::from_slice(&output.stdout)?;
    let image: Value =
        serde_json::from_str(&engine.request("GET", &format!("/images/{IMAGE}/json"), b"")?)?;
    assert_eq!(built["id"], image["Id"], "{built}");
    let executed = std::fs::read_to_string(&trace)?;
    let executed: Vec<_> = executed
        .lines()
        .filter(|line| line.contains("execve"))
        .collect();
    assert_eq!(executed.len(), 1, "{executed:#?}");
    std::fs::remove_file(&trace)?;
    Ok(())
}

/// What goes wrong in a build is shown and told, and bad input before the engine is asked.
pub(crate) fn failing(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let run = |args: &[&str]| -> anyhow::Result<_> { Ok(build_command(engine, args)?.output()?) };
    let tag = format!("{}-failing:1", place.name());
    let broken = place.root().join("broken.deb");
    std::fs::write(&broken, "no package at all")?;
    let output = run(&["--tag", &tag, "--package", &broken.to_string_lossy()])?;
    failed(&output, &["broken.deb", "would not build image", "install"]);
    let output = run(&[
        "--tag",
        &tag,
        "--package",
        "/nonexistent/x.deb",
        "--package",
        "/etc/passwd",
    ])?;
    failed(
        &output,
        &["/nonexistent/x.deb", "/etc/passwd: neither .deb nor .rpm"],
    );
    let output = run(&["--tag", &tag, "--ovs", "/etc", "--ovn", "/nonexistent"])?;
    failed(
        &output,
        &[
            "/etc: no source tree of Open vSwitch",
            "/nonexistent: no source tree of OVN",
        ],
    );
    let mut text = program(&ofm_tests::binary("ofm"));
    let output = text.args(["build", "--rootfs", "/etc/passwd"]).output()?;
    failed(&output, &["/etc/passwd is no tar archive"]);
    std::fs::remove_file(broken)?;
    Ok(())
}

/// What OVN's multi-node tests use in a node is there; systemd is not.
pub(crate) fn contents(place: &Place) -> anyhow::Result<()> {
    place.run(&[
        "start",
        "--no-fake-vms",
        "--chassis",
        "1",
        "--gateways",
        "0",
    ])?;
    let tools = "ip bridge ss ping arp ps kill killall tcpdump nc curl python3 dd cmp sysctl vtysh getent sed cp rm sh \
                 bash test chown modprobe conntrack ovs-vsctl ovs-ofctl ovs-appctl ovs-dpctl ovn-nbctl ovn-sbctl \
                 ovn-ic-nbctl ovn-appctl ovn-ic";
    let script = format!("for tool in {tools}; do command -v $tool >/dev/null || echo $tool; done");
    let missing = place.run(&["exec", "ovn-chassis-1", "--", "sh", "-c", &script])?;
    assert_eq!(missing, "");
    let files = "/usr/share/ovn/scripts/ovn-ctl /usr/share/openvswitch/scripts/ovs-ctl /etc/frr/daemons \
                 /usr/lib/frr/frrinit.sh";
    let script = format!(
        "ls -d {files} >/dev/null; ls /lib/systemd/systemd /usr/bin/systemctl 2>/dev/null || true"
    );
    assert_eq!(
        place.run(&["exec", "ovn-chassis-1", "--", "sh", "-c", &script])?,
        ""
    );
    place.run(&["stop"])?;
    Ok(())
}

/// Kills `ofm build` at 20 instants. Then `ofm gc` removes all that is ours, and nothing else.
pub(crate) fn killed(kind: EngineKind) -> anyhow::Result<()> {
    let engine = Engine::start(kind)?;
    // Somebody else's image, which has no name either.
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    archive.append_data(&mut header, "stranger", &b"mine\n"[..])?;
    engine.request("POST", "/images/create?fromSrc=-", &archive.into_inner()?)?;
    let images = || -> anyhow::Result<Vec<String>> {
        let listed = engine.request("GET", "/images/json?all=1", b"")?;
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        Ok(listed.iter().map(|image| image["Id"].to_string()).collect())
    };
    let stranger = images()?;
    assert_eq!(stranger.len(), 1);
    let gc = || -> anyhow::Result<()> {
        let mut gc = program(&ofm_tests::binary("ofm"));
        gc.args(["gc", "--state-root", "/nonexistent/ofm"]);
        for (key, value) in build_command(&engine, &[])?.get_envs() {
            gc.env(key, value.unwrap_or_default());
        }
        let output = gc.output()?;
        if output.status.success() {
            Ok(())
        } else {
            bail!(describe(&output))
        }
    };
    let began = Instant::now();
    build(&engine, &[])?;
    let whole = began.elapsed();
    gc()?;
    assert!(images()?.len() > 1, "an image that was built is no garbage");
    engine.request("DELETE", &format!("/images/{IMAGE}?force=1"), b"")?;
    gc()?;
    assert_eq!(images()?, stranger);
    for k in 0..KILLS {
        let after = whole * k / KILLS;
        let said = tempfile::NamedTempFile::new()?;
        let mut child = build_command(&engine, &[])?
            .stdout(Stdio::null())
            .stderr(said.reopen()?)
            .spawn()?;
        pause(after);
        child.kill()?;
        let ended = child.wait()?;
        if ended.code().is_some_and(|code| code != 0) {
            let said = std::fs::read_to_string(said.path())?;
            bail!("after {after:?}: {ended}: {said}");
        }
        // The engine notices that nobody listens, and other tests may have a build go on, during which nothing is
        // garbage.
        let killed = Instant::now();
        loop {
            // The last step of a build, after which the image has its name, may be done whether it was killed or not.
            let named = format!("/images/{IMAGE}?force=1");
            let _named = engine.request("DELETE", &named, b"");
            // Until it has, Podman may fail to list its own images, which fails `gc` too.
            let left = gc().and_then(|()| Ok((images()?, containers(&engine)?)));
            if matches!(&left, Ok((images, containers)) if *images == stranger && containers.is_empty())
            {
                break;
            }
            let waited = killed.elapsed();
            assert!(waited < PATIENCE, "after {after:?}: {left:?}");
            pause(Duration::from_millis(200));
        }
    }
    Ok(engine.stop()?)
}

/// An image that only a registry has.
pub(crate) fn pulled(kind: EngineKind) -> anyhow::Result<()> {
    let engine = shared_engine(kind)?;
    let place = Place::on(engine.clone())?;
    // Nobody else takes the port in the moment until the registry does.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = place.root().join("registry.yml");
    let storage = place.root().join("registry");
    let text = json!({
        "version": 0.1,
        "storage": { "filesystem": { "rootdirectory": storage } },
        "http": { "addr": format!("127.0.0.1:{port}") },
    });
    std::fs::write(&config, text.to_string())?;
    let mut registry = program(Path::new("docker-registry"))
        .args(["serve"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = registry.stderr.take().context("no log")?;
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let listens = lines.any(|line| line.contains("listening on"));
    std::thread::spawn(move || lines.count());
    let checked = || -> anyhow::Result<()> {
        assert!(listens, "the registry does not listen");
        let repository = format!("127.0.0.1:{port}/{}", place.name());
        let image = format!("{repository}:1");
        engine.request(
            "POST",
            &format!("/images/{IMAGE}/tag?repo={repository}&tag=1"),
            b"",
        )?;
        let pushed = engine.request("POST", &format!("/images/{repository}/push?tag=1"), b"")?;
        assert!(!pushed.contains("\"error\""), "{pushed}");
        forget(&engine, &image)?;
        let output = place.ofm(&["start", "--image", &image]).output()?;
        assert!(output.status.success(), "{}", describe(&output));
        assert!(
            describe(&output).contains(&format!("pulling image {image}")),
            "{}",
            describe(&output)
        );
        place.run(&["stop"])?;
        forget(&engine, &image)
    };
    let result = checked();
    registry.kill()?;
    registry.wait()?;
    result
}

/// Trees are compiled with the flags that were asked for, and what they install is in the image. The trees are small
/// stand-ins, with the same scripts to be run.
pub(crate) fn compiled(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let (ovs, ovn) = (place.root().join("ovs"), place.root().join("ovn"));
    stand_in(&ovs, "vswitchd/ovs-vswitchd.c", "sbin/ovs-vswitchd")?;
    stand_in(&ovn, "northd/ovn-northd.c", "bin/ovn-northd")?;
    let tag = format!("{}-compiled:1", place.name());
    let (ovs, ovn) = (ovs.to_string_lossy(), ovn.to_string_lossy());
    let args = [
        "--tag",
        &tag,
        "--network",
        "host",
        "--ovs",
        &ovs,
        "--ovn",
        &ovn,
        "--cflags",
        "-g -DFLAG=\"7\"",
    ];
    build(engine, &args)?;
    let body = json!({ "Image": tag, "Cmd": ["true"] }).to_string();
    let created: Value =
        serde_json::from_str(&engine.request("POST", "/containers/create", body.as_bytes())?)?;
    let id = created["Id"].as_str().context("no container")?;
    for (path, wanted) in [
        ("/usr/sbin/ovs-vswitchd", "flag 7"),
        ("/usr/bin/ovn-northd", "flag 7"),
        ("/usr/share/from-ovs-vswitchd", "--enable-ssl"),
        (
            "/usr/share/from-ovn-northd",
            "--with-ovs-source=/opt/ofm/ovs",
        ),
    ] {
        let file = engine.request("GET", &format!("/containers/{id}/archive?path={path}"), b"")?;
        assert!(file.contains(wanted), "{path} has no {wanted:?}");
    }
    let compiler = format!("/containers/{id}/archive?path=/usr/bin/gcc");
    let compiler = engine.request("GET", &compiler, b"");
    assert!(compiler.is_err(), "the compiler is in the image");
    engine.request("DELETE", &format!("/containers/{id}?force=1"), b"")?;
    forget(engine, &tag)
}

/// A tree with one program, which says with which flag it was compiled.
fn stand_in(root: &Path, source: &str, target: &str) -> anyhow::Result<()> {
    let name = target.rsplit('/').next().unwrap_or(target);
    let source = root.join(source);
    std::fs::create_dir_all(source.parent().context("no folder")?)?;
    let text = "#include <stdio.h>\n#define S(x) #x\n#define T(x) S(x)\n\
                int main(void) { puts(\"flag \" T(FLAG)); return 0; }\n";
    std::fs::write(&source, text)?;
    let boot = "#!/bin/sh\ncp configure.in configure && chmod 755 configure\n";
    let configure = format!(
        "#!/bin/sh\nset -e\nfor a in \"$@\"; do case $a in CFLAGS=*) flags=${{a#CFLAGS=}};; esac; done\n\
         echo \"$*\" >arguments\n\
         printf 'all:\\n\\tgcc %s -o prog {source}\\ninstall:\\n\\tmkdir -p $(DESTDIR)/usr/{folder} \
         $(DESTDIR)/usr/share $(DESTDIR)/var/run\\n\\tcp prog $(DESTDIR)/usr/{target}\\n\\tcp arguments \
         $(DESTDIR)/usr/share/from-{name}\\n' \"$flags\" >Makefile\n",
        source = source.strip_prefix(root)?.display(),
        folder = Path::new(target).parent().context("no folder")?.display(),
    );
    for (file, text) in [("boot.sh", boot), ("configure.in", configure.as_str())] {
        std::fs::write(root.join(file), text)?;
    }
    let executable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(root.join("boot.sh"), executable)?;
    Ok(())
}

/// A package file is installed along with what it depends on.
pub(crate) fn packaged(place: &Place) -> anyhow::Result<()> {
    let engine = place.engine().context("no engine")?;
    let (folder, file) = (place.root().join("package"), place.root().join("probe.deb"));
    std::fs::create_dir_all(folder.join("DEBIAN"))?;
    std::fs::write(folder.join("probe"), "from a package file\n")?;
    let control = "Package: ofm-probe\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDepends: less\n\
                   Description: a package of a test\n";
    std::fs::write(folder.join("DEBIAN/control"), control)?;
    let built = program(Path::new("dpkg-deb"))
        .arg("--build")
        .args([&folder, &file])
        .output()?;
    assert!(built.status.success(), "{}", describe(&built));
    let tag = format!("{}-packaged:1", place.name());
    // apt wants its lists, which the root file system has not.
    let file = file.to_string_lossy().into_owned();
    build(
        engine,
        &["--tag", &tag, "--network", "host", "--package", &file],
    )?;
    let body = json!({ "Image": tag, "Cmd": ["true"] }).to_string();
    let created: Value =
        serde_json::from_str(&engine.request("POST", "/containers/create", body.as_bytes())?)?;
    let id = created["Id"].as_str().context("no container")?;
    let probe = engine.request("GET", &format!("/containers/{id}/archive?path=/probe"), b"")?;
    assert!(probe.contains("from a package file"));
    engine.request("DELETE", &format!("/containers/{id}?force=1"), b"")?;
    forget(engine, &tag)
}

/// The package list is the one that the image is made of.
pub(crate) fn listed(place: &Place) -> anyhow::Result<()> {
    let listed = place.run(&["build", "--list-packages"])?;
    let listed: Vec<_> = listed.lines().collect();
    assert_eq!(listed, Distribution::Debian.packages());
    Ok(())
}
