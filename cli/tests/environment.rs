//! What users of ovn-fake-multinode set in the environment means what the flags say.

use std::process::Output;

/// A variable, a value other than its default, the flags that mean the same, and flags that mean something else.
type Variable = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Every variable that tells in a plan of native nodes. Those that belong together stand side by side; all of them
/// make one cluster, except for CENTRAL_NAME, which is for a single central.
const VARIABLES: [Variable; 20] = [
    (
        "CENTRAL_COUNT",
        "2",
        &["--central", "2"],
        &["--central", "3"],
    ),
    (
        "CHASSIS_COUNT",
        "5",
        &["--chassis", "5"],
        &["--chassis", "6"],
    ),
    ("GW_COUNT", "3", &["--gateways", "3"], &["--gateways", "4"]),
    ("RELAY_COUNT", "1", &["--relays", "1"], &["--relays", "0"]),
    (
        "CENTRAL_PREFIX",
        "brain-",
        &["--central-prefix", "brain-"],
        &["--central-prefix", "c"],
    ),
    (
        "CENTRAL_NAME",
        "brain",
        &["--central-name", "brain"],
        &["--central-name", "c"],
    ),
    (
        "CHASSIS_PREFIX",
        "hv-",
        &["--chassis-prefix", "hv-"],
        &["--chassis-prefix", "c"],
    ),
    (
        "IP_HOST",
        "10.20.0.0",
        &["--underlay", "10.20.0.0/16"],
        &["--underlay", "fd00::/64"],
    ),
    (
        "IP_CIDR",
        "22",
        &["--underlay", "170.168.0.0/22"],
        &["--underlay", "170.168.0.0/24"],
    ),
    (
        "IP_START",
        "170.168.0.9",
        &["--first-address", "170.168.0.9"],
        &["--first-address", "170.168.0.7"],
    ),
    (
        "OVN_DB_CLUSTER",
        "yes",
        &["--db", "raft"],
        &["--db", "standalone"],
    ),
    (
        "OVN_NBDB_SRC",
        "/srv/nb.db",
        &["--nb-db", "/srv/nb.db"],
        &["--nb-db", "/srv/other.db"],
    ),
    (
        "OVN_SBDB_SRC",
        "/srv/sb.db",
        &["--sb-db", "/srv/sb.db"],
        &["--sb-db", "/srv/other.db"],
    ),
    ("ENABLE_SSL", "no", &["--no-tls"], &["--tls", "yes"]),
    ("OVN_START_IC_DBS", "no", &["--no-ic"], &["--ic", "yes"]),
    (
        "OVN_MONITOR_ALL",
        "yes",
        &["--monitor-all"],
        &["--monitor-all=no"],
    ),
    (
        "OVN_DP_TYPE",
        "netdev",
        &["--datapath", "netdev"],
        &["--datapath", "auto"],
    ),
    (
        "CREATE_FAKE_VMS",
        "no",
        &["--no-fake-vms"],
        &["--fake-vms", "yes"],
    ),
    (
        "FAKENODE_MNT_DIR",
        "/srv/data",
        &["--data", "/srv/data"],
        &["--data", "/srv/other"],
    ),
    (
        "OFM_CLUSTER",
        "mine",
        &["--cluster", "mine"],
        &["--cluster", "other"],
    ),
];

/// Runs `ofm` with these variables and no others.
#[expect(
    clippy::disallowed_methods,
    reason = "the program under test is our own"
)]
fn ofm(variables: &[(&str, &str)], args: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_ofm"))
        .env_clear()
        .envs(variables.iter().copied())
        .args(["--state-root", "/nonexistent/ofm"])
        .args(args)
        .output()
        .expect("the program was built along with this test")
}

