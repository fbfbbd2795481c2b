//! Look-ups in a replica of the large table.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use anyhow::ensure;

use crate::job::{Job, Layer};
use crate::peer;
use crate::programs::Programs;
use crate::report::Report;
use crate::rows::{self, INDEXED_KEY, ROWS, TABLE};

/// Repetitions of what an index answers, and of what takes a search of all rows.
const QUICK: usize = 200_000;
const SLOW: usize = 40;

/// Nanoseconds by the name of what was done.
pub(crate) type Figures = BTreeMap<String, f64>;

pub(crate) fn measure(
    programs: &Programs<'_>,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    for _ in 0..rounds {
        report.add_look_ups("ovsdb-client crate", programs.look_ups(Job::LookUp)?);
    }
    // It takes as long as a load, and what it measures hardly varies.
    if let Some(figures) = programs.python_look_ups(&["lookup", &ROWS.to_string()])? {
        report.add_look_ups("Python IDL", figures);
    }
    Ok(())
}

/// In the process of the client: look-ups of every kind.
pub(crate) async fn look_up() -> anyhow::Result<Figures> {
    let table = peer::table().index_key("external_ids", INDEXED_KEY);
    let followed = peer::follow(Layer::Direct, table, 0, None).await?;
    let snapshot = followed.monitor.snapshot();
    let names: Vec<_> = (0..ROWS).map(rows::name).collect();
    let pods: Vec<_> = (0..ROWS).map(rows::pod).collect();
    let uuids: Vec<_> = (0..ROWS).map(rows::uuid).collect();
    let ports: Vec<_> = (0..ROWS).map(rows::port).collect();
    let mut figures = Figures::new();
    let mut time = |name: &str, count, look: &dyn Fn(usize) -> usize| {
        let began = Instant::now();
        let found: usize = (0..count).map(|n| look(rows::changed(n))).sum();
        let nanos = began.elapsed().as_nanos() as f64 / count as f64;
        figures.insert(name.to_owned(), nanos);
        ensure!(found == count, "{name}: found {found} of {count}");
        Ok(())
    };
    time("snapshot", QUICK, &|_| {
        black_box(followed.monitor.snapshot());
        1
    })?;
    time("row by UUID", QUICK, &|n| {
        snapshot.row(TABLE, uuids[n]).map_or(0, |_| 1)
    })?;
    time("by name, an index of the schema", QUICK, &|n| {
        snapshot
            .find(TABLE, &["name"], &[names[n].as_str().into()])
            .count()
    })?;
    time("by a map key, with an index", QUICK, &|n| {
        snapshot
            .find_key(TABLE, "external_ids", INDEXED_KEY, &pods[n])
            .count()
    })?;
    time("by addresses, a search of all rows", SLOW, &|n| {
        let addresses = ports[n].get("addresses").cloned();
        let values: Vec<_> = addresses.into_iter().collect();
        snapshot.find(TABLE, &["addresses"], &values).count()
    })?;
    Ok(figures)
}
