//! The status of a server in a RAFT cluster: what `cluster/status` prints.

mod server;

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

pub use server::{ClusterConnection, ClusterServer, ServerName};

/// What a server knows of the cluster of one database: `raft_unixctl_status` in Open vSwitch's
/// `ovsdb/raft.c`.
///
/// Servers name each other by nicknames: the first digits of the id, or the file name if the
/// address is a socket like `s1.raft`.
///
/// ```
/// # use ovsdb_client::unixctl::{ClusterStatus, Role};
/// let status: ClusterStatus = "s1
/// Name: OVN_Northbound
/// Cluster ID: 53d8 (53d8a21f-da71-4776-8730-caad3a184d3c)
/// Server ID: 916e (916ea64a-c7bf-498e-8d7f-b60346fa6763)
/// Address: tcp:192.0.2.1:6643
/// Status: cluster member
/// Role: leader
/// Term: 1
/// Leader: self
/// Vote: self
///
/// Log: [2, 5]
/// ".parse()?;
/// assert_eq!(status.role, Role::Leader);
/// assert_eq!(status.log, 2..5);
/// # Ok::<(), ovsdb_client::unixctl::ParseClusterStatusError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterStatus {
    /// Nickname of the server.
    pub nickname: String,
    /// Name of the database.
    pub database: String,
    /// Id of the cluster; a server that is still joining may not know it.
    pub cluster_id: Option<Uuid>,
    /// Id of the server.
    pub server_id: Uuid,
    /// Where the server listens for the others.
    pub address: String,
    /// Whether the server is in the cluster.
    pub status: MemberStatus,
    /// Addresses through which the server tries to join, while it does.
    pub joining_through: Vec<String>,
    /// Its role in the present term.
    pub role: Role,
    /// The present term.
    pub term: u64,
    /// The leader of the term.
    pub leader: ServerName,
    /// For whom the server voted in the term.
    pub vote: ServerName,
    /// How long a follower waits for the leader before it stands for election. Old versions of
    /// Open vSwitch, which cannot change it, do not tell.
    pub election_timer: Option<Duration>,
    /// The indexes of the log's entries in memory: from the first after the snapshot up to and
    /// without that of the next entry to come.
    pub log: Range<u64>,
    /// Number of entries that no majority is known to have.
    pub not_committed: u64,
    /// Number of entries that are not in the database yet.
    pub not_applied: u64,
    /// The connections with the other servers, both ways.
    pub connections: Vec<ClusterConnection>,
    /// How many of those were lost since the server started, if it tells.
    pub disconnections: Option<u64>,
    /// The servers of the cluster as far as this one knows them, itself included.
    pub servers: Vec<ClusterServer>,
}

/// Whether a server is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberStatus {
    /// It is: `cluster member`.
    Member,
    /// It tries to become one: `joining cluster`.
    Joining,
    /// It is about to go: `leaving cluster`.
    Leaving,
    /// It was one: `left cluster`.
    Left,
    /// It gave up after an error in its log: `failed`.
    Failed,
    /// It is, but elections fail for want of a majority:
    /// `disconnected from the cluster (election timeout)`.
    Disconnected,
    /// Something that this library does not know.
    Other(String),
}

/// The role of a server in a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// Why a text is not the status of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseClusterStatusError {
    /// A line is not there that every version of Open vSwitch prints.
    #[error("the line {name:?} is missing")]
    Missing {
        /// What the line begins with.
        name: &'static str,
    },
    /// A line holds something else than it should.
    #[error("{value:?} is no value of the line {name:?}")]
    Value {
        /// What the line begins with.
        name: &'static str,
        /// What follows.
        value: String,
    },
}

impl FromStr for ClusterStatus {
    type Err = ParseClusterStatusError;

