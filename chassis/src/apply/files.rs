//! Phase `files`: database files, made from the schemas, and certificates.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ovsdb_client::Schema;
use ovsdb_client::file::{ClusteredFile, Contents, DatabaseFile, NewCluster};

use super::for_each;
use super::model::Model;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::pki;
use crate::plan::databases::rows;
use crate::plan::ovs::Written;
use crate::plan::{DatabasePlan, NodePlan, Plan, RaftPlan, Role, RuntimePlan};
use crate::seed;
use crate::topology::TableRow;
use crate::trace::SpanKind;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A file to be written in a node.
struct NewFile {
    /// Its path there.
    path: PathBuf,
    contents: Arc<[u8]>,
    mode: u32,
}

/// Schemas that were read, by the image or root file system that has them, and where in it that is.
type Schemas = BTreeMap<(Option<PathBuf>, PathBuf), Schema>;

/// What databases begin with that the user brought along, by their files.
pub(crate) type Seeds = BTreeMap<PathBuf, Contents>;

/// Reads what the user brought along, before anything is touched.
pub(crate) fn seeds(plan: &Plan) -> Result<Seeds, Error> {
    let nodes = plan.nodes.iter();
    let databases =
        nodes.flat_map(|node| node.databases.iter().map(move |database| (node, database)));
    let mut seeds = Seeds::new();
    for (node, database) in databases {
        let Some(path) = &database.source else {
            continue;
        };
        if seeds.contains_key(path) {
            continue;
        }
        let contents = seed::load(path, &database.name)?;
        // The schema of an image is seen only once a container is there.
        if plan.runtime == RuntimePlan::Native {
            let root = node.root.as_deref().unwrap_or(Path::new("/"));
            let schema = root.join(
                database
                    .schema
                    .strip_prefix("/")
                    .unwrap_or(&database.schema),
            );
            let schema = read_schema(&schema)
                .map_err(|e| Error::in_node(&plan.cluster, "reading a schema", e))?;
            seed::convert(contents.clone(), &schema).map_err(|problem| Error::Source {
                what: format!("{}: {problem}", path.display()),
                hint: "run a version of OVN whose schema has what the database has".to_owned(),
            })?;
        }
        seeds.insert(path.clone(), contents);
    }
    Ok(seeds)
}

pub(crate) async fn write(
    cluster: &Cluster,
    handles: &[&NodeHandle],
    seeds: &Seeds,
    model: Option<&Model>,
    clock: &mut Clock,
) -> Result<(), Error> {
    let began = clock.begin(Phase::Files, handles.len());
    let mut schemas = Schemas::new();
    let mut nodes = Vec::new();
    for handle in handles {
        let files = make(cluster, handle, seeds, model, &mut schemas);
        let files = handle.span(SpanKind::Step, "making files", files).await?;
        nodes.push((*handle, files));
    }
    for_each(clock, Phase::Files, nodes.into_iter(), |(handle, files)| {
        handle.span(SpanKind::Step, "writing files", put(handle, files))
    })
    .await?;
    clock.end(Phase::Files, began);
    Ok(())
}

/// What a node gets: its certificate and its databases.
async fn make(
    cluster: &Cluster,
    handle: &NodeHandle,
    seeds: &Seeds,
    model: Option<&Model>,
    schemas: &mut Schemas,
) -> Result<Vec<NewFile>, Error> {
    let plan = &handle.plan;
    let mut files = certificates(cluster, handle)?;
    let model = model.filter(|model| model.suits(plan));
    let written = model.map(|model| model.written(cluster.plan(), plan));
    let written = written.unwrap_or_default();
    for database in &plan.databases {
        let failed = |e: Cause| {
            let action = format!("making a database of {}", database.schema.display());
            Error::in_node(&plan.name, action, e)
        };
        let image = plan.container.as_ref().map(|c| (&c.image).into());
        let root = image.or_else(|| plan.root.clone());
        let schema = match schemas.entry((root, database.schema.clone())) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => {
                let (namespaces, path) = (handle.node.namespaces(), database.schema.clone());
                let schema = blocking(move || namespaces.run(|| read_schema(&path))).await?;
                unread.insert(schema.map_err(failed)?)
            }
        };
        let source = database.source.as_ref().and_then(|path| seeds.get(path));
        let contents = create(cluster.plan(), plan, database, &written, schema, source);
        files.push(NewFile {
            path: database.file.clone(),
            contents: contents.map_err(failed)?.into(),
            mode: 0o640,
        });
    }
    Ok(files)
}

