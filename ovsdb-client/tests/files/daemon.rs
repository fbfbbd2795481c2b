//! The real server, and the tools that come with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use ovsdb_client::file::Contents;
use ovsdb_client::value::Row;
use ovsdb_client::{Client, MonitorTable, Schema, Transaction};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;
use tokio::time::Instant;
use uuid::Uuid;

const SERVER: &str = "/usr/sbin/ovsdb-server";
const DEADLINE: Duration = Duration::from_secs(30);

/// A directory for the files of a test, or nothing when there is no server to run.
pub(crate) fn directory() -> Option<tempfile::TempDir> {
    if Path::new(SERVER).exists() {
        return Some(tempfile::tempdir().unwrap());
    }
    skip("ovsdb-server is missing");
    None
}

/// Says that a test is skipped, and fails where everything is required.
pub(crate) fn skip(reason: &str) {
    let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
    assert!(!required, "{reason} and OFM_TEST_REQUIRE=all");
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {reason}");
    }
}

/// An installed schema.
pub(crate) fn schema(path: &str) -> Schema {
    Schema::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests start programs"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn run(program: &str, arguments: &[&str]) -> Output {
    command(program).args(arguments).output().unwrap()
}

/// What `ovsdb-tool` prints.
pub(crate) fn ovsdb_tool(arguments: &[&str]) -> Result<String, String> {
    let output = run("/usr/bin/ovsdb-tool", arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// A running server; it dies with this value.
pub(crate) struct Server {
    process: Child,
    /// Directory of its sockets.
    place: PathBuf,
    name: String,
}

impl Server {
    /// Serves files; the sockets are in `place` and begin with `name`.
    ///
    /// Returns when the server says that it is up.
    pub(crate) async fn start(place: &Path, name: &str, files: &[PathBuf]) -> Self {
        let at = |suffix: &str| place.join(format!("{name}.{suffix}"));
        let mut process = command(SERVER)
            .args(files)
            .arg(format!("--remote=punix:{}", at("sock").display()))
            .arg(format!("--unixctl={}", at("ctl").display()))
            .args(["-vconsole:info", "-vsyslog:off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = ChildStderr::from_std(process.stderr.take().unwrap()).unwrap();
        let server = Self {
            process,
            place: place.to_owned(),
            name: name.to_owned(),
        };
        let mut log = BufReader::new(log).lines();
        tokio::time::timeout(DEADLINE, up(&mut log))
            .await
            .expect("the server is up in time");
        // A full pipe would stop the server.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        server
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) async fn connect(&self) -> Client {
        let socket = self.place.join(format!("{}.sock", self.name));
        Client::connect_unix(socket).await.unwrap()
    }

    /// Has the server carry out a command of its control socket.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let socket = self.place.join(format!("{}.ctl", self.name));
        let output = command("/usr/bin/ovs-appctl")
            .arg("-t")
            .arg(socket)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Has the server rewrite its database for another schema.
    pub(crate) fn convert(&self, schema: &str) {
        let socket = self.place.join(format!("{}.sock", self.name));
        let remote = format!("unix:{}", socket.display());
        let output = run("/usr/bin/ovsdb-client", &["convert", &remote, schema]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Ends the server as its administrator does, so that it may hand its leadership over.
    pub(crate) fn stop(mut self) {
        self.control(&["exit"]);
        self.process.wait().unwrap();
    }

    /// Waits until the server takes part in its cluster, and as its leader if asked for.
    pub(crate) async fn joined(&self, database: &str, leader: bool) {
        let deadline = Instant::now() + DEADLINE;
        let columns = MonitorTable::new("Database").columns(["name", "connected", "leader"]);
        loop {
            let client = self.connect().await;
            let monitor = client.monitor("_Server", std::slice::from_ref(&columns));
            let waited = match monitor.await {
                Ok(monitor) => {
                    let is_joined = |row: &Row| {
                        row.str("name") == Some(database)
                            && row.bool("connected") == Some(true)
                            && (!leader || row.bool("leader") == Some(true))
                    };
                    let found = monitor.wait_until(deadline, |view| {
                        view.rows("Database")
                            .find(|(_, row)| is_joined(row))
                            .map(drop)
                    });
                    found.await.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match waited {
                Ok(()) => return,
                // A server closes its connections when it gets to know a schema.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Follows the log up to the line that the server writes when it serves.
async fn up(log: &mut Lines<BufReader<ChildStderr>>) {
    let mut seen = String::new();
    while let Some(line) = log.next_line().await.unwrap() {
        if line.contains("ovsdb-server (Open vSwitch)") {
            return;
        }
        if ["|ERR|", "|WARN|"].iter().any(|level| line.contains(level)) {
            #[expect(clippy::print_stderr, reason = "shown when the test fails")]
            {
                eprintln!("{line}");
            }
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    panic!("the server ended:\n{seen}");
}

/// The rows that a server serves.
pub(crate) async fn served(client: &Client, schema: &Schema) -> Contents {
    let mut txn = Transaction::new();
    let tables: Vec<_> = schema
        .tables()
        .map(|(table, _)| (table, txn.select::<&str>(table, [], [])))
        .collect();
    let outcome = client.transact(schema.name(), txn).await.unwrap();
    let mut contents = Contents::new(schema.clone());
    for (table, rows) in tables {
        for row in outcome.rows(rows).unwrap() {
            let uuid: Uuid = row.uuid("_uuid").unwrap();
            let columns: Row = row
                .iter()
                .filter(|(name, _)| !matches!(*name, "_uuid" | "_version"))
                .map(|(name, datum)| (name, datum.clone()))
                .collect();
            contents.insert_as(table, uuid, columns).unwrap();
        }
    }
    contents
}
