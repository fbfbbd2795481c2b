//! Clusters of every kind of database and number of zones: all that the demo connects is connected.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use ofm::plan::Role;
use ofm::spec::DatabaseMode;
use ofm::status::Status;
use ofm::{Cluster, ClusterSpec, NodeHandle, Vm};
use ofm_tests::{Place, patience, wait_until_gone};
use ovsdb_client::MonitorTable;
use ovsdb_client::unixctl::{MemberStatus, Role as RaftRole, Unixctl};

use crate::block_on;
use crate::crash::GRACE_AT_ENGINE;
use crate::rows::external_ids;

/// How long an answer to a ping may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// A way in which the databases of a cluster can be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination {
    pub(crate) tls: bool,
    pub(crate) database: DatabaseMode,
    /// In each zone.
    pub(crate) relays: u32,
    pub(crate) zones: u32,
}

impl Combination {
    /// All of them with TLS, and the richest one without.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for zones in [1, 3] {
            for database in [DatabaseMode::Standalone, DatabaseMode::Raft] {
                for relays in [0, 2] {
                    let tls = true;
                    all.push(Self {
                        tls,
                        database,
                        relays,
                        zones,
                    });
                }
            }
        }
        all.push(Self {
            tls: false,
            database: DatabaseMode::Raft,
            relays: 2,
            zones: 1,
        });
        all
    }

    /// Whether it differs in everything from the default, or not at all.
    pub(crate) fn is_extreme(self) -> bool {
        let is_raft = self.database == DatabaseMode::Raft;
        self.tls && is_raft == (self.relays > 0) && is_raft == (self.zones > 1)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = match self.database {
            DatabaseMode::Standalone => "standalone",
            DatabaseMode::Raft => "raft",
        };
        let tls = if self.tls { "tls" } else { "tcp" };
        let relays = if self.relays > 0 { "_relays" } else { "" };
        write!(f, "{database}{relays}_{tls}_{}_zones", self.zones)
    }
}

pub(crate) fn connected(place: &Place, combination: Combination) -> anyhow::Result<()> {
    block_on(async {
        let spec = ClusterSpec {
            tls: combination.tls,
            database: combination.database,
            relays: combination.relays,
            zones: combination.zones,
            // Not what servers have by themselves.
            election_timer: 2 * place.spec().election_timer,
            ..place.spec()
        };
        let election = Duration::from_millis(spec.election_timer.into());
        let cluster = place.builder().spec(spec).start().await?;
        let status = cluster.status().await?;
        assert!(status.ready, "{status:#?}");
        for zone in 1..=combination.zones {
            registered(&cluster, zone).await?;
            remotes(&cluster, zone, combination).await?;
            if combination.database == DatabaseMode::Raft {
                led(&cluster, zone, election).await?;
            }
        }
        reach(&cluster).await?;
        cluster.stop().await?;
        anyhow::Ok(())
    })??;
    wait_until_gone(place, GRACE_AT_ENGINE)?;
    Ok(())
}

