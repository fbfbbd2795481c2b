//! Controllers that are paused until all others have started.
//!
//! From OVN 24.09 on a controller finds out after its start what its switch supports, and adds that to its row in the
//! southbound database. All others hear of it, and whatever they hear lets them go through all chassis: among N chassis
//! that is N times N times N. So each is paused once its row is complete, by its command `debug/pause`, which lets it sleep
//! until `debug/resume`. When all are, they go on, and hear of all rows at once.
//!
//! Where there are very many, also older ones are paused once they have registered: an idle controller wakes every few seconds
//! and goes through all chassis.

use std::collections::BTreeMap;

use ovsdb_client::value::Atom;
use ovsdb_client::{Monitor, MonitorTable, Snapshot};
use tokio::time::Instant;

use super::for_all;
use super::model::Model;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::node::NodeHandle;
use crate::trace::SpanKind;

/// From how many chassis on idle controllers cost more than it costs to pause them.
const IDLE_IS_DEAR: usize = 300;

/// What controllers add to their rows, and where these are seen.
pub(super) struct Pause<'a> {
    model: &'a Model,
    added: BTreeMap<Atom, Atom>,
    /// The rows of each zone.
    zones: BTreeMap<u32, Monitor>,
    deadline: Instant,
}

impl<'a> Pause<'a> {
    /// Begins to watch the rows, unless nobody need be paused.
    pub(super) async fn begin(
        cluster: &Cluster,
        model: Option<&'a Model>,
    ) -> Result<Option<Self>, Error> {
        let Some(model) = model else {
            return Ok(None);
        };
        let added = model.added();
        let nodes = cluster.plan().nodes.iter();
        let chassis = nodes.filter(|node| node.role.is_chassis());
        if added.is_empty() && chassis.count() < IDLE_IS_DEAR {
            return Ok(None);
        }
        let mut zones = BTreeMap::new();
        for zone in &cluster.plan().zones {
            let rows = [
                MonitorTable::new("Chassis").columns(["name", "other_config"]),
                MonitorTable::new("Chassis_Private").columns(["name"]),
            ];
            let rows = cluster.monitor_southbound(zone.number, &rows).await?;
            zones.insert(zone.number, rows);
        }
        Ok(Some(Self {
            model,
            added,
            zones,
            deadline: Instant::now() + cluster.plan().ready_timeout,
        }))
    }

    /// Pauses a controller once it has registered and its row is complete, and returns whether it did. One that does not get so
    /// far goes on; whoever waits for it will tell.
    ///
    /// # Errors
    /// When it does not answer. It may be paused then.
    pub(super) async fn pause(&self, handle: &NodeHandle) -> Result<bool, Error> {
        let Some(rows) = self.zones.get(&handle.plan.zone) else {
            return Ok(false);
        };
        if !self.model.suits(&handle.plan) {
            return Ok(false);
        }
        let name = handle.plan.name.as_str();
        let complete = |rows: &Snapshot| {
            let name = [name.into()];
            let registered = rows.find("Chassis_Private", &["name"], &name).next();
            let mut rows = rows.find("Chassis", &["name"], &name);
            let complete = rows.any(|(_, row)| {
                let mut added = self.added.iter();
                added.all(|(key, value)| {
                    let key = key.as_str().unwrap_or_default();
                    row.map_get("other_config", key) == value.as_str()
                })
            });
            (complete && registered.is_some()).then_some(())
        };
        let complete = rows.wait_until(self.deadline, complete);
        let complete = handle.span(SpanKind::Wait, "complete row", complete);
        if complete.await.is_err() {
            return Ok(false);
        }
        command(handle, "debug/pause").await?;
        Ok(true)
    }
}

/// Lets paused controllers go on.
pub(super) async fn resume(paused: Vec<&NodeHandle>) -> Result<(), Error> {
    let resume = |handle| command(handle, "debug/resume");
    for_all(paused.into_iter(), resume).await
}

async fn command(handle: &NodeHandle, command: &str) -> Result<(), Error> {
    let mut controller = handle.unixctl("ovn-controller").await?;
    let answer = controller.call(command, &[]).await;
    answer.map(drop).map_err(|e| {
        Error::in_node(
            &handle.plan.name,
            format!("telling its controller {command}"),
            e,
        )
    })
}
