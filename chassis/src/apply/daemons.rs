//! Phase `daemons`: every daemon, each launched once what it needs is there.

use futures::future::try_join_all;
use tokio::sync::{Semaphore, SetOnce};

use super::model::Model;
use super::pause::{self, Pause};
use super::ready::Tally;
use super::watched::Watched;
use super::{links, ready, tunnels};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::{DaemonPlan, Plan, Role};
use crate::trace::SpanKind;

/// The name of the wait for what the first controller writes.
const MODEL: &str = "rows of the first controller";

/// Starts the daemons of nodes: each one once what it needs is there, because whoever finds no server where it expects one
/// tries again only a second later.
pub(crate) async fn start(
    cluster: &Cluster,
    handles: &[&NodeHandle],
    model: Option<&Model>,
    clock: &mut Clock,
) -> Result<(), Error> {
    let began = clock.begin(Phase::Daemons, handles.len());
    let plan = cluster.plan();
    let pause = Pause::begin(cluster, model).await?;
    let tally = Tally::new(clock, Phase::Daemons, handles.len());
    // Set once the databases of OVN are served.
    let served = SetOnce::new();
    let (databases, switches) = (Semaphore::new(databases()), Semaphore::new(switches()));
    let centrals = async {
        centrals(handles, &tally).await?;
        let _only_here = served.set(());
        Ok(())
    };
    let chassis = handles
        .iter()
        .filter(|handle| handle.plan.role.is_chassis());
    let chassis = chassis.map(async |handle| {
        // Nobody closes the semaphores.
        let permit = databases.acquire().await.ok();
        servers(handle).await?;
        drop(permit);
        let permit = switches.acquire().await.ok();
        switch(plan, handle).await?;
        served.wait().await;
        controller(handle).await?;
        drop(permit);
        let paused = match &pause {
            Some(pause) => pause.pause(handle).await?,
            None => false,
        };
        tally.one_more();
        Ok::<_, Error>(paused.then_some(*handle))
    });
    let ((), paused) = futures::try_join!(centrals, try_join_all(chassis))?;
    pause::resume(paused.into_iter().flatten().collect()).await?;
    clock.end(Phase::Daemons, began);
    Ok(())
}

/// Starts the daemons of the nodes that go ahead of the others, and returns what the controller among them writes.
pub(crate) async fn go_ahead(
    cluster: &Cluster,
    handles: &[&NodeHandle],
) -> Result<Option<Model>, Error> {
    let mut chassis = handles
        .iter()
        .filter(|handle| handle.plan.role.is_chassis());
    let Some(first) = chassis.next() else {
        return Ok(None);
    };
    let clock = Clock::deaf();
    let tally = Tally::new(&clock, Phase::Daemons, handles.len());
    let switched = async {
        servers(first).await?;
        switch(cluster.plan(), first).await
    };
    futures::try_join!(centrals(handles, &tally), switched)?;
    let watched = Watched::begin(cluster, first).await?;
    controller(first).await?;
    let model = async {
        let model = Model::first(cluster, first).await?;
        Ok::<_, Error>(model.beginning_with(watched.first_written(first).await?))
    };
    let model = first.span(SpanKind::Wait, MODEL, model).await?;
    model.announce(cluster).await?;
    ready::rewind(cluster, first.plan.zone).await?;
    Ok(Some(model))
}

/// How many chassis' database servers are started at once: few, so that switches come one after the other. A switch sleeps at
/// its start, and while all of them slept nobody would be at work; that is why servers also need not wait for the switches.
fn databases() -> usize {
    super::cores() + 1
}

/// How many switches, each with its controller, are started at once. While one sleeps or waits for the kernel, which gives out
/// interfaces one at a time, others keep the processors busy.
fn switches() -> usize {
    6 * super::cores()
}

/// The centrals and relays.
async fn centrals(handles: &[&NodeHandle], tally: &Tally<'_>) -> Result<(), Error> {
    let joins = |handle: &NodeHandle| {
        let mut databases = handle.plan.databases.iter();
        databases.any(|database| {
            let raft = database.raft.as_ref();
            raft.is_some_and(|raft| raft.join.is_some())
        })
    };
    let centrals = || {
        let centrals = handles.iter().copied();
        centrals.filter(|handle| handle.plan.role == Role::Central)
    };
    try_join_all(centrals().filter(|h| !joins(h)).map(servers)).await?;
    try_join_all(centrals().filter(|h| joins(h)).map(servers)).await?;
    let servers = handles.iter().filter(|h| h.plan.role.is_server());
    let clients = servers.map(async |handle| {
        clients(handle).await?;
        tally.one_more();
        Ok::<_, Error>(())
    });
    try_join_all(clients).await?;
    Ok(())
}

/// A node's database servers. What a switch is configured with is in its database from the beginning.
async fn servers(handle: &NodeHandle) -> Result<(), Error> {
    launch_all(handle, DaemonPlan::is_database_server).await
}

/// What uses the databases of a zone's centrals: their own daemons, and relays.
async fn clients(handle: &NodeHandle) -> Result<(), Error> {
    let relay = handle.plan.role == Role::Relay;
    launch_all(handle, |daemon| relay || !daemon.is_database_server()).await
}

/// The switch of a gateway or chassis.
async fn switch(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    let is_switch = |daemon: &DaemonPlan| !daemon.is_database_server() && !daemon.is_controller();
    launch_all(handle, is_switch).await?;
    tunnels::acquaint(handle, plan.peers(&handle.plan)).await?;
    links::settle(plan, handle).await
}

/// A gateway's or chassis' controller.
async fn controller(handle: &NodeHandle) -> Result<(), Error> {
    launch_all(handle, DaemonPlan::is_controller).await
}

/// Launches some of a node's daemons, which do not need each other.
async fn launch_all(handle: &NodeHandle, which: impl Fn(&DaemonPlan) -> bool) -> Result<(), Error> {
    let daemons = handle.plan.daemons.iter();
    let daemons = daemons.filter(|daemon| which(daemon));
    try_join_all(daemons.map(|daemon| launch(handle, daemon))).await?;
    Ok(())
}

/// Runs a daemon with `--detach`: what we started exits with 0 exactly when the daemon serves.
pub(crate) async fn launch(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let served = serve(handle, daemon);
    handle.span(SpanKind::Daemon, &daemon.name, served).await
}

async fn serve(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let command = handle.command(&daemon.program).args(&daemon.args);
    let child = blocking(move || command.spawn()).await?;
    let output = match tokio::time::timeout(handle.ready_timeout, child.output()).await {
        Ok(output) => output?,
        Err(_) => {
            return Err(Error::NotReady {
                node: handle.plan.name.to_string(),
                phase: Phase::Daemons,
                missing: format!("{} did not serve", daemon.name),
                waited: handle.ready_timeout,
                log: handle.log_tail(&daemon.name),
            });
        }
    };
    if let Some(trace) = &handle.trace {
        trace.add_launched(&daemon.program, output.cpu);
    }
    if output.status.success() {
        return Ok(());
    }
    let said: String = output
        .error_text()
        .lines()
        .map(|line| format!("\n  {line}"))
        .collect();
    Err(Error::Daemon {
        node: handle.plan.name.to_string(),
        daemon: daemon.name.clone(),
        status: output.status.to_string(),
        output: said + &handle.log_tail(&daemon.name),
    })
}
