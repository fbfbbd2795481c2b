//! The datapath of the kernel: its tunnels, its connection tracking, and what else of the kernel's network a node has of
//! its own. Only with `OFM_TEST_DATAPATH=system`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, bail};
use ofm::spec::Encapsulation;
use ofm::{Cluster, ClusterSpec, NodeHandle};
use ofm_tests::{Place, wait_until_gone};
use serde_json::Value;

use crate::block_on;
use crate::matrix::reach;
use crate::traffic::GRACE;
use crate::underlays::chassis;

/// Starts a cluster, looks at it, and stops it, after which the host has the interfaces that it had before.
fn with(
    place: &Place,
    change: impl FnOnce(&mut ClusterSpec),
    look: impl AsyncFnOnce(&Cluster) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut spec = place.spec();
    change(&mut spec);
    let before = std::fs::read_dir("/sys/class/net")?.count();
    block_on(async {
        let cluster = place.builder().spec(spec).start().await?;
        look(&cluster).await?;
        cluster.stop().await?;
        anyhow::Ok(())
    })??;
    wait_until_gone(place, GRACE)?;
    assert_eq!(std::fs::read_dir("/sys/class/net")?.count(), before);
    Ok(())
}

/// What a program of a node wrote. It must succeed.
async fn output(node: &NodeHandle, command: &[&str]) -> anyhow::Result<String> {
    let output = node.exec(command.iter().copied()).await?;
    if output.status.success() {
        return Ok(output.text());
    }
    bail!("{command:?}: {}", output.error_text())
}

/// An interface of a node, as ip-link(8) describes it.
async fn link(node: &NodeHandle, name: &str) -> anyhow::Result<Value> {
    let ip = [
        "ip",
        "-json",
        "-details",
        "-statistics",
        "link",
        "show",
        name,
    ];
    let links: Value = serde_json::from_str(&output(node, &ip).await?)?;
    Ok(links[0].clone())
}

/// Checks that what VMs send each other goes through an interface of this name and kind in every gateway and chassis.
async fn through(cluster: &Cluster, name: &str, kind: &str, port: u16) -> anyhow::Result<()> {
    reach(cluster).await?;
    for node in chassis(cluster) {
        let link = link(&cluster.node(node.name.as_str())?, name).await?;
        assert_eq!(link["linkinfo"]["info_kind"], kind, "{link:#}");
        assert_eq!(link["linkinfo"]["info_data"]["port"], port, "{link:#}");
        assert_eq!(link["master"], "ovs-system", "{link:#}");
        for direction in ["rx", "tx"] {
            let packets = link["stats64"][direction]["packets"].as_u64();
            assert!(packets > Some(0), "{}: {direction} of {link:#}", node.name);
        }
    }
    Ok(())
}

pub(crate) fn geneve(place: &Place) -> anyhow::Result<()> {
    let look = async |cluster: &Cluster| through(cluster, "genev_sys_6081", "geneve", 6081).await;
    with(place, |_| {}, look)
}

pub(crate) fn geneve_over_ipv6(place: &Place) -> anyhow::Result<()> {
    let underlay = "fd00:170:168::/64".parse()?;
    let look = async |cluster: &Cluster| through(cluster, "genev_sys_6081", "geneve", 6081).await;
    with(place, |spec| spec.underlay = underlay, look)
}

pub(crate) fn vxlan(place: &Place) -> anyhow::Result<()> {
    let change = |spec: &mut ClusterSpec| spec.encapsulation = Encapsulation::Vxlan;
    let look = async |cluster: &Cluster| through(cluster, "vxlan_sys_4789", "vxlan", 4789).await;
    with(place, change, look)
}

/// The ports that the datapath of a node has, as ovs-vswitchd(8) lists them.
async fn ports(node: &NodeHandle) -> anyhow::Result<BTreeSet<String>> {
    let mut vswitchd = node.unixctl("ovs-vswitchd").await?;
    let shown = vswitchd.call("dpctl/show", &[]).await?;
    let datapaths = shown.lines().filter(|line| !line.starts_with(' '));
    assert!(datapaths.eq(["system@ovs-system:"]), "{shown}");
    // As in "  port 6: genev_sys_6081 (geneve: packet_type=ptap)".
    let port = |line: &str| {
        let (_, port) = line.trim().strip_prefix("port ")?.split_once(": ")?;
        Some(port.split(' ').next()?.to_owned())
    };
    Ok(shown.lines().filter_map(port).collect())
}

