//! Other databases for chassis that run.

use ovsdb_client::value::Datum;
use ovsdb_client::{Condition, Mutation, Remotes, Transaction};

use super::{Change, position};
use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::node::NodeHandle;
use crate::plan::PlanProblem;

impl Cluster {
    /// Makes gateways and chassis use other southbound databases: those of the names, or all. `remote` is
    /// `external_ids:ovn-remote` of ovn-controller(8).
    ///
    /// # Errors
    /// For a remote that is none or a node that is no chassis, before anything is touched; or with what did not work.
    pub async fn set_ovn_remote(&mut self, names: &[&str], remote: &str) -> Result<(), Error> {
        if let Err(error) = remote.parse::<Remotes>() {
            let problem = PlanProblem {
                what: format!("it is no way to a database: {error}"),
                location: format!("remote {remote:?}"),
                hint: "write ssl:IP:PORT, tcp:IP:PORT or unix:PATH; several separated by commas"
                    .into(),
            };
            return Err(Error::Change(problem));
        }
        let mut change = Change::begin(self).await?;
        let mut chassis = Vec::new();
        for name in names {
            chassis.push(self.node(name)?);
        }
        if names.is_empty() {
            chassis.extend(self.nodes.values().cloned());
            chassis.retain(|handle| handle.plan.role.is_chassis());
        }
        if let Some(other) = chassis.iter().find(|handle| !handle.plan.role.is_chassis()) {
            let problem = PlanProblem {
                what: format!(
                    "a {} has no southbound database to use",
                    other.plan.role.as_str()
                ),
                location: format!("node {}", other.plan.name),
                hint: "name gateways and chassis".into(),
            };
            return Err(Error::Change(problem));
        }
        let all = chassis.iter();
        apply::for_all(all, |handle| set(handle, remote)).await?;
        for handle in chassis {
            let name = handle.plan.name.as_str();
            if let Some(position) = position(&self.plan, name) {
                self.plan.nodes[position].remote = Some(remote.to_owned());
            }
            if let Some(own) = self.nodes.get_mut(name) {
                own.plan.remote = Some(remote.to_owned());
            }
        }
        change.write(self)
    }
}

async fn set(handle: &NodeHandle, remote: &str) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    let all: [Condition; 0] = [];
    let mutations = [
        Mutation::delete("external_ids", Datum::set(["ovn-remote"])),
        Mutation::insert("external_ids", Datum::map([("ovn-remote", remote)])),
    ];
    transaction.mutate("Open_vSwitch", all, mutations);
    let ovs = handle.ovs().await?;
    let done = ovs.transact("Open_vSwitch", transaction).await;
    done.map(drop)
        .map_err(|e| Error::in_node(&handle.plan.name, "setting ovn-remote", e))
}
