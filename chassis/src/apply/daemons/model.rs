//! What controllers write of themselves into the southbound database, written for them.
//!
//! Every controller completes its own rows, and whatever it writes there is told to all others: among N chassis N times N
//! messages. What it writes depends on the version of OVN. So one controller writes first, and the rows of all others are made
//! like its own before their controllers run, who find nothing to do. A row that is not as its controller wants it is
//! written again, as it would have been anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Condition, MonitorTable, Snapshot, Transaction, WaitError};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::Role;

/// How long a controller may take to write its rows.
const DEADLINE: Duration = Duration::from_secs(60);

/// The one key of `Chassis.other_config` that differs between the gateways and the chassis of a cluster.
const OPTIONS: &str = "ovn-cms-options";

/// Waits until a controller has written its rows, and makes those of others like them.
pub(super) async fn copy(
    cluster: &Cluster,
    model: &NodeHandle,
    others: &[&NodeHandle],
) -> Result<(), Error> {
    let name = model.plan.name.as_str();
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::in_node(
            name,
            "reading what it wrote into the southbound database",
            e,
        )
    };
    let sb = cluster.sb_of(model.plan.zone).await?;
    let tables = [MonitorTable::new("Chassis").columns(["name", "other_config"])];
    let monitor = sb
        .monitor("OVN_Southbound", &tables)
        .await
        .map_err(|e| failed(e.into()))?;
    let written = |rows: &Snapshot| {
        let mut rows = rows
            .rows("Chassis")
            .filter(|(_, row)| row.str("name") == Some(name));
        let config = rows.find_map(|(_, row)| row.get("other_config").cloned())?;
        let complete = config.map_iter().next().is_some();
        complete.then_some(config)
    };
    let config = monitor.wait_until(Instant::now() + DEADLINE, written).await;
    let config = config.map_err(|error| match error {
        WaitError::Timeout { waited } => Error::NotReady {
            node: name.to_owned(),
            phase: Phase::Daemons,
            missing: "its controller has not written its rows".to_owned(),
            waited,
            log: model.log_tail("ovn-controller"),
        },
        ended => failed(ended.into()),
    })?;
    let zones: BTreeSet<u32> = others.iter().map(|other| other.plan.zone).collect();
    let zones = zones.into_iter().map(async |zone| {
        let mut transaction = Transaction::new();
        for other in others.iter().filter(|other| other.plan.zone == zone) {
            let named = [Condition::eq("name", other.plan.name.as_str())];
            let row = Row::new().set("other_config", like(&config, other.plan.role));
            transaction.update("Chassis", named, row);
        }
        let sb = cluster.sb_of(zone).await?;
        let done = sb.transact("OVN_Southbound", transaction).await;
        done.map_err(|e| failed(e.into()))?;
        Ok::<_, Error>(())
    });
    try_join_all(zones).await?;
    Ok(())
}

/// The `other_config` of a chassis like that of another one.
fn like(config: &Datum, role: Role) -> Datum {
    let mut pairs: BTreeMap<Atom, Atom> = config
        .map_iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let options = match role {
        Role::Gateway => "enable-chassis-as-gw",
        _ => "",
    };
    pairs.insert(OPTIONS.into(), options.into());
    Datum::map(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_options_of_gateways_differ() {
        let model = Datum::map([
            ("datapath-type", "netdev"),
            (OPTIONS, "enable-chassis-as-gw"),
        ]);
        assert_eq!(like(&model, Role::Gateway), model);
        let chassis = Datum::map([("datapath-type", "netdev"), (OPTIONS, "")]);
        assert_eq!(like(&model, Role::Chassis), chassis);
    }
}
