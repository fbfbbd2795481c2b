//! What a plan has to know of an engine and of its images.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Resource;

use super::containers::{self, Found};
use super::image::{self, Pull};
use super::labels::{CLUSTER, Life, NODE, Ours};
use super::{Engine, EngineError, EngineKind};
use crate::name::ClusterName;
use crate::plan::Role;
use crate::plan::container::{EngineFacts, Limits, TUN, container_name};
use crate::software::Software;
use crate::spec::ClusterSpec;

/// A process may have this many files open where nothing limits it: what ovs-ctl(8) asks for, doubled.
const OPEN_FILES: u64 = 1 << 17;
/// And a user this many processes.
const PROCESSES: u64 = 1 << 22;

/// Asks an engine for everything that a plan depends on. With [`Pull::Missing`] images that are not there are pulled.
pub(crate) async fn gather(
    kind: EngineKind,
    spec: &ClusterSpec,
    pull: Pull<'_>,
) -> Result<(EngineFacts, BTreeMap<Role, Software>), EngineError> {
    let deadline = Duration::from_secs(spec.engine_timeout.into());
    let engine = Engine::connect(kind, spec.engine_socket.as_deref(), deadline).await?;
    let taken = taken(&engine, spec).await?;
    let (capabilities, limits) = limits(engine.socket())?;
    let mut software = BTreeMap::new();
    for role in spec.roles() {
        let reference = spec.images.of(role);
        image::ensure(&engine, reference, &pull).await?;
    }
    for (reference, roles) in by_image(spec) {
        let names: BTreeSet<&str> = roles.iter().flat_map(|role| spec.needs(*role)).collect();
        let found = image::software(&engine, reference, names, limits).await?;
        software.extend(roles.into_iter().map(|role| (role, found.clone())));
    }
    let facts = EngineFacts {
        kind,
        socket: engine.socket().to_owned(),
        deadline,
        capabilities,
        tun: Path::new(TUN).exists(),
        limits,
        taken,
    };
    Ok((facts, software))
}

fn by_image(spec: &ClusterSpec) -> BTreeMap<&str, Vec<Role>> {
    let mut images: BTreeMap<&str, Vec<Role>> = BTreeMap::new();
    for role in spec.roles() {
        images.entry(spec.images.of(role)).or_default().push(role);
    }
    images
}

/// The names that containers have, and whose they are. Not asked for one by one: a cluster has many.
async fn taken(
    engine: &Engine,
    spec: &ClusterSpec,
) -> Result<BTreeMap<String, String>, EngineError> {
    let prefix = container_name(&spec.name, "");
    let mut taken = BTreeMap::new();
    for Found { name, labels, .. } in containers::list(engine, None).await? {
        if name.starts_with(&prefix) && !is_left_over(&labels, &spec.name) {
            taken.insert(name, whose(&labels));
        }
    }
    Ok(taken)
}

/// Whether a container is what a dead cluster of that name left, which a start removes.
pub(super) fn is_left_over(labels: &HashMap<String, String>, name: &ClusterName) -> bool {
    Ours::read(labels).is_some_and(|ours| {
        ours.cluster.is_some_and(|(cluster, _)| cluster == *name) && ours.owner.life() == Life::Dead
    })
}

fn whose(labels: &HashMap<String, String>) -> String {
    match (labels.get(CLUSTER), labels.get(NODE)) {
        (Some(cluster), Some(node)) => format!("node {node} of a cluster {cluster}"),
        _ => "not made by ofm".to_owned(),
    }
}

/// What a container can be given: capabilities, open files, processes. An engine can give what it has itself, which
/// can be less than what this process has.
fn limits(socket: &Path) -> Result<(BTreeSet<String>, Limits), EngineError> {
    let failed = |source| EngineError::Host {
        what: "the capabilities of this process",
        source,
    };
    let mut capabilities = ofm_netns::capabilities(std::process::id() as i32).map_err(failed)?;
    let most = |resource, default| {
        rustix::process::getrlimit(resource)
            .maximum
            .unwrap_or(default)
    };
    let mut open_files = most(Resource::Nofile, OPEN_FILES).min(OPEN_FILES);
    let mut processes = most(Resource::Nproc, PROCESSES).min(PROCESSES);
    // Where a service manager listens on the engine's behalf this is the manager, which lacks nothing.
    if let Some(pid) = listener(socket) {
        if let Ok(of_engine) = ofm_netns::capabilities(pid) {
            capabilities.retain(|name| of_engine.contains(name));
        }
        let table = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        if let Some(limit) = hard_limit(&table, "Max open files") {
            open_files = open_files.min(limit);
        }
        if let Some(limit) = hard_limit(&table, "Max processes") {
            processes = processes.min(limit);
        }
    }
    let limits = Limits {
        open_files,
        processes,
    };
    Ok((capabilities, limits))
}

/// The process that listens on a socket (SO_PEERCRED, unix(7)), unless its number means nothing here.
fn listener(socket: &Path) -> Option<i32> {
    let stream = UnixStream::connect(socket).ok()?;
    let credentials = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    Some(credentials.pid.as_raw_nonzero().get())
}

/// The hard limit of a line of proc_pid_limits(5); `None` for "unlimited".
fn hard_limit(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max processes             100                  unlimited            processes\n\
                     Max open files            1024                 20000                files\n";
        assert_eq!(hard_limit(table, "Max open files"), Some(20_000));
        assert_eq!(hard_limit(table, "Max processes"), None);
    }
}
