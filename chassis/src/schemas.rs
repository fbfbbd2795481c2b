//! The schemas of databases, each known once for all nodes of the same software.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ovsdb_client::{Client, Monitor, MonitorTable, Schema};
use tokio::sync::OnceCell;

use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::node::{NodeHandle, blocking};
use crate::plan::{DatabasePlan, NodePlan, SchemaPlace};

/// Schemas that are known, by where nodes have them.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<BTreeMap<SchemaPlace, Arc<Known>>>);

/// What is known of one. A file may be newer than the database that a server has made of it before.
#[derive(Debug, Default)]
struct Known {
    /// As it is in the file.
    read: OnceCell<Arc<Schema>>,
    /// As a server says.
    told: OnceCell<Arc<Schema>>,
}

impl Schemas {
    fn of(&self, node: &NodePlan, database: &DatabasePlan) -> Arc<Known> {
        let mut schemas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = schemas.entry(node.schema_place(database)).or_default();
        known.clone()
    }
}

impl Cluster {
    /// The schema of a database as its node has it in a file now: its version may be another one than the host's.
    pub(crate) async fn schema(
        &self,
        handle: &NodeHandle,
        database: &DatabasePlan,
    ) -> Result<Arc<Schema>, Error> {
        let known = self.schemas.of(&handle.plan, database);
        let read = async || {
            let (namespaces, path) = (handle.node.namespaces(), database.schema.clone());
            let schema = blocking(move || namespaces.run(|| read(&path))).await?;
            let action = || format!("reading {}", database.schema.display());
            let schema = schema.map_err(|e| Error::in_node(&handle.plan.name, action(), e))?;
            Ok::<_, Error>(Arc::new(schema))
        };
        known.read.get_or_try_init(read).await.cloned()
    }

    /// Follows rows of a database of a node. Its server is asked for the schema only where that is not known.
    pub(crate) async fn monitor(
        &self,
        node: &NodePlan,
        client: &Client,
        database: &str,
        tables: &[MonitorTable],
    ) -> Result<Monitor, Error> {
        let failed = |e: Cause| {
            let action = format!("watching its database {database}");
            Error::in_node(&node.name, action, e)
        };
        let mut planned = node.databases.iter();
        if let Some(planned) = planned.find(|planned| planned.name == database) {
            let known = self.schemas.of(node, planned);
            let ask = async || client.get_schema(database).await.map(Arc::new);
            let schema = match known.read.get() {
                Some(schema) => schema,
                None => {
                    let told = known.told.get_or_try_init(ask).await;
                    told.map_err(|e| failed(e.into()))?
                }
            };
            if let Ok(monitor) = client.monitor_as(schema, tables).await {
                return Ok(monitor);
            }
        }
        // Somebody has converted its database, or it has this one from somebody else.
        let monitor = client.monitor(database, tables).await;
        monitor.map_err(|e| failed(e.into()))
    }

    /// Follows rows of a zone's southbound database.
    pub(crate) async fn monitor_southbound(
        &self,
        zone: u32,
        tables: &[MonitorTable],
    ) -> Result<Monitor, Error> {
        let client = self.sb_of(zone).await?;
        let mut centrals = self.plan.centrals(zone);
        let central = centrals.next().expect("it has just answered");
        self.monitor(central, &client, "OVN_Southbound", tables)
            .await
    }
}

/// Reads a schema.
pub(crate) fn read(path: &Path) -> Result<Schema, Cause> {
    Ok(Schema::parse(&std::fs::read_to_string(path)?)?)
}
