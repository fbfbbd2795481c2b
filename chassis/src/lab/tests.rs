use std::path::PathBuf;

use super::*;
use crate::spec::{ClusterSpec, Workload};
use crate::topology::Topology;

mod round_trip;

fn lab(text: &str) -> Lab {
    Lab::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(text: &str) -> String {
    lab(text).spec().unwrap_err().to_string()
}

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    files
}

#[test]
fn an_empty_file_is_the_default_cluster() {
    assert_eq!(lab("").spec().unwrap(), ClusterSpec::default());
    assert_eq!(Lab::default().to_toml(), "");
    let spec = lab("demo = false").spec().unwrap();
    assert_eq!(spec.workload, Workload::None);
}

#[test]
fn chassis_of_somebody_elses_databases_come_alone() {
    let text = "remote = \"tcp:192.0.2.1:6642\"\nchassis = 2\nabsent = [\"ovn-chassis-1\"]\n";
    let spec = lab(text).spec().unwrap();
    assert_eq!(
        (spec.zones, spec.gateways(), spec.interconnection),
        (0, 0, false)
    );
    assert_eq!(spec.workload, Workload::None);
    let described = Lab::from_spec(&spec);
    assert_eq!(described.spec().unwrap(), spec);
    assert!(described.to_toml().contains("absent = [\"ovn-chassis-1\"]"));
    assert!(problems(&format!("{text}[[switch]]\nname = \"a\"")).contains("there are no zones"));
}

#[test]
fn examples_are_labs_and_follow_the_schema() {
    let schema = Lab::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for path in examples() {
        let lab = Lab::read(&path).unwrap_or_else(|error| panic!("{error}"));
        let spec = lab.spec().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lab.or(Lab::default()).spec(), Ok(spec));
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = toml::from_str(&text).unwrap();
        if let Err(error) = validator.validate(&value) {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        }
    }
}

#[test]
fn the_schema_refuses_what_is_refused() {
    let validator = jsonschema::validator_for(&Lab::schema()).unwrap();
    for bad in [
        "chasis = 2",
        "chassis = \"two\"",
        "db = \"etcd\"",
        "[[switch]]\nzone = 1",
        "[[switch]]\nname = \"a\"\nports = [{ name = \"p\", mac = \"50:54\" }]",
    ] {
        assert!(Lab::parse(bad).is_err(), "{bad}");
        let value: serde_json::Value = toml::from_str(bad).unwrap();
        assert!(!validator.is_valid(&value), "{bad}");
    }
}

#[test]
fn the_schema_describes_every_key() {
    fn without_description(name: &str, value: &serde_json::Value, found: &mut Vec<String>) {
        let properties = value["properties"].as_object();
        for (key, property) in properties.into_iter().flatten() {
            if property["description"].is_null() {
                found.push(format!("{name}.{key}"));
            }
        }
    }
    let schema = Lab::schema();
    let mut found = Vec::new();
    without_description("", &schema, &mut found);
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        without_description(name, definition, &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
    let text = schema.to_string();
    assert!(!text.contains("null") && !text.contains("[`"), "{text}");
}

#[test]
fn the_reference_has_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/topology-file.md");
    let text = std::fs::read_to_string(file).unwrap();
    let schema = Lab::schema();
    let definitions = schema["definitions"].as_object().unwrap();
    let objects = definitions.values().chain([&schema]);
    let keys = objects.flat_map(|object| object["properties"].as_object().into_iter().flatten());
    for (key, _) in keys {
        let forms = [
            format!("`{key}`"),
            format!("[{key}]"),
            format!("`{{ {key} = "),
            format!(", {key} = "),
        ];
        assert!(forms.iter().any(|form| text.contains(form)), "{key}");
    }
}

