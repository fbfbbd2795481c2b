//! Phases `chassis` and `ready`: seeing in the databases that the cluster is what was asked for.

mod leases;
mod routes;
mod southbound;
mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{BoxFuture, try_join_all};
use ipnet::IpNet;
use ovsdb_client::value::Row;
use ovsdb_client::{
    Client, Condition, ConnectError, Monitor, MonitorTable, Mutation, Snapshot, Transaction,
    TransactionOutcome, WaitError,
};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::{DaemonPlan, DatabasePlan, NodePlan, Role, ZonePlan};
use crate::trace::SpanKind;

use southbound::Southbound;
pub(crate) use switch::count_tunnels;

/// Waits until everything is ready. Returns the addresses that VMs got by DHCP.
pub(crate) async fn wait(
    cluster: &Cluster,
    clock: &mut Clock,
) -> Result<BTreeMap<String, IpNet>, Error> {
    let deadline = Instant::now() + cluster.plan().ready_timeout;
    let chassis: Vec<&NodeHandle> = own_chassis(cluster).collect();

    let began = clock.begin(Phase::Chassis, chassis.len());
    members(cluster, deadline).await?;
    let tally = Tally::new(clock, Phase::Chassis, chassis.len());
    let zones = cluster.plan().zones.iter();
    let zones = try_join_all(zones.map(|zone| {
        let watched = Southbound::watch(cluster, zone, deadline);
        of_zone(cluster, zone, "southbound database", watched)
    }));
    let zones = zones.await?;
    try_join_all(zones.iter().map(|zone| {
        let registered = zone.registered(&tally);
        of_zone(cluster, zone.plan(), "chassis registered", registered)
    }))
    .await?;
    clock.end(Phase::Chassis, began);

    let began = clock.begin(Phase::Ready, chassis.len());
    let tally = Tally::new(clock, Phase::Ready, chassis.len());
    let switches = chassis.iter().map(async |handle| {
        let tunnels = switch::wait(cluster, handle, deadline);
        handle
            .span(SpanKind::Wait, "tunnels and ports", tunnels)
            .await?;
        tally.one_more();
        Ok::<_, Error>(())
    });
    try_join_all(switches).await?;
    routes::wait(cluster, deadline).await?;
    let ports = zones.iter().map(Southbound::port_count).sum();
    let tally = Tally::new(clock, Phase::Ready, ports);
    try_join_all(zones.iter().map(|zone| {
        let bound = zone.bound(&tally);
        of_zone(cluster, zone.plan(), "ports up", bound)
    }))
    .await?;
    // Now that every tunnel is there, every controller has to say that what follows from it is installed.
    let tally = Tally::new(clock, Phase::Ready, chassis.len());
    let acknowledged = zones.iter().map(|zone| {
        let acknowledged = async {
            let generation = next_generation(cluster, zone.plan().number).await?;
            zone.acknowledged(generation, &tally).await
        };
        of_zone(cluster, zone.plan(), "acknowledgements", acknowledged)
    });
    try_join_all(acknowledged).await?;
    let leases = leases::acquire(cluster, deadline).await?;
    clock.end(Phase::Ready, began);
    Ok(leases)
}

/// A wait for all of a zone, which is in the timeline of the cluster.
async fn of_zone<T>(
    cluster: &Cluster,
    zone: &ZonePlan,
    what: &str,
    wait: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let what = format!("{what}: {}", zone.name);
    cluster.span(SpanKind::Wait, what, wait).await
}

/// Waits until all that the databases ask for is there after a change of them. Returns the addresses that VMs got by DHCP
/// which had none.
pub(crate) fn wait_again(
    cluster: &Cluster,
) -> BoxFuture<'_, Result<BTreeMap<String, IpNet>, Error>> {
    Box::pin(async move {
        let mut clock = Clock::deaf();
        wait_for_tunnels(cluster).await?;
        wait(cluster, &mut clock).await
    })
}

/// Waits until chassis that have come to a running cluster are ready: registered, and with tunnels from and to all others.
pub(crate) async fn wait_for_newcomers(
    cluster: &Cluster,
    newcomers: &[&NodePlan],
    clock: &mut Clock,
) -> Result<(), Error> {
    let deadline = Instant::now() + cluster.plan().ready_timeout;
    let plan = cluster.plan();
    let zones = plan
        .zones
        .iter()
        .filter(|zone| newcomers.iter().any(|new| new.zone == zone.number));
    let names = |zone: &ZonePlan| {
        let newcomers = newcomers.iter().filter(|new| new.zone == zone.number);
        newcomers.map(|new| new.name.to_string()).collect()
    };
    let zones = zones.map(async |zone| {
        let southbound = Southbound::watch(cluster, zone, deadline).await?;
        let southbound = southbound.only(names(zone));
        let tally = Tally::new(clock, Phase::Chassis, newcomers.len());
        southbound.registered(&tally).await
    });
    let switches = own_chassis(cluster).map(async |handle| {
        let name = &handle.plan.name;
        if newcomers.iter().any(|new| new.name == *name) {
            return switch::wait_for_tunnels(cluster, handle, deadline).await;
        }
        let new = plan.peers(&handle.plan);
        let new = new.filter(|peer| newcomers.iter().any(|new| new.name == peer.name));
        let new: BTreeSet<_> = new.map(|peer| peer.address.to_string()).collect();
        if new.is_empty() {
            return Ok(());
        }
        match handle.ovs_if_served().await? {
            Some(ovs) => switch::wait_for_tunnels_to(cluster, handle, ovs, &new, deadline).await,
            // No controller could make one.
            None => Ok(()),
        }
    });
    futures::try_join!(try_join_all(zones), try_join_all(switches))?;
    Ok(())
}

