//! Chassis that come and go.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ofm_netns::Process;
use ovsdb_client::{Condition, Transaction};

use super::{Change, position};
use crate::apply;
use crate::apply::files::{Additions, Seeds};
use crate::apply::model::Model;
use crate::clock::Clock;
use crate::cluster::{Cluster, STOP_DEADLINE};
use crate::error::Error;
use crate::event::Phase;
use crate::host;
use crate::node::NodeHandle;
use crate::plan::databases::chassis_rows;
use crate::plan::{NodePlan, PlanProblem};
use crate::runtime::engine::image::Pull;
use crate::schemas::Schemas;
use crate::spec::{ChassisSpec, ClusterSpec};
use crate::state;

/// How long a controller may take to leave its databases.
const LEAVE: Duration = Duration::from_secs(5);

impl Cluster {
    /// Adds a chassis or gateway, and returns when all tunnels to and from it are there. It has an address that no node has
    /// had before.
    ///
    /// One that is to use databases of somebody else is not waited for beyond its daemons.
    ///
    /// # Errors
    /// With everything that is wrong with the request, before anything is touched; or with what did not work, after
    /// everything was taken back.
    pub async fn add_chassis(&mut self, spec: ChassisSpec) -> Result<NodeHandle, Error> {
        let root = self.plan.state_dir.parent();
        let root = root.unwrap_or(&self.plan.state_dir).to_owned();
        let with = |mut asked: ClusterSpec| {
            asked.others.push(spec.clone());
            asked
        };
        let asked = with(self.spec()?);
        let facts = host::gather(&asked, &root, Pull::Missing(&Clock::deaf().listener)).await?;
        let mut change = Change::begin(self).await?;
        // Nothing is awaited from here until the chassis is written down: whoever gives this up in the middle can tell by
        // the plan whether there is anything to take back. A number that was left out stays so, and its name is taken here.
        let asked = with(change.state.spec.clone());
        let plan = self.plan.add_chassis(&asked, &facts, &spec)?.clone();
        change.state.spec = asked;
        // From here on it can be found and stopped, even if this process ends.
        change.write(self)?;
        match self.bring(std::slice::from_ref(&plan)).await {
            Ok(()) => {
                change.write(self)?;
                self.node(plan.name.as_str())
            }
            Err(error) => Err(match self.dismiss(&mut change, plan.name.as_str()).await {
                Ok(()) => error,
                Err(then) => Error::TakingBack {
                    first: Box::new(error),
                    then: Box::new(then),
                },
            }),
        }
    }

    /// Makes nodes that are in the plan already. Those that use somebody else's databases are not waited for.
    pub(super) fn bring<'a>(
        &'a mut self,
        plans: &'a [NodePlan],
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if self.plan.tls && self.authority.is_none() {
                self.authority = Some(state::authority(&self.plan.state_dir)?);
            }
            // Its software may be another one by now.
            self.schemas = Schemas::default();
            let mut clock = Clock::deaf();
            let own = plans.iter().filter(|plan| self.plan.is_own_chassis(plan));
            let own: Vec<&NodePlan> = own.collect();
            // Long before its daemons run, so that the others have their tunnels by then.
            let announced = async {
                let model = Model::known(self, plans).await?;
                for plan in &own {
                    self.announce(plan, model.as_ref()).await?;
                }
                Ok::<_, Error>(model)
            };
            let made = apply::nodes::create(self, plans, &clock);
            let (model, made) = futures::join!(announced, made);
            // First of all, so that they are found by whoever takes them back.
            self.nodes.extend(made?);
            let model = model?;
            let handles = plans.iter().map(|plan| self.node(plan.name.as_str()));
            let handles = handles.collect::<Result<Vec<_>, _>>()?;
            let handles: Vec<&NodeHandle> = handles.iter().collect();
            apply::links::create(self, &handles, &clock).await?;
            let additions = Additions {
                seeds: Seeds::new(),
                model: model.map(Arc::new),
            };
            apply::files::write(self, &handles, &additions, &mut clock).await?;
            apply::daemons::start(self, &handles, None, &mut clock).await?;
            for other in self.nodes.values() {
                let new = self.plan.peers(&other.plan);
                let new = new.filter(|peer| own.iter().any(|own| own.name == peer.name));
                // A switch that does not run will find out by itself.
                let _told = apply::tunnels::acquaint(other, new).await;
            }
            if !own.is_empty() {
                apply::ready::wait_for_newcomers(self, &own, &mut clock).await?;
            }
            Ok(())
        })
    }

    /// Tells the other chassis of a new one, so that they make their tunnels while its daemons start.
    async fn announce(&self, plan: &NodePlan, model: Option<&Model>) -> Result<(), Error> {
        let failed = |e| Error::in_node(&plan.name, "announcing it", e);
        let sb = self.sb_of(plan.zone).await?;
        let mut transaction = forget(plan.name.as_str());
        let model = model.filter(|model| model.suits(plan));
        for (table, uuid, mut row) in chassis_rows(&self.plan, plan) {
            if let (Some(model), "Chassis") = (model, table) {
                row.insert("other_config", model.other_config(plan.role));
            }
            transaction.insert_as(table, uuid, row);
        }
        let done = sb.transact("OVN_Southbound", transaction).await;
        done.map(drop).map_err(failed)
    }

    /// Stops a chassis or gateway, and returns when the others have no tunnels to it any more. Its rows leave the southbound
    /// database; its VMs end with it.
    ///
    /// # Errors
    /// [`Error::UnknownNode`]; a problem when the node is neither; or with what did not work.
    pub async fn stop_chassis(&mut self, name: &str) -> Result<(), Error> {
        let mut change = Change::begin(self).await?;
        self.dismiss(&mut change, name).await
    }

    async fn dismiss(&mut self, change: &mut Change, name: &str) -> Result<(), Error> {
        let plan = self
            .plan
            .node_named(name)
            .cloned()
            .ok_or_else(|| self.unknown_node(name))?;
        if !plan.role.is_chassis() {
            let problem = PlanProblem {
                what: format!(
                    "it is no chassis and no gateway but a {}",
                    plan.role.as_str()
                ),
                location: format!("node {name}"),
                hint: "only those can be stopped by themselves; `ofm stop` stops all nodes"
                    .to_owned(),
            };
            return Err(Error::Change(problem));
        }
        let ours = self.take_out(&plan).await?;
        let spec = &mut change.state.spec;
        let numbered = spec.others.len();
        spec.others.retain(|other| other.name != plan.name);
        if numbered == spec.others.len() {
            spec.absent.insert(plan.name.clone());
        }
        change.write(self)?;
        if ours {
            apply::ready::wait_without(self, &plan).await?;
        }
        Ok(())
    }
}

