//! What the host offers: programs, schemas, a datapath, file systems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ofm_netns::HostMount;
use serde::Serialize;

use crate::error::Error;
use crate::plan::{HostFacts, Role};
use crate::runtime::engine::{self, image::Pull};
use crate::software::Software;
use crate::spec::ClusterSpec;

/// File systems that are no place for programs and data, or that a node has of its own.
const NOT_SHOWN: [&str; 16] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "tmpfs",
    "cgroup",
    "cgroup2",
    "mqueue",
    "hugetlbfs",
    "debugfs",
    "tracefs",
    "securityfs",
    "bpf",
    "nsfs",
    "autofs",
    "squashfs",
];

/// Finds what a plan needs to know. Images are looked into if they are there; nothing is pulled.
///
/// # Errors
/// [`Error::Missing`] names all that was not found; or with what a container engine did not do.
pub async fn inspect(spec: &ClusterSpec, state_root: &Path) -> Result<HostFacts, Error> {
    gather(spec, state_root, Pull::Never).await
}

/// As [`inspect`], and may pull images.
pub(crate) async fn gather(
    spec: &ClusterSpec,
    state_root: &Path,
    pull: Pull<'_>,
) -> Result<HostFacts, Error> {
    let (engine, software) = match spec.runtime.engine() {
        None => (None, software_of_host(spec)?),
        Some(kind) => {
            let (engine, software) = engine::facts::gather(kind, spec, pull).await?;
            (Some(engine), software)
        }
    };
    Ok(HostFacts {
        software,
        openvswitch_datapath: ofm_underlay::has_openvswitch_datapath(),
        state_root: state_root.to_owned(),
        engine,
    })
}

fn software_of_host(spec: &ClusterSpec) -> Result<BTreeMap<Role, Software>, Error> {
    let names: BTreeSet<&str> = spec.roles().flat_map(Role::needs).copied().collect();
    let software = Software::here(names).map_err(Error::Missing)?;
    Ok(spec.roles().map(|role| (role, software.clone())).collect())
}

/// Whether this process may make namespaces.
pub(crate) fn require_root() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::NotRoot)
    }
}

/// One thing that `ofm doctor` looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub what: String,
    /// Whether a cluster can start with it.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do if it is not ok; empty if it is.
    pub hint: String,
}

/// Looks at everything a start needs, and changes nothing.
pub fn checks(state_root: &Path) -> Vec<Check> {
    let check = |what: &str, ok: bool, found: String, hint: &str| Check {
        what: what.to_owned(),
        ok,
        found,
        hint: if ok { String::new() } else { hint.to_owned() },
    };
    let root = require_root();
    let mut checks = vec![check(
        "root",
        root.is_ok(),
        format!("uid {}", rustix::process::geteuid().as_raw()),
        "run ofm as root",
    )];
    for name in [
        "ovsdb-server",
        "ovs-vswitchd",
        "ovn-northd",
        "ovn-controller",
    ] {
        let found = Software::candidates(name).find(|path| path.is_file());
        let text = found.as_ref().map_or_else(
            || "not found".into(),
            |path| path.to_string_lossy().into_owned(),
        );
        let hint = "install Open vSwitch and OVN from your distribution";
        checks.push(check(name, found.is_some(), text, hint));
    }
    let tun = Path::new("/dev/net/tun").exists();
    checks.push(check(
        "/dev/net/tun",
        tun,
        if tun { "present" } else { "absent" }.into(),
        "load the module tun; the userspace datapath needs it",
    ));
    let overlay = std::fs::read_to_string("/proc/filesystems")
        .is_ok_and(|list| list.split_whitespace().any(|word| word == "overlay"));
    checks.push(check(
        "overlayfs",
        overlay,
        if overlay { "known" } else { "not known" }.into(),
        "load the module overlay",
    ));
    let kernel = ofm_underlay::has_openvswitch_datapath();
    let datapath = if kernel {
        "system and netdev"
    } else {
        "netdev"
    };
    checks.push(check("datapath", true, datapath.into(), ""));
    checks.push(check(
        "state folder",
        true,
        state_root.to_string_lossy().into_owned(),
        "",
    ));
    checks
}

/// The host's file systems below its root that a node should see, outermost first.
pub(crate) fn shown_mounts() -> std::io::Result<Vec<HostMount>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut mounts: Vec<PathBuf> = parse_mounts(&table).filter(|path| path.is_dir()).collect();
    mounts.sort();
    mounts.dedup();
    Ok(mounts.into_iter().map(HostMount).collect())
}

/// Mount points from a table as proc_pid_mountinfo(5) describes it, without what nodes have of their own.
fn parse_mounts(table: &str) -> impl Iterator<Item = PathBuf> {
    table.lines().filter_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let path = head.split(' ').nth(4)?;
        let kind = tail.split(' ').next()?;
        let own = ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/run"];
        let below_own = own.iter().any(|own| Path::new(path).starts_with(own));
        // Octal escapes stand for blanks and the like in odd mount points, which nobody keeps OVS in.
        let odd = path.contains('\\') || kind.starts_with("fuse");
        let shown = path != "/" && !NOT_SHOWN.contains(&kind) && !below_own && !odd;
        shown.then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_file_systems_are_shown_to_nodes() {
        let table = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                     23 22 0:21 / /proc rw - proc proc rw\n\
                     24 22 8:1 / /home rw shared:1 - ext4 /dev/sda1 rw\n\
                     25 22 7:1 / /snap/x ro - squashfs /dev/loop1 ro\n\
                     26 22 8:2 / /run/media ro - ext4 /dev/sdb1 ro\n";
        let paths: Vec<_> = parse_mounts(table).collect();
        assert_eq!(paths, [PathBuf::from("/home")]);
    }
}
