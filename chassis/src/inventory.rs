//! What there is of ofm's on this machine: clusters that run, and what is left of clusters that do not.
//!
//! A native cluster leaves nothing but a folder. One of containers also leaves what an engine remembers, which says by
//! labels whose it is; so it is found when its folder is gone, and what others have is never mistaken for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ofm_netns::Process;
use serde::Serialize;

use crate::cluster::{Cluster, STOP_DEADLINE};
use crate::error::Error;
use crate::image::{BUILD, Session, UNFINISHED};
use crate::name::ClusterName;
use crate::plan::RuntimePlan;
use crate::runtime::engine::labels::{CLUSTER, Life, OWNER, Ours};
use crate::runtime::engine::{self, Engine, EngineError, containers, image};
use crate::state::{self, StateDir};

/// How long each engine may take to answer where it is only looked at.
const GLANCE: Duration = Duration::from_secs(5);
/// And where something is to be removed.
const PATIENCE: Duration = engine::DEADLINE;

/// A cluster, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: ClusterName,
    /// Whether its keeper lives.
    pub running: bool,
    /// What provides its nodes, as far as that can still be known.
    pub runtime: Option<String>,
}

/// The clusters of a state root.
#[derive(Debug, Default)]
pub struct Inventory {
    /// By name.
    pub clusters: Vec<Listed>,
    /// Engines that could not be asked.
    pub silent: Vec<Error>,
}

/// What [`gc`] removed, and what it could not.
#[derive(Debug, Default)]
pub struct Collected {
    /// Clusters that were dead and had left a folder.
    pub folders: Vec<ClusterName>,
    /// Containers whose owner was dead, by name.
    pub containers: Vec<String>,
    /// Images of builds that did not come to their end, by id.
    pub images: Vec<String>,
    /// What went wrong, or could not be looked at.
    pub failures: Vec<Error>,
}

/// Lists the clusters below `root`.
///
/// # Errors
/// When the folder cannot be read. An engine that does not answer is no error, but said.
pub async fn list(root: &Path) -> Result<Inventory, Error> {
    let mut clusters = BTreeMap::new();
    for (name, running) in folders(root)? {
        let runtime = state::stored(&root.join(name.as_str()));
        let runtime = runtime.map(|state| state.plan.runtime.name().to_owned());
        clusters.insert(
            name.clone(),
            Listed {
                name,
                running,
                runtime,
            },
        );
    }
    let (engines, mut silent) = engines(root, GLANCE).await;
    for engine in engines {
        let containers = match containers::list(&engine, Some(OWNER)).await {
            Ok(containers) => containers,
            Err(error) => {
                silent.push(error.into());
                continue;
            }
        };
        for ours in containers.iter().filter_map(|c| Ours::read(&c.labels)) {
            let Some((name, _)) = ours.cluster.filter(|(_, root_of)| root_of == root) else {
                continue;
            };
            let listed = clusters.entry(name.clone()).or_insert(Listed {
                name,
                running: false,
                runtime: None,
            });
            listed.running |= ours.owner.life() == Life::Alive;
            listed
                .runtime
                .get_or_insert(engine.kind().as_str().to_owned());
        }
    }
    let clusters = clusters.into_values().collect();
    Ok(Inventory { clusters, silent })
}

/// Stops a cluster, or removes what is left of it.
///
/// # Errors
/// [`Error::NotRunning`] when there is nothing of that name; or with what could not be ended or removed.
pub async fn stop(root: &Path, name: &ClusterName) -> Result<(), Error> {
    match Cluster::open(root, name) {
        Ok(cluster) => return cluster.stop().await,
        Err(Error::NotRunning { .. }) => {}
        Err(error) => return Err(error),
    }
    let (engines, silent) = engines(root, PATIENCE).await;
    let mut found = false;
    for engine in engines {
        found |= stop_containers(&engine, root, name).await?;
    }
    let folder = root.join(name.as_str());
    if folder.exists() {
        StateDir::create(&folder, name)?.remove()?;
        found = true;
    }
    match silent.into_iter().next() {
        _ if found => Ok(()),
        Some(silent) => Err(silent),
        None => Err(Error::NotRunning {
            name: name.to_string(),
        }),
    }
}

