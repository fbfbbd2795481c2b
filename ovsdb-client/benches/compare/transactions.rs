//! Small transactions: each inserts a row, one after another or with several in flight.

use anyhow::ensure;
use futures::{StreamExt, TryStreamExt, stream};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Client, Condition, Transaction};
use tokio::runtime::Runtime;

use crate::cost::{Cost, Stopwatch};
use crate::job::{Job, Layer};
use crate::programs::Programs;
use crate::report::Report;
use crate::rows::DATABASE;

/// A root table without references, so that only the transaction itself is measured.
const TABLE: &str = "Address_Set";
const COUNT: usize = 10_000;
/// Transactions in flight where they are pipelined.
const WINDOW: usize = 64;

pub(crate) fn measure(
    programs: &Programs<'_>,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let sequential = "10,000 inserts, one by one";
    let pipelined = "10,000 inserts, 64 in flight";
    for _ in 0..rounds {
        for (experiment, window) in [(sequential, 1), (pipelined, WINDOW)] {
            for (client, layer, threads) in [
                ("ovsdb-client crate, Direct", Layer::Direct, 1),
                ("ovsdb-client crate, Jsonrpsee", Layer::Jsonrpsee, 1),
                ("same, Direct, 2 threads", Layer::Direct, 2),
                ("same, Jsonrpsee, 2 threads", Layer::Jsonrpsee, 2),
            ] {
                let count = COUNT;
                let job = Job::Transact {
                    layer,
                    threads,
                    count,
                    window,
                };
                report.add(experiment, client, programs.job(job)?);
                clear(programs)?;
            }
            let count = COUNT / 5;
            let arguments = ["calls", &count.to_string(), &window.to_string()];
            if let Some(cost) = programs.python(&arguments)? {
                report.add(
                    experiment,
                    "Python ovs.jsonrpc (2,000, x5)",
                    cost.times(5.0),
                );
                clear(programs)?;
            }
        }
        let count = COUNT / 10;
        if let Some(cost) = programs.python(&["commits", &count.to_string()])? {
            report.add(sequential, "Python IDL (1,000, x10)", cost.times(10.0));
            clear(programs)?;
        }
        if let Some(cost) = tool(programs, COUNT / 100)? {
            report.add(sequential, "ovsdb-client(1) (100, x100)", cost.times(100.0));
            clear(programs)?;
        }
    }
    Ok(())
}

/// One process for each transaction.
fn tool(programs: &Programs<'_>, count: usize) -> anyhow::Result<Option<Cost>> {
    let mut total = Cost::default();
    for number in 0..count {
        let transaction = serde_json::to_string(&(DATABASE, Insert::new(number)))?;
        let Some(cost) = programs.tool(&["transact"], &[&transaction])? else {
            return Ok(None);
        };
        total = Cost {
            wall: total.wall + cost.wall,
            cpu: total.cpu + cost.cpu,
            peak: total.peak.max(cost.peak),
            server: total.server + cost.server,
        };
    }
    Ok(Some(total))
}

/// The operation as the tool takes it.
#[derive(serde::Serialize)]
struct Insert {
    op: &'static str,
    table: &'static str,
    row: Row,
}

impl Insert {
    fn new(number: usize) -> Self {
        Self {
            op: "insert",
            table: TABLE,
            row: row(number),
        }
    }
}

/// Removes what was inserted, which is not measured.
fn clear(programs: &Programs<'_>) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let client = Layer::Direct.connect(&programs.socket()).await?;
        let mut txn = Transaction::new();
        txn.delete(TABLE, [] as [Condition; 0]);
        client.transact(DATABASE, txn).await?;
        Ok(())
    })
}

fn row(number: usize) -> Row {
    Row::new()
        .set("name", format!("as-{number}"))
        .set("addresses", "10.244.0.1")
        .set("external_ids", Datum::map([("owner", "bench")]))
}

/// In the process of the client: inserts rows.
pub(crate) async fn transact(client: &Client, count: usize, window: usize) -> anyhow::Result<Cost> {
    let watch = Stopwatch::start();
    let insert = async |number| {
        let mut txn = Transaction::new();
        txn.insert(TABLE, row(number));
        client.transact(DATABASE, txn).await
    };
    let inserted = if window == 1 {
        for number in 0..count {
            insert(number).await?;
        }
        count
    } else {
        let inserts = stream::iter(0..count).map(insert).buffer_unordered(window);
        inserts.try_fold(0, async |sum, _| Ok(sum + 1)).await?
    };
    let cost = watch.stop()?;
    ensure!(inserted == count, "{inserted} of {count} were inserted");
    Ok(cost)
}
