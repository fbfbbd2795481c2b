//! What cannot be is refused with one clear error and a hint, and nothing is touched.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use ofm_tests::{Place, binary, copy_program, describe, leftovers, program};
use serde_json::Value;

pub(crate) fn table(place: &Place) -> anyhow::Result<()> {
    // Arguments, exit status, and what standard error has to say.
    let cases: [(&[&str], i32, &[&str]); 6] = [
        (
            &["start", "--chassis", "70000"],
            1,
            &["170.168.0.0/16", "hint:"],
        ),
        (&["--cluster", "Not_A_Name", "start"], 2, &["Not_A_Name"]),
        (&["start", "--chassis", "0"], 1, &["--no-fake-vms"]),
        (
            &["start", "--datapath", "system"],
            1,
            &["openvswitch", "hint:"],
        ),
        (&["stop"], 1, &["does not run", "hint:"]),
        (
            &["exec", "ovn-chassis-1", "--", "true"],
            1,
            &["does not run", "hint:"],
        ),
    ];
    let has_kernel_datapath = std::path::Path::new("/sys/module/openvswitch").exists();
    for (args, status, words) in cases {
        if has_kernel_datapath && args.contains(&"system") {
            continue;
        }
        let output = place.ofm(args).output()?;
        refused(args, &output, status, words);
        assert_eq!(
            std::fs::read_dir(place.root())?.count(),
            0,
            "{args:?} left a folder"
        );
        assert!(leftovers(place)?.is_empty(), "{args:?}");
    }
    place.run(&["start", "--no-fake-vms"])?;
    let before = place.run(&["status", "--json"])?;
    let args: &[&str] = &["start"];
    refused(
        args,
        &place.ofm(args).output()?,
        1,
        &["runs already", "hint:"],
    );
    let args = &["exec", "ovn-chassis-9", "--", "true"];
    refused(
        args,
        &place.ofm(args).output()?,
        1,
        &["ovn-chassis-9", "ovn-chassis-1", "hint:"],
    );
    assert_eq!(place.run(&["status", "--json"])?, before);
    place.run(&["stop"])?;
    Ok(())
}

/// Without root, `ofm` says so before it touches anything.
pub(crate) fn no_root(place: &Place) -> anyhow::Result<()> {
    // A copy that another user can reach, wherever the workspace is.
    let copy = place.root().join("ofm-copy");
    copy_program(&binary("ofm"), &copy)?;
    std::fs::set_permissions(place.root(), Permissions::from_mode(0o755))?;
    let output = program(&copy)
        .args(["--state-root", "/run/ofm-not-made", "start"])
        .uid(65534)
        .gid(65534)
        .output()?;
    refused(&["start"], &output, 1, &["root", "hint:"]);
    assert!(!std::path::Path::new("/run/ofm-not-made").exists());
    Ok(())
}

/// A daemon that is not installed is named before anything is touched. It is hidden in a mount namespace of the test's.
pub(crate) fn no_daemon(place: &Place) -> anyhow::Result<()> {
    let ofm = place.ofm(&["start"]);
    let hide = "for f in /usr/bin/ovn-controller /usr/sbin/ovn-controller; do \
                if [ -f $f ]; then mount --bind /dev/null $f || exit 99; fi; done; exec \"$@\"";
    let output = program(std::path::Path::new("unshare"))
        .args(["--mount", "sh", "-c", hide, "sh"])
        .arg(ofm.get_program())
        .args(ofm.get_args())
        .output()?;
    refused(&["start"], &output, 1, &["ovn-controller", "hint:"]);
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    Ok(())
}

/// What a cluster needs is there, since the other tests start some; of four billion nodes the opposite is said.
pub(crate) fn doctor(place: &Place) -> anyhow::Result<()> {
    let checks = |args: &[&str]| -> anyhow::Result<(Option<i32>, Vec<Value>)> {
        let output = place
            .ofm(&[&["doctor", "--json"], args].concat())
            .output()?;
        Ok((
            output.status.code(),
            serde_json::from_slice(&output.stdout)?,
        ))
    };
    let (status, all) = checks(&["--chassis", "2"])?;
    assert_eq!(status, Some(0), "{all:#?}");
    let found = |what: &str| {
        let check = all.iter().find(|check| check["what"] == what);
        check
            .and_then(|check| check["found"].as_str())
            .unwrap_or("")
    };
    assert!(found("ovn-northd").ends_with("/ovn-northd"), "{all:#?}");
    if let Some(engine) = place.engine() {
        let socket = engine.socket().to_string_lossy();
        let expected = format!("answers on {socket}");
        assert_eq!(found(engine.kind().as_str()), expected);
    }
    let (status, all) = checks(&["--chassis", "4294967295"])?;
    assert_eq!(status, Some(1), "{all:#?}");
    let failed = |check: &&Value| check["ok"] == false && check["hint"] != "";
    assert!(all.iter().any(|check| failed(&check)), "{all:#?}");
    Ok(())
}

pub(crate) fn refused(args: &[&str], output: &std::process::Output, status: i32, words: &[&str]) {
    let text = describe(output);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}: {text}");
    for word in words {
        assert!(
            text.contains(word),
            "{args:?} does not say {word:?}: {text}"
        );
    }
}
