//! Records of clustered logs as they are spelled: ovsdb(5), "Clustered Format".

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::ServerAddress;

/// The servers of a cluster by their ids.
pub(super) type Servers = BTreeMap<Uuid, ServerAddress>;

/// The first record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header<'a> {
    pub(super) server_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cluster_id: Option<Uuid>,
    pub(super) local_address: ServerAddress,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remote_addresses: Option<Vec<ServerAddress>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prev_servers: Option<Servers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prev_index: Option<Unsigned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prev_term: Option<Unsigned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prev_eid: Option<Uuid>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) prev_data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prev_election_timer: Option<Unsigned>,
}

/// Any later record. Which members there are tells the kind, in the order of
/// `raft_record_from_json__` of `ovsdb/raft-private.c`.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(default)]
    pub(super) note: Option<String>,
    #[serde(default)]
    pub(super) commit_index: Option<Unsigned>,
    #[serde(default)]
    pub(super) term: Option<Unsigned>,
    #[serde(default)]
    pub(super) leader: Option<Uuid>,
    #[serde(default)]
    pub(super) vote: Option<Uuid>,
    #[serde(default)]
    pub(super) index: Option<Unsigned>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) eid: Option<Uuid>,
    #[serde(default)]
    pub(super) servers: Option<Servers>,
    #[serde(default)]
    pub(super) election_timer: Option<Unsigned>,
}

/// An unsigned number of 64 bits. Servers have signed ones in their JSON and write those from
/// 2^63 on as negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsigned(pub(super) u64);

impl Serialize for Unsigned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.cast_signed().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Unsigned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(|signed| Self(signed.cast_unsigned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_written_as_negative() {
        for (number, json) in [
            (1, "1"),
            (u64::MAX, "-1"),
            (1 << 63, "-9223372036854775808"),
        ] {
            assert_eq!(serde_json::to_string(&Unsigned(number)).unwrap(), json);
            assert_eq!(
                serde_json::from_str::<Unsigned>(json).unwrap(),
                Unsigned(number)
            );
        }
    }
}
