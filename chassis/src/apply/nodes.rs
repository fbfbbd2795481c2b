//! Phase `nodes`: folders on the host, and PID 1 of every node.

use std::collections::BTreeMap;
use std::path::Path;

use ofm_netns::{HostMount, Node, RootFs};

use super::for_each;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::host;
use crate::node::{NodeHandle, blocking};
use crate::plan::NodePlan;

/// What a node shows of itself on the host, and what must be there before its daemons start.
const SHARED: [&str; 6] = [
    "stage",
    "run/openvswitch",
    "run/ovn",
    "run/netns",
    "log/openvswitch",
    "log/ovn",
];

pub(crate) async fn create(
    cluster: &Cluster,
    clock: &Clock,
) -> Result<BTreeMap<String, NodeHandle>, Error> {
    let mountinfo = Path::new("/proc/self/mountinfo");
    let mounts = host::shown_mounts().map_err(|e| Error::state("reading", mountinfo, e))?;
    let data = cluster.plan().state_dir.join("data");
    std::fs::create_dir_all(&data).map_err(|e| Error::state("making", &data, e))?;
    let create = |plan: &NodePlan| {
        let (plan, data, mounts) = (plan.clone(), data.clone(), mounts.clone());
        let keeper = cluster.keeper().clone();
        blocking(move || {
            let root = root(&plan, &data, mounts)?;
            let node = Node::create(&keeper, &root)?;
            Ok((plan.name.to_string(), NodeHandle { plan, node }))
        })
    };
    let nodes = cluster.plan().nodes.iter();
    Ok(for_each(clock, Phase::Nodes, nodes, create)
        .await?
        .into_iter()
        .collect())
}

fn root(plan: &NodePlan, data: &Path, mounts: Vec<HostMount>) -> Result<RootFs, Error> {
    for folder in SHARED {
        let path = plan.dir.join(folder);
        std::fs::create_dir_all(&path).map_err(|e| Error::state("making", &path, e))?;
    }
    Ok(RootFs::new(&plan.hostname, plan.dir.join("stage"))
        .host_mounts(mounts)
        .private("/etc/openvswitch", 0o755)
        .private("/etc/ovn", 0o755)
        .private("/var/lib/openvswitch", 0o755)
        .private("/var/lib/ovn", 0o755)
        .private("/tmp", 0o1777)
        .share(plan.dir.join("run"), "/run")
        .share(plan.dir.join("log"), "/var/log")
        .share(data, "/data"))
}
