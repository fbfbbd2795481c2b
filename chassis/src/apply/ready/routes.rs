//! Routes between availability zones, as `ovn-ic` learns them.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use ipnet::IpNet;
use ovsdb_client::{MonitorTable, Snapshot, WaitError};
use tokio::time::Instant;

use super::{missing, of_zone};
use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::event::Phase;
use crate::plan::ZonePlan;

/// Waits until every zone has the routes to the networks of the others that are joined to it.
pub(super) async fn wait(cluster: &Cluster, deadline: Instant) -> Result<(), Error> {
    let zones = &cluster.plan().zones;
    if cluster.plan().interconnection.is_none() {
        return Ok(());
    }
    let learned = zones.iter().map(|zone| {
        let learned = learned(cluster, zone, deadline);
        of_zone(cluster, zone, "routes of other zones", learned)
    });
    try_join_all(learned).await?;
    Ok(())
}

async fn learned(cluster: &Cluster, zone: &ZonePlan, deadline: Instant) -> Result<(), Error> {
    let others = cluster
        .plan()
        .zones
        .iter()
        .filter(|z| z.number != zone.number);
    let advertised = others.flat_map(|other| other.topology.advertised_to(&zone.topology));
    let wanted: BTreeSet<String> = advertised.map(|network| network.to_string()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let failed = |e: Cause| Error::in_node(&zone.name, "watching the northbound database", e);
    let tables = [MonitorTable::new("Logical_Router_Static_Route").columns(["ip_prefix"])];
    let nb = cluster.nb_of(zone.number).await?;
    let monitor = nb
        .monitor("OVN_Northbound", &tables)
        .await
        .map_err(|e| failed(e.into()))?;
    let known = |rows: &Snapshot| -> BTreeSet<String> {
        let rows = rows.rows("Logical_Router_Static_Route");
        // ovn-ic writes down the address of the router's port, with its prefix.
        let networks = rows.filter_map(|(_, row)| row.str("ip_prefix")?.parse::<IpNet>().ok());
        networks
            .map(|network| network.trunc().to_string())
            .collect()
    };
    let all = |rows: &Snapshot| wanted.is_subset(&known(rows)).then_some(());
    monitor
        .wait_until(deadline, all)
        .await
        .map_err(|error| match error {
            WaitError::Timeout { waited } => {
                let missing = missing(&wanted, &known(&monitor.snapshot()));
                let central = cluster.node(zone.name.as_str());
                Error::NotReady {
                    node: zone.name.to_string(),
                    phase: Phase::Ready,
                    missing: format!("no route to {} of other zones", missing.join(", ")),
                    waited,
                    log: central.map(|c| c.log_tail("ovn-ic")).unwrap_or_default(),
                }
            }
            ended => failed(ended.into()),
        })
}
