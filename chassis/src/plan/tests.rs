use ovsdb_client::Schema;
use ovsdb_client::file::DatabaseFile;

use super::ovs::Written;
use super::*;
use crate::name::MacAddr;
use crate::spec::{DatapathChoice, NodeNames, Workload};
use crate::topology::{Topology, VmSpec};

pub(crate) fn facts() -> HostFacts {
    HostFacts {
        software: [Role::Central, Role::Gateway, Role::Relay, Role::Chassis]
            .map(|role| (role, software()))
            .into(),
        openvswitch_datapath: true,
        interfaces: ["lo", "eno1"].map(str::to_owned).into(),
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
        ("ovn-ic", "/usr/bin/ovn-ic"),
        (
            "openvswitch/vswitch.ovsschema",
            "/usr/share/openvswitch/vswitch.ovsschema",
        ),
        ("ovn/ovn-nb.ovsschema", "/usr/share/ovn/ovn-nb.ovsschema"),
        ("ovn/ovn-sb.ovsschema", "/usr/share/ovn/ovn-sb.ovsschema"),
        (
            "ovn/ovn-ic-nb.ovsschema",
            "/usr/share/ovn/ovn-ic-nb.ovsschema",
        ),
        (
            "ovn/ovn-ic-sb.ovsschema",
            "/usr/share/ovn/ovn-ic-sb.ovsschema",
        ),
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
        ("ovnfake-ext1", "172.16.1.50"),
        ("ovnfake-int1", "170.168.0.1"),
    ];
    assert_eq!(nodes, expected.map(|(name, ip)| (name, ip.to_owned())));
    let vms: Vec<_> = plan.vms().map(|vm| (&*vm.name, vm.node.as_str())).collect();
    assert_eq!(
        vms,
        [
            ("sw01p1", "ovn-chassis-1"),
            ("sw01p3", "ovn-chassis-1"),
            ("sw11p1", "ovn-chassis-2"),
            ("sw01p4", "ovn-chassis-2")
        ]
    );
}

#[test]
fn netdev_puts_the_address_on_a_tap() {
    let plan = Plan::new(&spec(DatapathChoice::Netdev), &facts()).unwrap();
    let chassis = plan.node_named("ovn-chassis-1").unwrap();
    let [eth1, eth2] = &chassis.links[..] else {
        panic!("{:?}", chassis.links)
    };
    assert_eq!(
        (&*eth1.node_name, &eth1.addresses[..]),
        ("eth1-uplink", &[][..])
    );
    assert_eq!((eth1.outer_index, eth2.outer_index), (14, 15));
    assert_eq!((eth1.node_index, eth2.node_index), (10, 11));
    assert_eq!((eth1.bridge_index, eth2.bridge_index), (2, 3));
    assert!(!eth1.checksum_offload);
    let tap = chassis.tap.as_ref().unwrap();
    assert_eq!(tap.address, "170.168.0.4/16".parse().unwrap());
    assert_ne!(tap.mac, eth1.mac);
    assert!(plan.central().tap.is_none());
    assert!(!plan.central().links[0].addresses.is_empty());

    let plan = Plan::new(&spec(DatapathChoice::System), &facts()).unwrap();
    let chassis = plan.node_named("ovn-chassis-1").unwrap();
    assert!(chassis.tap.is_none());
    assert_eq!(chassis.links[0].node_name, "eth1");
    assert!(!chassis.links[0].addresses.is_empty());
}

#[test]
fn every_node_has_the_variables_that_are_asked_for() {
    let spec = ClusterSpec {
        env: [("A".to_owned(), "b=c".to_owned())].into(),
        relays: 1,
        ..ClusterSpec::default()
    };
    let plan = Plan::new(&spec, &facts()).unwrap();
    let roles: BTreeSet<_> = plan.nodes.iter().map(|node| node.role).collect();
    assert_eq!(roles.len(), 5);
    for node in &plan.nodes {
        assert_eq!(node.env["A"], "b=c", "{}", node.name);
    }
}

#[test]
fn without_the_physical_network_nodes_have_one_link() {
    let spec = ClusterSpec {
        public: false,
        workload: Workload::None,
        ..ClusterSpec::default()
    };
    let plan = Plan::new(&spec, &facts()).unwrap();
    assert_eq!(plan.bridges.len(), 1);
    for node in &plan.nodes {
        assert_eq!(node.links.len(), 1, "{}", node.name);
    }
}

#[test]
fn plans_are_deterministic_and_survive_json() {
    for datapath in [DatapathChoice::Netdev, DatapathChoice::System] {
        let plan = Plan::new(&spec(datapath), &facts()).unwrap();
        let again = Plan::new(&spec(datapath), &facts()).unwrap();
        assert_eq!(plan, again);
        assert_eq!(nb_rows(&plan, 1), nb_rows(&again, 1));
        assert_eq!(sb_rows(&plan, 1), sb_rows(&again, 1));
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
                ..VmSpec::default()
            },
        );
    }
    let spec = ClusterSpec {
        chassis: Some(8),
        datapath: DatapathChoice::System,
        workload: Workload::Custom(vec![topology]),
        underlay: "10.0.0.0/29".parse().unwrap(),
        first_address: Some("10.0.1.2".parse().unwrap()),
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
        chassis: Some(0),
        ..ClusterSpec::default()
    };
    let errors = Plan::new(&spec, &facts()).unwrap_err();
    assert!(errors.problems[0].hint.contains("--no-fake-vms"));
}

