//! Phase `files`: database files, made from the schemas.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb_client::Schema;
use ovsdb_client::file::DatabaseFile;

use super::for_each;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::databases::rows;
use crate::plan::{DatabasePlan, Plan};

/// A file to be written in a node: its path there, and what it holds.
type File = (PathBuf, Arc<[u8]>);

/// What a new database's bytes depend on: its name, the image or root file system whose schema it has, and where in it
/// that is.
type Kind = (String, Option<PathBuf>, PathBuf);

pub(crate) async fn write(cluster: &Cluster, clock: &mut Clock) -> Result<(), Error> {
    let began = clock.begin(Phase::Files, cluster.handles().len());
    // Nodes of the same software begin with the same bytes, which are made once.
    let mut made: BTreeMap<Kind, Arc<[u8]>> = BTreeMap::new();
    let mut nodes = Vec::new();
    for handle in cluster.handles().values() {
        let mut files: Vec<File> = Vec::new();
        for database in &handle.plan.databases {
            let image = handle.plan.container.as_ref().map(|c| (&c.image).into());
            let root = image.or_else(|| handle.plan.root.clone());
            let kind = (database.name.clone(), root, database.schema.clone());
            let bytes = match made.get(&kind) {
                Some(bytes) => bytes.clone(),
                None => {
                    let bytes: Arc<[u8]> = create(cluster.plan(), handle, database).await?.into();
                    made.insert(kind, bytes.clone());
                    bytes
                }
            };
            files.push((database.file.clone(), bytes));
        }
        nodes.push((handle, files));
    }
    for_each(clock, Phase::Files, nodes.into_iter(), |(handle, files)| {
        put(handle, files)
    })
    .await?;
    clock.end(Phase::Files, began);
    Ok(())
}

/// Writes files as the node sees them.
async fn put(handle: &NodeHandle, files: Vec<File>) -> Result<(), Error> {
    let namespaces = handle.node.namespaces();
    blocking(move || {
        namespaces.run(|| {
            files
                .iter()
                .try_for_each(|(path, bytes)| std::fs::write(path, bytes))
        })
    })
    .await?
    .map_err(|e| Error::in_node(&handle.plan.name, "writing its database files", e))
}

/// Makes a database of the schema that the node itself has, whose version may be another than the host's.
async fn create(
    plan: &Plan,
    handle: &NodeHandle,
    database: &DatabasePlan,
) -> Result<Vec<u8>, Error> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        let action = format!("making a database of {}", database.schema.display());
        Error::in_node(&handle.plan.name, action, e)
    };
    let (namespaces, path) = (handle.node.namespaces(), database.schema.clone());
    let schema = blocking(move || namespaces.run(|| read_schema(&path)))
        .await?
        .map_err(failed)?;
    let mut file = DatabaseFile::new(&schema);
    for (table, uuid, row) in rows(plan, database) {
        file.insert_as(table, uuid, row);
    }
    file.to_bytes().map_err(|e| failed(e.into()))
}

fn read_schema(path: &Path) -> Result<Schema, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Schema::parse(&std::fs::read_to_string(path)?)?)
}
