//! Nodes that end and come back, as machines that are switched off and on. Their places in the cluster stay.

use super::Change;
use super::chassis::{end, leave};
use crate::apply;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::plan::{NodePlan, PlanProblem, Role};

impl Cluster {
    /// Ends a gateway, chassis or relay with everything in it, after its controller left the databases. One that has ended
    /// already is no error. Its files are gone, except for its logs; [`Cluster::start_node`] makes it anew.
    ///
    /// # Errors
    /// [`Error::UnknownNode`]; a problem when the node has something that would be lost; or with what did not work.
    pub async fn stop_node(&mut self, name: &str) -> Result<(), Error> {
        let mut change = Change::begin(self).await?;
        let plan = self.replaceable(name)?;
        if let Some(handle) = self.nodes.get(name) {
            leave(handle).await;
        }
        self.switch_off(&plan).await?;
        change.write(self)
    }

    /// Makes a node that has ended anew, as it was planned, and returns when it is ready: with all its tunnels, and with its
    /// VMs. One that runs is left alone.
    ///
    /// # Errors
    /// As [`Cluster::stop_node`]. If it cannot be made, it is as stopped as before.
    pub async fn start_node(&mut self, name: &str) -> Result<(), Error> {
        let mut change = Change::begin(self).await?;
        let plan = self.replaceable(name)?;
        if self.nodes.contains_key(name) {
            return Ok(());
        }
        // What an engine remembers of it is in the way of the new one, and so are the sockets of its daemons.
        self.switch_off(&plan).await?;
        let made = async {
            self.bring(std::slice::from_ref(&plan)).await?;
            if !plan.vms.is_empty() {
                let leases = apply::ready::wait_again(self).await?;
                self.leases.extend(leases);
            }
            Ok(())
        };
        let made: Result<(), Error> = made.await;
        let undone = match made {
            Ok(()) => Ok(()),
            Err(_) => self.switch_off(&plan).await,
        };
        change.write(self)?;
        match (made, undone) {
            (Err(first), Err(then)) => Err(Error::TakingBack {
                first: Box::new(first),
                then: Box::new(then),
            }),
            (made, _) => made,
        }
    }

    /// The plan of a node that can be made anew.
    fn replaceable(&self, name: &str) -> Result<NodePlan, Error> {
        let plan = self.plan.node_named(name).cloned();
        let plan = plan.ok_or_else(|| self.unknown_node(name))?;
        let has = match plan.role {
            Role::Gateway | Role::Chassis | Role::Relay => return Ok(plan),
            Role::Central => "databases, which end with it",
            Role::Host => "nothing to be started: it stands for the world outside",
        };
        Err(Error::Change(PlanProblem {
            what: format!("it is a {} and has {has}", plan.role.as_str()),
            location: format!("node {name}"),
            hint: "gateways, chassis and relays can be stopped and started; `ofm stop` stops all nodes, and `ofm restart` \
                   restarts a daemon"
                .to_owned(),
        }))
    }

    /// Ends a node, if it runs, and removes all of it but its logs.
    pub(super) async fn switch_off(&mut self, plan: &NodePlan) -> Result<(), Error> {
        if self.plan.is_own_chassis(plan) {
            // One that was killed has not left.
            self.forget(plan).await?;
        }
        let name = plan.name.as_str();
        if let Some(handle) = self.nodes.remove(name) {
            end(handle.node.process(), name).await?;
        }
        self.runtime.remove_one(plan).await?;
        apply::links::cut(self, plan).await?;
        let run = plan.dir.join("run");
        if let Err(error) = std::fs::remove_dir_all(&run)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::state("removing", &run, error));
        }
        for vm in &plan.vms {
            self.leases.remove(&vm.name);
        }
        Ok(())
    }
}
