//! The laws of the envelope; see [`crate::fuzzing`].

use serde_json::{Value, json};

use super::message::{Id, Incoming, for_jsonrpsee, outgoing};
use crate::error::RpcError;

/// Whatever object is rewritten keeps its method, parameters, id, result and error, and has exactly the
/// members that its reader wants.
pub fn envelope(data: &[u8]) {
    if data.first() != Some(&b'{') {
        // The framer lets nothing but objects through.
        return;
    }
    incoming(data);
    if let Ok(text) = std::str::from_utf8(data) {
        request(text);
    }
}

fn incoming(frame: &[u8]) {
    let Ok(incoming) = Incoming::parse(frame) else {
        return;
    };
    // `Value` refuses what is nested deeply and numbers beyond a double; the parser leaves both
    // alone, and to the reader of the value.
    let Ok(given) = serde_json::from_slice::<Value>(frame) else {
        return;
    };
    match incoming {
        Incoming::Reply {
            id: Id::Call(id),
            reply,
        } => {
            let reply = for_jsonrpsee(id, reply).expect("any JSON is an error of some kind");
            let reply: Value = serde_json::from_str(&reply).expect("a reply is JSON");
            let mut wanted = json!({"jsonrpc": "2.0", "id": given["id"]});
            if given["error"].is_null() {
                wanted["result"] = given["result"].clone();
            } else {
                let error = serde_json::from_value::<RpcError>(given["error"].clone());
                let message = error.expect("any JSON is an error of some kind").error;
                wanted["error"] =
                    json!({"code": -32000, "message": message, "data": given["error"]});
            }
            assert_eq!(reply, wanted);
        }
        Incoming::Reply { id, .. } => {
            assert_eq!(serde_json::to_value(id).ok(), Some(given["id"].clone()));
        }
        Incoming::Request { answer } => {
            let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
            let wanted = match given["method"].as_str() {
                Some("echo") => {
                    json!({"id": given["id"], "result": given["params"], "error": null})
                }
                _ => json!({"id": given["id"], "result": null, "error": "unknown method"}),
            };
            assert_eq!(answer, wanted);
        }
        Incoming::Notification { method, params } => {
            assert_eq!(Some(&*method), given["method"].as_str());
            let params: Value = serde_json::from_str(params.get()).expect("parameters are JSON");
            assert_eq!(params, given["params"]);
            assert_eq!(given["id"], Value::Null);
        }
    }
}

fn request(message: &str) {
    let (Some(written), Ok(given)) = (outgoing(message), serde_json::from_str::<Value>(message))
    else {
        return;
    };
    let text: Value = serde_json::from_str(&written.text).expect("a request is JSON");
    let tagged = given["method"].as_str().expect("a request has a method");
    let method = tagged.rsplit_once('#').map(|(method, _)| method);
    assert_eq!(given["id"], written.id);
    assert_eq!(
        text,
        json!({"method": method, "params": given["params"], "id": written.id})
    );
}
