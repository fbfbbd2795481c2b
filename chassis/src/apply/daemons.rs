//! Phase `daemons`: every daemon, each launched once what it needs is there.

use std::time::Duration;

use std::future::Future;

use futures::future::try_join_all;
use tokio::sync::{Semaphore, SetOnce};

use super::model::Model;
use super::ready::Tally;
use super::{links, width};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::ovs::{Port, ovs_transaction};
use crate::plan::{DaemonPlan, Plan, Role};

/// How long a daemon may take until it serves, on a machine where many start at once.
const DEADLINE: Duration = Duration::from_secs(60);

/// From how many chassis on it pays to let one of them write its rows first, for the others to be like them.
const WORTH_A_MODEL: usize = 8;

/// Starts the daemons of nodes: each one once what it needs is there, because whoever finds no server where it expects one
/// tries again only a second later.
pub(crate) async fn start(
    cluster: &Cluster,
    handles: &[&NodeHandle],
    clock: &mut Clock,
) -> Result<(), Error> {
    let began = clock.begin(Phase::Daemons, handles.len());
    let tally = Tally::new(clock, Phase::Daemons, handles.len());
    let chassis = handles.iter().copied();
    let chassis: Vec<_> = chassis.filter(|h| h.plan.role.is_chassis()).collect();
    let start = Start {
        cluster,
        permits: Semaphore::new(std::env::var("OFM_W").map_or(width(), |w| w.parse().unwrap())),
        databases: SetOnce::new(),
        model: SetOnce::new(),
        tally,
    };
    let first = match Model::known(cluster, handles).await? {
        Some(model) => {
            start.tell(Some(model));
            None
        }
        None => {
            let mut own = chassis.iter().copied();
            let first = own.find(|handle| cluster.plan().is_own_chassis(&handle.plan));
            first.filter(|_| chassis.len() > WORTH_A_MODEL)
        }
    };
    let others = chassis.into_iter();
    let others = others.filter(|h| first.is_none_or(|first| first.plan.name != h.plan.name));
    futures::try_join!(
        start.centrals(handles),
        start.model(first),
        try_join_all(others.map(|handle| start.chassis(handle))),
    )?;
    clock.end(Phase::Daemons, began);
    Ok(())
}

/// A start of daemons, and how far it is.
struct Start<'a> {
    cluster: &'a Cluster,
    /// How many daemons are started at once.
    permits: Semaphore,
    /// Set once the databases of OVN are served.
    databases: SetOnce<()>,
    /// What a controller wrote, for others to begin with; or that they begin without.
    model: SetOnce<Option<Model>>,
    tally: Tally<'a>,
}

impl Start<'_> {
    /// The centrals and relays.
    async fn centrals(&self, handles: &[&NodeHandle]) -> Result<(), Error> {
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
        try_join_all(servers.map(async |handle| {
            clients(handle).await?;
            self.tally.one_more();
            Ok::<_, Error>(())
        }))
        .await?;
        let _only_once = self.databases.set(());
        Ok(())
    }

    /// The chassis that is the model of others, before these; `None` if there is none.
    async fn model(&self, first: Option<&NodeHandle>) -> Result<(), Error> {
        let Some(handle) = first else {
            self.tell(None);
            return Ok(());
        };
        let plan = self.cluster.plan();
        database_server(handle).await?;
        switch(plan, handle, &[]).await?;
        self.databases.wait().await;
        controller(handle).await?;
        let model = Model::of(self.cluster, handle).await?;
        let others = self.cluster.handles().values();
        let others = others.filter(|h| plan.is_own_chassis(&h.plan) && model.suits(&h.plan));
        model.write(self.cluster, others).await?;
        self.tell(Some(model));
        self.tally.one_more();
        Ok(())
    }

    fn tell(&self, model: Option<Model>) {
        // The first word counts.
        let _told_already = self.model.set(model);
    }

    /// A gateway or chassis. What it starts last waits longest, so that all have their processor time when it is their turn.
    async fn chassis(&self, handle: &NodeHandle) -> Result<(), Error> {
        let plan = self.cluster.plan();
        self.one_at_a_time(database_server(handle)).await?;
        let model = self.model.wait().await;
        let tunnels = match model.as_ref().filter(|model| model.suits(&handle.plan)) {
            Some(model) => model.tunnels(&handle.plan, plan.peers(&handle.plan)),
            None => Vec::new(),
        };
        if std::env::var_os("OFM_PIPE").is_some() {
            self.databases.wait().await;
            self.one_at_a_time(async { switch(plan, handle, &tunnels).await?; controller(handle).await}).await?;
        } else {
        self.one_at_a_time(switch(plan, handle, &tunnels)).await?;
        self.databases.wait().await;
        self.one_at_a_time(controller(handle)).await?;
        }
        self.tally.one_more();
        Ok(())
    }

    /// Does something when it has its turn.
    async fn one_at_a_time<T>(&self, step: impl Future<Output = T>) -> T {
        // Nobody closes the semaphore.
        let _permit = self.permits.acquire().await.ok();
        step.await
    }
}

/// A central's database servers.
async fn servers(handle: &NodeHandle) -> Result<(), Error> {
    let servers = handle
        .plan
        .daemons
        .iter()
        .filter(|daemon| daemon.is_database_server());
    for daemon in servers {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// What uses the databases of a zone's centrals: their own daemons, and relays.
async fn clients(handle: &NodeHandle) -> Result<(), Error> {
    let relay = handle.plan.role == Role::Relay;
    let daemons = handle.plan.daemons.iter();
    for daemon in daemons.filter(|daemon| relay || !daemon.is_database_server()) {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// The database server of a gateway or chassis.
async fn database_server(handle: &NodeHandle) -> Result<(), Error> {
    let daemons = handle.plan.daemons.iter();
    for daemon in daemons.filter(|daemon| daemon.is_database_server()) {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// The switch of a gateway or chassis. Its whole configuration is written before, in one transaction, so that it configures
/// its datapath once.
async fn switch(plan: &Plan, handle: &NodeHandle, tunnels: &[Port]) -> Result<(), Error> {
    let client = handle.ovs().await?;
    let transaction = ovs_transaction(plan, &handle.plan, tunnels);
    let done = client.transact("Open_vSwitch", transaction).await;
    done.map_err(|e| Error::in_node(&handle.plan.name, "configuring Open vSwitch", e))?;
    let daemons = handle.plan.daemons.iter();
    for daemon in daemons.filter(|daemon| !daemon.is_database_server() && !daemon.is_controller()) {
        launch(handle, daemon).await?;
    }
    links::settle(plan, handle).await
}

/// A gateway's or chassis' controller.
async fn controller(handle: &NodeHandle) -> Result<(), Error> {
    for daemon in handle
        .plan
        .daemons
        .iter()
        .filter(|daemon| daemon.is_controller())
    {
        launch(handle, daemon).await?;
    }
    Ok(())
}

/// Runs a daemon with `--detach`: what we started exits with 0 exactly when the daemon serves.
pub(crate) async fn launch(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let command = handle.command(&daemon.program).args(&daemon.args);
    let child = blocking(move || command.spawn()).await?;
    let output = match tokio::time::timeout(DEADLINE, child.output()).await {
        Ok(output) => output?,
        Err(_) => {
            return Err(Error::NotReady {
                node: handle.plan.name.to_string(),
                phase: Phase::Daemons,
                missing: format!("{} did not serve", daemon.name),
                waited: DEADLINE,
                log: handle.log_tail(&daemon.name),
            });
        }
    };
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
