//! Files that a cluster begins with, and files of servers that are to join one.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::ServerAddress;
use super::record::{Header, Unsigned};
use crate::file::contents::Contents;
use crate::file::log::{Magic, record};
use crate::file::transaction::{self, Annotation};
use crate::file::{CreateError, Durability, InvalidRows, disk};
use crate::schema::Schema;

/// Shortest and longest election timer that servers accept (`raft_validate_election_timer` of
/// `ovsdb/raft.c`).
const ELECTION_TIMERS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_millis(600_000);

/// A cluster that does not exist yet: its rows and its first servers.
///
/// With one server this makes what `ovsdb-tool create-cluster` makes. With more, the cluster is
/// formed as soon as a majority of them runs, in whatever order they start, and nobody has to
/// join.
///
/// ```
/// # use ovsdb_client::{Schema, file::{Contents, NewCluster}};
/// # let schema = Schema::parse(r#"{
/// #     "name": "Pets", "version": "1.0.0",
/// #     "tables": {"Cat": {"columns": {"name": {"type": "string"}}}}
/// # }"#)?;
/// let mut cluster = NewCluster::new(Contents::new(schema));
/// for host in 1..=3 {
///     cluster.server(format!("tcp:10.0.0.{host}:6643").parse()?);
/// }
/// let files = cluster.files()?;
/// assert!(files[0].to_bytes().starts_with(b"OVSDB CLUSTER "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewCluster {
    contents: Contents,
    servers: Vec<(Uuid, ServerAddress)>,
    cluster_id: Uuid,
    entry_id: Uuid,
    election_timer: Option<Duration>,
    annotation: Annotation,
}

/// Why no cluster can be made.
#[derive(Debug, thiserror::Error)]
pub enum NewClusterError {
    /// There is no server.
    #[error("the cluster has no servers")]
    NoServers,
    /// Two servers have the same address or the same id.
    #[error("two servers of the cluster share {shared}")]
    Duplicate {
        /// The address or the id.
        shared: String,
    },
    /// A server cannot ask itself to let it in.
    #[error("a server that joins needs at least one remote address other than its own {local}")]
    NoRemote {
        /// Its own address.
        local: ServerAddress,
    },
    /// The id of all zeros stands for an unknown one.
    #[error("an id of all zeros stands for an unknown cluster or server")]
    NilId,
    /// A server would not take the election timer.
    #[error("an election timer of {timer:?} is not from 100 ms to 10 min")]
    ElectionTimer {
        /// The timer.
        timer: Duration,
    },
    /// The rows are not those of a valid database.
    #[error("the rows do not make a valid database")]
    Rows {
        /// What is wrong with them.
        #[from]
        source: InvalidRows,
    },
}

impl NewCluster {
    /// Starts with no servers, a random cluster id and the default election timer of 1 s.
    pub fn new(contents: Contents) -> Self {
        Self {
            contents,
            servers: Vec::new(),
            cluster_id: Uuid::new_v4(),
            entry_id: Uuid::new_v4(),
            election_timer: None,
            annotation: Annotation::default(),
        }
    }

    /// Adds a server under a random id, which is returned.
    pub fn server(&mut self, address: ServerAddress) -> Uuid {
        let id = Uuid::new_v4();
        self.server_as(id, address);
        id
    }

    /// Adds a server under an id of the caller's choice.
    pub fn server_as(&mut self, id: Uuid, address: ServerAddress) {
        self.servers.push((id, address));
    }

    /// Sets the cluster id. The id of the first entry is made from it, so that equal input makes
    /// equal files.
    pub fn cluster_id(&mut self, id: Uuid) {
        self.cluster_id = id;
        self.entry_id = Uuid::new_v5(&id, b"prev_eid");
    }

    /// Sets how long a server waits for a sign of the leader before it calls an election; 100 ms
    /// to 10 min.
    pub fn election_timer(&mut self, timer: Duration) {
        self.election_timer = Some(timer);
    }

    /// Dates the rows, or leaves a remark beside them.
    pub fn annotate(&mut self, annotation: Annotation) {
        self.annotation = annotation;
    }

    /// Makes the file of each server, in the order in which they were added.
    ///
    /// Columns lose their `ephemeral` mark, which servers do not take in clusters.
    ///
    /// # Errors
    ///
    /// [`NewClusterError`].
    pub fn files(&self) -> Result<Vec<ClusteredFile>, NewClusterError> {
        self.check()?;
        let schema = persistent(self.contents.schema());
        let rows = transaction::whole(&self.contents, &self.annotation);
        let rows = RawValue::from_string(rows).expect("a transaction is JSON");
        let data = to_raw_value(&(schema, rows)).expect("a pair of JSON values is JSON");
        let timer = self.election_timer.map(|timer| timer.as_millis());
        let timer = timer.map(|ms| Unsigned(ms.try_into().unwrap_or(u64::MAX)));
        let files = self.servers.iter().map(|(id, address)| {
            ClusteredFile::new(&Header {
                server_id: *id,
                cluster_id: Some(self.cluster_id),
                local_address: address.clone(),
                name: self.contents.schema().name().to_owned(),
                remote_addresses: None,
                prev_servers: Some(self.servers.iter().cloned().collect()),
                prev_index: Some(Unsigned(1)),
                prev_term: Some(Unsigned(1)),
                prev_eid: Some(self.entry_id),
                prev_data: Some(&data),
                prev_election_timer: timer,
            })
        });
        Ok(files.collect())
    }

