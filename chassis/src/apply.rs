//! Making reality match a plan, one module per phase.

pub(crate) mod daemons;
pub(crate) mod difference;
pub(crate) mod files;
pub(crate) mod links;
pub(crate) mod model;
pub(crate) mod nodes;
mod pause;
pub(crate) mod ready;
pub(crate) mod tunnels;
mod watched;

use std::future::Future;

use futures::{StreamExt, stream};

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::plan::{NodePlan, Plan, Role};
use files::Additions;
use model::Model;

/// From how many chassis on it pays to let one of them go ahead, for the others to begin with what it writes.
const WORTH_A_MODEL: usize = 9;

/// Splits the nodes of a start into those that go ahead, which are the servers and one chassis, and all others. Where there
/// are few chassis, or databases begin without what controllers write, nobody goes ahead.
pub(crate) fn ahead(plan: &Plan, nodes: Vec<NodePlan>) -> (Vec<NodePlan>, Vec<NodePlan>) {
    let own = nodes.iter().filter(|node| plan.is_own_chassis(node));
    let own: Vec<&NodePlan> = own.collect();
    // A gateway tells nothing that a chassis does not.
    let first = own.iter().find(|node| node.role == Role::Chassis);
    let first = first.filter(|_| plan.seed && own.len() >= WORTH_A_MODEL);
    let first = first.map(|node| node.name.clone());
    nodes.into_iter().partition(|node| {
        let goes = node.role.is_server() || first.as_ref() == Some(&node.name);
        first.is_some() && goes
    })
}

/// Starts the nodes that go ahead of the others, if there are any, while those are made. Returns what the controller among
/// them writes.
pub(crate) async fn go_ahead(
    cluster: &Cluster,
    additions: &Additions,
) -> Result<Option<Model>, Error> {
    let handles: Vec<_> = cluster.handles().values().collect();
    let mut silent = Clock::deaf();
    let links = links::create(cluster, &handles, &silent);
    futures::try_join!(links, files::read_schemas(cluster, &handles))?;
    files::write(cluster, &handles, additions, &mut silent).await?;
    daemons::go_ahead(cluster, &handles).await
}

/// How many processors there are to be kept busy.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// How many nodes are worked on at once. More only makes daemons wait for each other's processor time.
fn width() -> usize {
    2 * cores()
}

/// Does the same for many nodes, some at a time, and tells how far it is. The first error ends it.
async fn for_each<T, R, F: Future<Output = Result<R, Error>>>(
    clock: &Clock,
    phase: Phase,
    items: impl ExactSizeIterator<Item = T>,
    f: impl Fn(T) -> F,
) -> Result<Vec<R>, Error> {
    for_each_at_once(width(), clock, phase, items, f).await
}

/// Does the same for many nodes, some at a time. The first error ends it.
pub(crate) async fn for_all<T, F: Future<Output = Result<(), Error>>>(
    items: impl ExactSizeIterator<Item = T>,
    f: impl Fn(T) -> F,
) -> Result<(), Error> {
    for_each(&Clock::deaf(), Phase::Ready, items, f).await?;
    Ok(())
}

/// As [`for_each`], `width` at a time.
async fn for_each_at_once<T, R, F: Future<Output = Result<R, Error>>>(
    width: usize,
    clock: &Clock,
    phase: Phase,
    items: impl ExactSizeIterator<Item = T>,
    f: impl Fn(T) -> F,
) -> Result<Vec<R>, Error> {
    let total = items.len();
    // Collected first: the compiler does not see that a stream of closures may be sent to another thread.
    let steps: Vec<F> = items.map(f).collect();
    let mut running = stream::iter(steps).buffer_unordered(width);
    let mut done = Vec::with_capacity(total);
    while let Some(result) = running.next().await {
        done.push(result?);
        clock.progress(phase, done.len(), total);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::facts;
    use crate::spec::ClusterSpec;

    fn names_ahead(spec: &ClusterSpec) -> Vec<String> {
        let plan = Plan::new(spec, &facts()).unwrap();
        let nodes = plan.nodes.clone();
        let (ahead, others) = ahead(&plan, nodes);
        assert_eq!(ahead.len() + others.len(), plan.nodes.len());
        ahead.iter().map(|node| node.name.to_string()).collect()
    }

    #[test]
    fn of_many_the_servers_and_one_chassis_go_ahead() {
        let many = ClusterSpec {
            chassis: Some(20),
            gateways: Some(2),
            relays: 1,
            ..ClusterSpec::default()
        };
        let expected = [
            "ovn-central-az1",
            "ovn-central-az1-relay-1",
            "ovn-chassis-1",
        ];
        assert_eq!(names_ahead(&many), expected);
        let few = ClusterSpec {
            chassis: Some(3),
            ..many.clone()
        };
        assert!(names_ahead(&few).is_empty());
        let unseeded = ClusterSpec {
            seed: false,
            ..many
        };
        assert!(names_ahead(&unseeded).is_empty());
    }
}
