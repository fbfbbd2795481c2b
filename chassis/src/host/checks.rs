//! What `ofm doctor` looks at.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rustix::mount::FsOpenFlags;
use serde::Serialize;

use super::limits::Limits;
use super::{refuse_chroot, require_root};
use crate::plan::Role;
use crate::runtime::EngineKind;
use crate::runtime::engine::{Engine, EngineError};
use crate::software::Software;

/// The oldest kernel that has everything: setns(2) takes a pidfd since 5.8.
const KERNEL: (u32, u32) = (5, 8);

/// How long an engine may take to answer before it counts as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// One thing that `ofm doctor` looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub what: String,
    /// Whether a cluster can start with it.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing. There may be something to do although a cluster can start.
    pub hint: String,
}

impl Check {
    /// Something without which no cluster can start. The hint is for when it is not there.
    pub(super) fn required(what: &str, ok: bool, found: impl Into<String>, hint: &str) -> Self {
        Self {
            what: what.to_owned(),
            ok,
            found: found.into(),
            hint: if ok { String::new() } else { hint.to_owned() },
        }
    }

    /// Something that no start depends on. The hint is for when it is not enough.
    pub(super) fn useful(what: &str, enough: bool, found: impl Into<String>, hint: &str) -> Self {
        Self {
            ok: true,
            ..Self::required(what, enough, found, hint)
        }
    }
}

/// Looks at everything that the start of a cluster with so many chassis, and one gateway, needs. Changes nothing.
pub async fn checks(state_root: &Path, chassis: u32) -> Vec<Check> {
    let root = require_root().is_ok();
    let uid = rustix::process::geteuid().as_raw();
    let mut checks = vec![
        Check::required("root", root, format!("uid {uid}"), "run ofm as root"),
        kernel(),
    ];
    if root {
        let chroot = refuse_chroot().is_err();
        checks.push(Check::required(
            "root folder",
            !chroot,
            if chroot { "a chroot" } else { "no chroot" },
            "use pivot_root, as containers do, or run ofm outside",
        ));
    }
    checks.extend(software());
    let kernels_datapath = ofm_underlay::has_openvswitch_datapath();
    let tun = Path::new("/dev/net/tun").exists();
    // Only the userspace datapath needs it.
    let check = if kernels_datapath {
        Check::useful
    } else {
        Check::required
    };
    checks.push(check(
        "/dev/net/tun",
        tun,
        if tun { "present" } else { "absent" },
        "load the module tun; the userspace datapath needs it",
    ));
    let overlay = has_overlay();
    checks.push(Check::required(
        "overlayfs",
        overlay,
        if overlay { "known" } else { "not known" },
        "load the module overlay",
    ));
    checks.push(datapath(kernels_datapath));
    checks.extend(Limits::read().checks(chassis, kernels_datapath));
    checks.push(Check::useful(
        "state folder",
        true,
        state_root.to_string_lossy(),
        "",
    ));
    let (docker, podman) = tokio::join!(engine(EngineKind::Docker), engine(EngineKind::Podman));
    checks.extend([docker, podman]);
    checks
}

/// Whether the kernel has overlayfs. Asking makes it load the module, as mounting one would; only root may ask.
fn has_overlay() -> bool {
    let known = std::fs::read_to_string("/proc/filesystems")
        .is_ok_and(|list| list.split_whitespace().any(|word| word == "overlay"));
    known || rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).is_ok()
}

/// Which datapaths there are. The kernel was asked for its own, so a module that it has not loaded by now is one that it
/// could not load.
fn datapath(kernels: bool) -> Check {
    if kernels {
        return Check::useful("datapath", true, "system and netdev", "");
    }
    let uname = rustix::system::uname();
    let list = format!(
        "/lib/modules/{}/modules.dep",
        uname.release().to_string_lossy()
    );
    let installed = std::fs::read_to_string(list).is_ok_and(|list| lists(&list, "openvswitch"));
    let hint = "the module openvswitch is installed and not loaded: modprobe openvswitch";
    Check::useful("datapath", !installed, "netdev", hint)
}

/// Whether a list of modules, as depmod(8) makes it, has one of this name. Its file may be compressed.
fn lists(modules: &str, name: &str) -> bool {
    modules.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        let rest = file.strip_prefix(name);
        rest.is_some_and(|rest| rest == ".ko" || rest.starts_with(".ko."))
    })
}

fn kernel() -> Check {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let known = version(&release).is_none_or(|version| version >= KERNEL);
    let hint = format!("use a kernel of version {}.{} or later", KERNEL.0, KERNEL.1);
    Check::required("kernel", known, release, &hint)
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Everything that any role needs of Open vSwitch and OVN, and where the host has it.
fn software() -> impl Iterator<Item = Check> {
    let roles = [Role::Central, Role::Gateway, Role::Relay, Role::Chassis];
    let names: BTreeSet<&str> = roles.into_iter().flat_map(Role::needs).copied().collect();
    names.into_iter().map(|name| {
        let path = Software::candidates(name).find(|path| path.is_file());
        let found = path.as_ref().map(|path| path.to_string_lossy());
        let hint = "install Open vSwitch and OVN from your distribution, or name paths to them (--ovs, --ovn)";
        let is_there = found.is_some();
        Check::required(name, is_there, found.unwrap_or("not found".into()), hint)
    })
}

/// Whether an engine answers, which only `--runtime docker` and `--runtime podman` need.
async fn engine(kind: EngineKind) -> Check {
    let found = match Engine::connect(kind, None, PATIENCE).await {
        Ok(engine) => format!("answers on {}", engine.socket().display()),
        Err(EngineError::NoAnswer { .. }) => "does not answer, and is not needed".to_owned(),
        Err(error) => error.to_string(),
    };
    Check::useful(kind.as_str(), true, found, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_name() {
        let modules = "kernel/net/openvswitch/vport-geneve.ko.xz: kernel/net/openvswitch/openvswitch.ko.xz\n\
            kernel/net/openvswitch/openvswitch.ko.xz: kernel/net/nsh/nsh.ko.xz\n\
            kernel/drivers/net/vrf.ko:\n";
        for name in ["openvswitch", "vport-geneve", "vrf"] {
            assert!(lists(modules, name), "{name}");
        }
        for name in ["nsh", "vport", "geneve"] {
            assert!(!lists(modules, name), "{name}");
        }
    }

    #[test]
    fn kernels_are_told_apart_by_number() {
        assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version("5.10.0-28-amd64"), Some((5, 10)));
        assert!(version("5.10.0") >= Some(KERNEL) && version("5.4.0") < Some(KERNEL));
        assert_eq!(version("unknown"), None);
    }
}
