//! Against a daemon that plays a script.

use super::*;
use tokio::time::timeout;

/// No test waits longer for anything that should happen.
const SOON: Duration = Duration::from_secs(10);

/// The daemon's end of a connection.
struct Daemon {
    stream: UnixStream,
    framer: Framer,
}

fn connect() -> (Unixctl, Daemon) {
    let (ours, stream) = UnixStream::pair().unwrap();
    let unixctl = Unixctl::builder()
        .deadline(SOON)
        .message_limit(1000)
        .from_stream(ours);
    let framer = Framer::default();
    (unixctl, Daemon { stream, framer })
}

impl Daemon {
    async fn read(&mut self) -> Value {
        loop {
            if let Some(frame) = self.framer.next_frame().unwrap() {
                return serde_json::from_slice(&frame).unwrap();
            }
            let mut bytes = vec![0; 4096];
            let read = timeout(SOON, self.stream.read(&mut bytes));
            let count = read.await.unwrap().unwrap();
            assert_ne!(count, 0, "the client hung up");
            self.framer.push(&bytes[..count]);
        }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let written = timeout(SOON, self.stream.write_all(bytes.as_ref()));
        written.await.unwrap().unwrap();
    }

    /// Reads a request, writes a reply with this result, and returns the request's command and
    /// arguments.
    async fn answer(&mut self, result: &str) -> Value {
        let request = self.read().await;
        let reply = serde_json::json!({"id": request["id"], "result": result, "error": null});
        self.write(reply.to_string()).await;
        serde_json::json!([request["method"], request["params"]])
    }
}

/// An error and all its sources, as a program would print them.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    let messages: Vec<_> = sources.map(ToString::to_string).collect();
    messages.join(" / ")
}

#[tokio::test]
async fn several_commands_are_called_on_one_connection() {
    let (mut unixctl, mut daemon) = connect();
    let script = async {
        let first = daemon.answer("one\n").await;
        let second = daemon.answer("").await;
        (first, second)
    };
    let calls = async {
        assert_eq!(unixctl.call("a", &[]).await.unwrap(), "one\n");
        assert_eq!(unixctl.call("b/c", &["x y", "\"é\n"]).await.unwrap(), "");
    };
    let ((first, second), ()) = tokio::join!(script, calls);
    assert_eq!(first, serde_json::json!(["a", []]));
    assert_eq!(second, serde_json::json!(["b/c", ["x y", "\"é\n"]]));
}

