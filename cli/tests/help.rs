//! Every command explains itself.

use std::process::Output;

#[expect(
    clippy::disallowed_methods,
    reason = "the program under test is our own"
)]
fn ofm(args: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_ofm"))
        .args(args)
        .output()
        .expect("the program was built along with this test")
}

/// Checks that a help text goes to standard output and names what it has to.
fn helps(args: &[&str], names: &[&str]) {
    let output = ofm(args);
    let text = String::from_utf8(output.stdout).expect("help is text");
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    assert!(output.stderr.is_empty(), "{args:?}");
    for name in names {
        assert!(
            text.contains(name),
            "{args:?} says nothing of {name}:\n{text}"
        );
    }
    assert!(!text.contains("--state-root"), "{args:?}");
}

#[test]
fn the_program_names_its_commands() {
    helps(
        &["--help"],
        &[
            "start",
            "stop",
            "ls",
            "status",
            "exec",
            "plan",
            "export",
            "schema",
            "doctor",
            "build",
            "gc",
            "--cluster",
            "OFM_CLUSTER",
            "--version",
        ],
    );
}

#[test]
fn every_command_names_its_flags() {
    let selection = [
        "--runtime",
        "OFM_RUNTIME",
        "--ovs",
        "--ovn",
        "--central-ovs",
        "--central-ovn",
        "--chassis-ovs",
        "--chassis-ovn",
        "--gateway-ovs",
        "--gateway-ovn",
        "--relay-ovs",
        "--relay-ovn",
        "--image",
        "--central-image",
        "CENTRAL_IMAGE",
        "--chassis-image",
        "CHASSIS_IMAGE",
        "--gateway-image",
        "GW_IMAGE",
        "--relay-image",
        "RELAY_IMAGE",
        "--engine-timeout",
        "--chassis",
        "--gateways",
        "--datapath",
        "--no-fake-vms",
        "--file",
        "-f",
        "--json",
    ];
    let build = [
        "--runtime",
        "--tag",
        "--distribution",
        "--base",
        "OS_IMAGE",
        "--rootfs",
        "--package",
        "--ovs",
        "OVS_SRC_PATH",
        "--ovn",
        "OVN_SRC_PATH",
        "--cflags",
        "--optimize",
        "--pull-attempts",
        "--no-cache",
        "--list-packages",
        "--json",
    ];
    let profile = ["--trace <FILE>", "--timings"];
    let commands: [(&str, &[&str]); 13] = [
        ("start", &selection),
        ("start", &profile),
        ("start-chassis", &profile),
        ("plan", &selection),
        ("stop", &["--all", "--json"]),
        ("ls", &["--json"]),
        ("status", &["--json"]),
        (
            "exec",
            &["NODE", "CMD", "--interactive", "-i", "--tty", "-t"],
        ),
        ("doctor", &["--chassis", "--json"]),
        ("build", &build),
        ("gc", &["--json"]),
        ("export", &["-f FILE"]),
        ("schema", &["#:schema"]),
    ];
    for (command, flags) in commands {
        helps(&[command, "--help"], flags);
        helps(&[command, "--help"], &["--cluster"]);
    }
}

#[test]
fn the_schema_is_json() {
    let output = ofm(&["schema"]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(schema["properties"]["chassis"]["type"], "integer");
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for args in [
        &[][..],
        &["nonsense"],
        &["start", "--chassis", "many"],
        &["exec", "ovn-chassis-1"],
        &["--cluster", "a/b", "ls"],
    ] {
        let output = ofm(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}
