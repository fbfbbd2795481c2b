//! Phase `nodes`: folders on the host, and the first process of every node.

use std::collections::BTreeMap;

use super::for_each_at_once;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
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
    nodes: &[NodePlan],
    clock: &Clock,
) -> Result<BTreeMap<String, NodeHandle>, Error> {
    let data = &cluster.plan().data;
    std::fs::create_dir_all(data).map_err(|e| Error::state("making", data, e))?;
    let create = async |plan: &NodePlan| {
        for folder in SHARED {
            let path = plan.dir.join(folder);
            std::fs::create_dir_all(&path).map_err(|e| Error::state("making", &path, e))?;
        }
        let runtime = cluster.runtime();
        let node = runtime
            .create(cluster.keeper(), cluster.plan(), plan)
            .await?;
        let plan = plan.clone();
        Ok((plan.name.to_string(), NodeHandle { plan, node }))
    };
    let (width, nodes) = (cluster.runtime().width(), nodes.iter());
    Ok(for_each_at_once(width, clock, Phase::Nodes, nodes, create)
        .await?
        .into_iter()
        .collect())
}
