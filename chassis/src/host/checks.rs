//! What `ofm doctor` looks at.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::limits::Limits;
use super::require_root;
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
    checks.extend(software());
    let tun = Path::new("/dev/net/tun").exists();
    checks.push(Check::required(
        "/dev/net/tun",
        tun,
        if tun { "present" } else { "absent" },
        "load the module tun; the userspace datapath needs it",
    ));
    let overlay = std::fs::read_to_string("/proc/filesystems")
        .is_ok_and(|list| list.split_whitespace().any(|word| word == "overlay"));
    checks.push(Check::required(
        "overlayfs",
        overlay,
        if overlay { "known" } else { "not known" },
        "load the module overlay",
    ));
    let kernels_datapath = ofm_underlay::has_openvswitch_datapath();
    let datapath = if kernels_datapath {
        "system and netdev"
    } else {
        "netdev"
    };
    checks.push(Check::useful("datapath", true, datapath, ""));
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
    fn kernels_are_told_apart_by_number() {
        assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version("5.10.0-28-amd64"), Some((5, 10)));
        assert!(version("5.10.0") >= Some(KERNEL) && version("5.4.0") < Some(KERNEL));
        assert_eq!(version("unknown"), None);
    }
}
