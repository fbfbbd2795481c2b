//! How a monitor comes to be provided by a connection.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::table::MonitorRequests;
use super::{Inner, Link, Monitor, MonitorError, MonitorTable};
use crate::client::Client;
use crate::error::CallError;
use crate::replica::Protocol;
use crate::schema::Schema;
use crate::transport::{Feed, Route};

impl Monitor {
    /// Asks a server for the rows, or for what changed in them since the last session.
    pub(crate) async fn start(
        &self,
        client: &Client,
        schema: &Schema,
        session: u64,
    ) -> Result<(), MonitorError> {
        let Inner { replica, .. } = &*self.0;
        let (asked, revision) = {
            let wanted = self.wanted();
            (wanted.tables.clone(), wanted.revision)
        };
        let (requests, layouts) = MonitorRequests::plan(schema, &asked)?;
        if revision != *self.0.acknowledged.borrow() {
            // Rows that meet the new conditions, and have not changed since, would not be sent.
            replica.forget_transaction();
        }
        let route = client.wire().routes.open_monitor(Feed {
            replica: replica.clone(),
            session,
        });
        let since = replica.begin(session, layouts);
        let (protocol, contents) = self.request(client, route.id(), &requests, since).await?;
        let resumed = replica.load(session, protocol, &contents)?;
        let revision = self.link(client, route, (asked, revision)).await?;
        let mut wanted = self.wanted();
        wanted.statistics.sessions += 1;
        wanted.statistics.resumed += u64::from(resumed);
        drop(wanted);
        self.acknowledge(revision);
        Ok(())
    }

    /// Makes the link by which changes of the conditions go from now on. Those that were made since
    /// the server was `asked` had none, and are told first. Returns their revision.
    async fn link(
        &self,
        client: &Client,
        route: Route,
        asked: (Vec<MonitorTable>, u64),
    ) -> Result<u64, CallError> {
        let (mut asked, mut revision) = asked;
        loop {
            let tables = {
                let mut wanted = self.wanted();
                if wanted.revision == revision {
                    let client = client.clone();
                    wanted.link = Some(Link { client, route });
                    return Ok(revision);
                }
                revision = wanted.revision;
                wanted.tables.clone()
            };
            for (now, before) in tables.iter().zip(&asked) {
                if now != before {
                    let change = MonitorRequests::change(now.name(), now.conditions());
                    Self::tell(client, route.id(), change).await?;
                }
            }
            asked = tables;
        }
    }

    pub(super) async fn tell(
        client: &Client,
        id: &str,
        change: impl serde::Serialize,
    ) -> Result<(), CallError> {
        let params = (id, id, change);
        client
            .call::<IgnoredAny>("monitor_cond_change", &params)
            .await
            .map(drop)
    }

    /// Asks with the newest method that the server knows.
    async fn request(
        &self,
        client: &Client,
        id: &str,
        requests: &MonitorRequests,
        since: Uuid,
    ) -> Result<(Protocol, Box<RawValue>), MonitorError> {
        let database = &self.0.database;
        let mut protocol = Protocol::MonitorCondSince;
        loop {
            let method = protocol.request();
            let result = match protocol {
                Protocol::MonitorCondSince => {
                    let params = (database, id, requests, since);
                    client.call_raw(method, &params).await
                }
                Protocol::Monitor | Protocol::MonitorCond => {
                    let params = (database, id, requests);
                    client.call_raw(method, &params).await
                }
            };
            match result {
                Ok(contents) => return Ok((protocol, contents)),
                Err(CallError::Rpc { source, method }) if source.error == "unknown method" => {
                    protocol = match protocol.older() {
                        Some(Protocol::Monitor) if requests.have_conditions() => {
                            return Err(MonitorError::ConditionsUnsupported);
                        }
                        Some(older) => older,
                        None => return Err(CallError::Rpc { source, method }.into()),
                    };
                }
                Err(source) => return Err(source.into()),
            }
        }
    }
}
