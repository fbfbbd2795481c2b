//! The server that all clients work on.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::value::{Datum, Row};

use crate::{cost, rows};

const PROGRAM: &str = "/usr/sbin/ovsdb-server";

/// A running server with the large table; it dies with this value.
pub(crate) struct Server {
    process: Child,
    pub(crate) directory: tempfile::TempDir,
}

impl Server {
    /// Returns when the server has loaded its file.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("nb.db");
        write_file(&file)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where this benchmark starts the server"
        )]
        let mut command = Command::new(PROGRAM);
        command
            .arg(&file)
            .arg(format!(
                "--remote=punix:{}",
                directory.path().join("db.sock").display()
            ))
            .arg(format!(
                "--unixctl={}",
                directory.path().join("db.ctl").display()
            ))
            .args(["-vconsole:info", "-vsyslog:off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().context(PROGRAM)?;
        let log = process.stderr.take().context("the log of the server")?;
        let server = Self { process, directory };
        let mut lines = BufReader::new(log).lines();
        loop {
            let line = lines.next().context("the server ended")??;
            if line.contains("ovsdb-server (Open vSwitch)") {
                break;
            }
        }
        // A full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("db.sock")
    }

    /// Seconds of processor time that it has used.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        Ok(cost::cpu(&self.process.id().to_string())?.0)
    }
}

fn write_file(path: &std::path::Path) -> anyhow::Result<()> {
    let schema = rows::schema()?;
    let mut file = DatabaseFile::new(&schema);
    for row in 0..rows::ROWS {
        file.insert_as(rows::TABLE, rows::uuid(row), rows::port(row));
    }
    for switch in 0..rows::ROWS / rows::PORTS_OF_A_SWITCH {
        let first = switch * rows::PORTS_OF_A_SWITCH;
        let ports = (first..first + rows::PORTS_OF_A_SWITCH).map(rows::uuid);
        let row = Row::new()
            .set("name", format!("worker-{switch}"))
            .set("ports", Datum::set(ports));
        file.insert("Logical_Switch", row);
    }
    Ok(file.create(path, Durability::Process)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have died on its own, which the clients have noticed in another way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
