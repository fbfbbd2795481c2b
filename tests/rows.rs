//! The databases of the default cluster hold what ovn-fake-multinode puts there, and nothing else.

use std::collections::BTreeMap;

use anyhow::Context;
use ofm::Cluster;
use ofm::plan::{Datapath, Role};
use ofm_tests::Place;
use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Client, MonitorTable, Snapshot};

use crate::block_on;

/// A table, and all its rows. A row is written as its columns in order, without those that have their default.
struct Table {
    name: &'static str,
    columns: Columns,
    rows: &'static [&'static str],
}

/// Which columns matter.
pub(crate) enum Columns {
    /// All but those that daemons fill.
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

use Columns::{AllBut, Only};

const CONNECTION: Columns = AllBut(&["status", "is_connected"]);

const SSL: Table = Table {
    name: "SSL",
    columns: AllBut(&[]),
    rows: &[
        "ca_cert=/opt/ovn/pki/switchca/cacert.pem certificate=/opt/ovn/ovn-cert.pem \
             private_key=/opt/ovn/ovn-privkey.pem",
    ],
};

const NORTHBOUND: &[Table] = &[
    Table {
        name: "NB_Global",
        columns: Only(&["name", "connections", "ssl", "ipsec", "external_ids"]),
        rows: &["connections=pssl:6641 name=ovn-central-az1 ssl=SSL"],
    },
    Table {
        name: "Connection",
        columns: CONNECTION,
        rows: &["inactivity_probe=180000 target=pssl:6641"],
    },
    SSL,
    Table {
        name: "Logical_Switch",
        // Of ts1, which ovn-ic makes, it is what ovn-ic writes.
        columns: AllBut(&["other_config:requested-tnl-key"]),
        rows: &[
            "name=public1 ports=[ln-public1, public1-lr1]",
            "name=sw01 other_config={exclude_ips=11.0.0.1..11.0.0.2, subnet=11.0.0.0/24} \
             ports=[sw01-lr1, sw01-port1, sw01-port2, sw01-port3, sw01-port4]",
            "name=sw11 ports=[sw11-lr1, sw11-port1]",
            "name=ts1 other_config={interconn-ts=ts1}",
        ],
    },
    Table {
        name: "Logical_Switch_Port",
        columns: AllBut(&["up", "dynamic_addresses"]),
        rows: &[
            "addresses=50:51:00:00:00:03 11.0.0.3 1001::3 name=sw01-port1",
            "addresses=50:51:00:00:00:04 11.0.0.4 1001::4 name=sw01-port2",
            "addresses=50:51:00:00:00:05 dynamic dhcpv4_options=11.0.0.0/24 name=sw01-port3",
            "addresses=50:51:00:00:00:06 dynamic dhcpv4_options=11.0.0.0/24 name=sw01-port4",
            "addresses=40:51:00:00:00:03 21.0.0.3 2001::3 name=sw11-port1",
            "addresses=router name=sw01-lr1 options={router-port=lr1-sw01} type=router",
            "addresses=router name=sw11-lr1 options={router-port=lr1-sw11} type=router",
            "addresses=router name=public1-lr1 options={router-port=lr1-public1} type=router",
            "addresses=unknown name=ln-public1 options={network_name=public} type=localnet",
        ],
    },
    Table {
        name: "DHCP_Options",
        columns: AllBut(&[]),
        rows: &[
            "cidr=11.0.0.0/24 options={lease_time=3600, router=11.0.0.1, server_id=11.0.0.1, \
             server_mac=c0:ff:ee:00:00:01}",
        ],
    },
    Table {
        name: "Logical_Router",
        columns: AllBut(&[]),
        rows: &[
            "name=lr1 nat=[172.16.1.100/11.0.0.0/24, 172.16.1.100/21.0.0.0/24, 172.16.1.110/11.0.0.3, \
             172.16.1.120/21.0.0.3, 3001::c/1001::3, 3001::d/2001::3] ports=[lr1-public1, lr1-sw01, lr1-sw11]",
        ],
    },
    Table {
        name: "Logical_Router_Port",
        // What northd says of itself there since OVN 23.06.
        columns: AllBut(&["status"]),
        rows: &[
            "mac=00:01:00:00:ff:01 name=lr1-sw01 networks=[1001::a/64, 11.0.0.1/24]",
            "mac=00:01:00:00:ff:02 name=lr1-sw11 networks=[2001::a/64, 21.0.0.1/24]",
            "gateway_chassis=lr1-public1-ovn-gw-1 mac=00:01:20:20:12:13 name=lr1-public1 \
             networks=[172.16.1.100/24, 3001::a/64]",
        ],
    },
    Table {
        name: "Gateway_Chassis",
        columns: AllBut(&[]),
        rows: &["chassis_name=ovn-gw-1 name=lr1-public1-ovn-gw-1 priority=20"],
    },
    Table {
        name: "NAT",
        columns: AllBut(&[]),
        rows: &[
            "external_ip=172.16.1.110 external_mac=30:51:00:00:00:03 logical_ip=11.0.0.3 logical_port=sw01-port1 \
             options={stateless=false} type=dnat_and_snat",
            "external_ip=3001::c external_mac=40:51:00:00:00:03 logical_ip=1001::3 logical_port=sw01-port1 \
             options={stateless=false} type=dnat_and_snat",
            "external_ip=172.16.1.120 external_mac=30:51:00:00:00:04 logical_ip=21.0.0.3 logical_port=sw11-port1 \
             options={stateless=false} type=dnat_and_snat",
            "external_ip=3001::d external_mac=40:51:00:00:00:04 logical_ip=2001::3 logical_port=sw11-port1 \
             options={stateless=false} type=dnat_and_snat",
            "external_ip=172.16.1.100 logical_ip=11.0.0.0/24 options={stateless=false} type=snat",
            "external_ip=172.16.1.100 logical_ip=21.0.0.0/24 options={stateless=false} type=snat",
        ],
    },
    Table {
        name: "Logical_Router_Static_Route",
        columns: AllBut(&[]),
        rows: &[],
    },
    Table {
        name: "ACL",
        columns: AllBut(&[]),
        rows: &[],
    },
    Table {
        name: "Load_Balancer",
        columns: AllBut(&[]),
        rows: &[],
    },
];

const SOUTHBOUND: &[Table] = &[
    Table {
        name: "Connection",
        columns: CONNECTION,
        rows: &["inactivity_probe=180000 target=pssl:6642"],
    },
    SSL,
    Table {
        name: "Chassis",
        columns: Only(&["name", "hostname", "encaps"]),
        rows: &[
            "encaps=geneve/170.168.0.3 hostname=ovn-gw-1 name=ovn-gw-1",
            "encaps=geneve/170.168.0.4 hostname=ovn-chassis-1 name=ovn-chassis-1",
            "encaps=geneve/170.168.0.5 hostname=ovn-chassis-2 name=ovn-chassis-2",
        ],
    },
    Table {
        name: "Encap",
        columns: AllBut(&[]),
        rows: &[
            "chassis_name=ovn-gw-1 ip=170.168.0.3 options={csum=true} type=geneve",
            "chassis_name=ovn-chassis-1 ip=170.168.0.4 options={csum=true} type=geneve",
            "chassis_name=ovn-chassis-2 ip=170.168.0.5 options={csum=true} type=geneve",
        ],
    },
    Table {
        name: "Port_Binding",
        columns: Only(&["logical_port", "type", "chassis"]),
        rows: &[
            "chassis=ovn-chassis-1 logical_port=sw01-port1",
            "logical_port=sw01-port2",
            "chassis=ovn-chassis-1 logical_port=sw01-port3",
            "chassis=ovn-chassis-2 logical_port=sw01-port4",
            "chassis=ovn-chassis-2 logical_port=sw11-port1",
            "chassis=ovn-gw-1 logical_port=cr-lr1-public1 type=chassisredirect",
            "logical_port=ln-public1 type=localnet",
            "logical_port=lr1-public1 type=patch",
            "logical_port=lr1-sw01 type=patch",
            "logical_port=lr1-sw11 type=patch",
            "logical_port=public1-lr1 type=patch",
            "logical_port=sw01-lr1 type=patch",
            "logical_port=sw11-lr1 type=patch",
        ],
    },
];

const INTERCONNECTION: &[Table] = &[Table {
    name: "Transit_Switch",
    columns: AllBut(&[]),
    rows: &["name=ts1"],
}];

pub(crate) fn all(place: &Place) -> anyhow::Result<()> {
    block_on(async {
        let cluster = place.builder().start().await?;
        let nb = compare(&cluster.nb().await?, "OVN_Northbound", NORTHBOUND).await?;
        let (_, global) = nb.rows("NB_Global").next().context("no NB_Global")?;
        for option in ["ic-route-adv", "ic-route-learn"] {
            assert_eq!(global.map_get("options", option), Some("true"), "{option}");
        }
        let sb = compare(&cluster.sb().await?, "OVN_Southbound", SOUTHBOUND).await?;
        for vm in cluster.plan().vms() {
            let mut ports = sb.rows("Port_Binding");
            let port = ports.find(|(_, row)| row.str("logical_port") == Some(&vm.iface_id));
            let (_, port) = port.context("no port")?;
            assert_eq!(port.bool("up"), Some(true), "{}", vm.iface_id);
        }
        let socket = cluster
            .plan()
            .central()
            .dir
            .join("run/ovn/ovn_ic_nb_db.sock");
        let ic = Client::connect_unix(&socket).await?;
        compare(&ic, "OVN_IC_Northbound", INTERCONNECTION).await?;
        for node in &cluster.plan().nodes {
            if node.role.is_chassis() {
                switch(&cluster, node.name.as_str()).await?;
            }
        }
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}

/// Compares all rows of some tables with what they should be.
async fn compare(client: &Client, database: &str, tables: &[Table]) -> anyhow::Result<Snapshot> {
    let monitored: Vec<_> = tables.iter().map(|t| MonitorTable::new(t.name)).collect();
    let rows = client.monitor(database, &monitored).await?.snapshot();
    let labels = tables.iter().flat_map(|table| {
        let rows = rows.rows(table.name);
        rows.map(|(uuid, row)| (uuid.to_string(), label(table.name, row)))
    });
    let labels: BTreeMap<String, String> = labels.collect();
    for table in tables {
        let found = rows.rows(table.name);
        let mut found: Vec<_> = found
            .map(|(_, row)| written(row, &table.columns, &labels))
            .collect();
        found.sort();
        let mut expected = table.rows.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{database}, table {}", table.name);
    }
    Ok(rows)
}

/// What a row is called where another one refers to it.
fn label(table: &str, row: &Row) -> String {
    let text = |column| row.str(column).unwrap_or_default();
    match table {
        "NAT" => format!("{}/{}", text("external_ip"), text("logical_ip")),
        "Encap" => format!("{}/{}", text("type"), text("ip")),
        "SSL" => "SSL".to_owned(),
        "Connection" => text("target").to_owned(),
        "DHCP_Options" => text("cidr").to_owned(),
        _ => text("name").to_owned(),
    }
}

/// A row as the tables above have it.
pub(crate) fn written(row: &Row, which: &Columns, labels: &BTreeMap<String, String>) -> String {
    let atom = |atom: &Atom| match atom.as_uuid() {
        Some(uuid) => {
            let uuid = uuid.to_string();
            labels.get(&uuid).cloned().unwrap_or(uuid)
        }
        None => atom
            .as_str()
            .map_or_else(|| atom.to_string(), str::to_owned),
    };
    let matters = |name: &str| match which {
        AllBut(columns) => !columns.contains(&name),
        Only(columns) => columns.contains(&name),
    };
    let key_matters = |name: &str| match which {
        AllBut(columns) => !columns.contains(&name),
        Only(_) => true,
    };
    let columns = row.iter().filter(|(name, _)| matters(name));
    let columns = columns.filter_map(|(name, datum)| {
        let text = match datum {
            Datum::Map(map) => {
                let pairs = map
                    .iter()
                    .map(|(key, value)| (atom(key), atom(value)))
                    .filter(|(key, _)| key_matters(&format!("{name}:{key}")));
                let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
                format!("{{{}}}", pairs.join(", "))
            }
            one_or_more => {
                let mut elements: Vec<_> = one_or_more.set_iter().map(atom).collect();
                elements.sort();
                match elements.as_slice() {
                    [one] => one.clone(),
                    several => format!("[{}]", several.join(", ")),
                }
            }
        };
        let is_default = ["", "{}", "[]", "false", "0"].contains(&text.as_str());
        (!is_default).then(|| format!("{name}={text}"))
    });
    columns.collect::<Vec<_>>().join(" ")
}

/// What the Open vSwitch of a gateway or chassis is configured with.
async fn switch(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let plan = cluster.plan();
    let node = plan.node_named(name).context("no such node")?;
    let datapath = plan.datapath.as_str();
    let address = node.address.to_string();
    let mut expected = BTreeMap::from([
        ("system-id", name),
        ("hostname", name),
        ("rundir", "/var/run/openvswitch"),
        ("ovn-encap-ip", &address),
        ("ovn-encap-type", "geneve"),
        ("ovn-remote", "ssl:170.168.0.2:6642"),
        ("ovn-openflow-probe-interval", "60"),
        ("ovn-remote-probe-interval", "180000"),
        ("ovn-bridge-datapath-type", datapath),
        ("ovn-bridge-mappings", "public:br-ex"),
        ("ovn-is-interconn", "true"),
    ]);
    if node.role == Role::Gateway {
        expected.insert("ovn-cms-options", "enable-chassis-as-gw");
    }
    let found = external_ids(cluster, name).await?;
    let found: BTreeMap<&str, &str> = found.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(found, expected, "{name}");

    let tables = ["Bridge", "Port", "Interface"].map(MonitorTable::new);
    let client = cluster.node(name)?.ovs().await?;
    let rows = client.monitor("Open_vSwitch", &tables).await?.snapshot();
    let bridges = rows.rows("Bridge").map(|(_, bridge)| {
        assert_eq!(bridge.str("datapath_type"), Some(datapath), "{name}");
        let ports = bridge.uuids("ports");
        let ports = ports.filter_map(|port| rows.row("Port", port)?.str("name"));
        let mut ports: Vec<_> = ports.collect();
        ports.sort_unstable();
        (bridge.str("name").unwrap_or_default(), ports)
    });
    let bridges: BTreeMap<_, _> = bridges.collect();
    assert!(bridges["br-ex"].contains(&"eth2"), "{name}: {bridges:?}");
    for vm in &node.vms {
        let port = vm.outer_name.as_str();
        assert!(bridges["br-int"].contains(&port), "{name}: {bridges:?}");
    }
    // With a datapath in userspace the node's address is on a bridge of that, or tunnels would have no way out.
    let expected: &[&str] = match plan.datapath {
        Datapath::Netdev => &["br-ex", "br-int", "eth1"],
        Datapath::System => &["br-ex", "br-int"],
    };
    assert!(bridges.keys().eq(expected), "{name}: {bridges:?}");
    Ok(())
}

/// What the Open vSwitch of a node has in its own `external_ids`.
pub(crate) async fn external_ids(
    cluster: &Cluster,
    node: &str,
) -> anyhow::Result<BTreeMap<String, String>> {
    let client = cluster.node(node)?.ovs().await?;
    let table = MonitorTable::new("Open_vSwitch").columns(["external_ids"]);
    let monitor = client.monitor("Open_vSwitch", &[table]).await?;
    let rows = monitor.snapshot();
    let (_, row) = rows.rows("Open_vSwitch").next().context("no row")?;
    let ids = row.get("external_ids").into_iter();
    let text = |atom: &Atom| atom.as_str().unwrap_or_default().to_owned();
    let ids = ids.flat_map(Datum::map_iter);
    Ok(ids.map(|(key, value)| (text(key), text(value))).collect())
}

/// The rows that are written for controllers are as they would write them: of many, only the first has to.
pub(crate) fn written_once(place: &Place) -> anyhow::Result<()> {
    place.run(&["start", "--chassis", "12", "--gateways", "2"])?;
    let log = place.run(&[
        "exec",
        "ovn-central-az1",
        "--",
        "cat",
        "/etc/ovn/ovnsb_db.db",
    ])?;
    // Of each record of the file the second line is its JSON (ovsdb(5)).
    let records = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut by_controllers = 0;
    for record in records {
        let whose = record["_comment"].as_str().unwrap_or_default();
        if whose.starts_with("ovn-controller") && record.get("Chassis").is_some() {
            by_controllers += 1;
        }
    }
    assert_eq!(by_controllers, 1, "{log}");
    let script = "ovn-sbctl --bare --columns=name find chassis other_config:ovn-cms-options=enable-chassis-as-gw";
    let gateways = place.run(&["exec", "ovn-central-az1", "--", "sh", "-c", script])?;
    let mut gateways: Vec<_> = gateways.split_whitespace().collect();
    gateways.sort_unstable();
    assert_eq!(gateways, ["ovn-gw-1", "ovn-gw-2"]);
    place.run(&["stop"])?;
    Ok(())
}
