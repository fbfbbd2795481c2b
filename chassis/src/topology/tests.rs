use ovsdb_client::value::{Datum, Row};

use super::*;

fn column<'a>(rows: &'a [TableRow], table: &str, name: &str) -> &'a Row {
    let mut rows = rows.iter().filter(|(t, _, _)| *t == table);
    &rows
        .find(|(_, _, row)| row.str("name") == Some(name))
        .unwrap()
        .2
}

#[test]
fn demo_has_the_ports_and_addresses_of_the_demo() {
    let rows = Topology::demo(2).rows();
    let port = column(&rows, "Logical_Switch_Port", "sw01-port1");
    assert_eq!(
        port.str("addresses"),
        Some("50:51:00:00:00:03 11.0.0.3 1001::3")
    );
    let port = column(&rows, "Logical_Switch_Port", "sw01-port4");
    assert_eq!(port.str("addresses"), Some("50:51:00:00:00:06 dynamic"));
    let port = column(&rows, "Logical_Switch_Port", "sw11-lr1");
    assert_eq!(port.map_get("options", "router-port"), Some("lr1-sw11"));
    let port = column(&rows, "Logical_Router_Port", "lr1-sw11");
    assert_eq!(
        port.get("networks"),
        Some(&Datum::set(["21.0.0.1/24", "2001::a/64"]))
    );
    let router = column(&rows, "Logical_Router", "lr1");
    assert_eq!(
        (router.uuids("ports").count(), router.uuids("nat").count()),
        (3, 6)
    );
    let switch = column(&rows, "Logical_Switch", "sw01");
    assert_eq!(
        switch.map_get("other_config", "exclude_ips"),
        Some("11.0.0.1..11.0.0.2")
    );
}

#[test]
fn demo_with_one_chassis_keeps_all_vms_on_it() {
    let chassis = |n| {
        Topology::demo(n)
            .vms()
            .map(|vm| vm.chassis)
            .collect::<Vec<_>>()
    };
    assert_eq!(chassis(1), [1, 1, 1, 1]);
    assert_eq!(chassis(5), [1, 2, 1, 2]);
}

#[test]
fn zones_are_joined_by_a_port_of_each_router() {
    let place = demo::DemoPlace {
        zone: 2,
        zones: 3,
        chassis: [2, 5],
        gateway: Some("ovn-gw-2"),
        interconnection: true,
    };
    let topology = Topology::demo_at(place);
    let rows = topology.rows();
    let port = column(&rows, "Logical_Router_Port", "lr2-ts1");
    assert_eq!(
        port.get("networks"),
        Some(&Datum::set(["5.0.0.2/24", "5000::2/64"]))
    );
    let port = column(&rows, "Logical_Switch_Port", "ts1-lr2");
    assert_eq!(port.get("addresses"), Some(&Datum::set::<&str>([])));
    let gateway = column(&rows, "Gateway_Chassis", "lr2-ts1-ovn-gw-2");
    assert_eq!(gateway.i64("priority"), Some(1));
    let hosted: Vec<_> = topology.hosted_ports().collect();
    assert_eq!(hosted, ["cr-lr2-public2", "cr-lr2-ts1"]);
}
