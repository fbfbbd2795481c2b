//! What the host offers: programs, schemas, a datapath, file systems.

pub(crate) mod mounts;

use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::plan::HostFacts;
use crate::runtime::engine::{self, image::Pull};
use crate::software::{self, Software};
use crate::spec::ClusterSpec;
use mounts::Mounts;

/// Finds what a plan needs to know. Images are looked into if they are there; nothing is pulled.
///
/// # Errors
/// [`Error::Missing`] names all that the host lacks, [`Error::Plan`] what is wrong with other sources of software; or
/// with what a container engine did not do.
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
        None => (None, software::search(spec, &mounts()?)?),
        Some(kind) => {
            software::refuse_sources(spec, kind)?;
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

/// The host's mounts.
pub(crate) fn mounts() -> Result<Mounts, Error> {
    let table = Path::new("/proc/self/mountinfo");
    Mounts::read().map_err(|e| Error::state("reading", table, e))
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
