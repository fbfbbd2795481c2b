//! Nodes as processes of our own, with the host's root file system below an overlay, or another one.

use std::path::Path;

use ofm_netns::{HostMount, RootFs};

use crate::error::Error;
use crate::host;
use crate::plan::NodePlan;

/// Folders that a node has for itself, empty at first, and their modes.
const PRIVATE: [(&str, u32); 6] = [
    ("/opt/ovn", 0o755),
    ("/etc/openvswitch", 0o755),
    ("/etc/ovn", 0o755),
    ("/var/lib/openvswitch", 0o755),
    ("/var/lib/ovn", 0o755),
    ("/tmp", 0o1777),
];

/// Folders that a node shares with the host, but that are elsewhere there.
const RUN: &str = "/run";
const LOG: &str = "/var/log";
const DATA: &str = "/data";

/// The folders of a node in which it does not see what the host has there.
pub(crate) fn own_folders() -> impl Iterator<Item = &'static str> {
    let private = PRIVATE.into_iter().map(|(path, _)| path);
    private.chain([RUN, "/var/run", LOG, DATA, "/dev", "/proc", "/sys"])
}

/// What all native nodes of a cluster have in common.
#[derive(Debug)]
pub(crate) struct Native {
    mounts: Vec<HostMount>,
}

impl Native {
    pub(super) fn new() -> Result<Self, Error> {
        let mounts = host::mounts()?.shown();
        Ok(Self { mounts })
    }

    /// The root file system of a node.
    pub(super) fn root(&self, plan: &NodePlan, data: &Path) -> RootFs {
        let root = RootFs::new(&plan.hostname, plan.dir.join("stage"));
        let root = match &plan.root {
            Some(lower) => root.lower(lower),
            None => root.host_mounts(self.mounts.clone()),
        };
        PRIVATE
            .into_iter()
            .fold(root, |root, (path, mode)| root.private(path, mode))
            .share(plan.dir.join("run"), RUN)
            .share(plan.dir.join("log"), LOG)
            .share(data, DATA)
    }
}
