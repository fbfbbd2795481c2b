//! Nodes as processes of our own, with the host's root file system below an overlay.

use std::path::Path;
use std::sync::Arc;

use ofm_netns::{HostMount, Keeper, Node, RootFs};

use crate::error::Error;
use crate::host;
use crate::node::blocking;
use crate::plan::{NodePlan, Plan};

/// What all native nodes of a cluster have in common.
#[derive(Debug)]
pub(crate) struct Native {
    mounts: Vec<HostMount>,
}

impl Native {
    pub(super) fn new() -> Result<Self, Error> {
        let mountinfo = Path::new("/proc/self/mountinfo");
        let mounts = host::shown_mounts().map_err(|e| Error::state("reading", mountinfo, e))?;
        Ok(Self { mounts })
    }

    pub(super) async fn create(
        &self,
        keeper: &Arc<Keeper>,
        plan: &Plan,
        node: &NodePlan,
    ) -> Result<Node, Error> {
        let keeper = keeper.clone();
        let root = self.root(node, &plan.data);
        blocking(move || Ok(Node::create(&keeper, &root)?)).await
    }

    fn root(&self, plan: &NodePlan, data: &Path) -> RootFs {
        RootFs::new(&plan.hostname, plan.dir.join("stage"))
            .host_mounts(self.mounts.clone())
            .private("/etc/openvswitch", 0o755)
            .private("/etc/ovn", 0o755)
            .private("/opt/ovn", 0o755)
            .private("/var/lib/openvswitch", 0o755)
            .private("/var/lib/ovn", 0o755)
            .private("/tmp", 0o1777)
            .share(plan.dir.join("run"), "/run")
            .share(plan.dir.join("log"), "/var/log")
            .share(data, "/data")
    }
}
