//! 100,000 updates of the large table, one row each.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Condition, Event, Snapshot, Subscription, Transaction};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::cost::{Cost, Stopwatch};
use crate::job::{Job, Layer, Reader};
use crate::peer::{self, Followed};
use crate::programs::Programs;
use crate::report::{self, Report};
use crate::rows::{self, DATABASE, TABLE};

const UPDATES: usize = 100_000;
/// Transactions in flight at the process that causes the updates.
const WINDOW: usize = 64;

pub(crate) fn measure(
    programs: &Programs<'_>,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let replayed = "100,000 updates replayed, both ends in one process";
    let live = "100,000 updates from the server, as fast as it makes them";
    let mut writes = 0;
    let mut changes = || {
        writes += 1;
        writes
    };
    for _ in 0..rounds {
        for (client, layer, reader) in [
            ("ovsdb-client crate, Direct", Layer::Direct, Reader::Nobody),
            ("same, Jsonrpsee", Layer::Jsonrpsee, Reader::Nobody),
            (
                "same, Direct, a subscriber",
                Layer::Direct,
                Reader::Subscriber,
            ),
            (
                "same, Direct, a snapshot kept after each",
                Layer::Direct,
                Reader::Snapshots,
            ),
        ] {
            let job = Job::Replay { layer, reader };
            report.add(replayed, client, programs.job(job)?);
        }
        let round = changes();
        let follower = Job::Follow {
            layer: Layer::Direct,
        };
        let cost = programs.while_written(programs.own(follower)?, Job::Write { round })?;
        report.add(live, "ovsdb-client crate, Direct", cost);
        clear(programs)?;
    }
    Ok(())
}

/// The name that a port without meaning gets when all else is written.
const LAST: &str = "last";

/// In the process of the client: updates from a script.
pub(crate) async fn replay(layer: Layer, reader: Reader) -> anyhow::Result<Cost> {
    let step = (reader == Reader::Snapshots).then(|| Arc::new(Notify::new()));
    let followed = peer::follow(layer, peer::table(), UPDATES, step.clone()).await?;
    let Followed {
        client,
        monitor,
        peer,
    } = followed;
    let reading = (reader != Reader::Nobody).then(|| {
        let (snapshot, subscription) = monitor.subscribe();
        let monitor = step.map(|step| (monitor.clone(), step));
        tokio::spawn(read(snapshot, subscription, monitor))
    });
    let watch = Stopwatch::start();
    client.echo().await?;
    if let Some(reading) = reading {
        reading.await??;
    }
    let cost = watch.stop()?;
    let last = UPDATES - 1;
    let snapshot = monitor.snapshot();
    let row = snapshot
        .row(TABLE, rows::uuid(rows::changed(last)))
        .context("the row that changed last")?;
    ensure!(
        row.map_get("options", "iface-id-ver") == Some(&format!("{last:08}")),
        "the last update was not applied"
    );
    drop((client, monitor));
    peer.await??;
    Ok(cost)
}

/// Takes all updates, and a snapshot after each where there is something to take it of.
async fn read(
    mut kept: Snapshot,
    mut subscription: Subscription,
    monitor: Option<(ovsdb_client::Monitor, Arc<Notify>)>,
) -> anyhow::Result<()> {
    let mut seen = 0;
    while seen < UPDATES {
        match subscription.next().await? {
            Event::Changes(changes) => seen += changes.rows.len(),
            Event::Resync(_) => bail!("the subscriber was too slow"),
        }
        if let Some((monitor, step)) = &monitor {
            let snapshot = monitor.snapshot();
            ensure!(snapshot.version() == kept.version() + 1, "not in step");
            kept = snapshot;
            step.notify_one();
        }
    }
    Ok(())
}

/// In the process of the client: updates from the server, up to the port called [`LAST`].
pub(crate) async fn follow(layer: Layer, socket: &Path) -> anyhow::Result<Cost> {
    let client = layer.connect(socket).await?;
    let monitor = client.monitor(DATABASE, &[peer::table()]).await?;
    report::say("ready");
    let watch = Stopwatch::start();
    let (_, mut changes) = monitor.subscribe();
    let mut seen = 0;
    loop {
        let Event::Changes(changes) = changes.next().await? else {
            bail!("the subscriber was too slow");
        };
        seen += changes.rows.len();
        let mut added = changes.rows.iter().filter_map(|change| change.new.as_ref());
        if added.any(|row| row.str("name") == Some(LAST)) {
            break;
        }
    }
    let cost = watch.stop()?;
    report::complain(&format!("{seen} changes came"));
    Ok(cost)
}

/// Causes the updates: another value each, in transactions of one row.
pub(crate) async fn write(socket: &Path, round: usize) -> anyhow::Result<Cost> {
    let client = Layer::Direct.connect(socket).await?;
    let watch = Stopwatch::start();
    let updates = stream::iter(0..UPDATES).map(async |update| {
        let row = rows::changed(update);
        let mut txn = Transaction::new();
        let options = rows::options(row, round * UPDATES + update);
        let changed = Row::new().set("options", options);
        txn.update(TABLE, [Condition::uuid(rows::uuid(row))], changed);
        client.transact(DATABASE, txn).await.map(drop)
    });
    updates
        .buffer_unordered(WINDOW)
        .try_for_each(async |()| Ok(()))
        .await?;
    let cost = watch.stop()?;
    // A port lives only while a switch refers to it.
    let mut txn = Transaction::new();
    let port = txn.insert(TABLE, Row::new().set("name", LAST));
    let ports = Datum::set([port]);
    let switch = Row::new().set("name", LAST).set("ports", ports);
    txn.insert("Logical_Switch", switch);
    client.transact(DATABASE, txn).await?;
    Ok(cost)
}

/// Removes the port called [`LAST`], when the follower has seen it: a server merges the updates that
/// a client is too slow for, and one for a row that came and went would never be sent.
fn clear(programs: &Programs<'_>) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let client = Layer::Direct.connect(&programs.socket()).await?;
        let mut txn = Transaction::new();
        txn.delete("Logical_Switch", [Condition::eq("name", LAST)]);
        client.transact(DATABASE, txn).await?;
        Ok(())
    })
}