    fn check(&self) -> Result<(), NewClusterError> {
        if self.servers.is_empty() {
            return Err(NewClusterError::NoServers);
        }
        for (index, (id, address)) in self.servers.iter().enumerate() {
            let before = &self.servers[..index];
            let shared = if before.iter().any(|(other, _)| other == id) {
                id.to_string()
            } else if before.iter().any(|(_, other)| other == address) {
                address.to_string()
            } else {
                continue;
            };
            return Err(NewClusterError::Duplicate { shared });
        }
        let mut ids = self
            .servers
            .iter()
            .map(|(id, _)| id)
            .chain([&self.cluster_id]);
        if ids.any(Uuid::is_nil) {
            return Err(NewClusterError::NilId);
        }
        match self.election_timer {
            Some(timer) if !ELECTION_TIMERS.contains(&timer) => {
                Err(NewClusterError::ElectionTimer { timer })
            }
            _ => Ok(self.contents.check()?),
        }
    }
}

/// The file of one server of a cluster, before it first runs.
#[derive(Debug, Clone)]
pub struct ClusteredFile {
    server_id: Uuid,
    bytes: Vec<u8>,
}

impl ClusteredFile {
    fn new(header: &Header<'_>) -> Self {
        let json = serde_json::to_string(header).expect("a header has a JSON form");
        Self {
            server_id: header.server_id,
            bytes: record(Magic::Clustered, &json),
        }
    }

    /// Makes the file of a server that joins a cluster: it asks the remotes, one after the other,
    /// to let it in, and gets schema and rows from the leader.
    ///
    /// `name` is that of the schema, such as `OVN_Northbound`. With a cluster id the server joins
    /// no other cluster.
    ///
    /// ```
    /// # use ovsdb_client::file::ClusteredFile;
    /// let (local, first) = ("tcp:10.0.0.2:6643".parse()?, "tcp:10.0.0.1:6643".parse()?);
    /// let file = ClusteredFile::join("OVN_Northbound", local, [first], None)?;
    /// # assert!(!file.server_id().is_nil());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NewClusterError::NoRemote`] without a remote or if one is `local`,
    /// [`NewClusterError::NilId`].
    pub fn join(
        name: impl Into<String>,
        local: ServerAddress,
        remotes: impl IntoIterator<Item = ServerAddress>,
        cluster_id: Option<Uuid>,
    ) -> Result<Self, NewClusterError> {
        let remotes: Vec<_> = remotes.into_iter().collect();
        if remotes.is_empty() || remotes.contains(&local) {
            return Err(NewClusterError::NoRemote { local });
        }
        if cluster_id.is_some_and(|id| id.is_nil()) {
            return Err(NewClusterError::NilId);
        }
        Ok(Self::new(&Header {
            server_id: Uuid::new_v4(),
            cluster_id,
            local_address: local,
            name: name.into(),
            remote_addresses: Some(remotes),
            prev_servers: None,
            prev_index: None,
            prev_term: None,
            prev_eid: None,
            prev_data: None,
            prev_election_timer: None,
        }))
    }

    /// The id of the server.
    pub fn server_id(&self) -> Uuid {
        self.server_id
    }

    /// The whole file, for a caller who writes it where this process cannot.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the file, readable to its owner and group, as
    /// [`DatabaseFile::create`](crate::file::DatabaseFile::create) does.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; an existing file is never touched.
    pub fn create(
        &self,
        path: impl AsRef<Path>,
        durability: Durability,
    ) -> Result<(), CreateError> {
        disk::create(path.as_ref(), &self.bytes, durability)
    }
}

/// The schema with all of its columns kept in the file.
fn persistent(schema: &Schema) -> impl Serialize {
    let mut json: serde_json::Value =
        serde_json::from_str(schema.json()).expect("a schema is JSON");
    let tables = json
        .get_mut("tables")
        .and_then(|tables| tables.as_object_mut());
    for table in tables.into_iter().flat_map(|tables| tables.values_mut()) {
        let columns = table.get_mut("columns").and_then(|all| all.as_object_mut());
        for column in columns.into_iter().flat_map(|columns| columns.values_mut()) {
            if let Some(column) = column.as_object_mut() {
                column.remove("ephemeral");
            }
        }
    }
    json
}
