//! Phase `files`: database files, made from the schemas.

use std::path::Path;

use ovsdb_client::Schema;
use ovsdb_client::file::DatabaseFile;

use super::for_each;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::plan::{Role, nb_rows, sb_rows};
use crate::topology::TableRow;

pub(crate) async fn write(cluster: &Cluster, clock: &mut Clock) -> Result<(), Error> {
    let began = clock.begin(Phase::Files, cluster.handles().len());
    let plan = cluster.plan();
    let central = [
        (
            "/etc/ovn/ovnnb_db.db",
            bytes(&plan.schemas.nb, nb_rows(plan))?,
        ),
        (
            "/etc/ovn/ovnsb_db.db",
            bytes(&plan.schemas.sb, sb_rows(plan))?,
        ),
    ];
    // Its contents go over JSON-RPC, while ovsdb-server runs and ovs-vswitchd does not yet.
    let chassis = [(
        "/etc/openvswitch/conf.db",
        bytes(&plan.schemas.vswitch, Vec::new())?,
    )];
    for_each(clock, Phase::Files, cluster.handles().values(), |handle| {
        let files: &[(&'static str, Vec<u8>)] = match handle.plan.role {
            Role::Central => &central,
            Role::Gateway | Role::Chassis => &chassis,
        };
        put(handle, files.to_vec())
    })
    .await?;
    clock.end(Phase::Files, began);
    Ok(())
}

/// Writes files as the node sees them.
async fn put(handle: &NodeHandle, files: Vec<(&'static str, Vec<u8>)>) -> Result<(), Error> {
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

fn bytes(schema: &Path, rows: Vec<TableRow>) -> Result<Vec<u8>, Error> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::in_node(
            "of the plan",
            format!("making a database of {}", schema.display()),
            e,
        )
    };
    let schema = read_schema(schema).map_err(failed)?;
    let mut file = DatabaseFile::new(&schema);
    for (table, uuid, row) in rows {
        file.insert_as(table, uuid, row);
    }
    file.to_bytes().map_err(|e| failed(e.into()))
}

fn read_schema(path: &Path) -> Result<Schema, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Schema::parse(&std::fs::read_to_string(path)?)?)
}
