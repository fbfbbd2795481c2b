//! The containers of one cluster.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, StartContainerOptions,
};
use ofm_netns::{Keeper, Node};
use tokio::sync::{OnceCell, RwLock};

use super::containers::{self, WIDTH};
use super::facts::is_left_over;
use super::labels::{CLUSTER, OWNER, Owner};
use super::{Engine, EngineError, container};
use crate::name::ClusterName;
use crate::node::blocking;
use crate::plan::{EnginePlan, NodePlan, Plan};

/// The folder that proves a container's process to be the right one; each node has its own.
const PROOF: &str = "run/openvswitch";

/// The containers of one cluster, or those that it is going to have.
#[derive(Debug)]
pub(crate) struct Fleet {
    plan: EnginePlan,
    cluster: ClusterName,
    owner: Owner,
    /// Connected to when it is first needed: a cluster can be looked at while its engine is away.
    engine: OnceCell<Engine>,
    /// Whether the fleet is being removed. Whoever makes a container holds this for reading.
    stopping: Arc<RwLock<bool>>,
}

impl Fleet {
    /// The containers that belong to a keeper.
    pub(crate) fn new(
        plan: &EnginePlan,
        cluster: &ClusterName,
        keeper: &Keeper,
    ) -> Result<Self, EngineError> {
        let owner = Owner::new(keeper.process().id()).map_err(|source| EngineError::Host {
            what: "this process's pid namespace",
            source,
        })?;
        Ok(Self {
            plan: plan.clone(),
            cluster: cluster.clone(),
            owner,
            engine: OnceCell::new(),
            stopping: Arc::default(),
        })
    }

    /// How many nodes are made at once.
    pub(crate) fn width(&self) -> usize {
        WIDTH
    }

    async fn engine(&self) -> Result<&Engine, EngineError> {
        let open = || Engine::open(&self.plan.socket, self.plan.deadline);
        self.engine.get_or_try_init(open).await
    }

    /// Removes what a dead cluster of the same name left.
    pub(crate) async fn clear(&self) -> Result<(), EngineError> {
        let engine = self.engine().await?;
        let found = containers::list(engine, Some(&format!("{CLUSTER}={}", self.cluster))).await?;
        let left = found
            .into_iter()
            .filter(|container| is_left_over(&container.labels, &self.cluster));
        containers::remove(engine, left.map(|container| container.id).collect()).await
    }

    /// Makes and starts a node's container, and finds its first process.
    pub(crate) async fn create(&self, plan: &Plan, node: &NodePlan) -> Result<Node, EngineError> {
        let container = node
            .container
            .as_ref()
            .expect("a plan for an engine has a container for every node");
        let engine = self.engine().await?;
        let body = container::body(&self.plan, plan, node, container, self.owner);
        let (job_engine, name) = (engine.clone(), container.name.clone());
        let stopping = Arc::clone(&self.stopping);
        let job = async move {
            let stopping = stopping.read().await;
            if *stopping {
                return Err(EngineError::Stopping);
            }
            start(&job_engine, &name, body).await
        };
        // Whoever waits for this may be dropped; then it still comes to its end, and is removed with the rest.
        let started = engine.worker().spawn(job).await;
        let (_id, pid) = started.unwrap_or(Err(EngineError::Stopping))?;
        let (name, folder) = (node.name.to_string(), node.dir.join(PROOF));
        Ok(blocking(move || adopt(&name, pid, &folder)).await?)
    }

    /// Removes a container of this cluster, if it is still there.
    pub(crate) async fn remove_one(&self, name: &str) -> Result<(), EngineError> {
        let engine = self.engine().await?;
        let label = format!("{OWNER}={}", self.owner);
        let found = containers::list(engine, Some(&label)).await?;
        let it = found.into_iter().filter(|container| container.name == name);
        containers::remove(engine, it.map(|container| container.id).collect()).await
    }

    /// Removes all containers, those included that are being made.
    pub(crate) async fn remove(&self) -> Result<(), EngineError> {
        let engine = self.engine().await?;
        let job = remove_all(engine.clone(), self.owner, Arc::clone(&self.stopping));
        let removed = engine.worker().spawn(job).await;
        removed.unwrap_or(Err(EngineError::Stopping))
    }

