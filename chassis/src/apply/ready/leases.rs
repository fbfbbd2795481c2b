//! Addresses that VMs ask for by DHCP.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use ipnet::IpNet;
use ofm_underlay::{Batch, Netlink};
use tokio::time::Instant;

use crate::apply::links;
use crate::cluster::Cluster;
use crate::dhcp;
use crate::error::{Cause, Error};
use crate::node::NodeHandle;
use crate::plan::VmPlan;
use crate::trace::SpanKind;

/// Gets an address for each VM that wants one, and configures it.
pub(super) async fn acquire(
    cluster: &Cluster,
    deadline: Instant,
) -> Result<BTreeMap<String, IpNet>, Error> {
    let nodes = cluster.handles().values();
    let vms = nodes
        .flat_map(|handle| handle.plan.vms.iter().map(move |vm| (handle, vm)))
        .filter(|(_, vm)| vm.dhcp && !cluster.leases.contains_key(&vm.name));
    let leases = vms.map(|(handle, vm): (&NodeHandle, _)| {
        let what = format!("lease of {}", vm.name);
        handle.span(SpanKind::Wait, what, one(cluster, vm, deadline))
    });
    let leases = try_join_all(leases).await?;
    Ok(leases.into_iter().collect())
}

async fn one(
    cluster: &Cluster,
    plan: &VmPlan,
    deadline: Instant,
) -> Result<(String, IpNet), Error> {
    let failed = |action: &str, e: Cause| Error::in_node(&plan.name, action, e);
    let vm = cluster.vm(&plan.name)?;
    let lease = dhcp::lease(
        vm.namespaces.clone(),
        &plan.name,
        plan.mac,
        deadline.into_std(),
    )
    .await
    .map_err(|e| failed("asking for an address by DHCP", e.into()))?;
    let mut batch = Batch::new();
    lease.configure(&mut batch, plan.inner_index, &plan.name);
    let configure = |e: Cause| failed("configuring its lease", e);
    let netlink = Netlink::open(&vm.namespaces).map_err(|e| configure(e.into()))?;
    let applied = netlink.apply(batch, links::DEADLINE).await;
    applied.map_err(|e| configure(e.into()))?;
    Ok((plan.name.clone(), lease.address.into()))
}
