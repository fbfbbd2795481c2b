//! Phase `links`: the underlay's bridges, every node's links with their addresses, and the VMs' namespaces.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ofm_netns::{Namespaces, Process, create_tap, set_tx_checksum};
use ofm_underlay::{Batch, LOOPBACK, Netlink, VethEnd};
use tokio::runtime::Handle;

use super::{for_all, for_each};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::{LinkPlan, NodePlan, Plan, Role, UNDERLAY_BRIDGE, UPLINK, VmPlan};
use crate::trace::SpanKind;

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Makes the underlay's bridges, which all nodes share.
pub(crate) async fn bridges(cluster: &Cluster) -> Result<(), Error> {
    // The kernel's own end of each link would otherwise announce itself to the node at the other one. Where that cannot be
    // forbidden, because there is no IPv6 or the settings are read-only, nothing is lost but time.
    let underlay = cluster.keeper().underlay();
    let _silenced =
        underlay.run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))?;
    let mut batch = Batch::new();
    for bridge in &cluster.plan().bridges {
        batch.bridge(&bridge.name, bridge.index);
    }
    let Some(uplink) = &cluster.plan().uplink else {
        return apply_in_underlay(cluster, batch).await;
    };
    move_in(cluster, uplink).await?;
    batch.join(uplink, UNDERLAY_BRIDGE);
    apply_in_underlay(cluster, batch).await
}

/// Moves an interface of the host to the underlay. At the cluster's end the kernel gives a physical one back.
async fn move_in(cluster: &Cluster, uplink: &str) -> Result<(), Error> {
    let failed = |e: Cause| Error::in_node(cluster.name(), format!("taking in {uplink}"), e);
    let here = Process::current().map_err(|e| failed(e.into()))?;
    let here = Namespaces::network_of(&here);
    let underlay = cluster.keeper().underlay().network_fd()?;
    let mut batch = Batch::new();
    batch.move_to(uplink, UPLINK, std::os::fd::AsFd::as_fd(&underlay));
    let netlink = Netlink::open(&here).map_err(|e| failed(e.into()))?;
    let moved = netlink.apply(batch, DEADLINE).await;
    moved.map_err(|e| failed(e.into()))
}

pub(crate) async fn create(
    cluster: &Cluster,
    handles: &[&NodeHandle],
    clock: &Clock,
) -> Result<(), Error> {
    let mtu = cluster.plan().mtu;
    let mut batch = Batch::new();
    // Every veth pair in one batch, with its other end straight in its node.
    for handle in handles {
        let netns = handle.node.namespaces().network_fd()?;
        for link in &handle.plan.links {
            let (here, peer) = ends(link, mtu);
            batch.veth(&here, &peer, std::os::fd::AsFd::as_fd(&netns));
        }
    }
    let pairs = apply_in_underlay(cluster, batch);
    cluster.span(SpanKind::Step, "veth pairs", pairs).await?;
    let plan = cluster.plan();
    let nodes = handles.iter().copied();
    for_each(clock, Phase::Links, nodes, |handle| {
        handle.span(SpanKind::Step, "links", node(plan, handle))
    })
    .await?;
    let servers = cluster.handles().values();
    let servers: Vec<_> = servers
        .filter(|handle| plan.seed && handle.plan.role.is_server())
        .collect();
    for_all(servers.into_iter(), |server| introduce(server, handles)).await
}

/// Removes the links of a node that has ended. The kernel would do so by itself, but when it gets round to it.
pub(crate) async fn cut(cluster: &Cluster, node: &NodePlan) -> Result<(), Error> {
    let failed = |e: Cause| Error::in_node(&node.name, "removing its links", e);
    let netlink = Netlink::open(&cluster.keeper().underlay()).map_err(|e| failed(e.into()))?;
    for link in &node.links {
        let mut batch = Batch::new();
        batch.remove(&link.outer_name);
        match netlink.apply(batch, DEADLINE).await {
            Err(error) if !error.is_absent() => return Err(failed(error.into())),
            _ => {}
        }
    }
    Ok(())
}

/// Tells a node the hardware addresses of its servers before it talks to them. Its switch has to be there: the kernel would
/// have forgotten them when the switch took over the interface.
pub(crate) async fn settle(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    let mut batch = Batch::new();
    for server in plan.servers(handle.plan.zone).filter(|_| plan.seed) {
        acquaint(&mut batch, &handle.plan, server);
    }
    if batch.is_empty() {
        return Ok(());
    }
    apply_in_node(handle, batch).await
}

/// Tells a server the hardware addresses of nodes that are about to connect.
async fn introduce(server: &NodeHandle, clients: &[&NodeHandle]) -> Result<(), Error> {
    let mut batch = Batch::new();
    let clients = clients.iter().map(|client| &client.plan);
    for client in clients.filter(|client| client.zone == server.plan.zone) {
        acquaint(&mut batch, &server.plan, client);
    }
    if batch.is_empty() {
        return Ok(());
    }
    apply_in_node(server, batch).await
}