    /// Reads what `cluster/status` prints. Lines of unknown meaning are skipped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lines = Lines(text);
        Ok(Self {
            nickname: text.lines().next().unwrap_or_default().to_owned(),
            database: lines.required("Name", some_text)?,
            cluster_id: lines.required("Cluster ID", |value| match value {
                "not yet known" => Some(None),
                known => long_id(known).map(Some),
            })?,
            server_id: lines.required("Server ID", long_id)?,
            address: lines.required("Address", some_text)?,
            status: lines.required("Status", |value| Some(MemberStatus::from(value)))?,
            joining_through: lines
                .optional("Remotes for joining", |value| Some(words(value)))?
                .unwrap_or_default(),
            role: lines.required("Role", role)?,
            term: lines.required("Term", number)?,
            leader: lines.required("Leader", |value| Some(ServerName::from(value)))?,
            vote: lines.required("Vote", |value| Some(ServerName::from(value)))?,
            election_timer: lines.optional("Election timer", election_timer)?,
            log: lines.required("Log", log)?,
            not_committed: lines.count("Entries not yet committed")?.unwrap_or(0),
            not_applied: lines.count("Entries not yet applied")?.unwrap_or(0),
            connections: lines
                .optional("Connections", |value| {
                    value
                        .split_whitespace()
                        .map(ClusterConnection::parse)
                        .collect()
                })?
                .unwrap_or_default(),
            disconnections: lines.count("Disconnections")?,
            servers: lines.servers()?,
        })
    }
}

/// The lines of a status: a name, a colon, a value.
struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    /// The value of the line of that name, read by `read`; `None` when there is no such line.
    fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, ParseClusterStatusError> {
        let value = self.0.lines().skip(1).find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(value.trim())
        });
        value
            .map(|value| {
                read(value).ok_or_else(|| ParseClusterStatusError::Value {
                    name,
                    value: value.to_owned(),
                })
            })
            .transpose()
    }

    fn required<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, ParseClusterStatusError> {
        self.optional(name, read)?
            .ok_or(ParseClusterStatusError::Missing { name })
    }

    fn count(&self, name: &'static str) -> Result<Option<u64>, ParseClusterStatusError> {
        self.optional(name, number)
    }

    /// The servers: one on each line, four spaces from the margin, below the line `Servers:`.
    fn servers(&self) -> Result<Vec<ClusterServer>, ParseClusterStatusError> {
        let lines = self.0.lines().skip_while(|line| *line != "Servers:");
        let servers = lines.filter_map(|line| line.strip_prefix("    "));
        servers
            .filter(|line| !line.starts_with(' '))
            .map(|line| {
                ClusterServer::parse(line).ok_or_else(|| ParseClusterStatusError::Value {
                    name: "Servers",
                    value: line.to_owned(),
                })
            })
            .collect()
    }
}

fn some_text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

fn number(value: &str) -> Option<u64> {
    value.parse().ok()
}

/// The id in `53d8 (53d8a21f-da71-4776-8730-caad3a184d3c)`.
fn long_id(value: &str) -> Option<Uuid> {
    let (_, id) = value.strip_suffix(')')?.split_once(" (")?;
    Uuid::try_parse(id).ok()
}

fn role(value: &str) -> Option<Role> {
    match value {
        "follower" => Some(Role::Follower),
        "candidate" => Some(Role::Candidate),
        "leader" => Some(Role::Leader),
        _ => None,
    }
}

/// The timer in `1000`, or in `1000 (changing to 2000)` while a change is being agreed on.
fn election_timer(value: &str) -> Option<Duration> {
    let milliseconds = value.split(' ').next().and_then(number)?;
    Some(Duration::from_millis(milliseconds))
}

/// The range in `[2, 5]`.
fn log(value: &str) -> Option<Range<u64>> {
    let (start, end) = value
        .strip_prefix('[')?
        .strip_suffix(']')?
        .split_once(", ")?;
    Some(number(start)?..number(end)?)
}

impl From<&str> for MemberStatus {
    fn from(value: &str) -> Self {
        match value {
            "cluster member" => Self::Member,
            "joining cluster" => Self::Joining,
            "leaving cluster" => Self::Leaving,
            "left cluster" => Self::Left,
            "failed" => Self::Failed,
            "disconnected from the cluster (election timeout)" => Self::Disconnected,
            other => Self::Other(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