/// A node's key and certificate, and the certificate of who issued it.
fn certificates(cluster: &Cluster, handle: &NodeHandle) -> Result<Vec<NewFile>, Error> {
    let Some(authority) = cluster
        .authority()
        .filter(|_| handle.plan.role != Role::Host)
    else {
        return Ok(Vec::new());
    };
    let plan = &handle.plan;
    let identity = authority
        .issue(plan.name.as_str(), &[plan.address])
        .map_err(|e| Error::in_node(&plan.name, "making its certificate", e))?;
    let file = |path: &str, text: &str, mode| NewFile {
        path: path.into(),
        contents: text.as_bytes().into(),
        mode,
    };
    Ok(vec![
        file(pki::PRIVATE_KEY, &identity.key, 0o600),
        file(pki::CERTIFICATE, &identity.certificate, 0o644),
        file(pki::CA_CERTIFICATE, authority.certificate(), 0o644),
    ])
}

/// Writes files as the node sees them.
async fn put(handle: &NodeHandle, files: Vec<NewFile>) -> Result<(), Error> {
    let namespaces = handle.node.namespaces();
    blocking(move || namespaces.run(|| files.iter().try_for_each(NewFile::write)))
        .await?
        .map_err(|e| Error::in_node(&handle.plan.name, "writing its files", e))
}

impl NewFile {
    fn write(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file: File = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(self.mode)
            .open(&self.path)?;
        file.write_all(&self.contents)
    }
}

/// Makes a database of the schema that the node itself has, whose version may be another than the host's.
fn create(
    plan: &Plan,
    node: &NodePlan,
    database: &DatabasePlan,
    written: &Written,
    schema: &Schema,
    source: Option<&Contents>,
) -> Result<Vec<u8>, Cause> {
    let raft = database.raft.as_ref();
    if let Some((raft, join)) = raft.and_then(|raft| Some((raft, raft.join.as_ref()?))) {
        return joining(&database.name, raft, join);
    }
    let rows = rows(plan, node, database, written);
    let contents = begin(plan, node.zone, database, rows, schema, source)?;
    match raft {
        None => Ok(contents.to_standalone(&Default::default())?),
        Some(raft) => founding(contents, raft),
    }
}

/// What a database holds when its server starts.
fn begin(
    plan: &Plan,
    zone: u32,
    database: &DatabasePlan,
    rows: Vec<TableRow>,
    schema: &Schema,
    source: Option<&Contents>,
) -> Result<Contents, Cause> {
    let Some(source) = source else {
        let mut file = DatabaseFile::new(schema);
        for (table, uuid, row) in rows {
            file.insert_as(table, uuid, row);
        }
        return Ok(file.contents()?);
    };
    let mut contents = seed::convert(source.clone(), schema)?;
    if database.name == "OVN_Southbound" {
        let chassis = plan
            .nodes
            .iter()
            .filter(|node| node.role.is_chassis() && node.zone == zone);
        let chassis = chassis.map(|node| node.name.as_str()).collect();
        seed::evict_chassis(&mut contents, &chassis)?;
    }
    seed::merge(&mut contents, rows)?;
    Ok(contents)
}

/// The file of the first server of a cluster, which leads as soon as it runs.
fn founding(contents: Contents, raft: &RaftPlan) -> Result<Vec<u8>, Cause> {
    let mut cluster = NewCluster::new(contents);
    cluster.server(raft.local.parse()?);
    let files = cluster.files()?;
    Ok(files[0].to_bytes().to_vec())
}

/// The file of a server that asks another one to let it in.
fn joining(name: &str, raft: &RaftPlan, join: &str) -> Result<Vec<u8>, Cause> {
    let file = ClusteredFile::join(name, raft.local.parse()?, [join.parse()?], None)?;
    Ok(file.to_bytes().to_vec())
}

fn read_schema(path: &Path) -> Result<Schema, Cause> {
    Ok(Schema::parse(&std::fs::read_to_string(path)?)?)
}
