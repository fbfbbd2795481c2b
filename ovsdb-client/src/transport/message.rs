//! Messages, and the two dialects of JSON-RPC that they are written in.
//!
//! | | `jsonrpsee` (2.0) | OVSDB (1.0) |
//! |---|---|---|
//! | `jsonrpc` member | required | refused, connection closed |
//! | `params` | left out when empty | required, an array |
//! | `id` of a notification | left out | null |
//! | `error` of a success | forbidden | null |
//! | an error | `{code, message, data}` | a string, or `{error, details, syntax}` |

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{MalformedMessage, RpcError};

/// The code under which OVSDB errors travel through `jsonrpsee`; it has no meaning to OVSDB.
const SERVER_ERROR: i32 = -32000;

/// Between a method and our number of a request on its way through `jsonrpsee`, which does not tell
/// its callers the ids that it chooses.
const TAG: char = '#';

/// The id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// A request that somebody waits for.
    Call(u64),
    /// A request that the connection makes for itself.
    Service(Service),
    /// A notification, which has no reply.
    None,
}

/// What a connection asks for by itself. Nobody waits for the replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    /// The first request of the connection.
    Greeting,
    /// A sign of life is wanted.
    Probe,
    /// A monitor or a lock was dropped.
    Farewell,
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Call(id) => id.serialize(serializer),
            Self::Service(service) => service.serialize(serializer),
            Self::None => serializer.serialize_none(),
        }
    }
}

impl Id {
    /// Reads the id of a reply; none if it is not one that this client gives.
    fn of_reply(id: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Known {
            Call(u64),
            Service(Service),
        }

        Some(match serde_json::from_str(id.get()).ok()? {
            Known::Call(id) => Self::Call(id),
            Known::Service(service) => Self::Service(service),
        })
    }
}

/// Writes a request or a notification for the server. `params` must be a JSON array.
pub(crate) fn request(id: Id, method: &str, params: &RawValue) -> String {
    #[derive(Serialize)]
    struct Request<'a> {
        method: &'a str,
        params: &'a RawValue,
        id: Id,
    }

    let request = Request { method, params, id };
    serde_json::to_string(&request).expect("names, numbers and JSON have a JSON form")
}

/// The method under which a request goes through `jsonrpsee`.
pub(crate) fn tagged(method: &str, tag: u64) -> String {
    format!("{method}{TAG}{tag}")
}

/// A request of `jsonrpsee`, rewritten for the server.
#[derive(Debug, PartialEq)]
pub(super) struct Outgoing {
    pub(super) text: String,
    /// Our number of it.
    pub(super) tag: u64,
    /// The id that `jsonrpsee` chose.
    pub(super) id: u64,
}

/// Rewrites a request for the server; none if it is not one of ours.
pub(super) fn outgoing(message: &str) -> Option<Outgoing> {
    #[derive(Deserialize)]
    struct Given<'a> {
        #[serde(borrow)]
        method: Cow<'a, str>,
        #[serde(borrow)]
        params: &'a RawValue,
        id: u64,
    }

    let Given { method, params, id } = serde_json::from_str(message).ok()?;
    let (method, tag) = method.rsplit_once(TAG)?;
    Some(Outgoing {
        text: request(Id::Call(id), method, params),
        tag: tag.parse().ok()?,
        id,
    })
}

/// A message from the server, sorted by kind.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// A reply: a result or an error.
    Reply {
        id: Id,
        reply: Result<&'a RawValue, &'a RawValue>,
    },
    /// A request, and what is to be answered.
    Request { answer: String },
    /// A notification.
    Notification {
        method: Cow<'a, str>,
        params: &'a RawValue,
    },
}

/// The members of any message. The values stay unparsed: a dump of megabytes is looked into only
/// by whoever knows its type.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Keeps a null apart from an absent member.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(json: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

impl<'a> Incoming<'a> {
    /// Sorts one message.
    pub(super) fn parse(frame: &'a [u8]) -> Result<Self, MalformedMessage> {
        let envelope: Envelope<'_> = serde_json::from_str(std::str::from_utf8(frame)?)?;
        let reply = |id, reply| match Id::of_reply(id) {
            Some(id) => Ok(Self::Reply { id, reply }),
            None => Err(MalformedMessage::Kind),
        };
        match envelope {
            Envelope {
                method: Some(method),
                params: Some(params),
                id: None,
                ..
            } => Ok(Self::Notification { method, params }),
            Envelope {
                method: Some(method),
                params: Some(params),
                id: Some(id),
                ..
            } => Ok(Self::Request {
                answer: answer(&method, params, id)?,
            }),
            Envelope {
                method: None,
                id: Some(id),
                error: Some(error),
                ..
            } => reply(id, Err(error)),
            Envelope {
                method: None,
                id: Some(id),
                result: Some(result),
                ..
            } => reply(id, Ok(result)),
            _ => Err(MalformedMessage::Kind),
        }
    }
}

/// The reply to a request of the server: a probe gets its parameters back (RFC 7047 §4.1.11).
fn answer(method: &str, params: &RawValue, id: &RawValue) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Answer<'a> {
        result: Option<&'a RawValue>,
        error: Option<&'a str>,
        id: &'a RawValue,
    }

    let (result, error) = match method {
        "echo" => (Some(params), None),
        _ => (None, Some("unknown method")),
    };
    serde_json::to_string(&Answer { result, error, id })
}

