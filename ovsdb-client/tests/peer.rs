//! Against a peer that plays a script, for what no well-behaved server does.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::error::Error;
use std::time::Duration;

use ovsdb_client::frame::Framer;
use ovsdb_client::value::Row;
use ovsdb_client::{
    CallError, Client, Disconnect, Event, Monitor, MonitorEnded, MonitorTable, Schema, Transaction,
    WaitError,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

/// No test waits longer for anything that should happen.
const SOON: Duration = Duration::from_secs(10);

/// The server's end of a connection.
struct Peer {
    stream: DuplexStream,
    framer: Framer,
}

impl Peer {
    /// A client and its peer, with `capacity` bytes in flight each way.
    fn connect(capacity: usize) -> (Client, Self) {
        let (ours, stream) = tokio::io::duplex(capacity);
        let client = Client::builder()
            .message_limit(1000)
            .deadline(SOON)
            .from_stream(ours);
        (
            client,
            Self {
                stream,
                framer: Framer::default(),
            },
        )
    }

    /// The next message of the client; `None` when it has hung up.
    async fn read(&mut self) -> Option<String> {
        loop {
            if let Some(message) = self.framer.next_frame().unwrap() {
                let message = String::from_utf8(message).unwrap();
                // How every connection begins; nobody waits for an answer.
                if message == GREETING {
                    continue;
                }
                return Some(message);
            }
            let mut bytes = vec![0; 4096];
            match timeout(SOON, self.stream.read(&mut bytes))
                .await
                .unwrap()
                .unwrap()
            {
                0 => return None,
                count => self.framer.push(&bytes[..count]),
            }
        }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(SOON, self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap()
            .unwrap();
    }

    /// Reads a request and writes `reply` with each `#` replaced by the id of the request.
    async fn answer(&mut self, reply: &[u8]) {
        let request: Value = serde_json::from_str(&self.read().await.unwrap()).unwrap();
        let id = request["id"].to_string();
        let mut parts = reply.split(|byte| byte == &b'#');
        let mut bytes = parts.next().unwrap().to_vec();
        for part in parts {
            bytes.extend(id.as_bytes());
            bytes.extend(part);
        }
        self.write(bytes).await;
    }
}

/// The first message of every connection.
const GREETING: &str = r#"{"method":"set_db_change_aware","params":[true],"id":"greeting"}"#;

/// An error and all its sources, as a program would print them.
fn chain(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    sources
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" / ")
}

#[tokio::test]
async fn every_misbehaviour_has_its_error() {
    let gone = "list_dbs: the connection is gone";
    let cases: [(&[u8], String); 14] = [
        (b"", format!("{gone} / the server closed the connection")),
        (
            br#"{"id":#,"resu"#,
            format!("{gone} / the server closed the connection 13 bytes into a message"),
        ),
        (
            br#"{"id":77,"result":[],"error":null}"#,
            format!("{gone} / the server sent an unexpected reply, to request 77"),
        ),
        (
            br#"{"id":[#],"result":[],"error":null}"#,
            format!(
                "{gone} / the server sent 35 bytes that are not a JSON-RPC message / \
                 neither a request, nor a notification, nor a reply"
            ),
        ),
        (
            br#"{"id":#}"#,
            format!(
                "{gone} / the server sent 8 bytes that are not a JSON-RPC message / \
                 neither a request, nor a notification, nor a reply"
            ),
        ),
        (
            b"{\"id\":#,\"result\":[\"\xff\"],\"error\":null}",
            format!(
                "{gone} / the server sent 36 bytes that are not a JSON-RPC message / not UTF-8 / \
                 invalid utf-8 sequence of 1 bytes from index 19"
            ),
        ),
        (
            br#"{"id":#,"result":[}]"#,
            format!(
                "{gone} / the server sent 20 bytes that are not a JSON-RPC message / \
                 not a JSON-RPC object / expected value at line 1 column 19"
            ),
        ),
        (
            b"hello",
            format!(
                "{gone} / the server's messages cannot be told apart / \
                 byte 0x68 where a JSON object should begin, 0 bytes into the stream"
            ),
        ),
        (
            &[b"{\"id\":#,\"result\":\"".as_slice(), &[b'x'; 1000]].concat(),
            format!(
                "{gone} / the server's messages cannot be told apart / \
                 a message is larger than the limit of 1000 bytes"
            ),
        ),
        (
            br#"{"id":#,"result":{"a":1},"error":null}"#,
            "list_dbs: the reply has an unexpected shape / \
             invalid type: map, expected a sequence at line 1 column 0"
                .to_owned(),
        ),
        (
            br#"{"id":#,"result":null,"error":null}"#,
            "list_dbs: the reply has an unexpected shape / \
             invalid type: null, expected a sequence at line 1 column 4"
                .to_owned(),
        ),
        (
            br#"{"id":#,"error":"canceled"}"#,
            "list_dbs: the server refused / canceled".to_owned(),
        ),
        (
            br#"{"id":#,"error":{"error":"e","details":"d"},"result":null}"#,
            "list_dbs: the server refused / e: d".to_owned(),
        ),
        (
            br#"{"id":#,"error":{"code":7}}"#,
            "list_dbs: the server refused / {\"code\":7}".to_owned(),
        ),
    ];
    for (reply, expected) in cases {
        let (client, mut peer) = Peer::connect(4096);
        let script = async {
            peer.answer(reply).await;
            drop(peer);
        };
        let (result, ()) = tokio::join!(timeout(SOON, client.list_dbs()), script);
        let error = result.expect("no reply makes a call hang").unwrap_err();
        assert_eq!(
            chain(&error),
            expected,
            "{}",
            String::from_utf8_lossy(reply)
        );
    }
}

#[tokio::test]
async fn requests_are_written_in_the_dialect_of_ovsdb() {
    let (client, mut peer) = Peer::connect(4096);
    let script = async {
        assert_eq!(
            peer.read().await.unwrap(),
            r#"{"method":"list_dbs","params":[],"id":0}"#
        );
        peer.write(r#"{"id":0,"result":["A"],"error":null}"#).await;
        assert_eq!(
            peer.read().await.unwrap(),
            r#"{"method":"transact","params":["A",{"op":"insert","table":"T","row":{},"uuid-name":"row0"}],"id":1}"#
        );
        peer.write(r#"{"id":1,"result":[{}],"error":null}"#).await;
    };
    let calls = async {
        assert_eq!(client.list_dbs().await.unwrap(), ["A"]);
        let mut txn = Transaction::new();
        txn.insert("T", Row::new());
        client.transact("A", txn).await.unwrap();
    };
    tokio::join!(script, calls);
}

#[tokio::test]
async fn a_call_that_nobody_answers_ends_and_a_late_reply_does_no_harm() {
    let (client, mut peer) = Peer::connect(4096);
    let deadline = Duration::from_millis(20);
    let error = client.with_deadline(deadline).echo().await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { method: "echo", deadline: d } if d == deadline));

    peer.answer(br#"{"id":#,"result":["late"],"error":null}"#)
        .await;
    let script = peer.answer(br#"{"id":#,"result":["A"],"error":null}"#);
    let (dbs, ()) = tokio::join!(client.list_dbs(), script);
    assert_eq!(dbs.unwrap(), ["A"]);
}

/// A server with a backlog for the client reads nothing, so the client has to go on reading while
/// its own request is stuck, and must not wait for room for the answer to a probe.
#[tokio::test]
async fn a_probe_in_the_middle_of_a_large_request_is_no_deadlock() {
    let (client, mut peer) = Peer::connect(64);
    let mut txn = Transaction::new();
    txn.comment("x".repeat(10_000));
    let script = async {
        for _ in 0..100 {
            peer.write(r#"{"id":"echo","method":"echo","params":[]}"#)
                .await;
        }
        let mut answers = 0;
        loop {
            let message: Value = serde_json::from_str(&peer.read().await.unwrap()).unwrap();
            match message["method"].as_str() {
                Some(_) => {
                    peer.write(format!(
                        r#"{{"id":{},"result":[{{}}],"error":null}}"#,
                        message["id"]
                    ))
                    .await
                }
                None => {
                    assert_eq!(
                        message,
                        serde_json::json!({"id": "echo", "result": [], "error": null})
                    );
                    answers += 1;
                }
            }
            if answers == 100 {
                return;
            }
        }
    };
    let (outcome, ()) = tokio::join!(client.transact("A", txn), script);
    outcome.unwrap();
}

/// One request is being written, one waits for that, and one waits for that.
#[tokio::test]
async fn a_lost_connection_frees_calls_that_are_stuck_in_writing() {
    let (client, mut peer) = Peer::connect(64);
    let mut txn = Transaction::new();
    txn.comment("x".repeat(10_000));
    let stuck = (0..3).map(|_| client.transact("A", txn.clone()));
    let script = async {
        // By the time that this much has come in pieces of 64 bytes all three are on their way.
        timeout(SOON, peer.stream.read_exact(&mut [0; 2000]))
            .await
            .unwrap()
            .unwrap();
        peer.write("]").await;
    };
    let (results, ()) = tokio::join!(futures::future::join_all(stuck), script);
    for result in results {
        assert!(chain(&result.unwrap_err()).contains("cannot be told apart"));
    }
    assert!(matches!(client.closed().await, Disconnect::Frame { .. }));
}

#[tokio::test]
async fn the_connection_closes_with_its_last_handle() {
    let (client, mut peer) = Peer::connect(4096);
    drop(client.clone());
    let (dbs, ()) = tokio::join!(
        client.list_dbs(),
        peer.answer(br#"{"id":#,"result":[],"error":null}"#)
    );
    assert_eq!(dbs.unwrap(), [""; 0]);
    drop(client);
    assert_eq!(peer.read().await, None);
}

/// A monitor of table T with one row, and its peer.
async fn monitor() -> (Client, Peer, Monitor) {
    let schema =
        r#"{"name":"A","version":"1.0.0","tables":{"T":{"columns":{"n":{"type":"integer"}}}}}"#;
    let schema = Schema::parse(schema).unwrap();
    let (client, mut peer) = Peer::connect(4096);
    let tables = [MonitorTable::new("T")];
    let reply = br#"{"id":#,"error":null,"result":[false,"00000000-0000-0000-0000-000000000000",
        {"T":{"00000000-0000-0000-0000-000000000001":{"initial":{"n":1}}}}]}"#;
    let (monitor, ()) = tokio::join!(client.monitor_as(&schema, &tables), peer.answer(reply));
    (client, peer, monitor.unwrap())
}

/// An `update3` that sets `n` of the one row.
fn update(n: i64) -> String {
    format!(
        r#"{{"id":null,"method":"update3","params":["monitor-0","00000000-0000-0000-0000-000000000000",
            {{"T":{{"00000000-0000-0000-0000-000000000001":{{"modify":{{"n":{n}}}}}}}}}]}}"#
    )
}

