//! JSON-RPC 1.0 as ovsdb-server speaks it (lib/jsonrpc.c).

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// What a client sends.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Request {
        method: String,
        params: Vec<Value>,
        id: Value,
    },
    Notification {
        method: String,
        params: Vec<Value>,
    },
}

/// Everything else: a member that JSON-RPC 1.0 does not know, no parameters, a reply to a request
/// that was never made. The server hangs up on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unacceptable;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    method: String,
    params: Vec<Value>,
    #[serde(default)]
    id: Value,
    /// A request may carry the members of a reply as long as they are null.
    #[serde(default, rename = "result", deserialize_with = "null")]
    _result: (),
    #[serde(default, rename = "error", deserialize_with = "null")]
    _error: (),
}

fn null<'de, D: Deserializer<'de>>(json: D) -> Result<(), D::Error> {
    <()>::deserialize(json)
}

impl Message {
    pub(super) fn parse(frame: &[u8]) -> Result<Self, Unacceptable> {
        let Envelope {
            method, params, id, ..
        } = serde_json::from_slice(frame).map_err(|_| Unacceptable)?;
        Ok(match id {
            Value::Null => Self::Notification { method, params },
            id => Self::Request { method, params, id },
        })
    }
}

/// The reply to a request. One with an error has no `result`, as that of the server.
pub(super) fn reply(id: &Value, result: Result<Value, Value>) -> String {
    match result {
        Ok(result) => json!({"id": id, "result": result, "error": null}),
        Err(error) => json!({"id": id, "error": error}),
    }
    .to_string()
}

pub(super) fn notification(method: &str, params: Value) -> String {
    json!({"id": null, "method": method, "params": params}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let parse = |json: &str| Message::parse(json.as_bytes());
        assert_eq!(
            parse(r#"{"method":"m","params":[1],"id":"x"}"#),
            Ok(Message::Request {
                method: "m".into(),
                params: vec![json!(1)],
                id: json!("x")
            })
        );
        let notification = Ok(Message::Notification {
            method: "m".into(),
            params: Vec::new(),
        });
        assert_eq!(
            parse(r#"{"method":"m","params":[],"id":null}"#),
            notification
        );
        assert_eq!(
            parse(r#"{"method":"m","params":[],"result":null}"#),
            notification
        );
        for json in [
            r#"{"method":"m","params":[],"id":1,"jsonrpc":"2.0"}"#,
            r#"{"method":"m","id":1}"#,
            r#"{"method":"m","params":{},"id":1}"#,
            r#"{"params":[],"id":1}"#,
            r#"{"id":1,"result":{},"error":null}"#,
            r#"{"method":"m","params":[],"error":"e"}"#,
            "{",
        ] {
            assert_eq!(parse(json), Err(Unacceptable), "{json}");
        }
    }
}
