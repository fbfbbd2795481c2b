//! A start that writes beforehand what daemons would write ends with the same cluster as one that does not.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use ofm::trace::Outcome;
use ofm::{Cluster, Trace};
use ofm_tests::{Place, other_release};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Client, MonitorTable};

use crate::block_on;
use crate::guard::{by_controllers, transactions};
use crate::rows::{Columns, written};
use crate::versions::PACKAGES;

/// So many that one goes ahead of the others.
const CHASSIS: u32 = 10;

/// What tables may differ in: times, and what each start counts, numbers or draws anew.
const MAY_DIFFER: [(&str, &[&str]); 10] = [
    (
        "Bridge",
        &[
            "datapath_id",
            "external_ids:ovn-startup-ts",
            "external_ids:ovn-nb-cfg",
            "external_ids:ovn-nb-cfg-ts",
        ],
    ),
    ("Chassis", &["nb_cfg"]),
    ("Chassis_Private", &["nb_cfg", "nb_cfg_timestamp"]),
    ("Connection", &["status", "is_connected"]),
    // If ovn-northd sees the transit switch before ovn-ic has given it a number, it has the first one for a while.
    ("Datapath_Binding", &["tunnel_key"]),
    (
        "Interface",
        &[
            "external_ids:ovn-installed-ts",
            "ifindex",
            "link_resets",
            "mac_in_use",
            "ofport",
            "statistics",
        ],
    ),
    (
        "NB_Global",
        &[
            "hv_cfg",
            "hv_cfg_timestamp",
            "nb_cfg",
            "nb_cfg_timestamp",
            "options:mac_prefix",
            "options:svc_monitor_mac",
            "sb_cfg",
            "sb_cfg_timestamp",
        ],
    ),
    ("Open_vSwitch", &["cur_cfg", "next_cfg", "statistics"]),
    ("Port", &["statistics"]),
    (
        "SB_Global",
        &["nb_cfg", "options:mac_prefix", "options:svc_monitor_mac"],
    ),
];

/// What traffic and ovn-ic, which works on its own, put there at their own time.
const LEFT_OUT: [&str; 4] = ["MAC_Binding", "FDB", "IGMP_Group", "DNS"];

/// What in the actions of a flow is set to the number of a datapath.
const DATAPATH_FIELDS: [&str; 2] = ["OXM_OF_METADATA[]", "NXM_NX_TUN_ID[0..23]"];

/// All rows of a database, or all flows of a switch, by table.
type Contents = BTreeMap<String, Vec<String>>;

pub(crate) fn same_cluster(place: &Place) -> anyhow::Result<()> {
    same_cluster_of(place, None)
}

/// From OVN 24.09 on controllers write more, and later; they are paused in between.
pub(crate) fn same_cluster_of_another_release(place: &Place) -> anyhow::Result<()> {
    let root = other_release(&PACKAGES)?;
    same_cluster_of(place, Some(&root))
}

