//! Changes of a cluster while it runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ofm::spec::ChassisSpec;
use ofm::{Cluster, Vm};
use ofm_tests::{Place, describe, pause, program, wait_until_gone};

use crate::block_on;

const GRACE: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 20;
/// Packets that may be on their way when a ping with 100 of them in a second is interrupted.
const IN_FLIGHT: u64 = 10;

/// Chassis come and go while two VMs talk, and the VMs do not notice.
pub(crate) fn undisturbed(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let mut cluster = place.builder().start().await?;
        let (from, to) = (cluster.vm("sw01p1")?, cluster.vm("sw11p1")?);
        let inside = cluster.node("ovnfake-int1")?;
        let address = to.plan().addresses[0].addr();
        // The first packet of a userspace tunnel is lost while the neighbour is learnt.
        from.ping(address).await?;
        let talk = tokio::spawn({
            let from = from.clone();
            async move {
                from.exec(["ping", "-i", "0.01", &address.to_string()])
                    .await
            }
        });
        let began = Instant::now();
        let mut given = BTreeSet::new();
        for round in 1..=ROUNDS {
            let name = format!("guest-{round}");
            let added = cluster.add_chassis(ChassisSpec::new(name.parse()?)).await?;
            let ip = added.plan().address;
            assert!(given.insert(ip), "{ip} was given twice");
            let answer = inside
                .exec(["ping", "-c", "1", "-w", "5", &ip.to_string()])
                .await?;
            assert!(answer.status.success(), "{}", answer.text());
            assert_eq!(tunnels(&cluster, "guest-").await?, [3]);
            cluster.stop_chassis(&name).await?;
            assert_eq!(rows_of(&cluster, &name).await?, 0);
            assert!(!added.plan().dir.exists());
        }
        let status = cluster.status().await?;
        assert!(status.ready, "{status:#?}");
        let (sent, answered) = end(&from, talk).await?;
        // Less would mean that it did not go on all the time.
        let least = began.elapsed().as_millis() as u64 / 10 / 2;
        assert!(sent > least, "{sent} packets, not {least}");
        let last = answered.last().copied().unwrap_or_default();
        let lost: Vec<_> = (1..last).filter(|n| !answered.contains(n)).collect();
        assert!(lost.is_empty(), "of {sent} packets: {lost:?}");
        // Only those that were on their way at the end have no answer yet.
        assert!(
            sent - last <= IN_FLIGHT,
            "{sent} sent, the last answer is to {last}"
        );
        cluster.stop().await?;
        anyhow::Ok(())
    })??;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// Interrupts a ping and returns how many packets it sent, and the numbers of those that were answered.
async fn end(
    vm: &Vm,
    talk: tokio::task::JoinHandle<Result<ofm_netns::Output, ofm::Error>>,
) -> anyhow::Result<(u64, BTreeSet<u64>)> {
    vm.node().exec(["killall", "-INT", "ping"]).await?;
    let text = talk.await??.text();
    let answered = text.lines().filter_map(|line| {
        let (_, number) = line.split_once("icmp_seq=")?;
        number.split(' ').next()?.parse().ok()
    });
    let answered = answered.collect();
    let summary = text
        .lines()
        .find(|line| line.contains("packets transmitted"));
    let sent = summary.and_then(|line| line.split(' ').next()?.parse().ok());
    Ok((sent.context(text)?, answered))
}

/// How many tunnels the nodes have whose names begin so.
async fn tunnels(cluster: &Cluster, beginning: &str) -> anyhow::Result<Vec<usize>> {
    let status = cluster.status().await?;
    let nodes = status.nodes.iter();
    let nodes = nodes.filter(|node| node.name.as_str().starts_with(beginning));
    Ok(nodes.map(|node| node.tunnels).collect())
}

/// How many rows of the southbound database are about a chassis.
async fn rows_of(cluster: &Cluster, chassis: &str) -> anyhow::Result<usize> {
    use ovsdb_client::{Condition, Transaction};
    let mut transaction = Transaction::new();
    let selects: Vec<_> = [
        ("Chassis", "name"),
        ("Chassis_Private", "name"),
        ("Encap", "chassis_name"),
    ]
    .map(|(table, column)| transaction.select(table, [Condition::eq(column, chassis)], [column]))
    .into();
    let outcome = cluster
        .sb()
        .await?
        .transact("OVN_Southbound", transaction)
        .await?;
    let rows = selects
        .into_iter()
        .map(|select| outcome.rows(select).unwrap_or_default().len());
    Ok(rows.sum())
}

