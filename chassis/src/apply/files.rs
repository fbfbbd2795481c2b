//! Phase `files`: database files, made from the schemas, and certificates.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ovsdb_client::Schema;
use ovsdb_client::file::{ClusteredFile, Contents, NewCluster};

use super::for_each;
use super::model::Model;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::event::Phase;
use crate::node::{NodeHandle, blocking};
use crate::pki;
use crate::plan::databases::rows;
use crate::plan::ovs::Written;
use crate::plan::{DatabasePlan, NodePlan, Plan, RaftPlan, Role, RuntimePlan};
use crate::schemas;
use crate::seed;
use crate::topology::TableRow;
use crate::trace::SpanKind;

/// What tells that a node has FRR.
const FRR_SERVICE: &str = "/usr/lib/systemd/system/frr.service";
/// Where a stand-in for systemctl(1) is found before the one that needs systemd.
const SYSTEMCTL: &str = "/usr/local/sbin/systemctl";

/// A file to be written in a node.
struct NewFile {
    /// Its path there.
    path: PathBuf,
    contents: Arc<[u8]>,
    mode: u32,
}

/// What databases begin with that the user brought along, by their files.
pub(crate) type Seeds = BTreeMap<PathBuf, Contents>;

/// What databases begin with beside the rows of the plan.
pub(crate) struct Additions {
    pub(crate) seeds: Seeds,
    /// What controllers write of themselves, once it is known.
    pub(crate) model: Option<Arc<Model>>,
}

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
            let schema = schemas::read(&schema)
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
    additions: &Additions,
    clock: &mut Clock,
) -> Result<(), Error> {
    let began = clock.begin(Phase::Files, handles.len());
    let plan = Arc::new(cluster.plan().clone());
    let nodes = handles.iter().copied();
    for_each(clock, Phase::Files, nodes, async |handle| {
        let files = make(cluster, &plan, handle, additions);
        let files = handle.span(SpanKind::Step, "making files", files).await?;
        handle
            .span(SpanKind::Step, "writing files", put(handle, files))
            .await
    })
    .await?;
    clock.end(Phase::Files, began);
    Ok(())
}

/// Reads the schemas of all databases of nodes.
pub(crate) async fn read_schemas(cluster: &Cluster, handles: &[&NodeHandle]) -> Result<(), Error> {
    for handle in handles {
        for database in &handle.plan.databases {
            cluster.schema(handle, database).await?;
        }
    }
    Ok(())
}

fn failed(handle: &NodeHandle, database: &DatabasePlan, cause: Cause) -> Error {
    let action = format!("making a database of {}", database.schema.display());
    Error::in_node(&handle.plan.name, action, cause)
}

/// What a node gets: its certificate and its databases.
async fn make(
    cluster: &Cluster,
    plan: &Arc<Plan>,
    handle: &NodeHandle,
    additions: &Additions,
) -> Result<Vec<NewFile>, Error> {
    let mut files = certificates(cluster, handle)?;
    for database in &handle.plan.databases {
        let schema = cluster.schema(handle, database).await?;
        let source = database
            .source
            .as_ref()
            .and_then(|path| additions.seeds.get(path).cloned());
        let (plan, node, new) = (plan.clone(), handle.plan.clone(), database.clone());
        let model = additions.model.clone();
        let contents = blocking(move || {
            let model = model.filter(|model| model.suits(&node));
            let written = model.map(|model| model.written(&plan, &node));
            create(
                &plan,
                &node,
                &new,
                &written.unwrap_or_default(),
                &schema,
                source.as_ref(),
            )
        });
        files.push(NewFile {
            path: database.file.clone(),
            contents: contents
                .await
                .map_err(|e| failed(handle, database, e))?
                .into(),
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
async fn put(handle: &NodeHandle, mut files: Vec<NewFile>) -> Result<(), Error> {
    let namespaces = handle.node.namespaces();
    let write = move || {
        if Path::new(FRR_SERVICE).exists() {
            files.push(NewFile {
                path: SYSTEMCTL.into(),
                contents: include_bytes!("systemctl.sh").as_slice().into(),
                mode: 0o755,
            });
        }
        files.iter().try_for_each(NewFile::write)
    };
    blocking(move || namespaces.run(write))
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

/// Makes a database.
fn create(
    plan: &Plan,
    node: &NodePlan,
    database: &DatabasePlan,
    written: &Written,
    schema: &Arc<Schema>,
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
    schema: &Arc<Schema>,
    source: Option<&Contents>,
) -> Result<Contents, Cause> {
    let Some(source) = source else {
        let mut contents = Contents::new(Arc::clone(schema));
        for (table, uuid, row) in rows {
            contents.insert_as(table, uuid, row)?;
        }
        contents.check()?;
        return Ok(contents);
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
    cluster.election_timer(Duration::from_millis(raft.election_timer.into()));
    cluster.server(raft.local.parse()?);
    let files = cluster.files()?;
    Ok(files[0].to_bytes().to_vec())
}

/// The file of a server that asks another one to let it in.
fn joining(name: &str, raft: &RaftPlan, join: &str) -> Result<Vec<u8>, Cause> {
    let file = ClusteredFile::join(name, raft.local.parse()?, [join.parse()?], None)?;
    Ok(file.to_bytes().to_vec())
}
