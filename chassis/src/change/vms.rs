//! VMs that come to running chassis, or go.

use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Condition, Mutation, Transaction};

use super::position;
use crate::apply::links;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::node::NodeHandle;
use crate::plan::VmPlan;
use crate::spec::ClusterSpec;
use crate::topology::VmSpec;

impl Cluster {
    /// Makes a VM and binds it to its logical port, if its chassis is there.
    pub(super) async fn add_vm(&mut self, spec: &ClusterSpec, vm: &VmSpec) -> Result<(), Error> {
        let Some(plan) = self.plan.place_vm(spec, vm.clone()).cloned() else {
            return Ok(());
        };
        let handle = self.node(plan.node.as_str())?;
        // A change that was interrupted may have left a part of it.
        unbind(&handle, &plan).await?;
        links::remove_vm(&handle, &plan).await?;
        links::add_vm(&handle, &plan).await?;
        bind(&handle, &plan).await?;
        if let Some(handle) = self.nodes.get_mut(plan.node.as_str()) {
            handle.plan.vms.push(plan);
        }
        Ok(())
    }

    /// Ends a VM, with everything that runs in it, and takes its port away.
    pub(super) async fn remove_vm(&mut self, name: &str) -> Result<(), Error> {
        let Some(plan) = self.plan.vms().find(|vm| vm.name == name).cloned() else {
            return Ok(());
        };
        if let Some(handle) = self.nodes.get_mut(plan.node.as_str()) {
            unbind(handle, &plan).await?;
            links::remove_vm(handle, &plan).await?;
            handle.plan.vms.retain(|vm| vm.name != name);
        }
        if let Some(position) = position(&self.plan, plan.node.as_str()) {
            self.plan.nodes[position].vms.retain(|vm| vm.name != name);
        }
        self.leases.remove(name);
        Ok(())
    }
}

/// Makes the outer end of a VM's link a port of `br-int`.
async fn bind(handle: &NodeHandle, vm: &VmPlan) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    let id = Datum::map([("iface-id", vm.iface_id.as_str())]);
    let interface = Row::new()
        .set("name", &vm.outer_name)
        .set("external_ids", id);
    let interface = transaction.insert("Interface", interface);
    let port = Row::new()
        .set("name", &vm.outer_name)
        .set("interfaces", [interface]);
    let port = transaction.insert("Port", port);
    let ports = [Mutation::insert("ports", Datum::set([port]))];
    transaction.mutate("Bridge", [Condition::eq("name", "br-int")], ports);
    let ovs = handle.ovs().await?;
    let done = ovs.transact("Open_vSwitch", transaction).await;
    done.map(drop)
        .map_err(|e| Error::in_node(&vm.name, "binding the VM to its port", e))
}

async fn unbind(handle: &NodeHandle, vm: &VmPlan) -> Result<(), Error> {
    let failed = |e| Error::in_node(&vm.name, "taking away the VM's port", e);
    let ovs = handle.ovs().await?;
    let mut transaction = Transaction::new();
    let named = [Condition::eq("name", vm.outer_name.as_str())];
    let select = transaction.select("Port", named, ["_uuid"]);
    let found = ovs
        .transact("Open_vSwitch", transaction)
        .await
        .map_err(failed)?;
    let ports = found
        .rows(select)
        .unwrap_or_default()
        .iter()
        .filter_map(|row| row.uuid("_uuid"));
    let gone = [Mutation::delete("ports", Datum::set(ports))];
    let mut transaction = Transaction::new();
    transaction.mutate("Bridge", [Condition::eq("name", "br-int")], gone);
    let done = ovs.transact("Open_vSwitch", transaction).await;
    done.map(drop).map_err(failed)
}