/// Writes a reply for `jsonrpsee`.
pub(super) fn for_jsonrpsee(
    id: u64,
    reply: Result<&RawValue, &RawValue>,
) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Reply<'a> {
        jsonrpc: &'static str,
        id: u64,
        #[serde(flatten)]
        outcome: Outcome<'a>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Outcome<'a> {
        Result(&'a RawValue),
        Error {
            code: i32,
            message: String,
            /// The error as the server sent it; the caller reads it from here.
            data: &'a RawValue,
        },
    }

    let outcome = match reply {
        Ok(result) => Outcome::Result(result),
        Err(error) => Outcome::Error {
            code: SERVER_ERROR,
            message: serde_json::from_str::<RpcError>(error.get())?.error,
            data: error,
        },
    };
    serde_json::to_string(&Reply {
        jsonrpc: "2.0",
        id,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn requests_have_the_members_that_ovsdb_wants() {
        let cases = [
            (
                Id::Call(3),
                r#"{"method":"m","params":["a b", {"c":1}],"id":3}"#,
            ),
            (
                Id::Service(Service::Probe),
                r#"{"method":"m","params":["a b", {"c":1}],"id":"probe"}"#,
            ),
            (
                Id::None,
                r#"{"method":"m","params":["a b", {"c":1}],"id":null}"#,
            ),
        ];
        for (id, wanted) in cases {
            assert_eq!(request(id, "m", raw(r#"["a b", {"c":1}]"#)), wanted);
        }
    }

    #[test]
    fn requests_of_jsonrpsee_are_rewritten() {
        let given = r#"{"jsonrpc":"2.0","id":4,"method":"echo#17","params":["a b"]}"#;
        let wanted = Outgoing {
            text: r#"{"method":"echo","params":["a b"],"id":4}"#.to_owned(),
            tag: 17,
            id: 4,
        };
        assert_eq!(outgoing(given), Some(wanted));
        assert_eq!(
            outgoing(r#"{"jsonrpc":"2.0","method":"a","params":[]}"#),
            None
        );
    }

    #[test]
    fn replies_are_sorted_by_id_and_rewritten() {
        let cases = [
            (
                r#"{"id":1,"result":{"a":null},"error":null}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{"a":null}}"#,
            ),
            (
                r#"{"id":1,"result":null,"error":null}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            ),
            (
                r#"{"id":1,"error":"canceled","result":null}"#,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"canceled","data":"canceled"}}"#,
            ),
            (
                r#"{"id":1,"error":{"error":"e","details":"d"}}"#,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"e","data":{"error":"e","details":"d"}}}"#,
            ),
        ];
        for (given, wanted) in cases {
            match Incoming::parse(given.as_bytes()).unwrap() {
                Incoming::Reply {
                    id: Id::Call(id),
                    reply,
                } => assert_eq!(for_jsonrpsee(id, reply).unwrap(), wanted),
                other => panic!("{given} is {other:?}"),
            }
        }
        let probe = r#"{"id":"probe","result":[],"error":null}"#;
        assert!(matches!(
            Incoming::parse(probe.as_bytes()),
            Ok(Incoming::Reply {
                id: Id::Service(Service::Probe),
                ..
            })
        ));
    }

    #[test]
    fn probes_are_answered_and_other_requests_refused() {
        let cases = [
            (
                r#"{"id":"echo","method":"echo","params":[1]}"#,
                r#"{"result":[1],"error":null,"id":"echo"}"#,
            ),
            (
                r#"{"id":9,"method":"reboot","params":[]}"#,
                r#"{"result":null,"error":"unknown method","id":9}"#,
            ),
        ];
        for (given, wanted) in cases {
            match Incoming::parse(given.as_bytes()).unwrap() {
                Incoming::Request { answer } => assert_eq!(answer, wanted),
                other => panic!("{given} is {other:?}"),
            }
        }
    }

    #[test]
    fn notifications_are_told_by_their_null_or_absent_id() {
        for given in [
            r#"{"id":null,"method":"update3","params":[]}"#,
            r#"{"method":"update3","params":[]}"#,
        ] {
            assert!(matches!(
                Incoming::parse(given.as_bytes()).unwrap(),
                Incoming::Notification { method, .. } if method == "update3"
            ));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases: [&[u8]; 11] = [
            br#"{"id":18446744073709551616,"result":1}"#,
            br#"{"id":0.5,"result":1}"#,
            b"{}",
            br#"{"id":1}"#,
            br#"{"method":"update3","id":null}"#,
            br#"{"id":[1],"result":[],"error":null}"#,
            br#"{"id":-1,"result":[],"error":null}"#,
            br#"{"id":"unknown","result":[],"error":null}"#,
            br#"{"id":null,"result":[],"error":null}"#,
            br#"{"method":7,"params":[]}"#,
            b"{\"method\":\"\xff\",\"params\":[]}",
        ];
        for frame in cases {
            assert!(
                Incoming::parse(frame).is_err(),
                "{}",
                String::from_utf8_lossy(frame)
            );
        }
    }
}
