//! Whether a server can serve the database: what its `_Server` database says (ovsdb-server(5)).

use uuid::Uuid;

use crate::replica::Snapshot;
use crate::value::Row;

/// The table that describes a server's databases.
pub(super) const TABLE: &str = "Database";

/// The columns that matter.
pub(super) const COLUMNS: [&str; 7] = [
    "name",
    "model",
    "connected",
    "leader",
    "schema",
    "cid",
    "index",
];

/// What is demanded of a server.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    pub(super) database: String,
    /// Whether only the leader of a cluster will do.
    pub(super) leader_only: bool,
    /// The cluster that it must belong to.
    pub(super) cluster_id: Option<Uuid>,
    /// The furthest log index seen in a cluster. A server behind it would show the past.
    seen: Option<(Uuid, i64)>,
}

/// Why a server will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It has no such database, or none that belongs to the cluster.
    #[error("the server does not have database {database}")]
    NoDatabase {
        /// Name of the database.
        database: String,
    },
    /// Its database belongs to another cluster.
    #[error("database {database} belongs to cluster {found}, not to {expected}")]
    OtherCluster {
        /// Name of the database.
        database: String,
        /// The cluster that it belongs to; nil when it belongs to none.
        found: Uuid,
        /// The cluster that was asked for.
        expected: Uuid,
    },
    /// It has lost its cluster, or its relay source.
    #[error("the server is disconnected from the cluster or relay source of {database}")]
    Disconnected {
        /// Name of the database.
        database: String,
    },
    /// It is not the leader, and only that will do.
    #[error("the server is not the leader of {database}")]
    NotLeader {
        /// Name of the database.
        database: String,
    },
    /// It is behind what another server has shown already.
    #[error("the server is at index {index} of {database}, where index {seen} was seen before")]
    Stale {
        /// Name of the database.
        database: String,
        /// How far the server is.
        index: i64,
        /// How far another one was.
        seen: i64,
    },
}

/// What a fit server says of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    /// Text of the schema, to notice when it changes.
    pub(super) schema: Option<String>,
}

impl Demands {
    pub(super) fn new(database: &str, leader_only: bool, cluster_id: Option<Uuid>) -> Self {
        Self {
            database: database.to_owned(),
            leader_only,
            cluster_id,
            seen: None,
        }
    }

    /// Judges a server by its `_Server` database.
    pub(super) fn judge(&mut self, server: &Snapshot) -> Result<Served, Unfit> {
        let mut rows = server.find(TABLE, &["name"], &[self.database.as_str().into()]);
        let row = rows.next().map(|(_, row)| row);
        let row = row.ok_or_else(|| Unfit::NoDatabase {
            database: self.database.clone(),
        })?;
        self.judge_row(row)
    }

    fn judge_row(&mut self, row: &Row) -> Result<Served, Unfit> {
        let database = || self.database.clone();
        let clustered = row.str("model") == Some("clustered");
        let relay = row.str("model") == Some("relay");
        let cluster = row.uuid("cid");
        if let Some(expected) = self.cluster_id
            && cluster != Some(expected)
        {
            return Err(Unfit::OtherCluster {
                database: database(),
                found: cluster.unwrap_or_default(),
                expected,
            });
        }
        if (clustered || relay) && row.bool("connected") == Some(false) {
            return Err(Unfit::Disconnected {
                database: database(),
            });
        }
        if clustered && self.leader_only && row.bool("leader") == Some(false) {
            return Err(Unfit::NotLeader {
                database: database(),
            });
        }
        if let (true, Some(cluster), Some(index)) = (clustered, cluster, row.i64("index")) {
            match self.seen {
                Some((known, seen)) if known == cluster && index < seen => {
                    return Err(Unfit::Stale {
                        database: database(),
                        index,
                        seen,
                    });
                }
                _ => self.seen = Some((cluster, index)),
            }
        }
        Ok(Served {
            schema: row.str("schema").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clustered() -> Row {
        Row::new()
            .set("name", "A")
            .set("model", "clustered")
            .set("connected", true)
            .set("leader", true)
            .set("cid", Some(Uuid::from_u128(1)))
            .set("index", Some(7))
    }

    fn judge(demands: &mut Demands, row: &Row) -> Result<(), Unfit> {
        demands.judge_row(row).map(drop)
    }

    #[test]
    fn a_member_of_a_cluster_must_be_connected_and_leader() {
        let mut any = Demands::new("A", false, None);
        let mut leader = Demands::new("A", true, None);
        let lost = clustered().set("connected", false);
        let follower = clustered().set("leader", false);
        for demands in [&mut any, &mut leader] {
            assert_eq!(judge(demands, &clustered()), Ok(()));
            assert!(matches!(
                judge(demands, &lost),
                Err(Unfit::Disconnected { .. })
            ));
        }
        assert_eq!(judge(&mut any, &follower), Ok(()));
        assert!(matches!(
            judge(&mut leader, &follower),
            Err(Unfit::NotLeader { .. })
        ));
    }

    #[test]
    fn a_server_without_a_cluster_has_nothing_to_prove() {
        let row = Row::new()
            .set("name", "A")
            .set("model", "standalone")
            .set("connected", true)
            .set("leader", true);
        assert_eq!(judge(&mut Demands::new("A", true, None), &row), Ok(()));
        let pinned = &mut Demands::new("A", true, Some(Uuid::from_u128(1)));
        assert!(matches!(
            judge(pinned, &row),
            Err(Unfit::OtherCluster { .. })
        ));
    }

    #[test]
    fn a_server_that_is_behind_is_refused() {
        let mut demands = Demands::new("A", true, None);
        let behind = clustered().set("index", Some(6));
        assert_eq!(judge(&mut demands, &clustered()), Ok(()));
        assert_eq!(
            judge(&mut demands, &behind),
            Err(Unfit::Stale {
                database: "A".to_owned(),
                index: 6,
                seen: 7
            })
        );
        assert_eq!(
            judge(&mut demands, &clustered().set("index", Some(9))),
            Ok(())
        );
        assert!(judge(&mut demands, &clustered()).is_err());
        let other = behind.set("cid", Some(Uuid::from_u128(2)));
        assert_eq!(
            judge(&mut demands, &other),
            Ok(()),
            "another cluster counts anew"
        );
    }
}
