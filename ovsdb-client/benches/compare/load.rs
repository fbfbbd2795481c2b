//! The large table, from the request to the last row.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, ensure};
use ovsdb_client::MonitorTable;
use serde_json::json;
use uuid::Uuid;

use crate::cost::{Cost, Stopwatch};
use crate::job::{Job, Layer};
use crate::programs::Programs;
use crate::report::Report;
use crate::rows::{self, DATABASE, ROWS, TABLE};

/// What the request after the dump is called, and so the reply that ends it.
const END: &str = "the-end";

pub(crate) fn measure(
    programs: &Programs<'_>,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let experiment = "50,000 Logical_Switch_Port rows loaded";
    for _ in 0..rounds {
        report.add(
            experiment,
            "only read, nothing made of it",
            programs.job(Job::Read)?,
        );
        for (client, layer) in [
            ("ovsdb-client crate, Direct", Layer::Direct),
            ("ovsdb-client crate, Jsonrpsee", Layer::Jsonrpsee),
        ] {
            report.add(experiment, client, programs.job(Job::Load { layer })?);
        }
        if let Some(cost) = programs.tool(&["dump"], &[DATABASE, TABLE])? {
            report.add(experiment, "ovsdb-client(1) dump", cost);
        }
        if let Some(cost) = programs.tool_until(
            &["--no-headings", "--format=csv", "monitor"],
            &[DATABASE, TABLE],
            ROWS,
        )? {
            report.add(experiment, "ovsdb-client(1) monitor", cost);
        }
        if let Some(cost) = programs.python(&["load", &ROWS.to_string()])? {
            report.add(experiment, "Python IDL", cost);
        }
    }
    Ok(())
}

/// In the process of the client: a replica.
pub(crate) async fn load(layer: Layer, socket: &Path) -> anyhow::Result<Cost> {
    let watch = Stopwatch::start();
    let client = layer.connect(socket).await?;
    let tables = [MonitorTable::new(TABLE)];
    let monitor = client.monitor(DATABASE, &tables).await?;
    let count = monitor.snapshot().len(TABLE);
    let cost = watch.stop()?;
    ensure!(count == ROWS, "{count} rows came");
    Ok(cost)
}

/// In the process of the client: the bytes alone, which is as fast as the server can be.
pub(crate) fn read(socket: &Path) -> anyhow::Result<Cost> {
    let schema = rows::schema()?;
    let columns = schema.table(TABLE).context(TABLE)?.columns();
    let columns: Vec<_> = columns.map(|(name, _)| name).collect();
    let watch = Stopwatch::start();
    let mut stream = UnixStream::connect(socket)?;
    let tables = json!({ TABLE: [{ "columns": columns }] });
    let monitor = json!([DATABASE, "read", tables, Uuid::nil()]);
    let monitor = json!({"method": "monitor_cond_since", "params": monitor, "id": 0});
    let end = json!({"method": "echo", "params": [], "id": END});
    write!(stream, "{monitor}{end}")?;
    let (mut buffer, mut bytes, mut tail) = (vec![0; 64 * 1024], 0, Vec::new());
    while !tail
        .windows(END.len())
        .any(|window| window == END.as_bytes())
    {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection");
        bytes += count;
        // The reply to the last request is short, but may come in two pieces.
        tail.extend_from_slice(&buffer[count.saturating_sub(100)..count]);
        tail.drain(..tail.len().saturating_sub(100));
    }
    let cost = watch.stop()?;
    ensure!(bytes > 100 * ROWS, "only {bytes} bytes came");
    Ok(cost)
}