/// Nodes do not see each other's datapaths, although all are of one kernel and have the same name.
pub(crate) fn own_datapath(place: &Place) -> anyhow::Result<()> {
    let look = async |cluster: &Cluster| {
        for node in chassis(cluster) {
            let mut expected: BTreeSet<String> =
                ["ovs-system", "br-int", "br-ex", "eth2", "genev_sys_6081"]
                    .map(str::to_owned)
                    .into();
            expected.extend(node.vms.iter().map(|vm| vm.outer_name.clone()));
            let found = ports(&cluster.node(node.name.as_str())?).await?;
            assert_eq!(found, expected, "{}", node.name);
        }
        Ok(())
    };
    with(place, |_| {}, look)
}

/// The connections that a node tracks which an address began, each in a line of Open vSwitch's ct-dpif.
async fn connections(node: &NodeHandle, from: IpAddr) -> anyhow::Result<Vec<String>> {
    let mut vswitchd = node.unixctl("ovs-vswitchd").await?;
    let all = vswitchd.call("dpctl/dump-conntrack", &[]).await?;
    let from = format!("orig=(src={from},");
    let lines = all.lines().filter(|line| line.contains(&from));
    Ok(lines.map(str::to_owned).collect())
}

/// A connection is translated, and known, where its NAT is: of a floating address in the VM's chassis, else in the gateway.
pub(crate) fn conntrack(place: &Place) -> anyhow::Result<()> {
    let look = async |cluster: &Cluster| {
        let outside = "172.16.1.50".parse()?;
        for (vm, translated, at) in [
            ("sw01p1", "172.16.1.110", "ovn-chassis-1"),
            ("sw11p1", "172.16.1.120", "ovn-chassis-2"),
            ("sw01p4", "172.16.1.100", "ovn-gw-1"),
        ] {
            let vm = cluster.vm(vm)?;
            vm.ping(outside).await?;
            let leases = cluster.status().await?.vms;
            let lease = leases.iter().find(|found| found.name == vm.plan().name);
            let address = lease.and_then(|vm| vm.ips.iter().find(|ip| ip.addr().is_ipv4()));
            let from = address.context("a VM without an address")?.addr();
            for node in chassis(cluster) {
                let handle = cluster.node(node.name.as_str())?;
                let found = connections(&handle, from).await?;
                let answer = format!("reply=(src={outside},dst={translated},");
                let is_translated = found.iter().any(|line| line.contains(&answer));
                let name = node.name.as_str();
                assert_eq!(is_translated, name == at, "{name} of {from}: {found:#?}");
            }
        }
        Ok(())
    };
    with(place, |_| {}, look)
}

/// Makes a VRF, and from it a link to a network namespace that has the address of the central node.
const MAKE_VRF: &str = "
    ip netns add beside
    ip link add blue type vrf table 100
    ip link set blue up
    ip link add to-beside type veth peer name eth0 netns beside
    ip link set to-beside master blue up
    ip address add 170.168.0.200/24 dev to-beside
    ip -n beside link set eth0 up
    ip -n beside address add 170.168.0.2/24 dev eth0
";

/// A VRF of a node has routes of its own: an address is one thing in it and another one beside it.
pub(crate) fn vrf(place: &Place) -> anyhow::Result<()> {
    let look = async |cluster: &Cluster| {
        let central = cluster.plan().central();
        assert_eq!(central.address.to_string(), "170.168.0.2");
        let node = cluster.node("ovn-chassis-1")?;
        output(&node, &["sh", "-e", "-c", MAKE_VRF]).await?;
        let blue = link(&node, "blue").await?;
        assert_eq!(blue["linkinfo"]["info_data"]["table"], 100, "{blue:#}");
        let in_vrf = ["ping", "-c", "1", "-W", "5", "-I", "blue", "170.168.0.2"];
        output(&node, &in_vrf).await?;
        node.ping(central.address).await?;
        // Neighbors tell which of the two answered.
        let neighbor = async |device| {
            let ip = [
                "ip",
                "-json",
                "neighbor",
                "show",
                "170.168.0.2",
                "dev",
                device,
            ];
            let found: Value = serde_json::from_str(&output(&node, &ip).await?)?;
            anyhow::Ok(found[0]["lladdr"].clone())
        };
        let beside = ["ip", "-n", "beside", "-json", "link", "show", "eth0"];
        let beside: Value = serde_json::from_str(&output(&node, &beside).await?)?;
        assert_eq!(neighbor("to-beside").await?, beside[0]["address"]);
        assert_eq!(neighbor("eth1").await?, central.links[0].mac.to_string());
        let other = cluster.node("ovn-chassis-2")?;
        let vrfs = output(&other, &["ip", "-json", "link", "show", "type", "vrf"]).await?;
        assert_eq!(vrfs.trim(), "[]", "another node has none");
        reach(cluster).await
    };
    with(place, |_| {}, look)
}