#[tokio::test]
async fn every_misbehaviour_has_its_error_and_it_lasts() {
    let gone = "a: the connection is gone";
    let malformed = "bytes that are not a JSON-RPC message";
    let deep = format!(
        r#"{{"id":1,"result":{}{}}}"#,
        "[".repeat(400),
        "]".repeat(400)
    );
    let cases: [(&[u8], String); 10] = [
        (b"", format!("{gone} / the server closed the connection")),
        (
            br#"{"id":1,"resu"#,
            format!("{gone} / the server closed the connection 13 bytes into a message"),
        ),
        (
            b"hello",
            format!(
                "{gone} / the server's messages cannot be told apart / \
                 byte 0x68 where a JSON object should begin, 0 bytes into the stream"
            ),
        ),
        (
            &[br#"{"id":1,"result":""#.as_slice(), &[b'x'; 1000]].concat(),
            format!(
                "{gone} / the server's messages cannot be told apart / \
                 a message is larger than the limit of 1000 bytes"
            ),
        ),
        (
            deep.as_bytes(),
            format!(
                "{gone} / the server sent 818 {malformed} / \
                 not a JSON-RPC object / recursion limit exceeded at line 1 column 144"
            ),
        ),
        (
            b"{\"id\":1,\"result\":\"\xff\"}",
            format!(
                "{gone} / the server sent 21 {malformed} / not UTF-8 / \
                 invalid utf-8 sequence of 1 bytes from index 18"
            ),
        ),
        (
            br#"{"id":1}"#,
            format!(
                "{gone} / the server sent 8 {malformed} / \
                 neither a request, nor a notification, nor a reply"
            ),
        ),
        (
            br#"{"id":2,"result":"","error":null}"#,
            format!("{gone} / the server sent an unexpected reply, to request 2"),
        ),
        (
            br#"{"id":null,"method":"echo","params":[]}"#,
            format!(
                "{gone} / the server sent 39 {malformed} / \
                 neither a request, nor a notification, nor a reply"
            ),
        ),
        (
            br#"{"id":-1,"result":""}"#,
            format!(
                "{gone} / the server sent 21 {malformed} / not a JSON-RPC object / \
                 invalid value: integer `-1`, expected u64 at line 1 column 8"
            ),
        ),
    ];
    for (reply, expected) in cases {
        let (mut unixctl, mut daemon) = connect();
        let script = async {
            daemon.read().await;
            daemon.write(reply).await;
            drop(daemon);
        };
        let (result, ()) = tokio::join!(timeout(SOON, unixctl.call("a", &[])), script);
        let error = result.expect("no reply makes a call hang").unwrap_err();
        assert_eq!(chain(&error), expected);
        let again = unixctl.call("a", &[]).await.unwrap_err();
        assert_eq!(chain(&again), expected, "the connection stays ended");
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_as_it_is() {
    let (mut unixctl, mut daemon) = connect();
    let script = async {
        daemon.read().await;
        daemon
            .write(r#"{"id":1,"error":"unknown cluster\n"}"#)
            .await;
        daemon.read().await;
        daemon
            .write(r#"{"id":2,"result":["a"],"error":null}"#)
            .await;
        daemon.read().await;
        daemon
            .write(r#"{"id":3,"result":["a"],"error":null}"#)
            .await;
    };
    let calls = async {
        let error = unixctl.cluster_status("A").await.unwrap_err();
        assert_eq!(error.to_string(), "cluster/status: unknown cluster");
        let error = unixctl.call("a", &[]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"a: expected text, but the daemon said "[\"a\"]""#
        );
        let json = unixctl.call_json("a", &[]).await.unwrap();
        assert_eq!(json, serde_json::json!(["a"]));
    };
    tokio::join!(script, calls);
}

#[tokio::test]
async fn a_late_reply_is_skipped_and_a_second_one_is_not() {
    let (mut unixctl, mut daemon) = connect();
    let deadline = Duration::from_millis(20);
    unixctl.set_deadline(deadline);
    let error = unixctl.call("slow", &[]).await.unwrap_err();
    assert!(
        matches!(&error, UnixctlError::Timeout { command, deadline: d } if command == "slow" && *d == deadline),
        "{error:?}"
    );

    unixctl.set_deadline(SOON);
    let script = async {
        daemon.answer("late").await;
        daemon.answer("in time").await;
        daemon
            .write(r#"{"id":2,"result":"twice","error":null}"#)
            .await;
    };
    let (result, ()) = tokio::join!(unixctl.call("fast", &[]), script);
    assert_eq!(result.unwrap(), "in time");
    let error = unixctl.call("fast", &[]).await.unwrap_err();
    assert!(chain(&error).ends_with("unexpected reply, to request 2"));
}

/// More than the socket holds, so the first call ends in the middle of its request.
#[tokio::test]
async fn a_call_given_up_while_it_writes_does_not_garble_the_next() {
    let (mut unixctl, mut daemon) = connect();
    let big = "x".repeat(4 << 20);
    unixctl.set_deadline(Duration::from_millis(20));
    let error = unixctl.call("big", &[&big]).await.unwrap_err();
    assert!(matches!(error, UnixctlError::Timeout { .. }));
    assert!(!unixctl.unsent.is_empty());

    unixctl.set_deadline(SOON);
    let script = async {
        let first = daemon.answer("late").await;
        assert_eq!(first, serde_json::json!(["big", [big.as_str()]]));
        daemon.answer("in time").await;
    };
    let (result, ()) = tokio::join!(unixctl.call("small", &[]), script);
    assert_eq!(result.unwrap(), "in time");
}

#[tokio::test]
async fn exit_waits_until_the_daemon_has_hung_up() {
    let (unixctl, mut daemon) = connect();
    let script = async {
        daemon.answer("").await;
        drop(daemon);
    };
    let (result, ()) = tokio::join!(timeout(SOON, unixctl.exit()), script);
    result.unwrap().unwrap();

    let (mut unixctl, mut daemon) = connect();
    unixctl.set_deadline(Duration::from_millis(100));
    let (result, _) = tokio::join!(unixctl.exit(), daemon.answer(""));
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "exit: no reply within 100ms");

    let (unixctl, mut daemon) = connect();
    let script = async {
        daemon.read().await;
        drop(daemon);
    };
    let (result, ()) = tokio::join!(unixctl.exit(), script);
    assert!(
        matches!(
            &result,
            Err(UnixctlError::Disconnected {
                source: Disconnect::Closed,
                ..
            })
        ),
        "a daemon that does not confirm may have crashed: {result:?}"
    );
}

#[tokio::test]
async fn the_state_of_a_database_connection_is_one_of_two() {
    let (mut unixctl, mut daemon) = connect();
    let script = async {
        daemon.answer("connected\n").await;
        assert_eq!(
            daemon.answer("not connected").await,
            serde_json::json!(["sb-connection-status", []])
        );
        daemon.answer("perhaps").await;
    };
    let calls = async {
        let status = unixctl.connection_status().await.unwrap();
        assert_eq!(status, ConnectionStatus::Connected);
        let status = unixctl.connection_status_of("sb").await.unwrap();
        assert_eq!(status, ConnectionStatus::NotConnected);
        let error = unixctl.connection_status().await.unwrap_err();
        assert!(matches!(error, UnixctlError::Unexpected { .. }));
    };
    tokio::join!(script, calls);
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.ctl");
    match Unixctl::connect(&path).await {
        Err(UnixctlError::Connect { path: p, .. }) => assert_eq!(p, path),
        other => panic!("{other:?}"),
    }
}

/// Connecting has no deadline because it never waits, not even for a daemon that hangs.
#[tokio::test]
async fn a_daemon_that_accepts_nobody_refuses_when_its_queue_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.ctl");
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    let _listener = socket.listen(1).unwrap();
    let mut queue = Vec::new();
    let error = loop {
        match timeout(SOON, Unixctl::connect(&path)).await.unwrap() {
            Ok(unixctl) => queue.push(unixctl),
            Err(error) => break error,
        }
        assert!(queue.len() < 10, "the queue is longer than it was made");
    };
    assert!(matches!(error, UnixctlError::Connect { .. }), "{error:?}");
}
