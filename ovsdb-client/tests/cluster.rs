//! A cluster whose leaders are killed while a client writes.
//!
//! Three RAFT servers, 2,000 numbered rows, sixteen transactions in flight at any time. A follower
//! is stopped for longer than its client's probe, and five leaders in a row are killed with -9 and
//! started again on their files. In the end every row is there once, and whoever followed the rows
//! shows what a new client sees.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "suite/process.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod process;
#[path = "suite/proxy.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod proxy;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ovsdb_client::database::DatabaseBuilder;
use ovsdb_client::file::{Contents, Durability, NewCluster};
use ovsdb_client::value::Row;
use ovsdb_client::{
    Client, Database, Monitor, MonitorStatistics, MonitorTable, Remote, Remotes, Schema, Snapshot,
    TransactError, TransactErrorKind, Transaction,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use process::Server;
use proxy::Proxy;

const SCHEMA: &str = r#"{"name": "Numbers", "version": "1.0.0", "tables": {"Number": {
    "isRoot": true, "columns": {"value": {"type": "integer"}}}}}"#;

const KILLS: u32 = 5;
/// Rows of each stage: the one with the stop, and one for each kill.
const STAGE: u32 = 300;
/// All rows: what is left after the last kill is written to a cluster at peace.
const ROWS: u32 = 2000;
/// How many of a stage are acknowledged when it gets its blow. The rest is on its way then.
const BLOW: u32 = 50;
const WRITERS: u32 = 16;
const PROBE: Duration = Duration::from_secs(1);

/// How long anything may take that must happen.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

struct Cluster {
    servers: Vec<Server>,
    // After the processes that work in it.
    directory: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let schema = Schema::parse(SCHEMA).unwrap();
        let mut cluster = NewCluster::new(Contents::new(schema));
        cluster.election_timer(Duration::from_millis(300));
        for index in 0..3 {
            let socket = directory.path().join(format!("{index}.raft"));
            cluster.server(format!("unix:{}", socket.display()).parse().unwrap());
        }
        let mut servers = Vec::new();
        for (index, file) in cluster.files().unwrap().iter().enumerate() {
            let path = directory.path().join(format!("{index}.db"));
            file.create(&path, Durability::Process).unwrap();
            let server = Server::new(directory.path(), &index.to_string()).file(path);
            server.start().await;
            servers.push(server);
        }
        Self { servers, directory }
    }

    fn remotes(&self) -> Remotes {
        let mut remotes = self.servers.iter().map(Server::remote);
        Remotes::new(remotes.next().unwrap(), remotes)
    }

    /// The server to which a database is connected; waits until it is to one.
    async fn server_of(&self, database: &Database) -> &Server {
        let connected = database.wait_status(soon(), |status| status.connected.clone());
        let remote: Remote = connected.await.unwrap().parse().unwrap();
        let server = self.servers.iter().find(|server| server.remote() == remote);
        server.unwrap()
    }

    /// Waits until a database is connected to another server than this one.
    async fn left(&self, database: &Database, server: &Server) {
        let here = server.remote().to_string();
        let elsewhere = database.wait_status(soon(), |status| {
            let connected = status.connected.as_ref()?;
            (*connected != here).then_some(())
        });
        elsewhere.await.unwrap();
    }
}

fn describe(remotes: impl Into<ovsdb_client::database::Endpoint>) -> DatabaseBuilder {
    Database::builder("Numbers", remotes)
        .probe_interval(Some(PROBE))
        .backoff(Duration::from_millis(20), Duration::from_millis(200))
        // A member that is not up to much must not hold anybody up.
        .connect_deadline(Duration::from_secs(2))
}

async fn follow(database: &Database) -> Monitor {
    let numbers = [MonitorTable::new("Number")];
    database.monitor(&numbers).await.unwrap()
}

/// What the writers share.
struct Writing {
    database: Database,
    next: AtomicU32,
    /// Rows that may be written by now.
    released: watch::Sender<u32>,
    acknowledged: watch::Sender<u32>,
    /// Transactions whose outcome nobody knew.
    uncertain: AtomicU32,
}

impl Writing {
    /// Writes one row after another until all are acknowledged.
    async fn run(self: Arc<Self>) {
        let mut released = self.released.subscribe();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= ROWS {
                return;
            }
            released
                .wait_for(|released| number < *released)
                .await
                .unwrap();
            self.write(number).await;
            self.acknowledged.send_modify(|count| *count += 1);
        }
    }

    /// Writes a row until the cluster says that it is there.
    ///
    /// Where the outcome is uncertain the transaction is repeated, which is harmless because the
    /// row has a UUID of our choice: if it is there already the repetition fails with `duplicate
    /// uuid`. Without that rows would be doubled, and not by a careless client alone. A server
    /// whose RAFT answers `cluster error`, as it does when it lost the leadership with the
    /// transaction in its log, tries the transaction again by itself (`ovsdb_trigger_try` of
    /// `ovsdb/trigger.c`), while the first attempt may be committed by the next leader.
    async fn write(&self, number: u32) {
        let deadline = soon();
        let mut txn = Transaction::new();
        let row = Row::new().set("value", i64::from(number));
        txn.insert_as("Number", uuid_of(number), row);
        while Instant::now() < deadline {
            match self.database.transact(txn.clone()).await {
                Ok(_) => return,
                Err(error) if error.kind() == TransactErrorKind::DuplicateUuid => return,
                Err(TransactError::Uncertain { .. }) => {
                    self.uncertain.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => panic!("row {number}: {error}"),
            }
        }
        panic!("row {number} could not be written");
    }

    /// Lets the next rows go, and waits until the first of them are acknowledged.
    async fn begin_stage(&self) {
        let before = *self.released.borrow();
        self.released.send_replace(before + STAGE);
        self.wait_acknowledged(before + BLOW).await;
    }

    async fn wait_acknowledged(&self, wanted: u32) {
        let mut acknowledged = self.acknowledged.subscribe();
        let enough = acknowledged.wait_for(|acknowledged| *acknowledged >= wanted);
        let enough = tokio::time::timeout_at(soon(), enough).await;
        enough.expect("rows are acknowledged").unwrap();
    }
}