    /// As [`Fleet::remove`], for code that cannot await.
    pub(crate) fn remove_blocking(&self) -> Result<(), EngineError> {
        // Without a connection nothing was made.
        let Some(engine) = self.engine.get() else {
            return Ok(());
        };
        let job = remove_all(engine.clone(), self.owner, Arc::clone(&self.stopping));
        // Each of its few steps has the deadline of a request.
        let patience = 4 * engine.deadline();
        let removed = engine.worker().spawn_blocking(job, patience);
        removed.unwrap_or(Err(EngineError::Silent {
            kind: engine.kind(),
            action: format!("remove the containers of cluster {}", self.cluster),
            deadline: patience,
        }))
    }
}

/// Takes a process for a node's if it sees the node's folder.
fn adopt(name: &str, pid: i32, folder: &Path) -> Result<Node, ofm_netns::NodeError> {
    let identity = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let wanted = identity(folder);
    let seen_as = Path::new("/").join(PROOF);
    Node::adopt(name, pid, || {
        wanted.is_some() && identity(&seen_as) == wanted
    })
}

/// Makes and starts a container and returns its id and the number of its first process. What does not start is removed.
pub(super) async fn start(
    engine: &Engine,
    name: &str,
    body: ContainerCreateBody,
) -> Result<(String, i32), EngineError> {
    let options = CreateContainerOptions {
        name: Some(name.to_owned()),
        ..CreateContainerOptions::default()
    };
    let create = async move |docker: Docker| docker.create_container(Some(options), body).await;
    let created = engine
        .call(format!("create container {name}"), create)
        .await;
    let id = created
        .map_err(|error| {
            if error.is_name_conflict() {
                let (kind, name) = (engine.kind(), name.to_owned());
                EngineError::NameTaken { kind, name }
            } else {
                error
            }
        })?
        .id;
    match launch(engine, name, &id).await {
        Ok(pid) => Ok((id, pid)),
        Err(error) => {
            // Whatever comes of that: why it did not start is what has to be told.
            let _removed = containers::remove(engine, vec![id]).await;
            Err(error)
        }
    }
}

/// Starts a container and returns the number of its first process.
async fn launch(engine: &Engine, name: &str, id: &str) -> Result<i32, EngineError> {
    let started = id.to_owned();
    let start = async move |docker: Docker| {
        let options = None::<StartContainerOptions>;
        docker.start_container(&started, options).await
    };
    engine
        .call(format!("start container {name}"), start)
        .await?;
    let inspected = id.to_owned();
    let inspect = async move |docker: Docker| {
        let options = None::<InspectContainerOptions>;
        docker.inspect_container(&inspected, options).await
    };
    let ended = |status| EngineError::Ended {
        name: name.to_owned(),
        status,
    };
    match engine
        .call(format!("inspect container {name}"), inspect)
        .await
    {
        Ok(container) => {
            let state = container.state.unwrap_or_default();
            match state.pid.and_then(|pid| i32::try_from(pid).ok()) {
                Some(pid) if pid > 0 => Ok(pid),
                _ => Err(ended(state.exit_code)),
            }
        }
        // A container that ends is removed by the engine.
        Err(error) if error.is_not_found() => Err(ended(None)),
        Err(error) => Err(error),
    }
}

async fn remove_all(
    engine: Engine,
    owner: Owner,
    stopping: Arc<RwLock<bool>>,
) -> Result<(), EngineError> {
    *stopping.write().await = true;
    let label = format!("{OWNER}={owner}");
    let found = containers::list(&engine, Some(&label)).await?;
    let ids = found.into_iter().map(|container| container.id).collect();
    // Nothing new is made any more, so what is there after this is what would not go.
    containers::remove(&engine, ids).await?;
    let left = containers::list(&engine, Some(&label)).await?;
    if left.is_empty() {
        Ok(())
    } else {
        let names = left.into_iter().map(|container| container.name).collect();
        let kind = engine.kind();
        Err(EngineError::Remain { kind, names })
    }
}
