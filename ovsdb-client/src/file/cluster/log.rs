//! Logs of clustered databases: the state of one server of a Raft cluster.

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::ServerAddress;
use super::record::{Header, Record, Servers, Unsigned};
use crate::file::contents::Contents;
use crate::file::log::Records;
use crate::file::{BadTransaction, InvalidRows, LogError, RecordError, Tail};
use crate::schema::Schema;

/// What a file of a clustered database holds: what one server knows of its cluster.
#[derive(Debug)]
pub struct ClusteredLog {
    /// The server that the file belongs to.
    pub server_id: Uuid,
    /// The cluster; unknown to a server that has not joined it yet, unless it was told.
    pub cluster_id: Option<Uuid>,
    /// Where the server listens for the others.
    pub local_address: ServerAddress,
    /// Name of the schema.
    pub name: String,
    /// Whom the server asks to let it in; empty once it has joined.
    pub remote_addresses: Vec<ServerAddress>,
    /// The latest term that the server has seen.
    pub term: u64,
    /// The last entry that the server knew to be on a majority of servers.
    pub commit_index: u64,
    /// Whether the server has left the cluster for good.
    pub has_left: bool,
    /// The first record that could not be read, if any; it and all after it are left out, as
    /// servers do.
    pub tail: Option<Tail>,
    snapshot: Entry,
    /// Index of the entry that the snapshot ends with.
    snapshot_index: u64,
    /// The entries after the snapshot, without those that a later leader overwrote.
    entries: Vec<Entry>,
}

/// Which entries of a log to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// Those that the server knew to be committed: clients may have seen their effect. It learns of
    /// the last ones a little late, so entries after them may be committed too.
    Committed,
    /// All that the server has. Those at the end may never have been committed, and a new leader
    /// may replace them. `ovsdb-tool cluster-to-standalone` takes all, as does a server when it is
    /// the only one of its cluster.
    All,
}

#[derive(Debug)]
struct Entry {
    term: u64,
    data: Option<Box<RawValue>>,
    servers: Option<Servers>,
    election_timer: Option<Duration>,
}

/// What is wrong with a record of a clustered database.
#[derive(Debug, thiserror::Error)]
pub enum BadClusterRecord {
    /// A member is missing or has the wrong type.
    #[error("a member is missing or of the wrong type")]
    Json {
        /// Where.
        source: serde_json::Error,
    },
    /// A member is missing that others ask for.
    #[error("{member} is missing")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A server that is to join would have nobody to ask.
    #[error("no remote address differs from the local one")]
    NoRemote,
    /// An entry does not follow those before it.
    #[error("entry {index} does not fit between the committed {committed} and the next {next}")]
    Index {
        /// Its index.
        index: u64,
        /// The last entry that cannot be overwritten.
        committed: u64,
        /// The largest index that it could have.
        next: u64,
    },
    /// An entry has an older term than the one before it.
    #[error("entry {index} has term {term}, older than {previous} of the one before it")]
    Term {
        /// Its index.
        index: u64,
        /// Its term.
        term: u64,
        /// The term of the entry before it.
        previous: u64,
    },
    /// An index is committed that is not there, or before another that was committed already.
    #[error("index {index} is committed, but {committed} already is and {last} is the last one")]
    Commit {
        /// The index.
        index: u64,
        /// What was committed before.
        committed: u64,
        /// The last entry.
        last: u64,
    },
}

/// Why an entry cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum BadEntry {
    /// It is not a pair of a schema or null and a transaction or null.
    #[error("it is not a pair of a schema and a transaction")]
    Json {
        /// Where.
        source: serde_json::Error,
    },
    /// Its schema is none.
    #[error("its schema is invalid")]
    Schema {
        /// Where.
        source: serde_json::Error,
    },
    /// Its schema has another name than the database.
    #[error("its schema is named {found}, the database {expected}")]
    Name {
        /// Name of the schema.
        found: String,
        /// Name in the header.
        expected: String,
    },
    /// It has a transaction, but neither it nor one before it a schema.
    #[error("it has rows where no schema is known")]
    NoSchema,
    /// Its transaction does not fit.
    #[error("its transaction does not fit")]
    Transaction {
        /// Why not.
        source: BadTransaction,
    },
    /// The rows before it do not fit its schema.
    #[error("the rows before it do not fit its schema")]
    Conversion {
        /// Why not.
        source: InvalidRows,
    },
}

