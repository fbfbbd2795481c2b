//! The rows that the databases of the central begin with.

use ovsdb_client::value::{Datum, Row};

use super::{Plan, Role};
use crate::topology::{TableRow, global_rows, push};

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
