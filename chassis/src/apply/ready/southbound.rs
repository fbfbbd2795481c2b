//! A zone's southbound database, watched for what the controllers write into it.

use std::collections::BTreeSet;

use ovsdb_client::{Monitor, MonitorTable, Snapshot, WaitError};
use tokio::time::Instant;

use super::{Tally, missing};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::node::NodeHandle;
use crate::plan::ZonePlan;

pub(super) struct Southbound<'a> {
    monitor: Monitor,
    zone: &'a ZonePlan,
    central: NodeHandle,
    /// Names of the zone's gateways and chassis.
    chassis: BTreeSet<String>,
    /// The logical ports of the VMs on them.
    ports: BTreeSet<String>,
    deadline: Instant,
}

impl<'a> Southbound<'a> {
    pub(super) async fn watch(
        cluster: &Cluster,
        zone: &'a ZonePlan,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let tables = [
            MonitorTable::new("Chassis_Private").columns(["name", "nb_cfg"]),
            MonitorTable::new("Port_Binding").columns(["logical_port", "chassis", "up"]),
        ];
        let monitor = cluster.monitor_southbound(zone.number, &tables).await?;
        let handles = cluster.handles().values();
        let plan = cluster.plan();
        let own = handles.filter(|h| plan.is_own_chassis(&h.plan) && h.plan.zone == zone.number);
        let (mut chassis, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for handle in own {
            chassis.insert(handle.plan.name.to_string());
            ports.extend(handle.plan.vms.iter().map(|vm| vm.iface_id.clone()));
        }
        Ok(Self {
            monitor,
            zone,
            central: cluster.node(zone.name.as_str())?,
            chassis,
            ports,
            deadline,
        })
    }

    /// Watches these of its chassis only.
    pub(super) fn only(self, chassis: BTreeSet<String>) -> Self {
        Self { chassis, ..self }
    }

    pub(super) fn plan(&self) -> &'a ZonePlan {
        self.zone
    }

    /// How many ports are waited for.
    pub(super) fn port_count(&self) -> usize {
        self.ports.len() + self.zone.topology.hosted_ports().count()
    }

    /// Waits until every chassis has registered. The plan puts Chassis rows there beforehand; a Chassis_Private row is
    /// written by a controller only.
    pub(super) async fn registered(&self, tally: &Tally<'_>) -> Result<(), Error> {
        let registered = |rows: &Snapshot| {
            let rows = rows.rows("Chassis_Private");
            rows.filter_map(|(_, row)| row.str("name").map(str::to_owned))
                .collect()
        };
        let complaint = "chassis have not registered";
        self.wait(tally, &self.chassis, complaint, registered).await
    }

    /// Waits until every VM's port is up, and every gateway port is on a gateway.
    pub(super) async fn bound(&self, tally: &Tally<'_>) -> Result<(), Error> {
        let hosted: BTreeSet<String> = self.zone.topology.hosted_ports().collect();
        let wanted = self.ports.union(&hosted).cloned().collect();
        let bound = |rows: &Snapshot| {
            let rows = rows
                .rows("Port_Binding")
                .filter(|(_, row)| row.uuid("chassis").is_some());
            rows.filter_map(|(_, row)| {
                let port = row.str("logical_port")?;
                (row.bool("up") == Some(true) || hosted.contains(port)).then(|| port.to_owned())
            })
            .collect()
        };
        self.wait(tally, &wanted, "logical ports are not up", bound)
            .await
    }

    /// Waits until every chassis has done all that a generation of the northbound database asks for.
    pub(super) async fn acknowledged(&self, nb_cfg: i64, tally: &Tally<'_>) -> Result<(), Error> {
        let acknowledged = |rows: &Snapshot| {
            let rows = rows.rows("Chassis_Private");
            rows.filter(|(_, row)| row.i64("nb_cfg").is_some_and(|n| n >= nb_cfg))
                .filter_map(|(_, row)| row.str("name").map(str::to_owned))
                .collect()
        };
        let complaint = "chassis have not acknowledged nb_cfg";
        self.wait(tally, &self.chassis, complaint, acknowledged)
            .await
    }

    /// Waits until everything wanted was seen; if it is not, says what is missing.
    async fn wait(
        &self,
        tally: &Tally<'_>,
        wanted: &BTreeSet<String>,
        complaint: &str,
        seen: impl Fn(&Snapshot) -> BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut told = 0;
        let all_seen = self.monitor.wait_until(self.deadline, |rows| {
            let missing = missing(wanted, &seen(rows)).len();
            let done = wanted.len() - missing;
            tally.more(done.saturating_sub(told));
            told = told.max(done);
            (missing == 0).then_some(())
        });
        all_seen.await.map_err(|error| match error {
            WaitError::Timeout { waited } => {
                let missing = missing(wanted, &seen(&self.monitor.snapshot()));
                let suspect = missing.first().cloned().unwrap_or_default();
                let log = self.central.log_tail("ovn-northd");
                Error::NotReady {
                    node: self.central.plan.name.to_string(),
                    phase: tally.phase,
                    missing: format!("{} {complaint}: {}", missing.len(), missing.join(", ")),
                    waited,
                    log: format!("{log}\nlook first at {suspect}"),
                }
            }
            ended => Error::in_node(&self.central.plan.name, "watching its database", ended),
        })
    }
}
