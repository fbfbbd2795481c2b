use ovsdb_client::Schema;
use ovsdb_client::file::DatabaseFile;

use super::*;
use crate::spec::DatapathChoice;
use crate::topology::{TableRow, VmSpec};

pub(super) fn facts() -> HostFacts {
    HostFacts {
        software: [Role::Central, Role::Gateway, Role::Chassis]
            .map(|role| (role, software()))
            .into(),
        openvswitch_datapath: true,
        state_root: "/var/lib/ofm".into(),
        engine: None,
    }
}

fn software() -> Software {
    let places = [
        ("ovsdb-server", "/usr/sbin/ovsdb-server"),
        ("ovs-vswitchd", "/usr/sbin/ovs-vswitchd"),
        ("ovn-northd", "/usr/bin/ovn-northd"),
        ("ovn-controller", "/usr/bin/ovn-controller"),
        (
            "openvswitch/vswitch.ovsschema",
            "/usr/share/openvswitch/vswitch.ovsschema",
        ),
        ("ovn/ovn-nb.ovsschema", "/usr/share/ovn/ovn-nb.ovsschema"),
        ("ovn/ovn-sb.ovsschema", "/usr/share/ovn/ovn-sb.ovsschema"),
    ];
    Software::complete(places.map(|(name, path)| (name.to_owned(), Some(path.into())))).unwrap()
}

/// The text of an installed schema; says so on standard error if there is none.
#[allow(clippy::print_stderr)]
pub(super) fn schema(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path);
    if let Err(error) = &text {
        eprintln!("SKIPPED: {path}: {error}");
    }
    text.ok()
}

fn spec(datapath: DatapathChoice) -> ClusterSpec {
    ClusterSpec {
        datapath,
        ..ClusterSpec::default()
    }
}

#[test]
fn nodes_have_consecutive_addresses() {
    let plan = Plan::new(&ClusterSpec::default(), &facts()).unwrap();
    let nodes: Vec<_> = (plan.nodes.iter())
        .map(|node| (node.name.as_str(), node.address.to_string()))
        .collect();
    let expected = [
        ("ovn-central-az1", "170.168.0.2"),
        ("ovn-gw-1", "170.168.0.3"),
        ("ovn-chassis-1", "170.168.0.4"),
        ("ovn-chassis-2", "170.168.0.5"),
    ];
    assert_eq!(nodes, expected.map(|(name, ip)| (name, ip.to_owned())));
    let vms: Vec<_> = plan.vms().map(|vm| (&*vm.name, vm.node.as_str())).collect();
    assert_eq!(
        vms,
        [("sw01p1", "ovn-chassis-1"), ("sw11p1", "ovn-chassis-2")]
    );
}

#[test]
fn netdev_puts_the_address_on_a_tap() {
    let plan = Plan::new(&spec(DatapathChoice::Netdev), &facts()).unwrap();
    let chassis = plan.node_named("ovn-chassis-1").unwrap();
    let [eth1, eth2] = &chassis.links[..] else {
        panic!("{:?}", chassis.links)
    };
    assert_eq!((&*eth1.node_name, eth1.address), ("eth1-uplink", None));
    assert_eq!((eth1.outer_index, eth2.outer_index), (14, 15));
    assert_eq!((eth1.node_index, eth2.node_index), (10, 11));
    assert_eq!((eth1.bridge_index, eth2.bridge_index), (2, 3));
    assert!(!eth1.checksum_offload);
    let tap = chassis.tap.as_ref().unwrap();
    assert_eq!(tap.address, "170.168.0.4/16".parse().unwrap());
    assert_ne!(tap.mac, eth1.mac);
    assert!(plan.central().tap.is_none());
    assert!(plan.central().links[0].address.is_some());

    let plan = Plan::new(&spec(DatapathChoice::System), &facts()).unwrap();
    let chassis = plan.node_named("ovn-chassis-1").unwrap();
    assert!(chassis.tap.is_none());
    assert_eq!(chassis.links[0].node_name, "eth1");
    assert!(chassis.links[0].address.is_some());
}

