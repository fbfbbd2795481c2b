//! Other underlays, encapsulations, names and settings of chassis than the default ones.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use ofm::plan::{Datapath, NodePlan};
use ofm::spec::{ChassisSpec, Encapsulation, NodeNames};
use ofm::{Cluster, ClusterSpec};
use ofm_tests::Place;
use ovsdb_client::value::Row;
use ovsdb_client::{Client, MonitorTable};

use crate::rows::external_ids;
use crate::versions::topology;
use crate::{block_on, matrix};

/// Starts a cluster, pings all that the demo connects, and looks at the cluster.
fn with(
    place: &Place,
    change: impl FnOnce(&mut ClusterSpec),
    look: impl AsyncFnOnce(&Cluster) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut spec = place.spec();
    change(&mut spec);
    block_on(async {
        let cluster = place.builder().spec(spec).start().await?;
        matrix::reach(&cluster).await?;
        look(&cluster).await?;
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// The gateways and chassis.
pub(crate) fn chassis(cluster: &Cluster) -> impl Iterator<Item = &NodePlan> {
    let nodes = cluster.plan().nodes.iter();
    nodes.filter(|node| node.role.is_chassis())
}

/// What a function makes of each row of a table that it is meant for.
async fn rows<T: Ord>(
    client: Client,
    database: &str,
    table: &str,
    select: impl Fn(&Row) -> Option<T>,
) -> anyhow::Result<BTreeSet<T>> {
    let monitor = client
        .monitor(database, &[MonitorTable::new(table)])
        .await?;
    let rows = monitor.snapshot();
    Ok(rows
        .rows(table)
        .filter_map(|(_, row)| select(row))
        .collect())
}

/// The tunnels of a node, each by its type and its far end.
async fn tunnels(cluster: &Cluster, node: &NodePlan) -> anyhow::Result<BTreeSet<(String, String)>> {
    let client = cluster.node(node.name.as_str())?.ovs().await?;
    let tunnel = |row: &Row| {
        let remote = row.map_get("options", "remote_ip")?;
        Some((row.str("type")?.to_owned(), remote.to_owned()))
    };
    rows(client, "Open_vSwitch", "Interface", tunnel).await
}

/// The encapsulations that the southbound database has, each by its type and address.
async fn encaps(cluster: &Cluster) -> anyhow::Result<BTreeSet<(String, String)>> {
    let encap = |row: &Row| Some((row.str("type")?.to_owned(), row.str("ip")?.to_owned()));
    rows(cluster.sb().await?, "OVN_Southbound", "Encap", encap).await
}

/// Checks that tunnels of these types, and no others, join all gateways and chassis.
async fn joined_by(cluster: &Cluster, offered: &[&str], used: &str) -> anyhow::Result<()> {
    let ends = |types: &[&str], nodes: &mut dyn Iterator<Item = &NodePlan>| {
        let mut ends = BTreeSet::new();
        for node in nodes {
            ends.extend(
                types
                    .iter()
                    .map(|t| ((*t).to_owned(), node.address.to_string())),
            );
        }
        ends
    };
    assert_eq!(encaps(cluster).await?, ends(offered, &mut chassis(cluster)));
    for node in chassis(cluster) {
        let ids = external_ids(cluster, node.name.as_str()).await?;
        assert_eq!(ids["ovn-encap-type"], offered.join(","));
        assert_eq!(ids["ovn-encap-ip"], node.address.to_string());
        let mut peers = chassis(cluster).filter(|peer| peer.name != node.name);
        let expected = ends(&[used], &mut peers);
        assert_eq!(tunnels(cluster, node).await?, expected, "{}", node.name);
    }
    Ok(())
}

pub(crate) fn ipv6(place: &Place) -> anyhow::Result<()> {
    let subnet = "fd00:170:168::/64".parse()?;
    let change = |spec: &mut ClusterSpec| spec.underlay = subnet;
    with(place, change, async |cluster| {
        let central = &cluster.plan().central().address.to_string();
        assert_eq!(central, "fd00:170:168::2");
        for node in chassis(cluster) {
            let ids = external_ids(cluster, node.name.as_str()).await?;
            assert_eq!(ids["ovn-remote"], "ssl:[fd00:170:168::2]:6642");
        }
        joined_by(cluster, &["geneve"], "geneve").await?;

        let node = cluster.node("ovn-chassis-1")?;
        let sh = async |script: &str| {
            let output = node.exec(["sh", "-euc", script]).await?;
            match output.status.success() {
                true => Ok(output.text()),
                false => bail!("{script}: {}", output.error_text()),
            }
        };
        let look =
            "ip -6 -o addr show dev eth1 scope global; ip -6 route show dev eth1 proto kernel";
        let before = sh(look).await?;
        assert!(before.contains("fd00:170:168::/64"), "{before}");
        sh("ip link set eth1 down; ip link set eth1 up").await?;
        assert_eq!(sh(look).await?, before);
        sh(&format!("ping -c 1 -w 10 {central}")).await?;
        Ok(())
    })
}

pub(crate) fn vxlan(place: &Place) -> anyhow::Result<()> {
    let change = |spec: &mut ClusterSpec| spec.encapsulation = Encapsulation::Vxlan;
    with(place, change, async |cluster| {
        joined_by(cluster, &["vxlan"], "vxlan").await
    })
}

/// Of several encapsulations that both ends offer, OVN prefers Geneve.
pub(crate) fn both(place: &Place) -> anyhow::Result<()> {
    let change = |spec: &mut ClusterSpec| spec.encapsulation = Encapsulation::Both;
    with(place, change, async |cluster| {
        joined_by(cluster, &["geneve", "vxlan"], "geneve").await
    })
}

/// Packets of nearly the size of a large MTU pass in one piece.
pub(crate) fn jumbo(place: &Place) -> anyhow::Result<()> {
    let change = |spec: &mut ClusterSpec| spec.mtu = 9000;
    with(place, change, async |cluster| {
        for node in chassis(cluster) {
            let client = cluster.node(node.name.as_str())?.ovs().await?;
            let mtu = |row: &Row| {
                let name = row
                    .str("name")
                    .filter(|name| ["eth1", "eth2"].contains(name));
                Some((name?.to_owned(), row.i64("mtu")))
            };
            let found = rows(client, "Open_vSwitch", "Interface", mtu).await?;
            assert!(
                found.contains(&("eth2".to_owned(), Some(9000))),
                "{found:?}"
            );
            assert!(found.iter().all(|(_, mtu)| *mtu == Some(9000)), "{found:?}");
        }
        let peer = cluster
            .plan()
            .node_named("ovn-chassis-2")
            .context("no such node")?;
        let (own, address) = (cluster.node("ovn-chassis-1")?, peer.address.to_string());
        // 20 bytes are the IP header's and 8 the ICMP header's.
        for (size, passes) in [("8972", true), ("8973", false)] {
            let ping = [
                "ping", "-c", "1", "-W", "5", "-M", "do", "-s", size, &address,
            ];
            let output = own.exec(ping).await?;
            assert_eq!(output.status.success(), passes, "{size}: {}", output.text());
        }
        Ok(())
    })
}

pub(crate) fn monitor_all(place: &Place) -> anyhow::Result<()> {
    let change = |spec: &mut ClusterSpec| {
        spec.monitor_all = true;
        spec.remote_probe_interval = 7000;
        spec.openflow_probe_interval = 8;
    };
    with(place, change, async |cluster| {
        for node in chassis(cluster) {
            let ids = external_ids(cluster, node.name.as_str()).await?;
            assert_eq!(ids["ovn-monitor-all"], "true");
            assert_eq!(ids["ovn-remote-probe-interval"], "7000");
            assert_eq!(ids["ovn-openflow-probe-interval"], "8");
        }
        // The controllers say so too.
        let all = |row: &Row| Some(row.map_get("other_config", "ovn-monitor-all") == Some("true"));
        let found = rows(cluster.sb().await?, "OVN_Southbound", "Chassis", all).await?;
        assert!(found.iter().eq(&[true]));
        Ok(())
    })
}

/// Without the physical network VMs are joined all the same, and a chassis that comes later has nothing of it either.
pub(crate) fn no_public(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let mut outside = topology()?;
        let switch = outside.switch("outside");
        outside.localnet(switch, "ln-outside", "public");
        let refused = place.builder().public(false).topology(outside).start();
        match refused.await {
            Ok(_) => bail!("a port leads to the network that is left out"),
            Err(error) => assert!(error.to_string().contains("ln-outside"), "{error}"),
        }
        let builder = place.builder().public(false).gateways(0);
        let mut cluster = builder.topology(topology()?).start().await?;
        cluster
            .add_chassis(ChassisSpec::new("ovn-late".parse()?))
            .await?;
        assert_eq!(chassis(&cluster).count(), 3);
        for node in chassis(&cluster) {
            let name = node.name.as_str();
            let ids = external_ids(&cluster, name).await?;
            assert!(!ids.contains_key("ovn-bridge-mappings"), "{name}: {ids:?}");
            let client = cluster.node(name)?.ovs().await?;
            let bridge = |row: &Row| row.str("name").map(str::to_owned);
            let bridges = rows(client, "Open_vSwitch", "Bridge", bridge).await?;
            let expected: &[&str] = match cluster.plan().datapath {
                Datapath::Netdev => &["br-int", "eth1"],
                Datapath::System => &["br-int"],
            };
            assert!(bridges.iter().eq(expected), "{name}: {bridges:?}");
        }
        for node in &cluster.plan().nodes {
            let handle = cluster.node(node.name.as_str())?;
            let links = handle.exec(["ls", "/sys/class/net"]).await?.text();
            assert!(links.contains("eth1"), "{}: {links}", node.name);
            assert!(!links.contains("eth2"), "{}: {links}", node.name);
        }
        for address in ["10.0.0.12", "10.0.0.1", "10.0.1.13"] {
            cluster.vm("vm1")?.ping(address.parse()?).await?;
        }
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

pub(crate) fn names(place: &Place) -> anyhow::Result<()> {
    let change = |spec: &mut ClusterSpec| {
        spec.names = NodeNames {
            central_prefix: "brain-".to_owned(),
            gateway_prefix: "gate-".to_owned(),
            chassis_prefix: "hv-".to_owned(),
            ..NodeNames::default()
        };
    };
    with(place, change, async |cluster| {
        let expected = ["gate-1", "hv-1", "hv-2"];
        for name in expected {
            let ids = external_ids(cluster, name).await?;
            assert_eq!((&*ids["system-id"], &*ids["hostname"]), (name, name));
        }
        let name = |row: &Row| row.str("name").map(str::to_owned);
        let found = rows(cluster.sb().await?, "OVN_Southbound", "Chassis", name).await?;
        assert!(found.iter().eq(&expected), "{found:?}");
        let found = rows(cluster.nb().await?, "OVN_Northbound", "NB_Global", name).await?;
        assert!(found.iter().eq(&["brain-1"]), "{found:?}");
        Ok(())
    })
}