impl ClusteredLog {
    /// Reads the records after the header, whose JSON is given.
    pub(in crate::file) fn read<R: BufRead>(
        header: &[u8],
        records: &mut Records<R>,
    ) -> Result<Self, LogError> {
        let mut log =
            Self::from_header(header).map_err(|source| LogError::ClusterHeader { source })?;
        loop {
            let (number, offset) = (records.count, records.offset);
            let source = match records.next()? {
                None => break,
                Some(Err(source)) => source,
                Some(Ok(json)) => match serde_json::from_slice::<Record<'_>>(json) {
                    Ok(record) => {
                        log.add(record).map_err(|source| LogError::ClusterRecord {
                            record: number,
                            source,
                        })?;
                        continue;
                    }
                    Err(source) if source.is_data() => {
                        return Err(LogError::ClusterRecord {
                            record: number,
                            source: BadClusterRecord::Json { source },
                        });
                    }
                    Err(source) => RecordError::Json { source },
                },
            };
            log.tail = Some(Tail {
                record: number,
                offset,
                source,
            });
            break;
        }
        Ok(log)
    }

    fn from_header(json: &[u8]) -> Result<Self, BadClusterRecord> {
        let header: Header<'_> =
            serde_json::from_slice(json).map_err(|source| BadClusterRecord::Json { source })?;
        let missing = |member| BadClusterRecord::Missing { member };
        let joining = header.remote_addresses.is_some();
        let remote_addresses = header.remote_addresses.unwrap_or_default();
        if joining {
            let differs = |address: &ServerAddress| *address != header.local_address;
            if !remote_addresses.iter().any(differs) {
                return Err(BadClusterRecord::NoRemote);
            }
        } else if header.cluster_id.is_none() {
            return Err(missing("cluster_id"));
        }
        let servers = header.prev_servers.filter(|servers| !servers.is_empty());
        if servers.is_none() && !joining {
            return Err(missing("prev_servers"));
        }
        let index = header.prev_index.map_or(0, |index| index.0);
        if index > 0 {
            header.prev_term.ok_or(missing("prev_term"))?;
            header.prev_eid.ok_or(missing("prev_eid"))?;
            header.prev_data.ok_or(missing("prev_data"))?;
        }
        Ok(Self {
            server_id: header.server_id,
            cluster_id: header.cluster_id,
            local_address: header.local_address,
            name: header.name,
            remote_addresses,
            term: 0,
            commit_index: index,
            has_left: false,
            tail: None,
            snapshot: Entry {
                term: header.prev_term.map_or(0, |term| term.0),
                data: header.prev_data.map(ToOwned::to_owned),
                servers,
                election_timer: timer(header.prev_election_timer),
            },
            snapshot_index: index,
            entries: Vec::new(),
        })
    }

    /// The servers of the cluster by their ids, as of the last entry that changed them; none
    /// before the server has joined.
    pub fn servers(&self) -> impl Iterator<Item = (Uuid, &ServerAddress)> {
        let latest = self.latest_first().find_map(|entry| entry.servers.as_ref());
        latest
            .into_iter()
            .flatten()
            .map(|(id, address)| (*id, address))
    }

    /// How long a server waits for a sign of the leader, as of the last entry that set it; `None`
    /// is the default of servers, 1 s.
    pub fn election_timer(&self) -> Option<Duration> {
        self.latest_first().find_map(|entry| entry.election_timer)
    }

    fn latest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().chain([&self.snapshot])
    }

    /// Index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.snapshot_index
            .saturating_add(self.entries.len() as u64)
    }

    /// The rows that entries add up to.
    ///
    /// # Errors
    ///
    /// [`LogError::Joining`] for a server that has not joined its cluster yet,
    /// [`LogError::Entry`], [`LogError::NoSchema`] and [`LogError::Inconsistent`].
    pub fn contents(&self, entries: Entries) -> Result<Contents, LogError> {
        if !self.remote_addresses.is_empty() {
            return Err(LogError::Joining);
        }
        let count = match entries {
            Entries::All => self.entries.len(),
            Entries::Committed => {
                let committed = self.commit_index.saturating_sub(self.snapshot_index);
                committed.try_into().unwrap_or(usize::MAX)
            }
        };
        let mut contents = None;
        let applied = std::iter::once(&self.snapshot).chain(self.entries.iter().take(count));
        for (index, entry) in (self.snapshot_index..).zip(applied) {
            if let Some(data) = &entry.data {
                let source = |source| LogError::Entry { index, source };
                self.apply(&mut contents, data).map_err(source)?;
            }
        }
        let mut contents = contents.ok_or(LogError::NoSchema)?;
        contents
            .settle_loaded()
            .map_err(|source| LogError::Inconsistent { source })?;
        Ok(contents)
    }

    fn apply(&self, contents: &mut Option<Contents>, data: &RawValue) -> Result<(), BadEntry> {
        let (schema, transaction): (Option<&RawValue>, Option<&RawValue>) =
            serde_json::from_str(data.get()).map_err(|source| BadEntry::Json { source })?;
        if let Some(schema) = schema {
            let schema: Schema =
                serde_json::from_str(schema.get()).map_err(|source| BadEntry::Schema { source })?;
            if schema.name() != self.name {
                return Err(BadEntry::Name {
                    found: schema.name().to_owned(),
                    expected: self.name.clone(),
                });
            }
            let schema = Arc::new(schema);
            *contents = Some(match contents {
                // A new schema without rows converts those that are there.
                Some(contents) if transaction.is_none() => contents
                    .convert(schema)
                    .map_err(|source| BadEntry::Conversion { source })?,
                _ => Contents::new(schema),
            });
        }
        if let Some(transaction) = transaction {
            let contents = contents.as_mut().ok_or(BadEntry::NoSchema)?;
            contents
                .apply(transaction.get().as_bytes())
                .map_err(|source| BadEntry::Transaction { source })?;
        }
        Ok(())
    }

    /// Adds a record, by the rules of `raft_apply_record` of `ovsdb/raft.c`. Votes are not judged.
    fn add(&mut self, record: Record<'_>) -> Result<(), BadClusterRecord> {
        if let Some(note) = record.note {
            self.has_left |= note == "left";
            return Ok(());
        }
        if let Some(Unsigned(index)) = record.commit_index.filter(|index| index.0 > 0) {
            return self.commit(index);
        }
        let Some(Unsigned(term)) = record.term else {
            return Err(BadClusterRecord::Missing { member: "term" });
        };
        self.term = self.term.max(term);
        let index = match record.index {
            Some(Unsigned(index))
                if index > 0 && record.leader.is_none() && record.vote.is_none() =>
            {
                index
            }
            _ => return Ok(()),
        };
        let next = self.last_index().saturating_add(1);
        // Entries that were committed stay; others are overwritten when the leader changes.
        if index <= self.snapshot_index || index < self.commit_index || index > next {
            let committed = self.commit_index;
            return Err(BadClusterRecord::Index {
                index,
                committed,
                next,
            });
        }
        let kept = index - self.snapshot_index - 1;
        self.entries.truncate(kept.try_into().unwrap_or(usize::MAX));
        let previous = self.entries.last().unwrap_or(&self.snapshot).term;
        if term < previous {
            return Err(BadClusterRecord::Term {
                index,
                term,
                previous,
            });
        }
        if record.data.is_some() && record.eid.is_none() {
            return Err(BadClusterRecord::Missing { member: "eid" });
        }
        self.entries.push(Entry {
            term,
            data: record.data.map(ToOwned::to_owned),
            servers: record.servers,
            election_timer: timer(record.election_timer),
        });
        Ok(())
    }

    fn commit(&mut self, index: u64) -> Result<(), BadClusterRecord> {
        let (committed, last) = (self.commit_index, self.last_index());
        if index < committed || index > last {
            return Err(BadClusterRecord::Commit {
                index,
                committed,
                last,
            });
        }
        self.commit_index = index;
        Ok(())
    }
}

fn timer(milliseconds: Option<Unsigned>) -> Option<Duration> {
    let Unsigned(milliseconds) = milliseconds?;
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}