fn uuid_of(number: u32) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
}

/// Sees that every row is there, once, and as it was written.
fn complete(rows: &Snapshot) {
    assert_eq!(rows.len("Number"), usize::try_from(ROWS).unwrap());
    let mut values: Vec<_> = rows
        .rows("Number")
        .filter_map(|(_, row)| row.i64("value"))
        .collect();
    values.sort_unstable();
    assert_eq!(values, (0..i64::from(ROWS)).collect::<Vec<_>>());
    for number in 0..ROWS {
        let row = rows.row("Number", uuid_of(number)).unwrap();
        assert_eq!(row.i64("value"), Some(i64::from(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_row_is_lost_or_doubled_when_leaders_die() {
    if let Some(missing) = process::missing() {
        assert!(!process::everything_is_required(), "{missing} is missing");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {missing} is missing");
        }
        return;
    }
    let began = Instant::now();
    let cluster = Cluster::start().await;
    let database = describe(cluster.remotes()).open().await.unwrap();
    let written = follow(&database).await;

    // One reader begins at a follower; one is cut off for most of the time.
    let leader = cluster.server_of(&database).await.remote();
    let (mut order, last): (Vec<_>, Vec<_>) = cluster
        .remotes()
        .iter()
        .cloned()
        .partition(|remote| *remote != leader);
    order.extend(last);
    let order = Remotes::new(order.remove(0), order);
    let reader = describe(order).leader_only(false).shuffle(false);
    let reader = reader.open().await.unwrap();
    let read = follow(&reader).await;
    let socket = cluster.directory.path().join("proxy");
    let proxy = Proxy::start(&socket, &cluster.servers[0].socket());
    let sleeper = describe(proxy.remote())
        .leader_only(false)
        .open()
        .await
        .unwrap();
    let slept = follow(&sleeper).await;
    proxy.close();

    let writing = Arc::new(Writing {
        database: database.clone(),
        next: AtomicU32::new(0),
        released: watch::Sender::new(0),
        acknowledged: watch::Sender::new(0),
        uncertain: AtomicU32::new(0),
    });
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(Arc::clone(&writing).run());
    }

    writing.begin_stage().await;
    let stopped = cluster.server_of(&reader).await;
    stopped.stop();
    let stop = Instant::now();
    cluster.left(&reader, stopped).await;
    assert!(stop.elapsed() > PROBE, "left before it could be suspected");
    writing.wait_acknowledged(STAGE).await;
    stopped.cont();

    for kill in 1..=KILLS {
        writing.begin_stage().await;
        let leader = cluster.server_of(&database).await;
        leader.kill();
        cluster.left(&database, leader).await;
        leader.start().await;
        writing.wait_acknowledged((kill + 1) * STAGE).await;
    }
    writing.released.send_replace(ROWS);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert!(
        writing.uncertain.load(Ordering::Relaxed) > 0,
        "no kill hit a transaction in flight"
    );

    let fresh = Client::connect(&cluster.server_of(&database).await.remote())
        .await
        .unwrap();
    let fresh = fresh
        .monitor("Numbers", &[MonitorTable::new("Number")])
        .await
        .unwrap();
    let fresh = fresh.snapshot();
    complete(&fresh);
    let equal = |rows: &Snapshot| rows.rows("Number").eq(fresh.rows("Number")).then_some(());
    written.wait_until(soon(), equal).await.unwrap();
    read.wait_until(soon(), equal).await.unwrap();
    assert!(written.statistics().sessions > u64::from(KILLS));
    assert!(read.statistics().sessions >= 2);

    // Nothing has happened since the last transaction that the reader knows, so that whatever
    // server comes next still knows it as well.
    let before = read.statistics();
    let left = cluster.server_of(&reader).await;
    left.kill();
    cluster.left(&reader, left).await;
    let after = read.statistics();
    assert!(after.resumed > before.resumed);
    let anew = |statistics: MonitorStatistics| statistics.sessions - statistics.resumed;
    assert_eq!(anew(after), anew(before));
    left.start().await;

    // And 2,000 transactions are more than the 100 that a server remembers.
    proxy.open();
    slept.wait_until(soon(), equal).await.unwrap();
    assert_eq!(slept.statistics().resumed, 0);
    complete(&slept.snapshot());
    complete(&read.snapshot());
    #[expect(clippy::print_stderr, reason = "figures for who asks for them")]
    {
        let uncertain = writing.uncertain.load(Ordering::Relaxed);
        let (writer, reader) = (written.statistics(), read.statistics());
        eprintln!("{:?}, {uncertain} uncertain", began.elapsed());
        eprintln!("writer {writer:?}, reader {reader:?}");
    }
}