impl Cluster {
    /// Takes a chassis out of the southbound database of its zone, if it is there.
    pub(super) async fn forget(&self, plan: &NodePlan) -> Result<(), Error> {
        let sb = self.sb_of(plan.zone).await?;
        let forgotten = sb.transact("OVN_Southbound", forget(plan.name.as_str()));
        let failed = |e| Error::in_node(&plan.name, "removing it from the southbound database", e);
        forgotten.await.map(drop).map_err(failed)
    }

    /// Ends a node and removes what it leaves. Returns whether it was in databases of the cluster's own.
    pub(super) fn take_out<'a>(
        &'a mut self,
        plan: &'a NodePlan,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let name = plan.name.as_str();
            let zones = &self.plan.zones;
            let ours = plan.role.is_chassis() && zones.get(plan.zone as usize - 1).is_some();
            if let Some(handle) = self.nodes.get(name) {
                leave(handle).await;
            }
            if ours {
                self.forget(plan).await?;
            }
            if let Some(handle) = self.nodes.remove(name) {
                end(handle.node.process(), name).await?;
            }
            self.runtime.remove_one(plan).await?;
            let removed = std::fs::remove_dir_all(&plan.dir);
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(Error::state("removing", &plan.dir, error));
            }
            for vm in &plan.vms {
                self.leases.remove(&vm.name);
            }
            if let Some(position) = position(&self.plan, name) {
                self.plan.nodes.remove(position);
            }
            Ok(ours)
        })
    }
}

/// Lets the controller take its rows out of the southbound database. One that is dead or does not listen is left to what
/// comes after.
pub(super) async fn leave(handle: &NodeHandle) {
    let leave = async {
        let controller = handle.unixctl("ovn-controller").await?;
        controller
            .exit()
            .await
            .map_err(|e| Error::in_node(&handle.plan.name, "stopping", e))
    };
    let _at_best: Result<Result<(), Error>, _> = tokio::time::timeout(LEAVE, leave).await;
}

/// Ends a node and everything in it. Its name is for errors.
pub(super) async fn end(process: &Process, name: &str) -> Result<(), Error> {
    process.kill();
    match tokio::time::timeout(STOP_DEADLINE, process.exited()).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Error::NotReady {
            node: name.to_owned(),
            phase: Phase::Nodes,
            missing: "its processes did not end".into(),
            waited: STOP_DEADLINE,
            log: String::new(),
        }),
    }
}

/// Removes a chassis from a southbound database, whoever has put it there.
fn forget(name: &str) -> Transaction {
    let mut transaction = Transaction::new();
    for table in ["Chassis", "Chassis_Private"] {
        transaction.delete(table, [Condition::eq("name", name)]);
    }
    transaction
}
