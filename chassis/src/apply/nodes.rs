//! Phase `nodes`: folders on the host, and the first process of every node.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::for_each_at_once;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::{NodePlan, Plan, nodes_dir};
use crate::runtime::Maker;
use crate::state::make_below;
use crate::trace::{self, SpanKind};

/// What test suites call in a node to have a VM there.
const CREATE_FAKE_VM: &str = include_str!("create_fake_vm.sh");

/// What a node shows of itself on the host, and what must be there before its daemons start.
const SHARED: [&str; 6] = [
    "stage",
    "run/openvswitch",
    "run/ovn",
    "run/netns",
    "log/openvswitch",
    "log/ovn",
];

/// Makes the folders that those of nodes are in, and the one that all nodes share.
pub(crate) fn prepare(plan: &Plan) -> Result<(), Error> {
    let nodes = nodes_dir(&plan.state_dir);
    make_below(&plan.state_dir, &nodes).map_err(|e| Error::state("making", &nodes, e))?;
    provide(&plan.data).map_err(|e| Error::state("making", &plan.data, e))
}

pub(crate) async fn create(
    cluster: &Cluster,
    nodes: &[NodePlan],
    clock: &Clock,
) -> Result<BTreeMap<String, NodeHandle>, Error> {
    let runtime = cluster.runtime();
    let maker = runtime.maker(cluster.keeper(), cluster.plan(), nodes);
    let maker = maker.await?;
    let create = async |plan: &NodePlan| {
        let made = one(cluster, &maker, plan);
        let trace = cluster.trace.as_ref();
        trace::span(trace, Some(&plan.name), SpanKind::Step, "node", made).await
    };
    let (width, nodes) = (runtime.width(), nodes.iter());
    let made = for_each_at_once(width, clock, Phase::Nodes, nodes, create).await?;
    if let (Some(trace), Some(cpu)) = (&cluster.trace, maker.end()) {
        trace.add_launched(Path::new("ofm-nursery"), cpu);
    }
    Ok(made.into_iter().collect())
}

/// Makes the shared folder, with a script that makes fake VMs at its usual place. What is there of that name in a folder of
/// the user's stays.
fn provide(data: &Path) -> io::Result<()> {
    std::fs::create_dir_all(data)?;
    let mut options = OpenOptions::new();
    let script = options.write(true).create_new(true).mode(0o755);
    match script.open(data.join("create_fake_vm.sh")) {
        Ok(mut script) => script.write_all(CREATE_FAKE_VM.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

async fn one(
    cluster: &Cluster,
    maker: &Maker<'_>,
    plan: &NodePlan,
) -> Result<(String, NodeHandle), Error> {
    let nodes = nodes_dir(&cluster.plan().state_dir);
    for folder in SHARED {
        let path = plan.dir.join(folder);
        make_below(&nodes, &path).map_err(|e| Error::state("making", &path, e))?;
    }
    let node = maker.make(plan).await?;
    let handle = NodeHandle {
        plan: plan.clone(),
        node,
        ready_timeout: cluster.plan().ready_timeout,
        trace: cluster.trace.clone(),
    };
    Ok((plan.name.to_string(), handle))
}
