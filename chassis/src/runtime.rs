//! What provides the first process of every node: ofm itself, or a container engine. Nothing else differs between
//! runtimes; links, files, daemons and `exec` start from that process.

pub mod engine;
mod native;

use std::sync::Arc;

use futures::future::BoxFuture;
use ofm_netns::{CpuTime, Keeper, Node, Nursery, ProcessId};

use crate::error::Error;
use crate::node::blocking;
use crate::plan::{NodePlan, Plan, RuntimePlan};

pub(crate) use engine::Fleet;
pub use engine::{EngineError, EngineKind};
pub(crate) use native::own_folders;

/// The runtime of one cluster.
#[derive(Debug)]
pub(crate) enum Runtime {
    /// Clones processes below the keeper, which end with it.
    Native(native::Native),
    /// Asks a container engine. The containers end with the keeper too, but the engine has to forget them. Hosts outside
    /// of OVN are native all the same.
    Engine(Box<Fleet>, native::Native),
}

impl Runtime {
    /// Prepares what is needed to make nodes.
    pub(crate) fn new(plan: &Plan, keeper: &Keeper) -> Result<Self, Error> {
        Ok(match &plan.runtime {
            RuntimePlan::Native => Runtime::Native(native::Native::new()?),
            RuntimePlan::Engine(engine) => {
                let fleet = Fleet::new(engine, &plan.cluster, keeper)?;
                Runtime::Engine(Box::new(fleet), native::Native::new()?)
            }
        })
    }

    /// Opens a node that was made before.
    pub(crate) fn open(&self, node: &NodePlan, id: ProcessId) -> std::io::Result<Node> {
        match node.container {
            None => Node::open(id),
            Some(_) => Node::open_container(id),
        }
    }

    /// How many nodes are made at once.
    pub(crate) fn width(&self) -> usize {
        match self {
            // More only makes them wait for each other's processor time.
            Runtime::Native(_) => std::thread::available_parallelism().map_or(2, usize::from) * 2,
            Runtime::Engine(fleet, _) => fleet.width(),
        }
    }

    /// Removes what a dead cluster of the same name left in the way.
    pub(crate) fn clear(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            match self {
                Runtime::Native(_) => Ok(()),
                Runtime::Engine(fleet, _) => Ok(fleet.clear().await?),
            }
        })
    }

    /// Prepares to make nodes.
    pub(crate) async fn maker<'a>(
        &'a self,
        keeper: &Arc<Keeper>,
        plan: &'a Plan,
        nodes: &[NodePlan],
    ) -> Result<Maker<'a>, Error> {
        let native = match self {
            Runtime::Native(native) | Runtime::Engine(_, native) => native,
        };
        let nodes = nodes.iter().filter(|node| node.container.is_none());
        let roots: Vec<_> = nodes.map(|node| native.root(node, &plan.data)).collect();
        let keeper = keeper.clone();
        let nursery = blocking(move || Nursery::create(&keeper, &roots)).await?;
        Ok(Maker {
            runtime: self,
            plan,
            nursery: Arc::new(nursery),
        })
    }

    /// Removes what does not go by itself with a node, which must be dead.
    pub(crate) fn remove_one<'a>(&'a self, node: &'a NodePlan) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            match (self, &node.container) {
                (Runtime::Engine(fleet, _), Some(container)) => {
                    Ok(fleet.remove_one(&container.name).await?)
                }
                _ => Ok(()),
            }
        })
    }

    /// Removes what does not go by itself with the keeper, which must be dead.
    pub(crate) fn remove(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            match self {
                Runtime::Native(_) => Ok(()),
                Runtime::Engine(fleet, _) => Ok(fleet.remove().await?),
            }
        })
    }

    /// As [`Runtime::remove`], for code that cannot await.
    pub(crate) fn remove_blocking(&self) -> Result<(), Error> {
        match self {
            Runtime::Native(_) => Ok(()),
            Runtime::Engine(fleet, _) => Ok(fleet.remove_blocking()?),
        }
    }
}

/// Makes some of the nodes of a cluster.
pub(crate) struct Maker<'a> {
    runtime: &'a Runtime,
    plan: &'a Plan,
    /// Makes those that are no containers.
    nursery: Arc<Nursery>,
}

impl Maker<'_> {
    /// Makes a node, whose folders on the host are there already.
    pub(crate) fn make<'a>(&'a self, node: &'a NodePlan) -> BoxFuture<'a, Result<Node, Error>> {
        Box::pin(async move {
            match self.runtime {
                Runtime::Engine(fleet, _) if node.container.is_some() => {
                    Ok(fleet.create(self.plan, node).await?)
                }
                _ => {
                    let (nursery, hostname) = (self.nursery.clone(), node.hostname.clone());
                    Ok(blocking(move || nursery.make(&hostname)).await?)
                }
            }
        })
    }

    /// Makes no more. Returns what it used of the processors beside this process; `None` if it is still at it.
    pub(crate) fn end(self) -> Option<CpuTime> {
        Arc::into_inner(self.nursery).map(Nursery::end)
    }
}
