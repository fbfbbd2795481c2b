//! Open vSwitch and OVN that are not the host's, and nodes of different versions.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use ofm::plan::Role;
use ofm::topology::VmSpec;
use ofm::{Source, Sources, Topology};
use ofm_tests::{Place, copy_program, leftovers, other_release, patience, wait_until_gone};

use crate::block_on;
use crate::refusals::refused as refused_command;
use crate::traffic::GRACE;

/// Where the host has a program or schema, free of links.
fn of_host(name: &str) -> anyhow::Result<PathBuf> {
    let mut candidates = ofm::Software::candidates(name);
    let found = candidates.find_map(|path| path.canonicalize().ok());
    found.with_context(|| format!("the host has no {name}"))
}

/// Makes a folder where nodes see it: beside the test program, for their /run and /tmp are their own.
pub(crate) fn folder() -> anyhow::Result<tempfile::TempDir> {
    let test = std::env::current_exe()?;
    let beside = test.parent().unwrap_or(Path::new("/"));
    Ok(tempfile::tempdir_in(beside)?)
}

pub(crate) fn fill(folder: &Path, files: &[(&str, &str)], links: bool) -> anyhow::Result<()> {
    for (path, name) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        if links {
            symlink(of_host(name)?, path)?;
        } else {
            copy_program(&of_host(name)?, &path)?;
        }
    }
    Ok(())
}

const OVS_PREFIX: [(&str, &str); 4] = [
    ("sbin/ovsdb-server", "ovsdb-server"),
    ("sbin/ovs-vswitchd", "ovs-vswitchd"),
    ("bin/ovs-vsctl", "ovs-vsctl"),
    (
        "share/openvswitch/vswitch.ovsschema",
        "openvswitch/vswitch.ovsschema",
    ),
];
pub(crate) const OVN_TREE: [(&str, &str); 8] = [
    ("northd/ovn-northd", "ovn-northd"),
    ("ic/ovn-ic", "ovn-ic"),
    ("ovn-ic-nb.ovsschema", "ovn/ovn-ic-nb.ovsschema"),
    ("ovn-ic-sb.ovsschema", "ovn/ovn-ic-sb.ovsschema"),
    ("controller/ovn-controller", "ovn-controller"),
    ("utilities/ovn-nbctl", "ovn-nbctl"),
    ("ovn-nb.ovsschema", "ovn/ovn-nb.ovsschema"),
    ("ovn-sb.ovsschema", "ovn/ovn-sb.ovsschema"),
];