#[test]
fn what_is_no_lab_is_told_with_its_place() {
    for (text, expected) in [
        (
            "chassis = 2\nchasis = 3",
            "line 2, column 1: unknown field `chasis`",
        ),
        (
            "chassis = \"two\"",
            "line 1, column 11: invalid type: string \"two\", expected u32",
        ),
        ("chassis = ", "line 1, column 11: "),
        (
            "[[vm]]\nname = \"vm1\"\nswitch = \"a\"\nchassis = 1\nmac = \"50:54\"",
            "line 5, column 7: invalid MAC address \"50:54\"",
        ),
        (
            "[[switch]]\nzone = 2",
            "line 1, column 1: missing field `name`",
        ),
        (
            "[[router]]\nname = \"ü\"\nnat = [{ type = \"snat\", external_ip = \"1.1.1.1\", logical_ip = \"x\" }]",
            "line 3, column 63: \"x\" is no address and no network",
        ),
    ] {
        let error = Lab::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}\n{error}");
        assert!(error.contains("\n  hint: "), "{error}");
    }
}

#[test]
fn a_file_is_named_and_relative_paths_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.toml");
    let missing = Lab::read(&path).unwrap_err().to_string();
    assert_eq!(missing, format!("reading {} failed", path.display()));
    std::fs::write(&path, "nb_db = \"nb.db\"\ndata = \"/srv\"").unwrap();
    let lab = Lab::read(&path).unwrap();
    assert_eq!(lab.nb_db, Some(folder.path().join("nb.db")));
    assert_eq!(lab.data, Some("/srv".into()));
    std::fs::write(&path, "demo = 1").unwrap();
    let error = Lab::read(&path).unwrap_err().to_string();
    let place = format!("{}:1:8: ", path.display());
    assert!(error.starts_with(&place), "{error}");
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let text = r#"
        chassis = 2
        demo = true
        [[switch]]
        name = "sw0"
        ports = [{ name = "p", localnet = "public", addresses = ["10.0.0.5"] }]
        dhcp = { subnet = "10.0.0.0/24", router = "10.0.1.1", exclude = ["10.0.0.9", "10.0.0.2"] }
        [[switch]]
        name = "sw1"
        zone = 3
        [[router]]
        name = "lr0"
        ports = [{ switch = "sw9", networks = [], gateways = [{ chassis = "ovn-gw-9", priority = 40000 }] }]
        nat = [{ type = "dnat_and_snat", external_ip = "1.1.1.1", logical_ip = "10.0.0.3", port = "p" }]
        [[router]]
        name = "lr0"
        [[vm]]
        name = "vm1"
        switch = "sw0"
        chassis = 3
        [[vm]]
        name = "vm1"
        switch = "nowhere"
        chassis = 1
    "#;
    let told = problems(text);
    for expected in [
        "for 13 reasons",
        "line 3, column 16: demo: it makes all",
        "line 6, column 18: port \"p\": a port to a physical network",
        "line 7, column 51: switch \"sw0\": 10.0.1.1 is not in the DHCP subnet 10.0.0.0/24",
        "line 7, column 73: switch \"sw0\": 10.0.0.9 to 10.0.0.2 is no range",
        "line 10, column 16: switch \"sw1\": it is in zone 3, and the zones are 1 to 1",
        "line 13, column 75: router \"lr0\": there is no gateway or chassis \"ovn-gw-9\" in zone 1\n  \
         hint: the gateways and chassis of its zone are ovn-gw-1, ovn-chassis-1, ovn-chassis-2",
        "line 13, column 98: router \"lr0\": the priority 40000 is out of range",
        "line 13, column 29: router \"lr0\": there is no switch \"sw9\" in zone 1\n  \
         hint: the switches of its zone are sw0",
        "line 14, column 99: router \"lr0\": a translation with port needs mac too",
        "line 16, column 16: router \"lr0\": there is another one of this name in zone 1",
        "line 20, column 19: VM \"vm1\": there is no chassis 3\n  hint: choose one from 1 to 2",
        "line 22, column 16: VM \"vm1\": there is another one of this name",
        "line 23, column 18: VM \"vm1\": there is no switch \"nowhere\" in zone 1",
    ] {
        assert!(told.contains(expected), "{expected}\nin\n{told}");
    }
}