/// Tells a node the hardware address of another one, so that it need not ask all. A question would be a new flow of each
/// switch on the underlay, and each of N chassis would ask.
fn acquaint(batch: &mut Batch, node: &NodePlan, other: &NodePlan) {
    if other.role == Role::Host || node.name == other.name {
        return;
    }
    if let (Some((index, _)), Some((_, mac))) = (node.port(), other.port()) {
        batch.neighbour(index, other.address, mac.0);
    }
}

async fn apply_in_underlay(cluster: &Cluster, batch: Batch) -> Result<(), Error> {
    let failed = |e: Cause| Error::in_node(cluster.name(), "building the underlay", e);
    let netlink = Netlink::open(&cluster.keeper().underlay()).map_err(|e| failed(e.into()))?;
    netlink
        .apply(batch, DEADLINE)
        .await
        .map_err(|e| failed(e.into()))
}

fn ends(link: &LinkPlan, mtu: u32) -> (VethEnd, VethEnd) {
    let here = VethEnd {
        name: link.outer_name.clone(),
        index: link.outer_index,
        mac: None,
        mtu: Some(mtu),
        controller: Some(link.bridge_index),
    };
    let peer = VethEnd {
        name: link.node_name.clone(),
        index: link.node_index,
        mac: Some(link.mac.0),
        mtu: Some(mtu),
        controller: None,
    };
    (here, peer)
}

/// Sets up a node's ends of its links, and makes its VMs.
async fn node(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    let (open_tap, netlink) = prepare(handle).await?;
    apply(handle, &netlink, of_node(&handle.plan, plan.mtu)).await?;
    // Until here it has a carrier, so that the kernel makes all its routes before there is a switch to look at them.
    drop(open_tap);
    for plan in &handle.plan.vms {
        let what = format!("VM {}", plan.name);
        let made = vm(handle, plan, &netlink);
        handle.span(SpanKind::Step, what, made).await?;
    }
    Ok(())
}

/// Does what netlink cannot do in a node, and opens a socket for the rest. Its TAP device, if it gets one, is open still.
async fn prepare(handle: &NodeHandle) -> Result<(Option<OwnedFd>, Netlink), Error> {
    let failed = |e: Cause| Error::in_node(&handle.plan.name, "preparing its links", e);
    let (links, tap) = (handle.plan.links.clone(), handle.plan.tap.clone());
    let (namespaces, runtime) = (handle.node.namespaces(), Handle::current());
    let prepare = move || {
        let _inside = runtime.enter();
        let of_links = links.iter().flat_map(|link| {
            let addresses = link.addresses.iter();
            addresses.map(|address| (&link.node_name, address))
        });
        let addresses = of_links.chain(tap.as_ref().map(|tap| (&tap.name, &tap.address)));
        let with_ipv6 = addresses.filter(|(_, address)| address.addr().is_ipv6());
        let with_ipv6: BTreeSet<_> = with_ipv6.map(|(link, _)| link).collect();
        if !with_ipv6.is_empty() {
            enable_ipv6()?;
        }
        for link in links.iter().filter(|link| !link.checksum_offload) {
            set_tx_checksum(&link.node_name, false)?;
        }
        let open_tap = tap.as_ref().map(|tap| create_tap(&tap.name, tap.index));
        let open_tap = open_tap.transpose()?;
        for link in with_ipv6 {
            keep_ipv6(link)?;
        }
        Ok::<_, Cause>((open_tap, Netlink::open_here()?))
    };
    let prepared = blocking(move || namespaces.run(prepare)).await?;
    prepared.map_err(failed)
}

/// Requests for a node's ends of its links.
fn of_node(node: &NodePlan, mtu: u32) -> Batch {
    let mut batch = Batch::new();
    batch.up(LOOPBACK, "lo");
    for link in &node.links {
        batch.quiet(link.node_index, &link.node_name);
        batch.up(link.node_index, &link.node_name);
        for address in &link.addresses {
            batch.address(link.node_index, &link.node_name, *address);
        }
        for gateway in &link.gateways {
            batch.default_route(*gateway, link.node_index);
        }
    }
    if let Some(tap) = &node.tap {
        batch.mac(tap.index, &tap.name, tap.mac.0);
        batch.mtu(tap.index, &tap.name, mtu);
        batch.quiet(tap.index, &tap.name);
        batch.up(tap.index, &tap.name);
        batch.address(tap.index, &tap.name, tap.address);
    }
    batch
}

