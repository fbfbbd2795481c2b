//! Requests and replies: JSON-RPC 1.0 with text parameters, as in Open vSwitch's `lib/unixctl.c`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::MalformedMessage;

/// Writes a request.
pub(super) fn request(command: &str, args: &[&str], id: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Request<'a> {
        method: &'a str,
        params: &'a [&'a str],
        id: u64,
    }

    let request = Request {
        method: command,
        params: args,
        id,
    };
    serde_json::to_vec(&request).expect("strings and a number can be written as JSON")
}

/// A reply.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    /// The id of the request.
    pub(super) id: u64,
    /// The result, or the error text.
    pub(super) outcome: Result<Value, String>,
}

impl Reply {
    /// Reads one message of a daemon, which sends nothing but replies.
    pub(super) fn parse(frame: &[u8]) -> Result<Self, MalformedMessage> {
        #[derive(Deserialize)]
        struct Envelope {
            id: Option<u64>,
            result: Option<Value>,
            error: Option<Value>,
        }

        let envelope: Envelope = serde_json::from_str(std::str::from_utf8(frame)?)?;
        let id = envelope.id.ok_or(MalformedMessage::Kind)?;
        let outcome = match (envelope.result, envelope.error) {
            (_, Some(Value::String(message))) => Err(message),
            (_, Some(error)) => Err(error.to_string()),
            (Some(result), None) => Ok(result),
            (None, None) => return Err(MalformedMessage::Kind),
        };
        Ok(Self { id, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_ovs_appctl_does() {
        assert_eq!(
            request("fdb/show", &["br \"0\""], 7),
            br#"{"method":"fdb/show","params":["br \"0\""],"id":7}"#
        );
    }

    #[test]
    fn replies_are_read_in_every_form_that_daemons_send() {
        let cases = [
            (
                r#"{"id":1,"result":"text\n","error":null}"#,
                Ok(Value::from("text\n")),
            ),
            (
                r#"{"id":1,"result":{"a":[1]},"error":null}"#,
                Ok(serde_json::json!({"a": [1]})),
            ),
            (r#"{"id":1,"error":"no\n"}"#, Err("no\n".to_owned())),
            (
                r#"{"id":1,"error":{"a":1},"result":null}"#,
                Err(r#"{"a":1}"#.to_owned()),
            ),
        ];
        for (message, outcome) in cases {
            let reply = Reply::parse(message.as_bytes()).unwrap();
            assert_eq!(reply, Reply { id: 1, outcome });
        }
    }

    #[test]
    fn everything_else_is_malformed() {
        let cases: [&[u8]; 9] = [
            b"{}",
            b"{]",
            br#"{"id":1}"#,
            br#"{"id":"1","result":""}"#,
            br#"{"id":-1,"result":""}"#,
            br#"{"id":null,"result":""}"#,
            br#"{"id":1,"id":1,"result":""}"#,
            br#"{"id":null,"method":"echo","params":[]}"#,
            b"{\"id\":1,\"result\":\"\xff\"}",
        ];
        for message in cases {
            let text = String::from_utf8_lossy(message);
            assert!(Reply::parse(message).is_err(), "{text}");
        }
    }
}