fn n(monitor: &Monitor) -> Option<i64> {
    monitor.snapshot().rows("T").next()?.1.i64("n")
}

#[tokio::test]
async fn no_number_of_updates_is_too_many_and_none_is_lost() {
    let (client, mut peer, monitor) = monitor().await;
    let (before, mut changes) = monitor.subscribe();
    let script = async {
        let stray = r#"{"id":null,"method":"update3","params":["monitor-9","0",{}]}"#;
        peer.write(stray).await;
        for n in 0..5000 {
            peer.write(update(n)).await;
        }
        peer.answer(br#"{"id":#,"result":["A"],"error":null}"#)
            .await;
    };
    let (dbs, ()) = tokio::join!(client.list_dbs(), script);
    dbs.unwrap();
    assert_eq!(n(&monitor), Some(4999), "updates come before the reply");
    assert_eq!(
        before.rows("T").next().unwrap().1.i64("n"),
        Some(1),
        "a snapshot stays as it was"
    );
    for expected in 0..5000 {
        match changes.try_next() {
            Some(Event::Changes(changes)) => {
                assert_eq!(
                    changes.rows[0].new.as_ref().unwrap().i64("n"),
                    Some(expected)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(changes.try_next().is_none());
}

#[tokio::test]
async fn a_subscriber_that_is_too_slow_is_told_the_state_instead() {
    let (client, mut peer, monitor) = monitor().await;
    let (_, mut slow) = monitor.subscribe_with_capacity(4);
    let (_, mut fast) = monitor.subscribe_with_capacity(10);
    let script = async {
        for n in 0..10 {
            peer.write(update(n)).await;
        }
        peer.answer(br#"{"id":#,"result":[],"error":null}"#).await;
    };
    let (dbs, ()) = tokio::join!(client.list_dbs(), script);
    dbs.unwrap();
    match slow.next().await.unwrap() {
        Event::Resync(now) => assert_eq!(now.rows("T").next().unwrap().1.i64("n"), Some(9)),
        other => panic!("{other:?}"),
    }
    assert!(slow.try_next().is_none());
    for _ in 0..10 {
        assert!(matches!(fast.try_next(), Some(Event::Changes(_))));
    }
    let script = async {
        peer.write(update(10)).await;
        peer.answer(br#"{"id":#,"result":[],"error":null}"#).await;
    };
    let (dbs, ()) = tokio::join!(client.list_dbs(), script);
    dbs.unwrap();
    match slow.next().await.unwrap() {
        Event::Changes(changes) => {
            assert_eq!(changes.rows[0].old.as_ref().unwrap().i64("n"), Some(9));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wait_ends_with_what_it_saw_or_with_its_deadline() {
    let (_client, mut peer, monitor) = monitor().await;
    peer.write(update(2)).await;
    let deadline = Instant::now() + SOON;
    let seen = monitor.wait_until(deadline, |now| {
        let mut rows = now.rows("T").map(|(_, row)| row.i64("n"));
        rows.find(|n| *n == Some(2)).map(drop)
    });
    seen.await.unwrap();

    let soon = Instant::now() + Duration::from_millis(20);
    let error = monitor.wait_until(soon, |_| None::<()>).await.unwrap_err();
    assert!(matches!(error, WaitError::Timeout { .. }));
}

#[tokio::test]
async fn a_monitor_ends_with_a_reason_and_stays_ended() {
    let cases = [
        (
            r#"{"id":null,"method":"monitor_canceled","params":["monitor-0"]}"#,
            "the server canceled the monitor",
        ),
        (
            r#"{"id":null,"method":"update3","params":["monitor-0","00000000-0000-0000-0000-000000000000",[]]}"#,
            "an update cannot be understood: invalid type: sequence, expected an object with the \
             updates of each table",
        ),
        (
            r#"{"id":null,"method":"update3","params":["monitor-0","00000000-0000-0000-0000-000000000000",
                {"T":{"00000000-0000-0000-0000-000000000002":{"delete":null}}}]}"#,
            "an update does not fit the rows / a change of row \
             00000000-0000-0000-0000-000000000002 of table T, which is not there",
        ),
        (
            r#"{"id":null,"method":"update3","params":["monitor-0","00000000-0000-0000-0000-000000000000",
                {"U":{}}]}"#,
            "an update cannot be understood: table U is not monitored",
        ),
        (
            "]",
            "the connection of the monitor is gone / the server's messages cannot be told apart",
        ),
    ];
    for (message, expected) in cases {
        let (_client, mut peer, monitor) = monitor().await;
        let (_, mut changes) = monitor.subscribe();
        peer.write(message).await;
        for _ in 0..2 {
            let ended = timeout(SOON, changes.next()).await.unwrap().unwrap_err();
            assert!(chain(&ended).starts_with(expected), "{}", chain(&ended));
        }
        assert!(changes.try_next().is_none());
        assert_eq!(n(&monitor), Some(1), "the last rows can still be read");
    }
}

#[tokio::test]
async fn a_reply_to_nothing_ends_the_monitor_too() {
    let (_client, mut peer, monitor) = monitor().await;
    let (_, mut changes) = monitor.subscribe();
    peer.write(r#"{"id":99,"result":[],"error":null}"#).await;
    let ended = timeout(SOON, changes.next()).await.unwrap().unwrap_err();
    assert!(
        matches!(
            ended,
            MonitorEnded::Disconnected {
                source: Disconnect::UnexpectedReply { id: 99 }
            }
        ),
        "{ended:?}"
    );
}