#[test]
fn rows_fit_the_schemas() {
    for rbac in [false, true] {
        let spec = ClusterSpec {
            zones: 2,
            rbac,
            encapsulation: Encapsulation::Both,
            ..ClusterSpec::default()
        };
        let plan = Plan::new(&spec, &facts()).unwrap();
        let central = plan.central();
        for database in &central.databases {
            let Some(text) = schema(&database.schema.to_string_lossy()) else {
                continue;
            };
            let schema = Schema::parse(&text).unwrap();
            let mut file = DatabaseFile::new(&schema);
            for (table, uuid, row) in databases::rows(&plan, central, database, &Written::default())
            {
                file.insert_as(table, uuid, row);
            }
            file.to_bytes().unwrap();
        }
    }
}

#[test]
fn nodes_are_dealt_to_zones_round_robin() {
    let spec = ClusterSpec {
        zones: 2,
        chassis: Some(5),
        relays: 2,
        database: DatabaseMode::Raft,
        ..ClusterSpec::default()
    };
    let plan = Plan::new(&spec, &facts()).unwrap();
    let zone = |name: &str| plan.node_named(name).unwrap().zone;
    assert_eq!(
        [1, 2, 3, 4, 5].map(|n| zone(&format!("ovn-chassis-{n}"))),
        [1, 2, 1, 2, 1]
    );
    assert_eq!(plan.centrals(2).count(), 3);
    assert_eq!(zone("ovn-central-az2-relay-2"), 2);
    let two = plan.zone(2);
    assert_eq!(two.name.as_str(), "ovn-central-az2-1");
    assert_eq!(
        two.nb_remote,
        "ssl:170.168.0.5:6641,ssl:170.168.0.6:6641,ssl:170.168.0.7:6641"
    );
    assert_eq!(
        two.chassis_remote,
        "ssl:170.168.0.12:6642,ssl:170.168.0.13:6642"
    );
    let raft = |name: &str| {
        plan.node_named(name).unwrap().databases[1]
            .raft
            .clone()
            .unwrap()
    };
    assert_eq!(raft("ovn-central-az2-1").join, None);
    assert_eq!(raft("ovn-central-az2-3").local, "ssl:170.168.0.7:6644");
    assert_eq!(
        raft("ovn-central-az2-3").join.unwrap(),
        "ssl:170.168.0.5:6644"
    );
    let inside = plan.node_named("ovnfake-int2").unwrap().address;
    assert_eq!(inside.to_string(), "170.168.255.254");
}

#[test]
fn an_underlay_may_be_of_ipv6() {
    let spec = ClusterSpec {
        underlay: "fd00::/64".parse().unwrap(),
        tls: false,
        ..ClusterSpec::default()
    };
    let plan = Plan::new(&spec, &facts()).unwrap();
    let chassis = plan.node_named("ovn-chassis-1").unwrap();
    assert_eq!(chassis.remote.as_deref(), Some("tcp:[fd00::2]:6642"));
    let rows = sb_rows(&plan, 1);
    let target = rows.iter().find_map(|(_, _, row)| row.str("target"));
    assert_eq!(target, Some("ptcp:6642:[::]"));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let sound = ClusterSpec::default();
    let cases = [
        (
            ClusterSpec {
                zones: 0,
                ..sound.clone()
            },
            "without a central",
        ),
        (
            ClusterSpec {
                zones: 10,
                ..sound.clone()
            },
            "9 zones",
        ),
        (
            ClusterSpec {
                rbac: true,
                tls: false,
                ..sound.clone()
            },
            "without TLS",
        ),
        (
            ClusterSpec {
                rbac: true,
                relays: 1,
                ..sound.clone()
            },
            "relay",
        ),
        (
            ClusterSpec {
                public: false,
                ..sound.clone()
            },
            "port \"ln-public1\": the physical network public",
        ),
        (
            ClusterSpec {
                mtu: 1279,
                ..sound.clone()
            },
            "1279",
        ),
        (
            ClusterSpec {
                mtu: 1400,
                ..sound.clone()
            },
            "does not fit",
        ),
        (
            ClusterSpec {
                election_timer: 99,
                ..sound.clone()
            },
            "99 ms",
        ),
        (
            ClusterSpec {
                env: [("A=B".to_owned(), String::new())].into(),
                ..sound.clone()
            },
            "\"A=B\"",
        ),
        (
            ClusterSpec {
                underlay: "127.0.0.0/8".parse().unwrap(),
                ..sound.clone()
            },
            "127.0.0.0/8",
        ),
        (
            ClusterSpec {
                zones: 3,
                chassis: Some(2),
                ..sound.clone()
            },
            "in each zone",
        ),
        (
            ClusterSpec {
                names: NodeNames {
                    chassis_prefix: "ovn-gw-".into(),
                    ..NodeNames::default()
                },
                ..sound.clone()
            },
            "more than one",
        ),
        (
            ClusterSpec {
                names: NodeNames {
                    central: Some("Bad".into()),
                    ..NodeNames::default()
                },
                ..sound.clone()
            },
            "'B'",
        ),
        (
            ClusterSpec {
                uplink: Some("eno2".into()),
                ..sound.clone()
            },
            "choose one of eno1",
        ),
        (
            // Room for four nodes, if it were not for the host at the end.
            ClusterSpec {
                underlay: "10.0.0.0/29".parse().unwrap(),
                first_address: Some("10.0.0.3".parse().unwrap()),
                zones: 2,
                chassis: Some(2),
                gateways: Some(0),
                ..sound
            },
            "3 fit",
        ),
    ];
    for (spec, part) in cases {
        let text = Plan::new(&spec, &facts()).unwrap_err().to_string();
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn containers_are_named_and_granted_what_host_and_engine_have() {
    let engine = EngineFacts {
        kind: crate::runtime::EngineKind::Docker,
        socket: "/run/docker.sock".into(),
        deadline: Duration::from_secs(60),
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