/// Waits until no chassis has a tunnel to one that has left.
pub(crate) async fn wait_without(cluster: &Cluster, left: &NodePlan) -> Result<(), Error> {
    let deadline = Instant::now() + cluster.plan().ready_timeout;
    let gone = BTreeSet::from([left.address.to_string()]);
    let others = own_chassis(cluster).filter(|handle| handle.plan.name != left.name);
    let others = others.map(async |handle| match handle.ovs_if_served().await? {
        Some(ovs) => switch::wait_for_no_tunnels_to(cluster, handle, ovs, &gone, deadline).await,
        // No controller could remove one.
        None => Ok(()),
    });
    try_join_all(others).await?;
    Ok(())
}

/// Waits until every chassis has tunnels to all the others, and to no chassis that there is no more.
async fn wait_for_tunnels(cluster: &Cluster) -> Result<(), Error> {
    let deadline = Instant::now() + cluster.plan().ready_timeout;
    let chassis = own_chassis(cluster);
    let chassis = chassis.map(|handle| switch::wait_for_tunnels(cluster, handle, deadline));
    try_join_all(chassis).await?;
    Ok(())
}

/// Waits until a chassis has a tunnel to one of its peers.
pub(super) async fn wait_for_tunnel(
    cluster: &Cluster,
    handle: &NodeHandle,
    peer: &NodePlan,
    deadline: Instant,
) -> Result<(), Error> {
    let peer = BTreeSet::from([peer.address.to_string()]);
    let ovs = handle.ovs().await?;
    switch::wait_for_tunnels_to(cluster, handle, ovs, &peer, deadline).await
}

/// The gateways and chassis that are in the cluster's own databases.
fn own_chassis(cluster: &Cluster) -> impl Iterator<Item = &NodeHandle> {
    let handles = cluster.handles().values();
    handles.filter(|handle| cluster.plan().is_own_chassis(&handle.plan))
}

/// How far the zones are together.
pub(super) struct Tally<'a> {
    clock: &'a Clock,
    phase: Phase,
    done: AtomicUsize,
    total: usize,
}

impl<'a> Tally<'a> {
    pub(super) fn new(clock: &'a Clock, phase: Phase, total: usize) -> Self {
        Self {
            clock,
            phase,
            done: AtomicUsize::new(0),
            total,
        }
    }

    pub(super) fn one_more(&self) {
        self.more(1);
    }

    fn more(&self, count: usize) {
        let done = count + self.done.fetch_add(count, Ordering::Relaxed);
        self.clock
            .progress(self.phase, done.min(self.total), self.total);
    }
}

/// Waits until every server that belongs to a cluster of servers has joined it and knows who leads.
async fn members(cluster: &Cluster, deadline: Instant) -> Result<(), Error> {
    let centrals = cluster
        .handles()
        .values()
        .filter(|h| h.plan.role == Role::Central);
    let members = centrals.flat_map(|handle| {
        let databases = handle.plan.databases.iter();
        databases
            .filter(|database| database.raft.is_some())
            .map(move |database| (handle, database))
    });
    let members = members.map(|(handle, database)| {
        let what = format!("member of {}", database.name);
        handle.span(SpanKind::Wait, what, member(handle, database, deadline))
    });
    try_join_all(members).await?;
    Ok(())
}

/// Waits until a server that was started again is back in its cluster, if it belongs to one.
pub(crate) async fn wait_for_member(handle: &NodeHandle, daemon: &DaemonPlan) -> Result<(), Error> {
    let deadline = Instant::now() + handle.ready_timeout;
    let databases = handle
        .plan
        .databases
        .iter()
        .filter(|database| database.raft.is_some());
    let served = databases.filter(|database| {
        let file = database.file.to_string_lossy();
        daemon.args.iter().any(|arg| *arg == file)
    });
    try_join_all(served.map(|database| member(handle, database, deadline))).await?;
    Ok(())
}