#[test]
fn plans_are_deterministic_and_survive_json() {
    for datapath in [DatapathChoice::Netdev, DatapathChoice::System] {
        let plan = Plan::new(&spec(datapath), &facts()).unwrap();
        let again = Plan::new(&spec(datapath), &facts()).unwrap();
        assert_eq!(plan, again);
        assert_eq!(nb_rows(&plan), nb_rows(&again));
        assert_eq!(sb_rows(&plan), sb_rows(&again));
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut topology = Topology::new();
    let sw0 = topology.switch("sw0");
    for (name, port, chassis) in [
        ("twin", "p1", 1),
        ("twin", "p2", 9),
        ("far-too-long-name", "p3", 1),
    ] {
        topology.vm(
            sw0,
            VmSpec {
                name: name.to_owned(),
                port: port.to_owned(),
                chassis,
                mac: MacAddr([2, 0, 0, 0, 0, 1]),
                addresses: Vec::new(),
                gateways: Vec::new(),
                mtu: 1400,
            },
        );
    }
    let spec = ClusterSpec {
        chassis: 8,
        datapath: DatapathChoice::System,
        workload: Workload::Custom(topology),
        underlay: "10.0.0.0/29".parse().unwrap(),
        first_address: "10.0.1.2".parse().unwrap(),
        ..ClusterSpec::default()
    };
    let facts = HostFacts {
        openvswitch_datapath: false,
        state_root: format!("/{}", "x".repeat(90)).into(),
        ..facts()
    };
    let errors = Plan::new(&spec, &facts).unwrap_err();
    let text = errors.to_string();
    for part in [
        "10.0.1.2 is not an address",
        "10 nodes",
        "6 fit",
        "no openvswitch datapath",
        "chassis 9, which does not exist",
        "more than one of this name",
        "\"far-too-long-name-p\"",
        "more than 107",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(errors.problems.len(), 7, "{text}");
}

#[test]
fn the_demo_needs_a_chassis() {
    let spec = ClusterSpec {
        chassis: 0,
        ..ClusterSpec::default()
    };
    let errors = Plan::new(&spec, &facts()).unwrap_err();
    assert!(errors.problems[0].hint.contains("--no-fake-vms"));
}

#[test]
fn rows_fit_the_schemas() {
    let plan = Plan::new(&ClusterSpec::default(), &facts()).unwrap();
    let rows: [(&str, Vec<TableRow>); 2] = [
        ("/usr/share/ovn/ovn-nb.ovsschema", nb_rows(&plan)),
        ("/usr/share/ovn/ovn-sb.ovsschema", sb_rows(&plan)),
    ];
    for (path, rows) in rows {
        let Some(text) = schema(path) else { continue };
        let schema = Schema::parse(&text).unwrap();
        let mut file = DatabaseFile::new(&schema);
        for (table, uuid, row) in rows {
            file.insert_as(table, uuid, row);
        }
        file.to_bytes().unwrap();
    }
}

#[test]
fn containers_are_named_and_granted_what_host_and_engine_have() {
    let engine = EngineFacts {
        kind: crate::runtime::EngineKind::Docker,
        socket: "/run/docker.sock".into(),
        deadline: std::time::Duration::from_secs(60),
        capabilities: [
            "NET_ADMIN",
            "NET_RAW",
            "SYS_ADMIN",
            "SYS_MODULE",
            "SYS_BOOT",
        ]
        .map(str::to_owned)
        .into(),
        tun: true,
        limits: container::Limits {
            open_files: 1024,
            processes: 100,
        },
        taken: BTreeMap::new(),
    };
    let facts = HostFacts {
        engine: Some(engine),
        ..facts()
    };
    let other = ClusterSpec {
        name: "other".parse().unwrap(),
        ..spec(DatapathChoice::Netdev)
    };
    for (spec, first, module) in [
        (spec(DatapathChoice::System), "ovn-central-az1", true),
        (other, "other-ovn-central-az1", false),
    ] {
        let plan = Plan::new(&spec, &facts).unwrap();
        assert_eq!(plan.nodes[0].container.as_ref().unwrap().name, first);
        let RuntimePlan::Engine(engine) = &plan.runtime else {
            panic!("{:?}", plan.runtime);
        };
        let granted = |name: &str| engine.capabilities.iter().any(|c| c == name);
        assert!(granted("NET_ADMIN") && !granted("SYS_BOOT") && !granted("CHOWN"));
        assert_eq!(granted("SYS_MODULE"), module);
    }
    let mut poor = facts;
    if let Some(engine) = &mut poor.engine {
        engine.capabilities.remove("NET_RAW");
        engine
            .taken
            .insert("ovn-gw-1".into(), "not made by ofm".into());
    }
    let problems = Plan::new(&spec(DatapathChoice::System), &poor).unwrap_err();
    assert_eq!(problems.problems.len(), 2, "{problems}");
}