async fn apply_in_node(handle: &NodeHandle, batch: Batch) -> Result<(), Error> {
    let netlink = Netlink::open(&handle.node.namespaces());
    let netlink = netlink.map_err(|e| configuring(handle, e.into()))?;
    apply(handle, &netlink, batch).await
}

async fn apply(handle: &NodeHandle, netlink: &Netlink, batch: Batch) -> Result<(), Error> {
    let applied = netlink.apply(batch, DEADLINE).await;
    applied.map_err(|e| configuring(handle, e.into()))
}

fn configuring(handle: &NodeHandle, cause: Cause) -> Error {
    Error::in_node(&handle.plan.name, "configuring its links", cause)
}

/// Lets all links of the calling thread's network namespace have IPv6 addresses. Docker forbids it in containers that it
/// joins to no IPv6 network.
fn enable_ipv6() -> io::Result<()> {
    for links in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{links}/disable_ipv6");
        if std::fs::read_to_string(&path)?.trim() != "0" {
            std::fs::write(&path, "0")?;
        }
    }
    Ok(())
}

/// Lets a link have its IPv6 addresses still after it was set down and up, as it has those of IPv4
/// (`keep_addr_on_down` in the kernel's `Documentation/networking/ip-sysctl.rst`).
fn keep_ipv6(link: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{link}/keep_addr_on_down");
    std::fs::write(path, "1")
}

/// Takes away what there is of a VM on a node that runs: its link, at once, and its namespace.
pub(crate) async fn remove_vm(handle: &NodeHandle, plan: &VmPlan) -> Result<(), Error> {
    let failed = |e: Cause| Error::in_node(&plan.name, "removing the VM", e);
    let namespaces = handle.node.namespaces();
    let links = namespaces.run(|| std::fs::read_to_string("/proc/1/net/dev"))?;
    let links = links.map_err(|e| failed(e.into()))?;
    let mut names = links.lines().filter_map(|line| line.split_once(':'));
    if names.any(|(name, _)| name.trim() == plan.outer_name) {
        let mut batch = Batch::new();
        batch.remove(&plan.outer_name);
        let netlink = Netlink::open(&namespaces).map_err(|e| failed(e.into()))?;
        let removed = netlink.apply(batch, DEADLINE).await;
        removed.map_err(|e| failed(e.into()))?;
    }
    Ok(handle.node.delete_netns(&plan.name)?)
}

/// Makes a VM on a node that runs.
pub(crate) async fn add_vm(handle: &NodeHandle, plan: &VmPlan) -> Result<(), Error> {
    let netlink = Netlink::open(&handle.node.namespaces())
        .map_err(|e| Error::in_node(&plan.name, "making the VM", e))?;
    vm(handle, plan, &netlink).await
}

/// A VM: a network namespace inside the node, with one end of a veth pair; the other end becomes a port of br-int.
async fn vm(handle: &NodeHandle, plan: &VmPlan, outside: &Netlink) -> Result<(), Error> {
    let failed = |e: Cause| Error::in_node(&plan.name, "making the VM", e);
    let netns = handle.node.create_netns(&plan.name)?;
    let inside = handle
        .node
        .namespaces()
        .with_network(netns.try_clone().map_err(|e| failed(e.into()))?);
    // Duplicate address detection would hold every new address back for a second.
    inside
        .run(|| {
            for link in ["default", "all"] {
                let path = format!("/proc/sys/net/ipv6/conf/{link}/accept_dad");
                std::fs::write(path, "0")?;
            }
            io::Result::Ok(())
        })?
        .map_err(|e| failed(e.into()))?;

    let end = |name: &str, index, mac, mtu| VethEnd {
        name: name.to_owned(),
        index,
        mac,
        mtu,
        controller: None,
    };
    let mut batch = Batch::new();
    let outer = end(&plan.outer_name, plan.outer_index, None, None);
    let inner = end(
        &plan.name,
        plan.inner_index,
        Some(plan.mac.0),
        Some(plan.mtu),
    );
    batch.veth(&outer, &inner, std::os::fd::AsFd::as_fd(&netns));
    outside
        .apply(batch, DEADLINE)
        .await
        .map_err(|e| failed(e.into()))?;

    let mut batch = Batch::new();
    batch.up(LOOPBACK, "lo");
    batch.up(plan.inner_index, &plan.name);
    for address in &plan.addresses {
        batch.address(plan.inner_index, &plan.name, *address);
    }
    for gateway in &plan.gateways {
        batch.default_route(*gateway, plan.inner_index);
    }
    if !plan.checksum_offload {
        inside
            .run(|| set_tx_checksum(&plan.name, false))?
            .map_err(|e| failed(e.into()))?;
    }
    let netlink = Netlink::open(&inside).map_err(|e| failed(e.into()))?;
    netlink
        .apply(batch, DEADLINE)
        .await
        .map_err(|e| failed(e.into()))
}