async fn member(
    handle: &NodeHandle,
    database: &DatabasePlan,
    deadline: Instant,
) -> Result<(), Error> {
    let name = &handle.plan.name;
    let failed = |e: Cause| Error::in_node(name, "watching its database server", e);
    let file = database
        .file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let socket = handle.plan.dir.join(format!("run/ovn/{file}.sock"));
    let client = loop {
        match Client::connect_unix(&socket).await {
            // When it joins, it ends all connections whose greeting it has not read yet (`update_schema` in
            // ovsdb/ovsdb-server.c), and this one may be among them.
            Err(ConnectError::Silent { .. }) if Instant::now() < deadline => {}
            connected => break connected.map_err(|e| failed(e.into()))?,
        }
    };
    let tables = [MonitorTable::new("Database").columns(["name", "connected"])];
    let monitor: Monitor = client
        .monitor("_Server", &tables)
        .await
        .map_err(|e| failed(e.into()))?;
    let connected = |rows: &Snapshot| {
        let mut rows = rows
            .rows("Database")
            .filter(|(_, row)| row.str("name") == Some(&database.name));
        rows.any(|(_, row)| row.bool("connected") == Some(true))
            .then_some(())
    };
    let result = monitor.wait_until(deadline, connected).await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => Error::NotReady {
            node: name.to_string(),
            phase: Phase::Chassis,
            missing: format!("its server of {} has not joined its cluster", database.name),
            waited,
            log: handle.log_tail(&format!(
                "ovsdb-server-{}",
                if database.name == "OVN_Northbound" {
                    "nb"
                } else {
                    "sb"
                }
            )),
        },
        ended => failed(ended.into()),
    })
}

/// The `nb_cfg` that the chassis acknowledges which goes ahead of the others, and no other one.
const FIRST_GENERATION: i64 = 1;

/// Waits until the controller of the first chassis has done all that its databases ask for now.
pub(super) async fn wait_for_first_acknowledgement(
    cluster: &Cluster,
    handle: &NodeHandle,
    deadline: Instant,
) -> Result<(), Error> {
    let (name, zone) = (handle.plan.name.as_str(), handle.plan.zone);
    let tables = [MonitorTable::new("Chassis_Private")
        .columns(["nb_cfg"])
        .condition(Condition::eq("name", name))];
    let monitor = cluster.monitor_southbound(zone, &tables).await?;
    let all: [Condition; 0] = [];
    let mut transaction = Transaction::new();
    let row = Row::new().set("nb_cfg", FIRST_GENERATION);
    transaction.update("NB_Global", all, row);
    northbound(cluster, zone, transaction).await?;
    let acknowledged = |rows: &Snapshot| {
        let mut rows = rows.rows("Chassis_Private");
        let done = rows.any(|(_, row)| row.i64("nb_cfg") == Some(FIRST_GENERATION));
        done.then_some(())
    };
    let result = monitor.wait_until(deadline, acknowledged).await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => Error::NotReady {
            node: name.to_owned(),
            phase: Phase::Daemons,
            missing: "its controller has not acknowledged nb_cfg".to_owned(),
            waited,
            log: handle.log_tail("ovn-controller"),
        },
        ended => Error::in_node(name, "watching the southbound database", ended),
    })
}

/// Takes back what the first chassis was asked to acknowledge. As long as `nb_cfg` is 0, a controller that starts does not
/// acknowledge it (`store_nb_cfg` in controller/ovn-controller.c), which would be a write into each of two databases.
pub(super) async fn rewind(cluster: &Cluster, zone: u32) -> Result<(), Error> {
    let update = |table| {
        let all: [Condition; 0] = [];
        let mut transaction = Transaction::new();
        transaction.update(table, all, Row::new().set("nb_cfg", 0));
        transaction
    };
    northbound(cluster, zone, update("NB_Global")).await?;
    // As ovn-northd would, a moment later.
    let sb = cluster.sb_of(zone).await?;
    let done = sb.transact("OVN_Southbound", update("SB_Global")).await;
    done.map(drop)
        .map_err(|e| Error::in_node(cluster.name(), "taking back nb_cfg", e))
}

/// Raises a zone's `NB_Global.nb_cfg` to what no chassis has acknowledged before, and returns it (ovn-nb(5)).
async fn next_generation(cluster: &Cluster, zone: u32) -> Result<i64, Error> {
    let all: [Condition; 0] = [];
    let mut transaction = Transaction::new();
    let one_more = || [Mutation::add("nb_cfg", 1)];
    transaction.mutate("NB_Global", all.clone(), one_more());
    let acknowledged = [Condition::eq("nb_cfg", FIRST_GENERATION)];
    transaction.mutate("NB_Global", acknowledged, one_more());
    let select = transaction.select("NB_Global", all, ["nb_cfg"]);
    let outcome = northbound(cluster, zone, transaction).await?;
    let row = outcome.rows(select).and_then(|rows| rows.first());
    row.and_then(|row| row.i64("nb_cfg"))
        .ok_or_else(|| Error::in_node(cluster.name(), "raising nb_cfg", "NB_Global has no row"))
}

/// Writes into a zone's northbound database.
async fn northbound(
    cluster: &Cluster,
    zone: u32,
    transaction: Transaction,
) -> Result<TransactionOutcome, Error> {
    let nb = cluster.nb_of(zone).await?;
    let outcome = nb.transact("OVN_Northbound", transaction).await;
    outcome.map_err(|e| Error::in_node(cluster.name(), "writing nb_cfg", e))
}

/// The names that were wanted and not seen.
fn missing(wanted: &BTreeSet<String>, seen: &BTreeSet<String>) -> Vec<String> {
    wanted.difference(seen).cloned().collect()
}
