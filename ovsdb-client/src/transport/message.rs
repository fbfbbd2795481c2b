//! The two dialects of JSON-RPC, and the way from one to the other.
//!
//! | | `jsonrpsee` (2.0) | OVSDB (1.0) |
//! |---|---|---|
//! | `jsonrpc` member | required | refused, connection closed |
//! | `params` | left out when empty | required, an array |
//! | `id` of a notification | left out | null |
//! | `error` of a success | forbidden | null |
//! | an error | `{code, message, data}` | a string, or `{error, details, syntax}` |

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::error::{MalformedMessage, RpcError};

/// The code under which OVSDB errors travel through `jsonrpsee`; it has no meaning to OVSDB.
const SERVER_ERROR: i32 = -32000;

/// Rewrites a request or notification for the server.
pub(super) fn outgoing(message: &str) -> Result<String, serde_json::Error> {
    #[derive(Deserialize)]
    struct Given<'a> {
        #[serde(borrow)]
        method: Cow<'a, str>,
        #[serde(borrow)]
        params: Option<&'a RawValue>,
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }

    #[derive(Serialize)]
    struct Wanted<'a> {
        method: &'a str,
        params: &'a RawValue,
        id: Option<&'a RawValue>,
    }

    let Given { method, params, id } = serde_json::from_str(message)?;
    let none: &RawValue = serde_json::from_str("[]")?;
    serde_json::to_string(&Wanted {
        method: &method,
        params: params.unwrap_or(none),
        id,
    })
}

/// A message from the server, sorted by kind.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A reply, rewritten for `jsonrpsee`.
    Reply(String),
    /// A request, and what is to be answered.
    Request { answer: String },
    /// A notification.
    Notification {
        method: String,
        params: Box<RawValue>,
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

impl Incoming {
    /// Sorts one message.
    pub(super) fn parse(frame: &[u8]) -> Result<Self, MalformedMessage> {
        let envelope: Envelope<'_> = serde_json::from_str(std::str::from_utf8(frame)?)?;
        match envelope {
            Envelope {
                method: Some(method),
                params: Some(params),
                id: None,
                ..
            } => Ok(Self::Notification {
                method: method.into_owned(),
                params: params.to_owned(),
            }),
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
            } => Ok(Self::Reply(failure(id, error)?)),
            Envelope {
                method: None,
                id: Some(id),
                result: Some(result),
                ..
            } => Ok(Self::Reply(success(id, result)?)),
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

/// An id of a kind that `jsonrpsee` can read; another one would end its task without a word.
fn reply_id(id: &RawValue) -> Result<&RawValue, MalformedMessage> {
    let text = id.get();
    if text.starts_with('"') || text.parse::<u64>().is_ok() {
        Ok(id)
    } else {
        Err(MalformedMessage::Kind)
    }
}

fn success(id: &RawValue, result: &RawValue) -> Result<String, MalformedMessage> {
    #[derive(Serialize)]
    struct Success<'a> {
        jsonrpc: &'static str,
        id: &'a RawValue,
        result: &'a RawValue,
    }

    let id = reply_id(id)?;
    Ok(serde_json::to_string(&Success {
        jsonrpc: "2.0",
        id,
        result,
    })?)
}

fn failure(id: &RawValue, error: &RawValue) -> Result<String, MalformedMessage> {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        id: &'a RawValue,
        error: ErrorObject<'a>,
    }

    #[derive(Serialize)]
    struct ErrorObject<'a> {
        code: i32,
        message: String,
        /// The error as the server sent it; the caller reads it from here.
        data: &'a RawValue,
    }

    let id = reply_id(id)?;
    let message = serde_json::from_str::<RpcError>(error.get())?.error;
    let error = ErrorObject {
        code: SERVER_ERROR,
        message,
        data: error,
    };
    Ok(serde_json::to_string(&Failure {
        jsonrpc: "2.0",
        id,
        error,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_lose_and_gain_the_members_that_ovsdb_wants() {
        let cases = [
            (
                r#"{"jsonrpc":"2.0","id":3,"method":"list_dbs"}"#,
                r#"{"method":"list_dbs","params":[],"id":3}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":4,"method":"echo","params":["a b", {"c":1}]}"#,
                r#"{"method":"echo","params":["a b", {"c":1}],"id":4}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"cancel","params":[4]}"#,
                r#"{"method":"cancel","params":[4],"id":null}"#,
            ),
        ];
        for (given, wanted) in cases {
            assert_eq!(outgoing(given).unwrap(), wanted);
        }
    }

    #[test]
    fn replies_are_rewritten() {
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
                r#"{"id":"x","error":{"error":"e","details":"d"}}"#,
                r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32000,"message":"e","data":{"error":"e","details":"d"}}}"#,
            ),
        ];
        for (given, wanted) in cases {
            match Incoming::parse(given.as_bytes()).unwrap() {
                Incoming::Reply(reply) => assert_eq!(reply, wanted),
                other => panic!("{given} is {other:?}"),
            }
        }
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
    fn everything_else_is_malformed() {
        let cases: [&[u8]; 10] = [
            br#"{"id":18446744073709551616,"result":1}"#,
            br#"{"id":0.5,"result":1}"#,
            b"{}",
            b"{]",
            br#"{"id":1}"#,
            br#"{"id":[1],"result":1}"#,
            br#"{"id":null,"result":1,"error":null}"#,
            br#"{"method":"update3"}"#,
            br#"{"method":7,"params":[]}"#,
            b"{\"method\":\"\xff\"}",
        ];
        for given in cases {
            assert!(
                Incoming::parse(given).is_err(),
                "{}",
                String::from_utf8_lossy(given)
            );
        }
    }
}