#[test]
fn switches_are_found_in_the_zone_of_those_who_use_them() {
    let file = r#"
        zones = 2
        [[switch]]
        name = "ts"
        transit = true
        [[switch]]
        name = "ts"
        zone = 2
        transit = true
        [[switch]]
        name = "lan"
        zone = 2
    "#;
    let vm = |chassis: u32| {
        format!("{file}\n[[vm]]\nname = \"vm\"\nswitch = \"lan\"\nchassis = {chassis}")
    };
    assert!(lab(&vm(2)).spec().is_ok());
    let told = problems(&vm(3));
    assert!(
        told.contains("the switch \"lan\" is in zone 2, and it is in zone 1"),
        "{told}"
    );
    assert!(told.contains("put it on chassis 2, 4, or so on"), "{told}");
    let told = problems(&format!(
        "{file}\n[[vm]]\nname = \"vm\"\nswitch = \"ts\"\nchassis = 1\ndhcp = true"
    ));
    assert!(told.contains("gives no addresses by DHCP"), "{told}");
}

#[test]
fn what_is_not_said_has_a_default() {
    let lab = lab(r#"
        [[switch]]
        name = "sw0"
        localnet = "public"
        [[router]]
        name = "lr0"
        ports = [{ switch = "sw0", networks = ["10.0.0.1/24"] }]
        [[vm]]
        name = "vm1"
        switch = "sw0"
        chassis = 2
    "#);
    let Workload::Custom(topologies) = lab.spec().unwrap().workload else {
        panic!("it has a topology");
    };
    let [topology] = topologies.as_slice() else {
        panic!("it has one zone: {topologies:?}");
    };
    let vm = topology.vms().next().unwrap();
    assert_eq!((vm.port.as_str(), vm.mtu), ("sw0-vm1", 1400));
    assert_eq!(vm.mac.to_string(), "02:37:52:b7:fe:61");
    let (_, connections) = topology.routers().next().unwrap();
    assert_ne!(connections[0].0.mac, vm.mac);
    assert_eq!(topology.switches()[0].ports[0].name(), "ln-sw0");
}

#[test]
fn the_first_one_that_says_something_counts() {
    let flags = lab("chassis = 5\nimage = \"mine\"\nnames = { central = \"c\" }");
    let file = lab(
        "chassis = 3\nmtu = 9000\nimages = { chassis = \"old\" }\n[[switch]]\nname = \"sw0\"\nzone = 2",
    );
    let variables = lab("mtu = 1300\nrelays = 1\ndemo = false\nnames = { chassis_prefix = \"n\" }");
    let lab = flags.or(file).or(variables);
    assert_eq!(
        (lab.chassis, lab.mtu, lab.relays),
        (Some(5), Some(9000), Some(1))
    );
    assert_eq!(lab.names.central.as_deref(), Some("c"));
    assert_eq!(lab.names.chassis_prefix.as_deref(), Some("n"));
    assert_eq!((lab.demo, lab.switch.len()), (None, 1));
    assert_eq!(lab.images, Images::default());
    // The places are those of the file.
    let told = lab.spec().unwrap_err().to_string();
    assert!(told.contains("line 6, column 8: switch \"sw0\""), "{told}");
}

#[test]
fn the_demo_can_be_written_down() {
    let workload = Workload::Custom(vec![Topology::demo(2)]);
    let spec = ClusterSpec {
        workload,
        ..ClusterSpec::default()
    };
    let text = Lab::from_spec(&spec).to_toml();
    assert_eq!(lab(&text).spec().unwrap(), spec);
    assert!(text.contains("localnet = \"public\""), "{text}");
    assert!(
        text.contains("\n    { switch = \"public1\", mac = \"00:01:20:20:12:13\""),
        "{text}"
    );
}
