//! How long a large file takes, here and at `ovsdb-tool`.

use std::path::Path;
use std::time::{Duration, Instant};

use ovsdb_client::file::{self, Annotation, Contents, Durability, NewCluster, StandaloneFile};
use ovsdb_client::value::{Datum, Row};
use uuid::Uuid;

use crate::daemon::{self, ovsdb_tool};
use crate::{NB, assert_same, intact};

const PORTS: usize = 50_000;

fn timed<T>(what: &str, action: impl FnOnce() -> T) -> (T, Duration) {
    let (start, busy) = (Instant::now(), cpu());
    let result = action();
    let (elapsed, busy) = (start.elapsed(), cpu() - busy);
    #[expect(clippy::print_stdout, reason = "what the test is run for")]
    {
        println!(
            "{what:<50} {:>6} ms, CPU {:>6} ms",
            elapsed.as_millis(),
            busy.as_millis()
        );
    }
    (result, busy)
}

/// What this process and those that it waited for have used, in ticks of 10 ms (proc(5)).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(4);
    ticks
        .map(|ticks| Duration::from_millis(10 * ticks.parse::<u64>().unwrap()))
        .sum()
}

/// Fifty thousand ports on fifty switches, as facts of a real deployment have them.
fn ports() -> Contents {
    let mut contents = Contents::new(daemon::schema(NB));
    for switch in 0..50 {
        let ports: Vec<Uuid> = (0..PORTS / 50)
            .map(|port| {
                let name = format!("sw{switch}-port{port}");
                let address = format!(
                    "0a:00:00:00:{switch:02x}:{:02x} 10.{switch}.0.1",
                    port % 256
                );
                let row = Row::new()
                    .set("name", name.as_str())
                    .set("addresses", [address.as_str()])
                    .set("port_security", [address.as_str()])
                    .set("up", true)
                    .set("tag", 7)
                    .set("options", Datum::map([("requested-chassis", "chassis-1")]))
                    .set(
                        "external_ids",
                        Datum::map([("owner", "test"), ("pod", &name)]),
                    );
                contents.insert("Logical_Switch_Port", row).unwrap()
            })
            .collect();
        let row = Row::new()
            .set("name", format!("sw{switch}"))
            .set("ports", ports);
        contents.insert("Logical_Switch", row).unwrap();
    }
    contents
}

#[test]
#[ignore = "a measurement, for a release build: --ignored --nocapture"]
fn fifty_thousand_ports() {
    let Some(directory) = daemon::directory() else {
        return;
    };
    let path = directory.path().join("nb.db");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (contents, _) = timed("insert 50,000 ports", ports);
    timed("check", || contents.check().unwrap());
    timed("write a standalone file, flushed", || {
        contents
            .create_standalone(&path, &Annotation::default(), Durability::Disk)
            .unwrap();
    });
    let bytes = std::fs::read(&path).unwrap();
    timed(&format!("read {} bytes from memory", bytes.len()), || {
        file::read(&bytes).unwrap()
    });
    let (read, ours) = timed("load the file", || intact(file::load(&path).unwrap()));
    assert_same(&read, &contents);
    let (mut file, _) = timed("lock and read the file", || {
        StandaloneFile::open(&path).unwrap()
    });
    let mut next = file.contents().clone();
    let (port, _) = next.rows("Logical_Switch_Port").next().unwrap();
    next.update("Logical_Switch_Port", port, Row::new().set("tag", 8))
        .unwrap();
    timed("append one change, flushed", || {
        file.append(next.clone(), &Annotation::default()).unwrap();
    });
    timed("compact, flushed", || {
        file.compact(&Annotation::default()).unwrap()
    });
    drop(file);
    let (_, theirs) = timed("ovsdb-tool compact", || {
        ovsdb_tool(&["compact", &text(&path)]).unwrap();
    });
    assert_same(&intact(file::load(&path).unwrap()), &next);

    let mut cluster = NewCluster::new(next.clone());
    cluster.server("tcp:127.0.0.1:6643".parse().unwrap());
    let clustered = directory.path().join("clustered.db");
    timed("write a clustered file, flushed", || {
        cluster.files().unwrap()[0]
            .create(&clustered, Durability::Disk)
            .unwrap();
    });
    timed("load the clustered file", || {
        assert!(intact(file::load(&clustered).unwrap()).same_rows(&next));
    });
    let converted = directory.path().join("converted.db");
    timed("ovsdb-tool cluster-to-standalone", || {
        ovsdb_tool(&[
            "cluster-to-standalone",
            &text(&converted),
            &text(&clustered),
        ])
        .unwrap();
    });
    assert!(ours < theirs, "reading is less work than compacting");
}
