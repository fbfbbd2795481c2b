//! How long a large database file takes, here and at `ovsdb-tool`: `cargo bench --bench files`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ovsdb_client::Schema;
use ovsdb_client::file::{
    self, Annotation, Contents, Durability, Entries, Log, NewCluster, StandaloneFile,
};
use ovsdb_client::value::{Datum, Row};
use uuid::Uuid;

const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const TOOL: &str = "/usr/bin/ovsdb-tool";
const SWITCHES: usize = 50;
const PORTS_OF_A_SWITCH: usize = 1000;

fn main() -> anyhow::Result<()> {
    // Without it Cargo only wants to know whether this runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("nb.db");
    let contents = timed("insert 50,000 ports", ports)?;
    timed("check them", || Ok(contents.check()?))?;
    timed("write a standalone file, flushed", || {
        Ok(contents.create_standalone(&path, &Annotation::default(), Durability::Disk)?)
    })?;
    let bytes = std::fs::read(&path)?;
    timed("read it from memory", || Ok(file::read(&bytes)?))?;
    timed("load it", || Ok(file::load(&path)?))?;
    let mut open = timed("lock and load it", || Ok(StandaloneFile::open(&path)?))?;
    let mut next = open.contents().clone();
    let (port, _) = next.rows("Logical_Switch_Port").next().context("no port")?;
    next.update("Logical_Switch_Port", port, Row::new().set("tag", 8))?;
    timed("append one change, flushed", || {
        Ok(open.append(next.clone(), &Annotation::default())?)
    })?;
    timed("compact it, flushed", || {
        Ok(open.compact(&Annotation::default())?)
    })?;
    drop(open);
    timed("ovsdb-tool compact", || ovsdb_tool("compact", &[&path]))?;

    let mut cluster = NewCluster::new(next);
    cluster.server("tcp:127.0.0.1:6643".parse()?);
    let clustered = directory.path().join("clustered.db");
    timed("write a clustered file, flushed", || {
        let files = cluster.files()?;
        Ok(files[0].create(&clustered, Durability::Disk)?)
    })?;
    timed("load it", || match file::load(&clustered)? {
        Log::Clustered(log) => Ok(log.contents(Entries::All)?),
        Log::Standalone(_) => bail!("a standalone file was written"),
    })?;
    let converted = directory.path().join("converted.db");
    timed("ovsdb-tool cluster-to-standalone", || {
        ovsdb_tool("cluster-to-standalone", &[&converted, &clustered])
    })?;
    Ok(())
}

/// Carries something out and prints what it took, those that it waited for included.
fn timed<T>(what: &str, action: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let (start, busy) = (Instant::now(), cpu()?);
    let result = action().context(what.to_owned())?;
    let (wall, busy) = (start.elapsed(), cpu()? - busy);
    #[expect(clippy::print_stdout, reason = "what the bench is run for")]
    {
        let (wall, busy) = (wall.as_millis(), busy.as_millis());
        println!("{what:<40} {wall:>6} ms, CPU {busy:>6} ms");
    }
    Ok(result)
}

/// What this process and its children have used, in ticks of 10 ms (proc(5)).
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("no name of the process")?;
    let ticks = fields.split(' ').skip(11).take(4);
    ticks
        .map(|ticks| Ok(Duration::from_millis(10 * ticks.parse::<u64>()?)))
        .sum()
}

fn ovsdb_tool(command: &str, files: &[&Path]) -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "what ours is compared with")]
    let status = Command::new(TOOL).arg(command).args(files).status();
    let status = status.context(TOOL)?;
    ensure!(status.success(), "{TOOL} {command} failed: {status}");
    Ok(())
}

fn ports() -> anyhow::Result<Contents> {
    let schema = std::fs::read_to_string(SCHEMA).context(SCHEMA)?;
    let mut contents = Contents::new(Schema::parse(&schema)?);
    for switch in 0..SWITCHES {
        let mut ports: Vec<Uuid> = Vec::new();
        for port in 0..PORTS_OF_A_SWITCH {
            let name = format!("sw{switch}-port{port}");
            let address = format!(
                "0a:00:00:00:{switch:02x}:{:02x} 10.{switch}.0.1",
                port % 256
            );
            let ids = [("owner", "test"), ("pod", &name)];
            let row = Row::new()
                .set("name", &name)
                .set("addresses", [&*address])
                .set("port_security", [&*address])
                .set("up", true)
                .set("tag", 7)
                .set("options", Datum::map([("requested-chassis", "chassis-1")]))
                .set("external_ids", Datum::map(ids));
            ports.push(contents.insert("Logical_Switch_Port", row)?);
        }
        let row = Row::new().set("name", format!("sw{switch}"));
        contents.insert("Logical_Switch", row.set("ports", ports))?;
    }
    Ok(contents)
}
