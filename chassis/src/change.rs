//! Changes of a running cluster: chassis that come and go, other databases, daemons that are started again.
//!
//! Several processes may change a cluster. Each holds the state folder's change lock meanwhile, begins with the state that
//! is on disk, and writes down what is about to be before it is made, so that nothing is there that nobody knows of.

mod chassis;
mod daemon;
mod node;
mod remote;
mod target;
mod vms;

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::node::{NodeHandle, blocking};
use crate::plan::{NodePlan, Plan};
use crate::state::{self, ChangeLock, State};

pub use target::Applied;

/// A change that is going on. The others wait for it.
struct Change {
    state: State,
    /// Declared last, so that it is given up last.
    lock: ChangeLock,
}

impl Change {
    /// Waits for the changes of others, and brings the cluster up to date with them.
    async fn begin(cluster: &mut Cluster) -> Result<Self, Error> {
        let (path, name) = (cluster.plan.state_dir.clone(), cluster.name().clone());
        let lock = blocking(move || ChangeLock::take(&path)).await?;
        let state = state::read(&cluster.plan.state_dir, &name)?;
        cluster.follow(&state);
        if state.ready {
            cluster.end_strays().await?;
        }
        Ok(Self { state, lock })
    }

    /// Writes down what the cluster is now, so that whoever goes on after an interruption finds it.
    fn write(&mut self, cluster: &Cluster) -> Result<(), Error> {
        self.state.plan = cluster.plan.clone();
        self.state.leases = cluster.leases.clone();
        self.state.nodes = cluster
            .nodes
            .iter()
            .map(|(name, handle)| (name.clone(), handle.node.process().id().into()))
            .collect();
        self.lock.write(&self.state)
    }
}

impl Cluster {
    /// Takes over what others have changed.
    fn follow(&mut self, state: &State) {
        let mut nodes = BTreeMap::new();
        for plan in &state.plan.nodes {
            let name = plan.name.to_string();
            let known = self.nodes.remove(&name).map(|handle| handle.node);
            let opened = || {
                let id = state.nodes.get(&name)?;
                self.runtime.open(plan, (*id).into()).ok()
            };
            if let Some(node) = known
                .filter(|node| node.process().is_alive())
                .or_else(opened)
            {
                let plan = plan.clone();
                nodes.insert(
                    name,
                    NodeHandle {
                        plan,
                        node,
                        ready_timeout: state.plan.ready_timeout,
                        trace: None,
                    },
                );
            }
        }
        self.nodes = nodes;
        self.plan = state.plan.clone();
        self.leases = state.leases.clone();
    }

    /// Ends nodes that were being made when whoever made them was killed, so that they were not written down. Nobody is at
    /// it now: the lock is ours, and the start is over.
    async fn end_strays(&self) -> Result<(), Error> {
        let keeper = self.keeper.clone();
        let failed = |e| Error::in_node(self.name(), "looking for nodes that nobody knows of", e);
        let found = blocking(move || keeper.nodes()).await.map_err(failed)?;
        for process in found {
            let mut known = self.nodes.values();
            if !known.any(|handle| handle.node.process().id() == process.id()) {
                chassis::end(&process, self.name().as_str()).await?;
            }
        }
        Ok(())
    }
}

fn position(plan: &Plan, name: &str) -> Option<usize> {
    let mut nodes = plan.nodes.iter();
    nodes.position(|node: &NodePlan| node.name.as_str() == name)
}
