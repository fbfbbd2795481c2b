//! The program, run as a user would.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::path::Path;
use std::process::{Command, Output};

const ZOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zoo/zoo.ovsschema");
const PETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/typed/pets.ovsschema");

fn run(directory: &Path, arguments: &[&str]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "the test is about the program")]
    Command::new(env!("CARGO_BIN_EXE_ovsdb-codegen"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}

/// Exit code and standard error.
fn outcome(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(directory, arguments);
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), message)
}

#[test]
fn a_module_is_written_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let check = ["--check", "--out", "zoo.rs", ZOO];

    let missing = outcome(path, &check);
    assert_eq!(missing, (Some(1), "zoo.rs is missing\n".to_owned()));
    assert_eq!(
        outcome(path, &["--out", "zoo.rs", ZOO]),
        (Some(0), String::new())
    );
    assert_eq!(outcome(path, &check), (Some(0), String::new()));

    let code = std::fs::read_to_string(path.join("zoo.rs")).unwrap();
    std::fs::write(path.join("zoo.rs"), code.replacen("\"Zoo\"", "\"Zoe\"", 1)).unwrap();
    let (exit, message) = outcome(path, &check);
    assert_eq!(exit, Some(1));
    let line = code
        .lines()
        .position(|line| line.contains("\"Zoo\""))
        .unwrap()
        + 1;
    assert_eq!(
        message,
        format!(
            "zoo.rs:{line}: differs from what {ZOO} gives\nhint: run ovsdb-codegen without --check\n"
        )
    );
    assert_eq!(
        std::fs::read_to_string(path.join("zoo.rs")).unwrap().len(),
        code.len(),
        "--check writes nothing"
    );
}

#[test]
fn several_schemas_make_a_module_each() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert_eq!(
        outcome(path, &["--out-dir", ".", ZOO, PETS]),
        (Some(0), String::new())
    );
    assert!(path.join("zoo.rs").exists() && path.join("pets.rs").exists());
    std::fs::remove_file(path.join("pets.rs")).unwrap();
    let (exit, message) = outcome(path, &["--check", "--out-dir", ".", ZOO, PETS]);
    assert_eq!(
        (exit, message.as_str()),
        (Some(1), "./pets.rs is missing\n")
    );
}

#[test]
fn what_is_wrong_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("bad.ovsschema"), r#"{"name": "B"}"#).unwrap();
    let cases: [(&[&str], &str); 3] = [
        (
            &["--out", "a.rs", ZOO, PETS],
            "error: --out takes one schema; use --out-dir for several\n",
        ),
        (
            &["--out", "a.rs", "bad.ovsschema"],
            "error: bad.ovsschema is not a schema: member tables is missing\n",
        ),
        (
            &["--out", "a.rs", "none.ovsschema"],
            "error: cannot read none.ovsschema: No such file or directory (os error 2)\n",
        ),
    ];
    for (arguments, message) in cases {
        assert_eq!(outcome(path, arguments), (Some(2), message.to_owned()));
    }
    // Neither file nor directory: clap's business.
    assert_eq!(outcome(path, &[ZOO]).0, Some(2));
}
