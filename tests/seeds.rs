//! Clusters that begin with a northbound database that was brought along.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ofm::ClusterSpec;
use ofm::spec::DatabaseMode;
use ofm_tests::{Place, describe, leftovers};
use ovsdb_client::file::{Annotation, Contents, DatabaseFile, NewCluster};
use ovsdb_client::value::Row;
use ovsdb_client::{MonitorTable, Schema};

use crate::{block_on, matrix};

const SWITCHES: usize = 10;
const PORTS: usize = 100;

/// A schema of this machine.
fn schema(name: &str) -> anyhow::Result<Schema> {
    let path = Path::new("/usr/share/ovn").join(name);
    Ok(Schema::parse(&std::fs::read_to_string(path)?)?)
}

/// A northbound database of ten switches with a hundred ports each.
fn northbound() -> anyhow::Result<Contents> {
    let schema = schema("ovn-nb.ovsschema")?;
    let mut file = DatabaseFile::new(&schema);
    for switch in 0..SWITCHES {
        let ports: Vec<_> = (0..PORTS)
            .map(|port| {
                let row = Row::new().set("name", format!("brought-{switch}-{port}"));
                file.insert("Logical_Switch_Port", row)
            })
            .collect();
        let row = Row::new()
            .set("name", format!("brought-{switch}"))
            .set("ports", ports);
        file.insert("Logical_Switch", row);
    }
    Ok(file.contents()?)
}

fn standalone(contents: &Contents) -> anyhow::Result<Vec<u8>> {
    Ok(contents.to_standalone(&Annotation::default())?)
}

fn clustered(contents: Contents) -> anyhow::Result<Vec<u8>> {
    let mut cluster = NewCluster::new(contents);
    cluster.server("tcp:10.0.0.1:6643".parse()?);
    Ok(cluster.files()?[0].to_bytes().to_vec())
}

/// Files of standalone and of clustered servers serve clusters of either kind, and the demo comes on top.
pub(crate) fn taken(place: &Place) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let contents = northbound()?;
    for (name, bytes) in [
        ("standalone", standalone(&contents)?),
        ("clustered", clustered(contents)?),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes)?;
        for database in [DatabaseMode::Standalone, DatabaseMode::Raft] {
            block_on(serve(place, &path, database))?
                .with_context(|| format!("{name} for {database:?}"))?;
        }
        assert_eq!(
            std::fs::read(&path)?,
            bytes,
            "the file itself stays as it was"
        );
    }
    Ok(())
}

async fn serve(place: &Place, path: &Path, database: DatabaseMode) -> anyhow::Result<()> {
    let spec = ClusterSpec {
        nb_db: Some(path.to_owned()),
        database,
        ..place.spec()
    };
    let cluster = place.builder().spec(spec).start().await?;
    let tables = [
        MonitorTable::new("Logical_Switch").columns(["name", "ports"]),
        MonitorTable::new("Logical_Switch_Port").columns(["name"]),
    ];
    let nb = cluster.nb().await?;
    let rows = nb.monitor("OVN_Northbound", &tables).await?.snapshot();
    let name = |row: &Row| row.str("name").unwrap_or_default().to_owned();
    let brought = rows.rows("Logical_Switch").map(|(_, row)| row);
    let brought = brought.filter(|row| name(row).starts_with("brought-"));
    let ports: Vec<_> = brought.map(|row| row.uuids("ports").count()).collect();
    assert_eq!(ports, [PORTS; SWITCHES]);
    let own = rows.rows("Logical_Switch").map(|(_, row)| name(row));
    let mut own: Vec<_> = own.filter(|name| !name.starts_with("brought-")).collect();
    own.sort();
    assert_eq!(own, ["public1", "sw01", "sw11", "ts1"]);
    // Five of sw01, two of sw11, two of public1.
    let all = SWITCHES * PORTS + 5 + 2 + 2;
    assert_eq!(rows.len("Logical_Switch_Port"), all);
    matrix::reach(&cluster).await?;
    cluster.stop().await?;
    Ok(())
}

/// What is no database of that kind is refused with one clear error, before anything starts.
pub(crate) fn refused(place: &Place) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, bytes: &[u8]| -> anyhow::Result<PathBuf> {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    };
    let nb = standalone(&northbound()?)?;
    let sb = standalone(&Contents::new(schema("ovn-sb.ovsschema")?))?;
    let mut changed = nb.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let (nb, sb, cut) = (
        write("nb.db", &nb)?,
        write("sb.db", &sb)?,
        write("cut.db", &nb[..nb.len() - 1])?,
    );
    let changed = write("changed.db", &changed)?;
    let text = write("text.db", b"switch sw0\n")?;
    let missing = folder.path().join("missing.db");
    for (flag, path, reason) in [
        ("--nb-db", &changed, "is damaged: record 1"),
        ("--nb-db", &cut, "ends inside record 1"),
        ("--nb-db", &sb, "holds OVN_Southbound, not OVN_Northbound"),
        ("--nb-db", &text, "is no OVSDB database file"),
        ("--nb-db", &missing, "cannot be read"),
        ("--sb-db", &nb, "holds OVN_Northbound, not OVN_Southbound"),
    ] {
        let path = path.to_string_lossy().into_owned();
        let output = place.ofm(&["start", flag, &path]).output()?;
        let said = describe(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty(), "{said}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let (errors, rest): (Vec<_>, Vec<_>) =
            stderr.lines().partition(|line| line.starts_with("error: "));
        let [error] = errors.as_slice() else {
            panic!("{said}");
        };
        assert!(error.contains(&path) && error.contains(reason), "{said}");
        assert!(rest.iter().all(|line| line.starts_with("hint: ")), "{said}");
        assert_eq!(rest.len(), 1, "{said}");
        assert_eq!(std::fs::read_dir(place.root())?.count(), 0, "{flag} {path}");
        assert!(leftovers(place)?.is_empty(), "{flag} {path}");
    }
    Ok(())
}