/// Pings all that the demo connects: from each VM its router, all other VMs and the host outside, and from the hosts
/// outside the VMs' floating addresses.
pub(crate) async fn reach(cluster: &Cluster) -> anyhow::Result<()> {
    let status = cluster.status().await?;
    let zones = cluster.plan().zones.len() as u32;
    let from_vms = status.vms.iter().map(|vm| async {
        let targets = targets(&status, zones, &vm.name);
        let vm = cluster.vm(&vm.name)?;
        for target in targets {
            vm.ping_within(target, patience(ANSWER)).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(from_vms).await?;
    for zone in 1..=zones {
        let outside = cluster.node(&format!("ovnfake-ext{zone}"))?;
        for floating in ["172.16.{n}.110", "172.16.{n}.120", "300{n}::c", "300{n}::d"] {
            let address = address(floating, zone)?;
            outside.ping_within(address, patience(ANSWER)).await?;
        }
        // The host outside would find the way back to a VM's own address too, so that its answers prove no translation.
        for (vm, host, expected) in [
            (format!("sw0{zone}p1"), "172.16.{n}.50", "172.16.{n}.110"),
            (format!("sw0{zone}p1"), "300{n}::b", "300{n}::c"),
            (format!("sw1{zone}p1"), "172.16.{n}.50", "172.16.{n}.120"),
            (format!("sw1{zone}p1"), "300{n}::b", "300{n}::d"),
            (format!("sw0{zone}p3"), "172.16.{n}.50", "172.16.{n}.100"),
            (format!("sw0{zone}p4"), "172.16.{n}.50", "172.16.{n}.100"),
        ] {
            let host = address(host, zone)?;
            let seen = seen_from(&outside, &cluster.vm(&vm)?, host).await?;
            assert_eq!(seen, address(expected, zone)?, "{vm} as {host} sees it");
        }
    }
    Ok(())
}

/// The address that a VM has for a node to which it connects.
async fn seen_from(node: &NodeHandle, vm: &Vm, address: IpAddr) -> anyhow::Result<IpAddr> {
    let listening = node.node().namespaces().run(|| {
        let listener = TcpListener::bind((address, 0))?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(listener)
    });
    let listener = tokio::net::TcpListener::from_std(listening??)?;
    let target = listener.local_addr()?;
    let connection = vm.run(move || TcpStream::connect_timeout(&target, patience(PATIENCE)));
    let _connection = connection.await?.with_context(|| target.to_string())?;
    // The node may still have to hear that the VM has heard from it.
    let (_, peer) = tokio::time::timeout(patience(PATIENCE), listener.accept()).await??;
    Ok(peer.ip())
}

/// An address of the demo in a zone.
fn address(pattern: &str, zone: u32) -> anyhow::Result<IpAddr> {
    let text = pattern.replace("{n}", &zone.to_string());
    text.parse().context(text)
}

/// The addresses that a VM has to reach. The name of a VM tells its switch and zone: `sw0{n}p1`.
fn targets(status: &Status, zones: u32, name: &str) -> BTreeSet<IpAddr> {
    let family = |ip: &IpAddr| ip.is_ipv4();
    let zone_of = |name: &str| name.as_bytes()[3] - b'0';
    let own = status.vms.iter().filter(|vm| vm.name == name);
    let own: BTreeSet<IpAddr> = own.flat_map(|vm| &vm.ips).map(|net| net.addr()).collect();
    let families: BTreeSet<bool> = own.iter().map(family).collect();
    let zone = u32::from(zone_of(name));
    assert!(zone <= zones, "{name} is of no zone");
    let (router4, router6) = match name.as_bytes()[2] {
        b'0' => ("1{n}.0.0.1", "100{n}::a"),
        _ => ("2{n}.0.0.1", "200{n}::a"),
    };
    let others = status.vms.iter().flat_map(|vm| &vm.ips);
    let others = others.map(|net| net.addr());
    let fixed = [router4, router6, "172.16.{n}.50", "300{n}::b"];
    let fixed = fixed.map(|pattern| address(pattern, zone).expect("patterns are of addresses"));
    others
        .chain(fixed)
        .filter(|ip| families.contains(&family(ip)) && !own.contains(ip))
        .collect()
}

/// The gateways and chassis of a zone, and no others, have registered in its southbound database.
async fn registered(cluster: &Cluster, zone: u32) -> anyhow::Result<()> {
    let client = cluster.sb_of(zone).await?;
    let table = MonitorTable::new("Chassis_Private").columns(["name"]);
    let monitor = client.monitor("OVN_Southbound", &[table]).await?;
    let rows = monitor.snapshot();
    let names = rows.rows("Chassis_Private");
    let names: BTreeSet<_> = names
        .filter_map(|(_, row)| row.str("name").map(str::to_owned))
        .collect();
    let nodes = cluster.plan().nodes.iter();
    let expected: BTreeSet<_> = nodes
        .filter(|node| node.role.is_chassis() && node.zone == zone)
        .map(|node| node.name.to_string())
        .collect();
    assert_eq!(names, expected, "zone {zone}");
    Ok(())
}

/// The gateways and chassis of a zone use its relays if it has any, else its centrals.
async fn remotes(cluster: &Cluster, zone: u32, of: Combination) -> anyhow::Result<()> {
    let server = if of.relays > 0 {
        Role::Relay
    } else {
        Role::Central
    };
    let method = if of.tls { "ssl" } else { "tcp" };
    let nodes = || cluster.plan().nodes.iter().filter(|n| n.zone == zone);
    let servers = nodes().filter(|node| node.role == server);
    let servers: Vec<_> = servers
        .map(|node| format!("{method}:{}:6642", node.address))
        .collect();
    let count = match server {
        Role::Relay => of.relays,
        _ => of.database.centrals(),
    };
    assert_eq!(servers.len(), count as usize);
    for node in nodes().filter(|node| node.role.is_chassis()) {
        let ids = external_ids(cluster, node.name.as_str()).await?;
        assert_eq!(ids["ovn-remote"], servers.join(","), "{}", node.name);
    }
    Ok(())
}

/// Each database of a zone has three servers that agree on one leader, and would on another one after that time.
async fn led(cluster: &Cluster, zone: u32, election: Duration) -> anyhow::Result<()> {
    for (name, stem) in DATABASES {
        let mut leaders = 0;
        for central in cluster.plan().centrals(zone) {
            let socket = central.dir.join(format!("run/ovn/{stem}.ctl"));
            let mut unixctl = Unixctl::connect(&socket).await?;
            let status = unixctl.cluster_status(name).await?;
            assert_eq!(status.status, MemberStatus::Member, "{status:?}");
            assert_eq!(status.servers.len(), 3, "{status:?}");
            assert_eq!(status.election_timer, Some(election), "{status:?}");
            leaders += u32::from(status.role == RaftRole::Leader);
        }
        assert_eq!(leaders, 1, "{name} of zone {zone}");
    }
    Ok(())
}

/// The databases of a zone, with the names of their control sockets.
pub(crate) const DATABASES: [(&str, &str); 2] = [
    ("OVN_Northbound", "ovnnb_db"),
    ("OVN_Southbound", "ovnsb_db"),
];
