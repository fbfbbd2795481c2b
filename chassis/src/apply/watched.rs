//! What a controller writes first into its row of the southbound database.

use std::collections::BTreeMap;

use ovsdb_client::value::Atom;
use ovsdb_client::{Event, Monitor, Subscription};

use super::model::{pairs, row_of};
use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::node::NodeHandle;

/// A row of the southbound database that is watched before its controller starts.
pub(crate) struct Watched {
    changes: Subscription,
    /// Keeps the subscription going.
    _monitor: Monitor,
}

impl Watched {
    /// Begins to watch the row of a chassis.
    pub(crate) async fn begin(cluster: &Cluster, handle: &NodeHandle) -> Result<Self, Error> {
        let monitor = row_of(cluster, handle).await?;
        let (_, changes) = monitor.subscribe();
        Ok(Self {
            changes,
            _monitor: monitor,
        })
    }

    /// What its controller wrote into `other_config` first, which it has by now.
    pub(super) async fn first_written(
        mut self,
        handle: &NodeHandle,
    ) -> Result<BTreeMap<Atom, Atom>, Error> {
        let failed = |e: Cause| {
            Error::in_node(
                &handle.plan.name,
                "seeing its row of the southbound database",
                e,
            )
        };
        let first = async {
            loop {
                let written = match self.changes.next().await? {
                    Event::Changes(changes) => {
                        let rows = changes.rows.iter().filter_map(|change| change.new.as_ref());
                        rows.map(|row| pairs(row, "other_config")).next()
                    }
                    Event::Resync(rows) => rows
                        .rows("Chassis")
                        .map(|(_, row)| pairs(row, "other_config"))
                        .next(),
                };
                if let Some(written) = written.filter(|written| !written.is_empty()) {
                    return Ok::<_, Cause>(written);
                }
            }
        };
        let first = tokio::time::timeout(handle.ready_timeout, first).await;
        first.map_err(|e| failed(e.into()))?.map_err(failed)
    }
}