/// What `ofm plan --json` prints, which must succeed without a warning.
fn plan(variables: &[(&str, &str)], args: &[&str]) -> String {
    let output = ofm(variables, &[&["plan", "--json"], args].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{variables:?} {args:?}: {stderr}");
    assert_eq!(stderr, "", "{variables:?} {args:?}");
    String::from_utf8(output.stdout).expect("a plan is text")
}

#[test]
fn each_variable_means_what_its_flag_says() {
    let default = plan(&[], &[]);
    for (name, value, same, _) in VARIABLES {
        let planned = plan(&[(name, value)], &[]);
        assert!(planned == plan(&[], same), "{name}={value} is not {same:?}");
        // Whether the kernel has a datapath decides what the default one is.
        if name != "OVN_DP_TYPE" {
            assert!(planned != default, "{name}={value} changes nothing");
        }
    }
}

#[test]
fn a_flag_goes_before_its_variable() {
    for (name, value, _, other) in VARIABLES {
        let planned = plan(&[(name, value)], other);
        assert!(planned == plan(&[], other), "{name} goes before {other:?}");
    }
}

#[test]
fn variables_alone_make_a_whole_cluster() {
    let together = VARIABLES.map(|(name, value, same, _)| match name {
        // A name and a number of centrals exclude each other.
        "CENTRAL_NAME" => ("CENTRAL_NAME", "", &[][..]),
        "IP_HOST" => (name, value, &["--underlay", "10.20.0.0/22"][..]),
        "IP_CIDR" => (name, value, &[][..]),
        "IP_START" => (name, "10.20.0.9", &["--first-address", "10.20.0.9"][..]),
        _ => (name, value, same),
    });
    let variables = together.map(|(name, value, _)| (name, value));
    let flags = together.map(|(_, _, flags)| flags).concat();
    assert!(plan(&variables, &[]) == plan(&[], &flags), "{flags:?}");
    let shown = ofm(&variables, &["plan"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    let mut tables = shown.split("\n\n");
    let nodes = tables
        .find(|table| table.starts_with("NODE"))
        .expect("a table of nodes");
    let columns = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().take(3).collect();
        columns.join(" ")
    };
    let nodes: Vec<_> = nodes.lines().map(columns).collect();
    let expected = "NODE ROLE IP
brain-1-1 central 10.20.0.9
brain-1-2 central 10.20.0.10
brain-1-3 central 10.20.0.11
brain-2-1 central 10.20.0.12
brain-2-2 central 10.20.0.13
brain-2-3 central 10.20.0.14
ovn-gw-1 gateway 10.20.0.15
ovn-gw-2 gateway 10.20.0.16
ovn-gw-3 gateway 10.20.0.17
brain-1-relay-1 relay 10.20.0.18
brain-2-relay-1 relay 10.20.0.19
hv-1 chassis 10.20.0.20
hv-2 chassis 10.20.0.21
hv-3 chassis 10.20.0.22
hv-4 chassis 10.20.0.23
hv-5 chassis 10.20.0.24";
    assert_eq!(nodes.join("\n"), expected);
}

/// Without an engine all that can be seen of it is that it was looked for.
#[test]
fn runc_cmd_chooses_the_engine() {
    for (engine, variable) in [("docker", "DOCKER_HOST"), ("podman", "CONTAINER_HOST")] {
        let nowhere = (variable, "unix:///nonexistent/engine.sock");
        let chosen = ofm(&[nowhere, ("RUNC_CMD", engine)], &["plan"]);
        let said = String::from_utf8_lossy(&chosen.stderr);
        assert_eq!(chosen.status.code(), Some(1), "{said}");
        assert!(said.contains("/nonexistent/engine.sock"), "{said}");
        let flag = ofm(&[nowhere], &["plan", "--runtime", engine]);
        assert_eq!(said, String::from_utf8_lossy(&flag.stderr));
        let variables = [nowhere, ("RUNC_CMD", engine)];
        assert!(plan(&variables, &["--runtime", "native"]) == plan(&[], &[]));
    }
    let output = ofm(&[("RUNC_CMD", "nerdctl")], &["plan"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("RUNC_CMD") && said.contains("nerdctl"),
        "{said}"
    );
}

#[test]
fn variables_without_meaning_are_told_of() {
    let meaningless = [
        "OVN_BR_CLEANUP",
        "IPV6_UNDERLAY",
        "CENTRAL_IC_ID",
        "CENTRAL_IC_IP",
        "ENABLE_ETCD",
        "USE_OVSDB_ETCD",
        "OVSDB_ETCD_MAX_TXN_OPS",
        "ETCD_VERSION",
        "USE_OVN_RPMS",
        "USE_OVN_DEBS",
        "INSTALL_UTILS_FROM_SOURCES",
        "VM_MEMORY",
        "VM_CPUS",
        "VM_MOUNT_NFS",
        "OVS_DIR",
        "OVN_DIR",
        "OVS_GIT_REPO",
        "OVS_BRANCH",
        "OVN_BRANCH",
    ];
    let default = plan(&[], &[]);
    for name in meaningless {
        let output = ofm(&[(name, "yes")], &["plan", "--json"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let beginning = format!("warning: {name} means nothing to ofm: ");
        assert!(said.starts_with(&beginning), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            output.stdout == default.as_bytes(),
            "{name} changes the plan"
        );
    }
}

/// A value that is no answer is no answer, whatever it was to a shell script.
#[test]
fn a_wrong_value_is_refused() {
    for (name, value) in [
        ("ENABLE_SSL", "maybe"),
        ("CHASSIS_COUNT", "many"),
        ("OVN_DP_TYPE", "dpdk"),
        ("IP_CIDR", "wide"),
    ] {
        let output = ofm(&[(name, value)], &["plan"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {said}");
        assert!(said.contains(value), "{name}={value}: {said}");
    }
}
