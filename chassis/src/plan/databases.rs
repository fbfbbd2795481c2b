//! The databases of each role, and the rows that those of the centrals begin with.

use std::path::PathBuf;

use ovsdb_client::value::{Datum, Row};
use serde::{Deserialize, Serialize};

use super::nodes::NamedNode;
use super::ovs::{Written, ovs_rows};
use super::zones::port;
use super::{NodePlan, Plan, Role, addresses, nodes};
use crate::pki;
use crate::software::{IC_NB_SCHEMA, IC_SB_SCHEMA, NB_SCHEMA, SB_SCHEMA, Software, VSWITCH_SCHEMA};
use crate::spec::{ClusterSpec, DatabaseMode};
use crate::topology::{TableRow, push};

/// Milliseconds of silence after which a database server probes a client.
const INACTIVITY_PROBE: i64 = 180_000;

/// A database of a node, made from its schema before any daemon runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabasePlan {
    /// Name of the database, as its schema has it.
    pub name: String,
    /// Path of its file as seen in the node.
    pub file: PathBuf,
    /// Path of its schema as seen in the node.
    pub schema: PathBuf,
    /// A file on the host that has the rows with which it begins, besides the plan's own.
    pub source: Option<PathBuf>,
    /// The cluster of servers to which its server belongs, unless it stands alone.
    pub raft: Option<RaftPlan>,
}

/// A server's place in a cluster of servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftPlan {
    /// Where the other servers reach this one, as `ssl:IP:PORT`.
    pub local: String,
    /// The server that lets this one into the cluster; none of the first, which begins the cluster.
    pub join: Option<String>,
    /// After how many milliseconds without a sign of the leader it calls an election.
    pub election_timer: u32,
}

/// The databases of a node, in the places where ovn-ctl(8) and ovs-ctl(8) keep them.
pub(super) fn databases(
    plan: &Plan,
    spec: &ClusterSpec,
    node: &NamedNode,
    software: &Software,
) -> Vec<DatabasePlan> {
    let database = |name: &str, file: &str, schema| DatabasePlan {
        name: name.to_owned(),
        file: file.into(),
        schema: software.path(schema).to_owned(),
        source: None,
        raft: None,
    };
    match node.role {
        Role::Central => {
            let raft = |port| {
                let method = if plan.tls { "ssl" } else { "tcp" };
                let at = |address| format!("{method}:{}", addresses::with_port(address, port));
                let first = nodes::names(spec)
                    .into_iter()
                    .find(|n| n.role == Role::Central && n.zone == node.zone);
                let first = first.filter(|_| node.member > 1);
                (plan.database == DatabaseMode::Raft).then(|| RaftPlan {
                    local: at(node.address),
                    join: first.map(|n| at(n.address)),
                    election_timer: spec.election_timer,
                })
            };
            let mut databases = vec![
                DatabasePlan {
                    source: spec.nb_db.clone(),
                    raft: raft(port::NB_RAFT),
                    ..database("OVN_Northbound", "/etc/ovn/ovnnb_db.db", NB_SCHEMA)
                },
                DatabasePlan {
                    source: spec.sb_db.clone(),
                    raft: raft(port::SB_RAFT),
                    ..database("OVN_Southbound", "/etc/ovn/ovnsb_db.db", SB_SCHEMA)
                },
            ];
            if plan.serves_interconnection(&node.name) {
                databases.extend([
                    database(
                        "OVN_IC_Northbound",
                        "/etc/ovn/ovn_ic_nb_db.db",
                        IC_NB_SCHEMA,
                    ),
                    database(
                        "OVN_IC_Southbound",
                        "/etc/ovn/ovn_ic_sb_db.db",
                        IC_SB_SCHEMA,
                    ),
                ]);
            }
            databases
        }
        Role::Gateway | Role::Chassis => {
            vec![database(
                "Open_vSwitch",
                "/etc/openvswitch/conf.db",
                VSWITCH_SCHEMA,
            )]
        }
        Role::Relay | Role::Host => Vec::new(),
    }
}

/// The rows that a database of a node begins with; that of a switch also with what was written for it.
pub(crate) fn rows(
    plan: &Plan,
    node: &NodePlan,
    database: &DatabasePlan,
    written: &Written,
) -> Vec<TableRow> {
    let zone = node.zone;
    match database.name.as_str() {
        "Open_vSwitch" => ovs_rows(plan, node, written),
        "OVN_Northbound" => nb_rows(plan, zone),
        "OVN_Southbound" => sb_rows(plan, zone),
        "OVN_IC_Northbound" => ic_nb_rows(plan),
        "OVN_IC_Southbound" => global_rows(plan, "IC_SB_Global", &[(port::IC_SB, "")], Row::new()),
        _ => Vec::new(),
    }
}

