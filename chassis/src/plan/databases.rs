//! The databases of each role, and the rows that those of the central begin with.

use ovsdb_client::value::{Datum, Row};

use super::{DatabasePlan, Plan, Role};
use crate::software::{NB_SCHEMA, SB_SCHEMA, Software, VSWITCH_SCHEMA};
use crate::topology::{TableRow, global_rows, push};

/// The databases of a node, in the places where ovn-ctl(8) and ovs-ctl(8) keep them.
pub(super) fn databases(role: Role, software: &Software) -> Vec<DatabasePlan> {
    let database = |name: &str, file: &str, schema| DatabasePlan {
        name: name.to_owned(),
        file: file.into(),
        schema: software.path(schema).to_owned(),
    };
    match role {
        Role::Central => vec![
            database("OVN_Northbound", "/etc/ovn/ovnnb_db.db", NB_SCHEMA),
            database("OVN_Southbound", "/etc/ovn/ovnsb_db.db", SB_SCHEMA),
        ],
        Role::Gateway | Role::Chassis => {
            vec![database(
                "Open_vSwitch",
                "/etc/openvswitch/conf.db",
                VSWITCH_SCHEMA,
            )]
        }
    }
}

/// The rows that a database begins with. That of a switch begins empty: its contents go over JSON-RPC, while
/// ovsdb-server runs and ovs-vswitchd does not yet.
pub(crate) fn rows(plan: &Plan, database: &DatabasePlan) -> Vec<TableRow> {
    match database.name.as_str() {
        "OVN_Northbound" => nb_rows(plan),
        "OVN_Southbound" => sb_rows(plan),
        _ => Vec::new(),
    }
}

/// The rows of the northbound database: `NB_Global`, its connection and the topology.
///
/// The UUIDs are the same for the same plan.
pub fn nb_rows(plan: &Plan) -> Vec<TableRow> {
    plan.topology.nb_rows(&plan.central().name)
}

/// The rows of the southbound database: `SB_Global`, its connection `ptcp:6642`, and every gateway
/// and chassis with its encapsulation, so that tunnels need not wait for the controllers.
///
/// The UUIDs are the same for the same plan.
pub fn sb_rows(plan: &Plan) -> Vec<TableRow> {
    let mut rows = global_rows("SB_Global", 6642, Row::new());
    for node in plan.nodes.iter().filter(|node| node.role != Role::Central) {
        let name = node.name.as_str();
        let encap = Row::new()
            .set("type", "geneve")
            .set("ip", node.address.to_string())
            .set("chassis_name", name)
            .set("options", Datum::map([("csum", "true")]));
        let encap = push(&mut rows, "Encap", name, encap);
        let chassis = Row::new()
            .set("name", name)
            .set("hostname", &node.hostname)
            .set("encaps", [encap]);
        push(&mut rows, "Chassis", name, chassis);
    }
    rows
}
