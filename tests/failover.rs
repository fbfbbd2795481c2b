//! A cluster of database servers that loses the one that leads.

use std::time::Duration;

use anyhow::{Context, bail};
use ofm::spec::DatabaseMode;
use ofm::{Cluster, ClusterSpec, NodeHandle};
use ofm_tests::{Place, patience};
use ovsdb_client::unixctl::{Role, Unixctl};
use ovsdb_client::value::Row;
use ovsdb_client::{Client, MonitorTable, Snapshot, Transaction};
use tokio::time::Instant;

use crate::block_on;
use crate::matrix::DATABASES;

/// How long the others may take to elect another leader and do what they are asked for. Servers wait for one second
/// before they stand for election, and up to a second more by chance.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer to a ping may take.
const ANSWER: Duration = Duration::from_secs(5);

pub(crate) fn leader(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let spec = ClusterSpec {
            database: DatabaseMode::Raft,
            ..place.spec()
        };
        let cluster = place.builder().spec(spec).start().await?;
        let (vm, peer) = (cluster.vm("sw01p1")?, "21.0.0.3".parse()?);
        vm.ping_within(peer, patience(ANSWER)).await?;
        let leader = leading(&cluster).await?;
        let name = leader.plan().name.clone();
        let others = cluster.plan().centrals(1).filter(|c| c.name != name);
        let others = others.map(|central| cluster.node(central.name.as_str()));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        assert_eq!(others.len(), 2);

        let pidfiles = DATABASES.map(|(_, stem)| format!("/var/run/ovn/{stem}.pid"));
        let kill = format!("kill -9 $(cat {})", pidfiles.join(" "));
        let killed = leader.exec(["sh", "-c", &kill]).await?;
        assert!(killed.status.success(), "{}", killed.error_text());
        vm.ping_within(peer, patience(ANSWER)).await?;

        // A change by way of one of the others is carried out, and all the way to the southbound database as another
        // one shows it.
        led(&others).await?;
        let row = Row::new().set("name", "late");
        let mut transaction = Transaction::new();
        transaction.insert("Logical_Switch", row);
        let nb = client(&others[0], "ovnnb_db")
            .await?
            .with_deadline(patience(PATIENCE));
        nb.transact("OVN_Northbound", transaction).await?;
        let sb = client(&others[1], "ovnsb_db").await?;
        let table = MonitorTable::new("Datapath_Binding").columns(["external_ids"]);
        let monitor = sb.monitor("OVN_Southbound", &[table]).await?;
        let translated = |rows: &Snapshot| {
            let mut rows = rows.rows("Datapath_Binding");
            rows.any(|(_, row)| row.map_get("external_ids", "name") == Some("late"))
                .then_some(())
        };
        monitor
            .wait_until(Instant::now() + patience(PATIENCE), translated)
            .await?;
        vm.ping_within(peer, patience(ANSWER)).await?;

        let status = cluster.status().await?;
        assert!(!status.ready, "{status:#?}");
        for node in &status.nodes {
            let dead = node.daemons.iter().filter(|daemon| !daemon.alive);
            let dead: Vec<_> = dead.map(|daemon| daemon.name.as_str()).collect();
            let expected: &[&str] = if node.name == name {
                &["ovsdb-server-nb", "ovsdb-server-sb"]
            } else {
                &[]
            };
            assert_eq!(dead, expected, "{}", node.name);
        }
        let shown = place.run(&["status"])?;
        assert!(shown.contains("not ready"), "{shown}");
        let line = shown.lines().find(|line| line.starts_with(name.as_str()));
        let line = line.context("the node is not shown")?;
        for daemon in ["ovsdb-server-nb(dead)", "ovsdb-server-sb(dead)"] {
            assert!(line.contains(daemon), "{line}");
        }

        for daemon in ["ovsdb-server-nb", "ovsdb-server-sb"] {
            place.run(&["restart", name.as_str(), daemon])?;
        }
        // It serves, as a member, what it has missed.
        let back = client(&leader, "ovnnb_db").await?;
        let table = MonitorTable::new("Logical_Switch").columns(["name"]);
        let monitor = back.monitor("OVN_Northbound", &[table]).await?;
        let caught_up = |rows: &Snapshot| {
            let mut rows = rows.rows("Logical_Switch");
            rows.any(|(_, row)| row.str("name") == Some("late"))
                .then_some(())
        };
        monitor
            .wait_until(Instant::now() + patience(PATIENCE), caught_up)
            .await?;
        let status = cluster.status().await?;
        assert!(status.ready, "{status:#?}");
        vm.ping_within(peer, patience(ANSWER)).await?;
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// The central whose server leads the southbound database.
async fn leading(cluster: &Cluster) -> anyhow::Result<NodeHandle> {
    for central in cluster.plan().centrals(1) {
        let socket = central.dir.join("run/ovn/ovnsb_db.ctl");
        let mut server = Unixctl::connect(&socket).await?;
        let status = server.cluster_status("OVN_Southbound").await?;
        if status.role == Role::Leader {
            return Ok(cluster.node(central.name.as_str())?);
        }
    }
    bail!("nobody leads")
}

/// Waits until some of these nodes lead both databases.
async fn led(nodes: &[NodeHandle]) -> anyhow::Result<()> {
    for (name, stem) in DATABASES {
        let waits = nodes.iter().map(|node| {
            Box::pin(async move {
                let client = client(node, stem).await?;
                let table = MonitorTable::new("Database").columns(["name", "leader"]);
                let monitor = client.monitor("_Server", &[table]).await?;
                let leads = |rows: &Snapshot| {
                    let mut rows = rows.rows("Database");
                    rows.any(|(_, row)| {
                        row.str("name") == Some(name) && row.bool("leader") == Some(true)
                    })
                    .then_some(())
                };
                monitor
                    .wait_until(Instant::now() + patience(PATIENCE), leads)
                    .await?;
                anyhow::Ok(())
            })
        });
        futures::future::select_ok(waits).await?;
    }
    Ok(())
}

/// A client of a central's own server.
async fn client(node: &NodeHandle, stem: &str) -> anyhow::Result<Client> {
    let socket = node.plan().dir.join(format!("run/ovn/{stem}.sock"));
    Ok(Client::connect_unix(&socket).await?)
}