/// The rows of a zone's northbound database: `NB_Global`, its connection and the topology.
///
/// The UUIDs are the same for the same plan.
pub fn nb_rows(plan: &Plan, zone: u32) -> Vec<TableRow> {
    let zone = plan.zone(zone);
    let mut global = Row::new().set("name", zone.name.as_str());
    if plan.interconnection.is_some() {
        let routes = [("ic-route-adv", "true"), ("ic-route-learn", "true")];
        global = global.set("options", Datum::map(routes));
    }
    let mut rows = global_rows(plan, "NB_Global", &[(port::NB, "")], global);
    rows.extend(zone.topology.rows());
    rows
}

/// The rows of a zone's southbound database: `SB_Global`, its connections, and every gateway
/// and chassis with its encapsulations, so that tunnels need not wait for the controllers.
///
/// The UUIDs are the same for the same plan.
pub fn sb_rows(plan: &Plan, zone: u32) -> Vec<TableRow> {
    // A northd on another node needs more rights than a chassis, and whoever reaches its port has them.
    let connections: &[_] = match (plan.rbac, plan.database) {
        (false, _) => &[(port::SB, "")],
        (true, DatabaseMode::Standalone) => &[(port::SB, "ovn-controller")],
        (true, DatabaseMode::Raft) => &[(port::SB, "ovn-controller"), (port::SB_UNRESTRICTED, "")],
    };
    let mut rows = global_rows(plan, "SB_Global", connections, Row::new());
    let chassis = plan
        .nodes
        .iter()
        .filter(|node| plan.is_own_chassis(node) && node.zone == zone);
    for node in chassis.filter(|_| plan.seed) {
        rows.extend(chassis_rows(plan, node));
    }
    rows
}

/// The rows of a southbound database for a gateway or chassis, as far as its encapsulations need them.
pub(crate) fn chassis_rows(plan: &Plan, node: &NodePlan) -> Vec<TableRow> {
    let mut rows = Vec::new();
    let name = node.name.as_str();
    let mut encaps = Vec::new();
    for kind in plan.chassis.encapsulation.types() {
        let encap = Row::new()
            .set("type", *kind)
            .set("ip", node.address.to_string())
            .set("chassis_name", name)
            .set("options", Datum::map([("csum", "true")]));
        encaps.push(push(&mut rows, "Encap", &format!("{name}/{kind}"), encap));
    }
    let chassis = Row::new()
        .set("name", name)
        .set("hostname", &node.hostname)
        .set("encaps", encaps);
    push(&mut rows, "Chassis", name, chassis);
    rows
}

/// The rows of the interconnection's northbound database: its global row, and the transit switches.
fn ic_nb_rows(plan: &Plan) -> Vec<TableRow> {
    let mut rows = global_rows(plan, "IC_NB_Global", &[(port::IC_NB, "")], Row::new());
    let interconnection = plan.interconnection.iter();
    for name in interconnection.flat_map(|ic| &ic.transit_switches) {
        push(
            &mut rows,
            "Transit_Switch",
            name,
            Row::new().set("name", name),
        );
    }
    rows
}

/// The `*_Global` row of an OVN database, the connections that it listens on by port and role, and its certificates.
fn global_rows(
    plan: &Plan,
    table: &'static str,
    connections: &[(u16, &str)],
    mut global: Row,
) -> Vec<TableRow> {
    let mut rows = Vec::new();
    let mut listeners = Vec::new();
    for (port, role) in connections {
        let target = plan.listener(*port);
        let mut row = Row::new()
            .set("target", &target)
            .set("inactivity_probe", Some(INACTIVITY_PROBE));
        // Only the southbound schema has roles.
        if !role.is_empty() {
            row = row.set("role", *role);
        }
        listeners.push(push(&mut rows, "Connection", &target, row));
    }
    if plan.tls {
        let ssl = Row::new()
            .set("private_key", pki::PRIVATE_KEY)
            .set("certificate", pki::CERTIFICATE)
            .set("ca_cert", pki::CA_CERTIFICATE);
        let ssl = push(&mut rows, "SSL", "", ssl);
        global = global.set("ssl", [ssl]);
    }
    push(&mut rows, table, "", global.set("connections", listeners));
    rows
}