/// Ends the keeper that a cluster's containers name, and removes them. Returns whether there were any.
async fn stop_containers(engine: &Engine, root: &Path, name: &ClusterName) -> Result<bool, Error> {
    let mut ids = Vec::new();
    for container in containers::list(engine, Some(&format!("{CLUSTER}={name}"))).await? {
        let Some(ours) = Ours::read(&container.labels) else {
            continue;
        };
        if ours.cluster.is_none_or(|(_, root_of)| root_of != root) {
            continue;
        }
        if ours.owner.life() == Life::Alive
            && let Ok(keeper) = Process::open(ours.owner.process())
        {
            keeper.kill();
            let _ended = tokio::time::timeout(STOP_DEADLINE, keeper.exited()).await;
        }
        ids.push(container.id);
    }
    let found = !ids.is_empty();
    containers::remove(engine, ids).await?;
    Ok(found)
}

/// Removes what dead clusters below `root` left, what dead processes left at the engines, and nothing else.
///
/// # Errors
/// When the folder cannot be read. All else that goes wrong is in [`Collected::failures`], and the rest is still done.
pub async fn gc(root: &Path) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    // Engines first: which to ask is partly known from the folders.
    let (engines, silent) = engines(root, PATIENCE).await;
    collected.failures = silent;
    for engine in engines {
        if let Err(error) = collect_containers(&engine, &mut collected).await {
            collected.failures.push(error.into());
        }
        if let Err(error) = collect_images(&engine, &mut collected).await {
            collected.failures.push(error);
        }
    }
    for (name, running) in folders(root)? {
        if running {
            continue;
        }
        // Taking the lock decides: somebody may be about to start a cluster of that name.
        match StateDir::create(&root.join(name.as_str()), &name).and_then(StateDir::remove) {
            Ok(()) => collected.folders.push(name),
            Err(Error::Running { .. }) => {}
            Err(error) => collected.failures.push(error),
        }
    }
    Ok(collected)
}

/// Removes what builds made on their way and did not need in the end, unless one goes on.
async fn collect_images(engine: &Engine, collected: &mut Collected) -> Result<(), Error> {
    let Some(_alone) = Session::forbid()? else {
        return Ok(());
    };
    let containers = containers::list(engine, Some(&format!("{BUILD}={UNFINISHED}"))).await?;
    let (ids, names): (Vec<_>, Vec<_>) = containers.into_iter().map(|c| (c.id, c.name)).unzip();
    containers::remove(engine, ids).await?;
    collected.containers.extend(names);
    collected
        .images
        .extend(image::remove_unused(engine, BUILD).await?);
    Ok(())
}

async fn collect_containers(engine: &Engine, collected: &mut Collected) -> Result<(), EngineError> {
    let containers = containers::list(engine, Some(OWNER)).await?;
    let garbage = containers.into_iter().filter(|container| {
        Ours::read(&container.labels).is_some_and(|ours| ours.owner.life() == Life::Dead)
    });
    let (ids, names): (Vec<_>, Vec<_>) = garbage.map(|c| (c.id, c.name)).unzip();
    containers::remove(engine, ids).await?;
    collected.containers.extend(names);
    Ok(())
}

fn folders(root: &Path) -> Result<Vec<(ClusterName, bool)>, Error> {
    state::list(root).map_err(|e| Error::state("listing the clusters in", root, e))
}

/// The engines that answer: those that clusters below `root` use, and those in the usual places.
async fn engines(root: &Path, patience: Duration) -> (Vec<Engine>, Vec<Error>) {
    let used = folders(root).unwrap_or_default().into_iter();
    let used =
        used.filter_map(
            |(name, _)| match state::stored(&root.join(name.as_str()))?.plan.runtime {
                RuntimePlan::Native => None,
                RuntimePlan::Engine(engine) => Some(engine.socket),
            },
        );
    let (mut engines, mut silent) = (Vec::new(), Vec::new());
    for socket in engine::present_sockets(used) {
        match Engine::open(&socket, patience).await {
            Ok(engine) => engines.push(engine),
            Err(error) => silent.push(error.into()),
        }
    }
    (engines, silent)
}
