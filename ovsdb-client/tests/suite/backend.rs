//! The servers that the cases run against.

use std::path::PathBuf;
use std::time::Duration;

use ovsdb_client::file::{Annotation, Contents, Durability, NewCluster};
use ovsdb_client::server::Server as InProcess;
use ovsdb_client::{Remote, Remotes, Schema};
use tempfile::TempDir;

use crate::process::Server;

/// A kind of server, and of database with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// One ovsdb-server, without a history.
    Standalone,
    /// Three ovsdb-servers that replicate a database by RAFT.
    Cluster,
    /// The server of this crate, with a database that has a history.
    InProcess,
}

impl Backend {
    pub(crate) const ALL: &[Self] = &[Self::Standalone, Self::Cluster, Self::InProcess];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Cluster => "cluster",
            Self::InProcess => "in_process",
        }
    }

    /// Whether it is made of processes.
    pub(crate) fn is_real(self) -> bool {
        self != Self::InProcess
    }

    /// Whether a monitor can be resumed after a loss of the connection.
    pub(crate) fn resumes(self) -> bool {
        self != Self::Standalone
    }
}

/// How long a member of a cluster is without its leader before it calls an election. The server
/// adds up to a second by chance.
const ELECTION_TIMER: Duration = Duration::from_millis(500);

/// Running servers of one kind, in a directory of their own.
#[derive(Debug)]
pub(crate) struct Servers {
    kind: Kind,
    // After the processes that work in it.
    directory: TempDir,
}

#[derive(Debug)]
enum Kind {
    Standalone(Server),
    Cluster(Vec<Server>),
    InProcess(InProcess),
}

impl Servers {
    /// Starts servers without databases.
    pub(crate) async fn start(backend: Backend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kind = match backend {
            Backend::Standalone => {
                let server = Server::new(directory.path(), "s0");
                Kind::Standalone(server.remote_option("ptcp:0:127.0.0.1"))
            }
            Backend::Cluster => {
                let servers = ["s0", "s1", "s2"].map(|name| Server::new(directory.path(), name));
                Kind::Cluster(servers.into())
            }
            Backend::InProcess => {
                let server = InProcess::new();
                server
                    .listen_unix(directory.path().join("s0.sock"))
                    .unwrap();
                Kind::InProcess(server)
            }
        };
        let servers = Self { kind, directory };
        for process in servers.processes() {
            process.start().await;
        }
        servers
    }

    /// Serves an empty database on all servers.
    pub(crate) async fn add(&self, schema: &Schema) {
        let contents = Contents::new(schema.clone());
        let name = schema.name();
        match &self.kind {
            Kind::Standalone(server) => {
                let path = self.file(name, 0);
                let (note, durability) = (Annotation::default(), Durability::Process);
                contents
                    .create_standalone(&path, &note, durability)
                    .unwrap();
                server.add(path).await;
            }
            Kind::Cluster(servers) => {
                let mut cluster = NewCluster::new(contents);
                cluster.election_timer(ELECTION_TIMER);
                for index in 0..servers.len() {
                    let address = format!("unix:{}.raft", self.file(name, index).display());
                    cluster.server(address.parse().unwrap());
                }
                let files = cluster.files().unwrap();
                for (index, (server, file)) in servers.iter().zip(files).enumerate() {
                    let path = self.file(name, index);
                    file.create(&path, Durability::Process).unwrap();
                    server.add(path).await;
                }
            }
            Kind::InProcess(server) => server.add_clustered(schema.clone()).unwrap(),
        }
    }

    /// Serves a database no more.
    pub(crate) async fn remove(&self, database: &str) {
        for (index, server) in self.processes().iter().enumerate() {
            server.remove(database, &self.file(database, index)).await;
        }
        if let Kind::InProcess(server) = &self.kind {
            assert!(server.remove(database));
        }
    }

    fn file(&self, database: &str, server: usize) -> PathBuf {
        self.directory.path().join(format!("{database}.{server}"))
    }

    /// The processes, if they are any.
    pub(crate) fn processes(&self) -> &[Server] {
        match &self.kind {
            Kind::Standalone(server) => std::slice::from_ref(server),
            Kind::Cluster(servers) => servers,
            Kind::InProcess(_) => &[],
        }
    }

    /// The server in this process.
    pub(crate) fn in_process(&self) -> &InProcess {
        match &self.kind {
            Kind::InProcess(server) => server,
            _ => panic!("the case is for the in-process server only"),
        }
    }

    /// Where the servers listen.
    pub(crate) fn remotes(&self) -> Remotes {
        match &self.kind {
            Kind::Standalone(server) => server.remote().into(),
            Kind::Cluster(servers) => {
                let mut remotes = servers.iter().map(Server::remote);
                Remotes::new(remotes.next().unwrap(), remotes)
            }
            Kind::InProcess(_) => Remote::Unix(self.path("s0.sock")).into(),
        }
    }

    /// A path for a socket or file of a case.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Ends all servers without warning.
    pub(crate) fn kill(&self) {
        self.processes().iter().for_each(Server::kill);
        if let Kind::InProcess(server) = &self.kind {
            server.set_accepting(false);
            server.disconnect_all();
        }
    }

    /// Starts all servers again, with what they had on disk.
    pub(crate) async fn restart(&self) {
        for process in self.processes() {
            process.start().await;
        }
        if let Kind::InProcess(server) = &self.kind {
            server.set_accepting(true);
        }
    }
}
