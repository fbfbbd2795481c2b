//! What a server may send, be it broken or hostile: a typed error comes of it, never a panic, a hang
//! or a stale view.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::error::Error;
use std::time::Duration;

use ovsdb_client::{
    Client, Disconnect, Monitor, MonitorEnded, MonitorTable, RpcLayer, Schema, Snapshot,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

/// No test waits longer for anything that should happen; a message of 100 MB is among it.
const SOON: Duration = Duration::from_secs(60);

const LIMIT: usize = 120 << 20;

const LAYERS: [RpcLayer; 2] = [RpcLayer::Jsonrpsee, RpcLayer::Direct];

fn connect(layer: RpcLayer) -> (Client, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let client = Client::builder().message_limit(LIMIT).deadline(SOON);
    (client.rpc_layer(layer).from_stream(ours), theirs)
}

/// Waits for the first call, whose id is 0, and writes `reply` as it is.
async fn answer(stream: &mut DuplexStream, reply: &[u8]) {
    let mut requests = Vec::new();
    let exchange = async {
        while !requests.ends_with(br#""id":0}"#) {
            assert_ne!(stream.read_buf(&mut requests).await.unwrap(), 0);
        }
        // The client may hang up before it has read everything.
        let _ = stream.write_all(reply).await;
    };
    timeout(SOON, exchange).await.expect("the client reads");
}

/// An error and all its sources, as a program would print them.
fn chain(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    let messages: Vec<_> = sources.map(ToString::to_string).collect();
    messages.join(" / ")
}

fn reply(id: &str, result: &str) -> Vec<u8> {
    format!(r#"{{"id":{id},"result":{result},"error":null}}"#).into_bytes()
}

fn nested(levels: usize) -> String {
    ["[", "]"].map(|bracket| bracket.repeat(levels)).concat()
}

/// A reply to `list_dbs` of this many bytes, and a few.
fn large(bytes: usize) -> Vec<u8> {
    reply("0", &format!("[\"{}\"]", "x".repeat(bytes)))
}

#[tokio::test]
async fn no_reply_goes_without_a_result_or_an_error() {
    let malformed = "bytes that are not a JSON-RPC message";
    let shape = "list_dbs: the reply has an unexpected shape";
    let cases: [(&str, Vec<u8>, &str); 17] = [
        ("deep result", reply("0", &nested(100_000)), shape),
        ("deep id", reply(&nested(100_000), "[]"), malformed),
        (
            "deep error",
            format!(r#"{{"id":0,"error":{}}}"#, nested(100_000)).into(),
            malformed,
        ),
        (
            "deep params",
            format!(
                r#"{{"id":null,"method":"update3","params":{}}}"#,
                nested(100_000)
            )
            .into(),
            "the server closed the connection",
        ),
        (
            "endless depth",
            br#"{"id":0,"result":"#.iter().copied().chain([b'['; 100_000]).collect(),
            "100017 bytes into a message",
        ),
        ("stray brackets", b"{]]]]]]}".to_vec(), malformed),
        (
            "two ids",
            br#"{"id":0,"id":0,"result":[]}"#.to_vec(),
            malformed,
        ),
        (
            "two results",
            br#"{"id":0,"result":[],"result":[]}"#.to_vec(),
            malformed,
        ),
        (
            "id beyond 64 bits",
            reply("18446744073709551616", "[]"),
            malformed,
        ),
        ("id beyond a double", reply("1e400", "[]"), malformed),
        ("id with a fraction", reply("0.5", "[]"), malformed),
        ("negative id", reply("-1", "[]"), malformed),
        ("number beyond a double", reply("0", "[1e400]"), shape),
        (
            "number of 100,000 digits",
            reply("0", &format!("[{}]", "9".repeat(100_000))),
            shape,
        ),
        ("zero byte between messages", b"\0".to_vec(), "byte 0x00"),
        ("zero byte in a string", reply("0", "[\"a\0b\"]"), malformed),
        (
            "too large",
            large(LIMIT),
            "larger than the limit of 125829120 bytes",
        ),
    ];
    let cases = cases
        .iter()
        .flat_map(|case| LAYERS.map(|layer| (layer, case)));
    for (layer, (case, reply, expected)) in cases {
        let (client, mut stream) = connect(layer);
        let script = async {
            answer(&mut stream, reply).await;
            drop(stream);
        };
        let (result, ()) = tokio::join!(timeout(SOON, client.list_dbs()), script);
        let error = match result {
            Err(_) => panic!("{case}: the call hangs"),
            Ok(result) => chain(&result.expect_err(case)),
        };
        assert!(error.contains(expected), "{case}: {error}");
    }
}

#[tokio::test]
async fn what_is_odd_but_right_is_taken() {
    let cases = [
        (
            "escaped zero byte",
            reply("0", r#"["a\u0000b"]"#),
            "a\0b".to_owned(),
        ),
        ("100 MB", large(100 << 20), "x".repeat(100 << 20)),
        (
            "escaped names",
            br#"{"\u0069d":0,"r\u0065sult":["a"]}"#.to_vec(),
            "a".to_owned(),
        ),
        (
            "unknown member",
            br#"{"id":0,"result":["a"],"omen":13}"#.to_vec(),
            "a".to_owned(),
        ),
    ];
    let cases = cases
        .iter()
        .flat_map(|case| LAYERS.map(|layer| (layer, case)));
    for (layer, (case, reply, name)) in cases {
        let (client, mut stream) = connect(layer);
        let script = answer(&mut stream, reply);
        let (result, ()) = tokio::join!(timeout(SOON, client.list_dbs()), script);
        assert!(
            result.expect(case).expect(case) == [name.as_str()],
            "{case}"
        );
    }
}

#[tokio::test]
async fn a_second_reply_to_one_request_ends_the_connection() {
    for layer in LAYERS {
        let (client, mut stream) = connect(layer);
        let twice = [reply("0", "[]"), reply("0", "[]")].concat();
        let (result, ()) = tokio::join!(client.list_dbs(), answer(&mut stream, &twice));
        assert_eq!(result.unwrap(), [""; 0]);
        let ended = timeout(SOON, client.closed()).await.unwrap();
        assert!(
            matches!(ended, Disconnect::UnexpectedReply { id: 0 }),
            "{ended:?}"
        );
        let error = timeout(SOON, client.list_dbs()).await.unwrap().unwrap_err();
        assert!(chain(&error).contains("unexpected reply"), "{error:?}");
    }
}

/// The start of a monitor of table T, to whose request the server writes `messages`; the connection
/// stays open.
async fn monitor(messages: &str) -> (DuplexStream, Result<Monitor, String>) {
    let schema =
        r#"{"name":"A","version":"1.0.0","tables":{"T":{"columns":{"n":{"type":"integer"}}}}}"#;
    let schema = Schema::parse(schema).unwrap();
    let (client, mut stream) = connect(RpcLayer::Jsonrpsee);
    let tables = [MonitorTable::new("T")];
    let start = timeout(SOON, client.monitor_as(&schema, &tables));
    let (monitor, ()) = tokio::join!(start, answer(&mut stream, messages.as_bytes()));
    let monitor = monitor.expect("the start of a monitor does not hang");
    (stream, monitor.map_err(|error| chain(&error)))
}

const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// The reply to the request of a monitor: one row, n is 1.
fn initial() -> String {
    format!(
        r#"{{"id":0,"error":null,"result":[false,"{ZERO}",{{"T":{{"{ZERO}":{{"initial":{{"n":1}}}}}}}}]}}"#
    )
}

fn update(monitor: &str, n: &str) -> String {
    format!(
        r#"{{"id":null,"method":"update3","params":[{monitor},"{ZERO}",{{"T":{{"{ZERO}":{{"modify":{{"n":{n}}}}}}}}}]}}"#
    )
}

#[tokio::test]
async fn an_update_before_the_reply_of_its_monitor_makes_no_false_view() {
    // The reply is read by the caller, who may come to it after updates that followed it: this one
    // cannot be told from these, and belongs on top of the contents.
    let (_stream, monitor) = monitor(&(update("\"monitor-0\"", "2") + &initial())).await;
    assert_eq!(n(&monitor.unwrap()), Some(2));
}

fn n(monitor: &Monitor) -> Option<i64> {
    monitor.snapshot().rows("T").next()?.1.i64("n")
}

#[tokio::test]
async fn updates_for_nobody_are_left_alone() {
    let strays = [
        "\"monitor-7\"",
        "null",
        "[]",
        "7",
        "{\"a\":1}",
        "\"\\u0000\"",
    ];
    let strays: String = strays.iter().map(|id| update(id, "2")).collect();
    let odd = r#"{"id":null,"method":"update3","params":[]}
        {"id":null,"method":"update3","params":{}}
        {"id":null,"method":"update3","params":"monitor-0"}
        {"id":null,"method":"omen","params":["monitor-0"]}"#;
    let own = update("\"monitor-0\"", "3");
    let (_stream, monitor) = monitor(&(initial() + &strays + odd + &own)).await;
    let monitor = monitor.unwrap();
    let deadline = Instant::now() + SOON;
    let own = |rows: &Snapshot| (rows.version() > 1).then_some(());
    monitor.wait_until(deadline, own).await.unwrap();
    assert_eq!(n(&monitor), Some(3));
}

#[tokio::test]
async fn an_update_that_makes_no_sense_ends_the_monitor() {
    let own = |n: &str| update("\"monitor-0\"", n);
    let deep = nested(100_000);
    for (case, message) in [
        ("deep", own(&deep)),
        ("beyond a double", own("1e400")),
        ("beyond 64 bits", own("9223372036854775808")),
        ("null", own("null")),
        ("half a set", own("[\"set\"]")),
        (
            "no parameters but its id",
            r#"{"id":null,"method":"update3","params":["monitor-0"]}"#.into(),
        ),
        (
            "two of one row",
            own("1").replace(
                &format!("\"{ZERO}\":{{\"modify\":{{\"n\":1}}}}"),
                &format!("\"{ZERO}\":{{\"insert\":{{\"n\":1}}}}"),
            ),
        ),
    ] {
        let (_stream, monitor) = monitor(&(initial() + &message)).await;
        let monitor = match monitor {
            Ok(monitor) => monitor,
            // It came before the contents had been read.
            Err(error) => {
                assert!(
                    error.starts_with("the monitor has ended"),
                    "{case}: {error}"
                );
                continue;
            }
        };
        let (_, mut changes) = monitor.subscribe();
        let ended = timeout(SOON, changes.next()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{case}: the monitor hangs"));
        assert!(
            matches!(
                ended,
                Err(MonitorEnded::Inconsistent { .. } | MonitorEnded::Malformed { .. })
            ),
            "{case}: {ended:?}"
        );
    }
}