fn same_cluster_of(place: &Place, root: Option<&Path>) -> anyhow::Result<()> {
    let slow = block_on(cluster(place, root, false))??;
    let fast = block_on(cluster(place, root, true))??;
    assert!(
        slow.keys().eq(fast.keys()),
        "{:?} {:?}",
        slow.keys(),
        fast.keys()
    );
    let mut differences = Vec::new();
    for (part, slow) in &slow {
        let fast = &fast[part];
        let missing = slow.iter().filter(|line| !fast.contains(line));
        differences.extend(missing.map(|line| format!("{part}: only without seed: {line}")));
        let added = fast.iter().filter(|line| !slow.contains(line));
        differences.extend(added.map(|line| format!("{part}: only with seed: {line}")));
        if slow.len() != fast.len() {
            differences.push(format!(
                "{part}: {} without seed, {} with",
                slow.len(),
                fast.len()
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// What the databases and the switches of a cluster hold once it is ready.
async fn cluster(place: &Place, root: Option<&Path>, seed: bool) -> anyhow::Result<Contents> {
    let builder = place.builder().chassis(CHASSIS).gateways(2);
    let builder = match root {
        Some(root) => builder.ovn(root),
        None => builder,
    };
    let trace = Trace::new();
    let cluster = builder.seed(seed).trace(&trace).start().await?;
    if seed {
        controllers_wrote_once(&cluster, &trace).await?;
    }
    let mut contents = Contents::new();
    let mut add = |part: &str, more: Contents| {
        let more = more.into_iter();
        contents.extend(more.map(|(table, lines)| (format!("{part} {table}"), lines)));
    };
    add(
        "nb",
        database(&cluster.nb().await?, "OVN_Northbound").await?,
    );
    let southbound = cluster.sb().await?;
    add("sb", database(&southbound, "OVN_Southbound").await?);
    let datapaths = datapaths(&southbound).await?;
    let nodes = cluster.plan().nodes.iter();
    for node in nodes.filter(|node| node.role.is_chassis()) {
        let name = node.name.as_str();
        let mut controller = cluster.node(name)?.unixctl("ovn-controller").await?;
        let status = controller.call("debug/status", &[]).await?;
        assert_eq!(status.trim(), "running", "{name}");
        let client = cluster.node(name)?.ovs().await?;
        add(name, database(&client, "Open_vSwitch").await?);
        add(name, flows(&cluster, name, &client, &datapaths).await?);
    }
    let table = MonitorTable::new("NB_Global").columns(["options"]);
    let monitor = cluster
        .nb()
        .await?
        .monitor("OVN_Northbound", &[table])
        .await?;
    let rows = monitor.snapshot();
    let mut rows = rows.rows("NB_Global").map(|(_, row)| row);
    let drawn = rows.find_map(|row| row.map_get("options", "svc_monitor_mac").map(str::to_owned));
    let drawn = drawn.context("northd has drawn no address for its monitor")?;
    for line in contents.values_mut().flatten() {
        *line = line.replace(&drawn, "svc_monitor_mac");
    }
    for lines in contents.values_mut() {
        lines.sort();
    }
    cluster.stop().await?;
    Ok(contents)
}

/// From OVN 24.09 on each controller writes its Chassis row once, and was paused then, but for the one that goes ahead. Those
/// of earlier releases find their rows as they want them.
async fn controllers_wrote_once(cluster: &Cluster, trace: &Trace) -> anyhow::Result<()> {
    let status = cluster.status().await?;
    let version = status
        .nodes
        .iter()
        .find_map(|node| node.versions.ovn.as_deref());
    let mut version = version.context("no version")?.split('.').map(str::parse);
    let version: (u32, u32) = match (version.next(), version.next()) {
        (Some(year), Some(month)) => (year?, month?),
        _ => bail!("a version has two numbers"),
    };
    let nodes = cluster.plan().nodes.iter();
    let others = nodes.filter(|node| node.role.is_chassis()).count() - 1;
    let writing = if version < (24, 9) { 0 } else { others };
    let spans = trace.spans().into_iter();
    let paused = spans.filter(|span| span.name == "complete row" && span.outcome == Outcome::Done);
    assert_eq!(paused.count(), writing);
    let central = cluster.node(cluster.plan().central().name.as_str())?;
    let writes = by_controllers(&transactions(&central, "etc/ovn/ovnsb_db.db")?);
    // What one has found out it may write in two parts, and the first one anyhow.
    let most = writing * 3 / 2 + 2;
    assert!(writes <= most, "controllers wrote {writes} Chassis rows");
    Ok(())
}

async fn database(client: &Client, name: &str) -> anyhow::Result<Contents> {
    let schema = client.get_schema(name).await?;
    let tables = schema.tables().map(|(table, _)| table);
    let tables: Vec<_> = tables.filter(|table| !LEFT_OUT.contains(table)).collect();
    let monitored: Vec<_> = tables
        .iter()
        .map(|table| MonitorTable::new(*table))
        .collect();
    let rows = client.monitor_as(&schema, &monitored).await?.snapshot();
    let labels = tables.iter().flat_map(|table| {
        let rows = rows.rows(table);
        rows.map(move |(uuid, row)| (uuid.to_string(), format!("{table} {}", label(row))))
    });
    let labels = labels.collect();
    let contents = tables.iter().map(|table| {
        let may = MAY_DIFFER.iter().find(|(of, _)| of == table);
        let may = Columns::AllBut(may.map_or(&[][..], |(_, columns)| columns));
        let rows = rows.rows(table).map(|(_, row)| {
            // Tunnels have numbers as names.
            let row = match tunnel(row) {
                Some(remote) => Row::clone(row).set("name", remote),
                None => Row::clone(row),
            };
            let row = without_zones(row);
            written(&row, &may, &labels)
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        ((*table).to_owned(), rows)
    });
    Ok(contents.collect())
}

/// A row without the numbers of connection tracking zones, which are kept under the UUIDs of datapaths.
fn without_zones(mut row: Row) -> Row {
    if let Some(ids) = row.get("external_ids").cloned() {
        let ids = ids.map_iter().filter(|(key, _)| {
            let key = key.as_str().unwrap_or_default();
            !key.starts_with("ct-zone-")
        });
        let ids = ids.map(|(key, value)| (key.clone(), value.clone()));
        row.insert("external_ids", Datum::map(ids.collect::<Vec<_>>()));
    }
    row
}

/// What a row is called where another one refers to it.
fn label(row: &Row) -> String {
    let names = [
        "logical_port",
        "name",
        "target",
        "type",
        "cidr",
        "external_ip",
    ];
    let named = names.iter().find_map(|column| row.str(column));
    let named = tunnel(row)
        .or(named)
        .or(row.map_get("external_ids", "name"));
    named.unwrap_or_default().to_owned()
}

/// Where a port or interface that is a tunnel leads.
fn tunnel(row: &Row) -> Option<&str> {
    let remote = row.map_get("options", "remote_ip");
    remote.or(row.map_get("external_ids", "ovn-chassis-id"))
}

/// The names of logical switches and routers by their tunnel keys, as flows write these.
async fn datapaths(southbound: &Client) -> anyhow::Result<BTreeMap<String, String>> {
    let table = MonitorTable::new("Datapath_Binding").columns(["tunnel_key", "external_ids"]);
    let rows = southbound.monitor("OVN_Southbound", &[table]).await?;
    let rows = rows.snapshot();
    let datapaths = rows.rows("Datapath_Binding").map(|(_, row)| {
        let key = row.i64("tunnel_key").context("a datapath has no key")?;
        Ok((format!("{key:#x}"), label(row)))
    });
    datapaths.collect()
}

/// The flows of the integration bridge.
async fn flows(
    cluster: &Cluster,
    node: &str,
    client: &Client,
    datapaths: &BTreeMap<String, String>,
) -> anyhow::Result<Contents> {
    let argv = ["ovs-ofctl", "--names", "--no-stats", "dump-flows", "br-int"];
    let output = cluster.node(node)?.exec(argv).await?;
    assert!(output.status.success(), "{}", output.error_text());
    let table = MonitorTable::new("Interface").columns(["name", "options"]);
    let rows = client.monitor("Open_vSwitch", &[table]).await?.snapshot();
    let interfaces = rows.rows("Interface").map(|(_, row)| row);
    let tunnels = interfaces.filter_map(|row| Some((row.str("name")?, tunnel(row)?)));
    let tunnels: BTreeMap<_, _> = tunnels.collect();
    let text = output.text();
    let mut flows: Vec<_> = text
        .lines()
        .map(|line| flow(line, &tunnels, datapaths))
        .collect();
    flows.sort();
    Ok(Contents::from([("flows".to_owned(), flows)]))
}

/// A flow without what each start gives out anew: its cookie, which is a part of a row's UUID, names of tunnels, and numbers
/// of datapaths, of connection tracking zones (which registers 11 to 13 hold) and of conjunctions.
fn flow(
    line: &str,
    tunnels: &BTreeMap<&str, &str>,
    datapaths: &BTreeMap<String, String>,
) -> String {
    let delimiters = [' ', ',', '=', ':', '(', ')', '"'];
    let mut flow = String::new();
    let mut before = "";
    for word in line.split_inclusive(delimiters) {
        let (name, delimiter) = word.split_at(word.trim_end_matches(delimiters).len());
        // From OVN 24.09 on a zone has half of register 13.
        let zone = ["11[]", "12[]", "13[]", "13[0..15]"];
        let zone = zone.map(|register| format!("->NXM_NX_REG{register}"));
        let is_new = ["cookie", "conj_id", "conjunction"].contains(&before);
        let number = match before {
            "metadata" => Some(name),
            _ => DATAPATH_FIELDS.iter().find_map(|field| {
                let number = name.strip_suffix(field)?;
                number.strip_suffix("->")
            }),
        };
        let datapath = number.and_then(|number| datapaths.get(number));
        match (zone.iter().find(|zone| name.ends_with(*zone)), datapath) {
            _ if is_new => {}
            (Some(zone), _) => flow.push_str(zone),
            (_, Some(datapath)) => flow.push_str(datapath),
            _ => flow.push_str(tunnels.get(name).unwrap_or(&name)),
        }
        flow.push_str(delimiter);
        before = name;
    }
    // To which member of a multicast group (0x8000 and more) a packet goes first is a matter of UUIDs and of the numbers of
    // tunnels.
    let mut steps: Vec<_> = flow.split(',').collect();
    if flow.contains("reg15=0x8") {
        steps.sort_unstable();
    }
    steps.join(",")
}