/// The same from the command line, with a gateway, and with bad requests.
pub(crate) fn commands(place: &Place) -> anyhow::Result<()> {
    place.run(&["start", "--no-fake-vms", "--chassis", "1"])?;
    assert!(
        place
            .run(&["add-chassis", "guest"])?
            .contains("170.168.0.5")
    );
    place.run(&["add-chassis", "way-out", "--gateway"])?;
    let script = "ovs-vsctl get open . external_ids:ovn-cms-options";
    let options = place.run(&["exec", "way-out", "--", "sh", "-c", script])?;
    assert_eq!(options.trim(), "enable-chassis-as-gw");
    for (args, told) in [
        (&["add-chassis", "guest"][..], "has a node of that name"),
        (&["add-chassis", "other", "--zone", "2"], "no zone 2"),
        (&["add-chassis", "other", "nowhere"], "\"nowhere\""),
        (&["stop-chassis", "ovn-central-az1"], "no chassis"),
        (&["stop-chassis", "nobody"], "no node nobody"),
        (&["set-ovn-remote", "nowhere"], "\"nowhere\""),
        (
            &["set-chassis-ovn-remote", "ovn-central-az1", "tcp:1.2.3.4:1"],
            "central",
        ),
        (&["restart", "guest", "nothing"], "no daemon nothing"),
    ] {
        let output = place.ofm(args).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(
            text.contains(told) && text.contains("hint:"),
            "{args:?}: {text}"
        );
    }
    place.run(&["set-chassis-ovn-remote", "guest", "tcp:1.2.3.4:6642"])?;
    let remote = "ovs-vsctl get open . external_ids:ovn-remote";
    let all = place.run(&[
        "run-command",
        "sh",
        "-c",
        &format!("hostname; {remote} || true"),
    ])?;
    let lines: Vec<_> = all.lines().collect();
    let expected = [
        "--- ovn-central-az1",
        "ovn-central-az1",
        "--- ovn-gw-1",
        "ovn-gw-1",
        "\"ssl:170.168.0.2:6642\"",
        "--- ovn-chassis-1",
        "ovn-chassis-1",
        "\"ssl:170.168.0.2:6642\"",
        "--- guest",
        "guest",
        "\"tcp:1.2.3.4:6642\"",
        "--- way-out",
        "way-out",
        "\"ssl:170.168.0.2:6642\"",
    ];
    assert_eq!(lines, expected);
    // One that uses somebody else's databases keeps no other from coming.
    place.run(&["add-chassis", "late"])?;
    place.run(&["add-chassis", "elsewhere", "tcp:0.0.0.1:6642"])?;
    place.run(&["add-chassis", "later"])?;
    for name in ["late", "elsewhere", "later"] {
        place.run(&["stop-chassis", name])?;
    }
    // A numbered one may come again, and the file of the cluster, which is planned below, says so once.
    place.run(&["stop-chassis", "ovn-chassis-1"])?;
    place.run(&["add-chassis", "ovn-chassis-1"])?;
    let file = place.root().join("exported.toml");
    std::fs::write(&file, place.run(&["export"])?)?;
    // Whoever cannot leave in order is stopped all the same.
    place.run(&["stop-chassis", "guest"])?;
    let status: serde_json::Value = serde_json::from_str(&place.run(&["status", "--json"])?)?;
    assert_eq!(status["ready"], true, "{status:#}");
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(4));
    place.run(&["stop"])?;
    let planned = place.run(&["plan", "-f", &file.to_string_lossy()])?;
    assert_eq!(planned.matches("\novn-chassis-1 ").count(), 1, "{planned}");
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// Daemons are started again: after they were killed, below another program, and as another program.
pub(crate) fn restarted(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let cluster = place.builder().start().await?;
        let chassis = cluster.node("ovn-chassis-1")?;
        let (from, to) = (cluster.vm("sw01p1")?, cluster.vm("sw11p1")?);
        let address = to.plan().addresses[0].addr();
        for (node, daemon) in [
            ("ovn-chassis-1", "ovs-vswitchd"),
            ("ovn-chassis-1", "ovn-controller"),
            ("ovn-chassis-1", "ovsdb-server"),
            ("ovn-central-az1", "ovsdb-server-sb"),
            ("ovn-central-az1", "ovn-northd"),
        ] {
            let before = pid(&cluster, node, daemon).await?;
            cluster.restart(node, daemon, &[]).await?;
            let after = pid(&cluster, node, daemon).await?;
            assert_ne!(before, after, "{daemon}");
            answered(&from, address).await?;
        }
        chassis
            .exec(["killall", "-9", "--wait", "ovs-vswitchd"])
            .await?;
        assert!(!cluster.status().await?.ready);
        cluster
            .restart("ovn-chassis-1", "ovs-vswitchd", &[])
            .await?;
        answered(&from, address).await?;
        let wrap = ["env", "OFM_TEST=wrapped"].map(str::to_owned);
        cluster
            .restart("ovn-chassis-1", "ovs-vswitchd", &wrap)
            .await?;
        let mut vswitchd = chassis.unixctl("ovs-vswitchd").await?;
        let bridges = vswitchd.call("ofproto/list", &[]).await?;
        assert!(bridges.contains("br-int"), "it has not begun: {bridges}");
        let script = "tr '\\0' '\\n' < /proc/$(cat /run/openvswitch/ovs-vswitchd.pid)/environ";
        let environment = chassis.exec(["sh", "-c", script]).await?.text();
        assert!(environment.contains("OFM_TEST=wrapped"), "{environment}");
        answered(&from, address).await?;
        // What ends instead of serving is told, with what it said.
        let wrap = ["sh", "-c", "echo no such luck; exit 3"].map(str::to_owned);
        let error = cluster
            .restart("ovn-chassis-1", "ovn-controller", &wrap)
            .await;
        let text = error
            .map_err(|error| error.to_string())
            .err()
            .unwrap_or_default();
        assert!(
            text.contains("exit status: 3") && text.contains("no such luck"),
            "{text}"
        );
        cluster
            .restart("ovn-chassis-1", "ovn-controller", &[])
            .await?;
        let status = cluster.status().await?;
        assert!(status.ready, "{status:#?}");
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// Pings until there is an answer. A switch that comes back has no flows until its controller looks for it again, which is up to
/// eight seconds later (OVN's lib/rconn.c).
async fn answered(from: &Vm, address: IpAddr) -> anyhow::Result<()> {
    let mut last = from.ping(address).await;
    for _ in 0..3 {
        if last.is_ok() {
            break;
        }
        last = from.ping(address).await;
    }
    last?;
    Ok(())
}

async fn pid(cluster: &Cluster, node: &str, daemon: &str) -> anyhow::Result<Option<i32>> {
    let status = cluster.status().await?;
    let node = status
        .nodes
        .iter()
        .find(|n| n.name.as_str() == node)
        .context("no such node")?;
    let daemon = node
        .daemons
        .iter()
        .find(|d| d.name == daemon)
        .context("no such daemon")?;
    assert!(daemon.alive, "{daemon:?}");
    Ok(daemon.pid)
}

/// Chassis without databases of their own join another cluster's, over an uplink of each.
pub(crate) fn joined(place: &Place) -> anyhow::Result<()> {
    // Sixteen bytes are too many for the name of an interface.
    let number = place.name().rsplit('-').next().unwrap_or_default();
    let (a, b) = (format!("ofmA{number}"), format!("ofmB{number}"));
    let ip = |args: &[&str]| -> anyhow::Result<()> {
        let output = program(Path::new("ip")).args(args).output()?;
        if output.status.success() {
            Ok(())
        } else {
            bail!(describe(&output))
        }
    };
    let output = place.ofm(&["start", "--uplink", &a]).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&a) && text.contains("no interface"), "{text}");
    ip(&["link", "add", &a, "type", "veth", "peer", "name", &b])?;
    place.run(&[
        "start",
        "--no-tls",
        "--no-fake-vms",
        "--no-ic",
        "--gateways",
        "0",
        "--uplink",
        &a,
    ])?;
    let guests = format!("{}-guests", place.name());
    let remote = "tcp:170.168.0.2:6642";
    let options = [
        "--chassis-prefix",
        "guest-",
        "--first-address",
        "170.168.1.1",
        "--uplink",
        &b,
    ];
    place.run(
        &[
            &["start-chassis", remote, "--cluster", &guests, "--no-tls"][..],
            &options,
        ]
        .concat(),
    )?;
    let began = Instant::now();
    loop {
        // The two clusters know nothing of each other, so nobody tells when all of it is there.
        let show = place.run(&["exec", "ovn-chassis-1", "--", "ovs-vsctl", "show"])?;
        if ["170.168.1.1", "170.168.1.2"]
            .iter()
            .all(|ip| show.contains(&format!("remote_ip=\"{ip}\"")))
        {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{show}");
        pause(Duration::from_millis(50));
    }
    let ping = [
        "exec",
        "--cluster",
        &guests,
        "guest-2",
        "--",
        "ping",
        "-c",
        "1",
        "-w",
        "5",
        "170.168.0.3",
    ];
    place.run(&ping)?;
    place.run(&["stop", "--cluster", &guests])?;
    place.run(&["stop"])?;
    let links = std::fs::read_to_string("/proc/net/dev")?;
    assert!(!links.contains(&a) && !links.contains(&b), "{links}");
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// Chassis come and go although the database of another one's switch is dead, which then has no tunnel to them.
pub(crate) fn beside_a_dead_one(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let builder = place.builder().no_fake_vms().chassis(3);
        let mut cluster = builder.start().await?;
        let dead = cluster.node("ovn-chassis-1")?;
        let killed = dead.exec(["killall", "-KILL", "ovsdb-server"]).await?;
        assert!(killed.status.success(), "{}", killed.error_text());
        let name = "guest-1".parse()?;
        cluster.add_chassis(ChassisSpec::new(name)).await?;
        // To the gateway and all chassis, for those have rows.
        assert_eq!(tunnels(&cluster, "guest-").await?, [4]);
        cluster.stop_chassis("guest-1").await?;
        assert_eq!(rows_of(&cluster, "guest-1").await?, 0);
        cluster.stop().await?;
        anyhow::Ok(())
    })??;
    wait_until_gone(place, GRACE)?;
    Ok(())
}