/// Copies make the prefix and links the tree.
pub(crate) fn paths(place: &Place) -> anyhow::Result<()> {
    let folder = folder()?;
    let (ovs, ovn) = (folder.path().join("ovs"), folder.path().join("ovn"));
    fill(&ovs, &OVS_PREFIX, false)?;
    fill(&ovn, &OVN_TREE, true)?;
    block_on(async {
        let builder = place.builder().ovs(&ovs).ovn(&ovn);
        let cluster = builder.start().await?;
        cluster.vm("sw01p1")?.ping("21.0.0.3".parse()?).await?;
        // The tools of the same version are found first, and find the daemons.
        for (node, argv, path) in [
            (
                "ovn-central-az1",
                ["ovn-nbctl", "show"],
                ovn.join("utilities"),
            ),
            ("ovn-chassis-1", ["ovs-vsctl", "show"], ovs.join("bin")),
        ] {
            let node = cluster.node(node)?;
            let output = node.exec(argv).await?;
            assert!(output.status.success(), "{}", output.error_text());
            let which = format!("command -v {}", argv[0]);
            let found = node.exec(["sh", "-c", &which]).await?.text();
            assert_eq!(Path::new(found.trim()), path.join(argv[0]));
        }
        let chassis = cluster.node("ovn-chassis-1")?;
        let programs: Vec<_> = chassis.plan().daemons.iter().map(|d| &d.program).collect();
        let expected = [
            ovs.join("sbin/ovsdb-server"),
            ovs.join("sbin/ovs-vswitchd"),
            ovn.join("controller/ovn-controller"),
        ];
        assert!(programs.into_iter().eq(&expected), "{:?}", chassis.plan());
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// What cannot be used is refused before anything is touched.
pub(crate) fn refused(place: &Place) -> anyhow::Result<()> {
    // Below /run, of which nodes have their own.
    let hidden = place.root().join("ovn");
    let elsewhere = folder()?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let tree = text(elsewhere.path());
    if place.engine().is_some() {
        let args = ["start", "--chassis-ovn", &tree];
        let output = place.ofm(&args).output()?;
        refused_command(&args, &output, 1, &["come from images", "hint:"]);
        return Ok(());
    }
    fill(&hidden, &OVN_TREE, true)?;
    std::fs::create_dir_all(elsewhere.path().join("controller"))?;
    std::fs::write(elsewhere.path().join("controller/ovn-controller"), "#! x")?;
    let hidden = text(&hidden);
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--ovn", &hidden], &["have /run of their own", "hint:"]),
        (&["--ovs", &tree], &["prefix", "build tree", "hint:"]),
        (&["--ovs", "/nonexistent"], &["No such file", "hint:"]),
        (
            &["--ovn", &tree],
            &[
                "libtool",
                "lacks ovn-ic, ovn-northd, ovn/ovn-ic-nb",
                "hint:",
            ],
        ),
    ];
    for (args, words) in cases {
        let args = [&["start"], args].concat();
        let output = place.ofm(&args).output()?;
        refused_command(&args, &output, 1, words);
        assert!(!place.root().join(place.name()).exists(), "{args:?}");
        assert!(leftovers(place)?.is_empty(), "{args:?}");
    }
    Ok(())
}

/// A daemon that never serves is waited for as long as was asked for; then the start fails, says so, and leaves nothing.
pub(crate) fn silent(place: &Place) -> anyhow::Result<()> {
    let folder = folder()?;
    let in_prefix = |&(_, name): &(&str, &'static str)| {
        let path = match name.strip_suffix(".ovsschema") {
            Some(_) => format!("share/{name}"),
            None => format!("bin/{name}"),
        };
        (path, name)
    };
    let files: Vec<_> = OVN_TREE.iter().map(in_prefix).collect();
    let files: Vec<_> = files.iter().map(|(p, name)| (p.as_str(), *name)).collect();
    fill(folder.path(), &files, true)?;
    let northd = folder.path().join("bin/ovn-northd");
    std::fs::remove_file(&northd)?;
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then exec {} --version; fi\nexec sleep 600\n",
        of_host("ovn-northd")?.display()
    );
    std::fs::write(&northd, script)?;
    std::fs::set_permissions(&northd, Permissions::from_mode(0o755))?;
    let prefix = folder.path().to_string_lossy();
    let timeout = patience(Duration::from_secs(2));
    let seconds = timeout.as_secs().to_string();
    let args = ["start", "--ovn", &prefix, "--ready-timeout", &seconds];
    let began = Instant::now();
    let output = place.ofm(&args).output()?;
    let late = format!("ovn-northd did not serve within {seconds}");
    let words = ["ovn-central-az1", late.as_str()];
    refused_command(&args, &output, 1, &words);
    let waited = began.elapsed();
    assert!(waited >= timeout, "{waited:?}");
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// The packages without which a root file system of Debian has no whole OVS and OVN, and FRR.
pub(crate) const PACKAGES: [&str; 8] = [
    "frr",
    "iproute2",
    "openvswitch-switch",
    "ovn-central",
    "ovn-host",
    "ovn-ic",
    "ovn-ic-db",
    "procps",
];

pub(crate) fn other_central(place: &Place) -> anyhow::Result<()> {
    mixed(place, |sources| vec![&mut sources.central])
}

pub(crate) fn other_chassis(place: &Place) -> anyhow::Result<()> {
    mixed(place, |sources| {
        vec![&mut sources.chassis, &mut sources.gateway]
    })
}

/// Starts a cluster with some of its nodes from another release.
fn mixed(place: &Place, others: fn(&mut Sources) -> Vec<&mut Source>) -> anyhow::Result<()> {
    let root = other_release(&PACKAGES)?;
    let mut sources = Sources::default();
    for source in others(&mut sources) {
        source.ovn = Some(root.clone());
    }
    block_on(async {
        let builder = place.builder().software(sources).topology(topology()?);
        let cluster = builder.start().await?;
        let status = cluster.status().await?;
        assert!(status.ready, "{status:#?}");
        let version = |role: Role| {
            let node = status.nodes.iter().find(|node| node.role == role);
            let versions = &node.context("no such node")?.versions;
            let of = |text: &Option<String>| -> anyhow::Result<Vec<u32>> {
                let text = text.as_deref().context("no version")?;
                Ok(text.split('.').map(str::parse).collect::<Result<_, _>>()?)
            };
            anyhow::Ok((of(&versions.ovs)?, of(&versions.ovn)?))
        };
        let (central, chassis) = (version(Role::Central)?, version(Role::Chassis)?);
        assert_ne!(central.0, chassis.0, "{status:#?}");
        assert_ne!(central.1, chassis.1, "{status:#?}");
        // A controller knows what an earlier northd asks of it. Of a later one's pipelines, which are longer and have
        // actions that it does not know, it makes flows that lose packets or not (OVN's ovn-upgrades.rst: controllers
        // first).
        if chassis.1 > central.1 {
            for address in ["10.0.0.12", "10.0.0.1", "10.0.1.13"] {
                cluster.vm("vm1")?.ping(address.parse()?).await?;
            }
        }
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// Two VMs on one switch and on two chassis, and one behind a router.
pub(crate) fn topology() -> anyhow::Result<Topology> {
    let mut topology = Topology::new();
    let router = topology.router("lr0");
    for (number, vms) in [(0, &[(1, 1), (2, 2)][..]), (1, &[(3, 2)])] {
        let switch = topology.switch(format!("sw{number}"));
        let network = format!("10.0.{number}.1/24").parse()?;
        let mac = format!("00:00:00:00:ff:0{number}").parse()?;
        topology.connect(router, switch, mac, &[network]);
        for &(vm, chassis) in vms {
            topology.vm(
                switch,
                VmSpec {
                    name: format!("vm{vm}"),
                    port: format!("port{vm}"),
                    chassis,
                    mac: format!("50:54:00:00:00:0{vm}").parse()?,
                    addresses: vec![format!("10.0.{number}.1{vm}/24").parse()?],
                    gateways: vec![network.addr()],
                    ..VmSpec::default()
                },
            );
        }
    }
    Ok(topology)
}
