//! What is not a transaction: several clients of either server, step by step.

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::UnixStream;

use crate::Both;
use crate::compare::Comparison;
use crate::link::Link;

const CLIENTS: usize = 3;

/// The same clients at both servers.
struct Clients {
    real: Vec<Link<UnixStream>>,
    ours: Vec<Link<DuplexStream>>,
    comparison: Comparison,
    last_id: u64,
}

/// Everything that a client is told because of a step; its last word is `"closed"` when the server
/// hung up.
async fn told<S: AsyncRead + AsyncWrite>(client: &mut Link<S>, echo: &Value) -> Vec<Value> {
    let mut told = Vec::new();
    client
        .send(&json!({"method": "echo", "params": [], "id": echo}))
        .await;
    loop {
        match client.receive().await {
            Some(message) if message["id"] == *echo => return told,
            Some(message) => told.push(message),
            None => {
                told.push(json!("closed"));
                return told;
            }
        }
    }
}

impl Clients {
    async fn connect(both: &Both) -> Self {
        let (mut real, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..CLIENTS {
            let (of_real, of_ours) = both.connect().await;
            real.push(of_real);
            ours.push(of_ours);
        }
        Self {
            real,
            ours,
            comparison: Comparison::default(),
            last_id: 0,
        }
    }

    /// One client sends a message, and what all of them are told is compared.
    async fn send(&mut self, client: usize, message: &Value) {
        self.last_id += 1;
        let echo = json!(format!("echo-{}", self.last_id));
        self.real[client].send(message).await;
        self.ours[client].send(message).await;
        let (mut of_real, mut of_ours) = (Vec::new(), Vec::new());
        // The sender first: when it has its answer, the others have been told.
        for other in (client..CLIENTS).chain(0..client) {
            of_real.push(json!(told(&mut self.real[other], &echo).await));
            of_ours.push(json!(told(&mut self.ours[other], &echo).await));
        }
        self.comparison.check(
            "answer",
            "message",
            message,
            &json!(of_real),
            &json!(of_ours),
        );
    }

    async fn call(&mut self, client: usize, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(
            client,
            &json!({"method": method, "params": params, "id": id}),
        )
        .await;
        id
    }

    async fn transact(&mut self, client: usize, operations: Value) -> Value {
        let mut params = vec![json!("Diff")];
        params.extend(operations.as_array().unwrap().iter().cloned());
        self.call(client, "transact", Value::Array(params)).await
    }

    /// Waits for a message that nobody asks for now.
    async fn wait(&mut self, client: usize) {
        let of_real = self.real[client].receive().await.unwrap();
        let of_ours = self.ours[client].receive().await.unwrap();
        self.comparison
            .check("message", "none", &json!([]), &of_real, &of_ours);
    }
}

fn insert(name: &str) -> Value {
    json!({"op": "insert", "table": "Root", "row": {"name": name}})
}

/// A wait for a row of that name.
fn wait_for(name: &str) -> Value {
    json!({"op": "wait", "table": "Root", "where": [["name", "==", name]], "columns": ["name"],
        "until": "==", "rows": [{"name": name}]})
}

#[tokio::test]
async fn locks_go_the_same_ways() {
    let Some(both) = Both::start().await else {
        return;
    };
    let mut clients = Clients::connect(&both).await;
    let steps = [
        (0, "lock", "l"),
        (1, "lock", "l"),
        (2, "lock", "l"),
        (2, "lock", "m"),
        (1, "unlock", "l"),
        (1, "unlock", "l"),
        (1, "lock", "l"),
        (2, "steal", "l"),
        (2, "unlock", "l"),
        (2, "steal", "l"),
        (1, "steal", "l"),
        (1, "unlock", "l"),
        (1, "steal", "l"),
        (2, "lock", "l"),
        (2, "unlock", "l"),
        (1, "unlock", "l"),
        (0, "unlock", "l"),
        (0, "steal", "l"),
        (0, "unlock", "m"),
        (0, "lock", "not-an-id"),
        (0, "lock", ""),
    ];
    for (client, method, lock) in steps {
        clients.call(client, method, json!([lock])).await;
        for client in 0..CLIENTS {
            let assertion = json!([{"op": "assert", "lock": "l"}]);
            clients.transact(client, assertion).await;
        }
    }
    clients.call(0, "lock", json!([])).await;
    clients.call(0, "lock", json!([1])).await;
    clients.call(0, "unlock", json!(["l", "m"])).await;
}

#[tokio::test]
async fn waits_end_alike() {
    let Some(both) = Both::start().await else {
        return;
    };
    let mut clients = Clients::connect(&both).await;
    clients
        .transact(1, json!([wait_for("go"), insert("one")]))
        .await;
    clients
        .transact(2, json!([wait_for("one"), insert("two")]))
        .await;
    clients.transact(1, json!([wait_for("two")])).await;
    clients.transact(0, json!([insert("other")])).await;
    clients.transact(0, json!([insert("go")])).await;

    let mut timed = wait_for("never");
    timed["timeout"] = json!(30);
    clients.transact(1, json!([timed, insert("late")])).await;
    clients.wait(1).await;
    timed["timeout"] = json!(0);
    clients.transact(1, json!([timed])).await;

    let cancel = |id: &Value| json!({"method": "cancel", "params": [id], "id": null});
    let waiting = clients.transact(1, json!([wait_for("never")])).await;
    let again = json!({"method": "transact", "params": ["Diff"], "id": waiting});
    clients.send(1, &again).await;
    clients.send(0, &cancel(&waiting)).await;
    clients.send(1, &cancel(&waiting)).await;
    clients.call(1, "set_db_change_aware", json!([true])).await;
    let waiting = clients.transact(1, json!([wait_for("never")])).await;
    clients.send(1, &cancel(&waiting)).await;
    clients.send(1, &cancel(&waiting)).await;
    clients
        .send(1, &json!({"method": "cancel", "params": [], "id": null}))
        .await;
    clients.call(1, "set_db_change_aware", json!([])).await;
    clients.call(1, "set_db_change_aware", json!([1])).await;
}

#[tokio::test]
async fn requests_are_refused_alike() {
    let Some(both) = Both::start().await else {
        return;
    };
    let mut clients = Clients::connect(&both).await;
    let zero = "00000000-0000-0000-0000-000000000000";
    let calls = [
        ("list_dbs", json!([])),
        ("echo", json!([1, {"a": null}])),
        ("explode", json!([])),
        ("get_schema", json!([])),
        ("get_schema", json!([1])),
        ("get_schema", json!(["Nowhere"])),
        ("transact", json!([])),
        ("transact", json!(["Nowhere"])),
        ("transact", json!(["Diff"])),
        ("monitor", json!(["Diff", "m", {"Nowhere": {}}])),
        ("monitor", json!(["Diff", "m", {"Root": {"where": []}}])),
        (
            "monitor",
            json!(["Diff", "m", {"Root": {"columns": ["nothing"]}}]),
        ),
        (
            "monitor",
            json!(["Diff", "m", {"Root": {"columns": ["name", "name"]}}]),
        ),
        (
            "monitor",
            json!(["Diff", "m", {"Root": [{}, {"columns": ["name"]}]}]),
        ),
        (
            "monitor",
            json!(["Diff", "m", {"Root": {"select": {"other": true}}}]),
        ),
        (
            "monitor",
            json!(["Diff", "m", {"Root": {"select": {"initial": 1}}}]),
        ),
        ("monitor", json!(["Diff", "m", []])),
        ("monitor_cond", json!(["Diff", "m"])),
        ("monitor_cond", json!(["Diff", "m", {}, 1])),
        (
            "monitor_cond",
            json!(["Diff", "m", {"Root": {"where": [["nothing", "==", 1]]}}]),
        ),
        (
            "monitor_cond",
            json!(["Diff", "m", {"Root": {"where": [["name", "==", 1]]}}]),
        ),
        ("monitor_cond", json!(["Diff", "m", {"Root": {"where": 1}}])),
        ("monitor_cond_since", json!(["Diff", "m", {}])),
        ("monitor_cond_since", json!(["Diff", "m", {}, 1])),
        ("monitor_cond_since", json!(["Diff", "m", {}, "x"])),
        ("monitor_cond_since", json!(["Diff", "m", {}, zero])),
        ("monitor_cond_since", json!(["Diff", "m", {}, zero])),
        (
            "monitor_cond",
            json!(["Diff", [{"any": 1}], {"Root": {"columns": ["name"]}}]),
        ),
        (
            "monitor",
            json!(["_Server", null, {"Database": {"select": {"initial": false}}}]),
        ),
        ("monitor_cond_change", json!(["m", "m"])),
        ("monitor_cond_change", json!(["unknown", "m", {}])),
        ("monitor_cond_change", json!(["m", [{"any": 1}], {}])),
        ("monitor_cond_change", json!(["m", "m", []])),
        (
            "monitor_cond_change",
            json!(["m", "m", {"Root": [{"where": []}]}]),
        ),
        (
            "monitor_cond_change",
            json!([[{"any": 1}], "n", {"Root": {"where": []}}]),
        ),
        (
            "monitor_cond_change",
            json!([[{"any": 1}], "n", {"Nowhere": [{"where": []}]}]),
        ),
        (
            "monitor_cond_change",
            json!([[{"any": 1}], "n",
            {"Root": [{"where": [], "columns": ["name"]}]}]),
        ),
        (
            "monitor_cond_change",
            json!([[{"any": 1}], "n", {"Root": [{"where": [false]}]}]),
        ),
        ("monitor_cancel", json!([])),
        ("monitor_cancel", json!(["m", "n"])),
        ("monitor_cancel", json!(["unknown"])),
        ("monitor_cancel", json!(["n"])),
        ("monitor_cancel", json!([null])),
    ];
    for (method, params) in calls {
        clients.call(0, method, params).await;
    }
}

#[tokio::test]
async fn operations_are_refused_alike() {
    let Some(both) = Both::start().await else {
        return;
    };
    let mut clients = Clients::connect(&both).await;
    let root = |members: Value| {
        let mut operation = json!({"table": "Root", "where": []});
        operation
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        operation
    };
    let operations = [
        json!(1),
        json!({}),
        json!({"op": 1}),
        json!({"op": "abort", "why": 1}),
        json!({"op": "commit"}),
        json!({"op": "comment"}),
        json!({"op": "assert", "lock": "not-an-id"}),
        root(json!({"op": "insert", "row": {}})),
        json!({"op": "insert", "table": "Root"}),
        json!({"op": "insert", "table": "Root", "row": []}),
        json!({"op": "insert", "table": "Root", "row": {"name": null}}),
        json!({"op": "insert", "table": "Root", "row": {"plain": ["uuid", "x"]}}),
        json!({"op": "insert", "table": "Root", "row": {"plain": ["named-uuid", "not-an-id"]}}),
        json!({"op": "insert", "table": "Root", "row": {}, "uuid": "x"}),
        json!({"op": "insert", "table": "Root", "row": {}, "uuid-name": "not-an-id"}),
        json!({"op": "insert", "table": "Root", "row": {"ids": ["set", []]}}),
        json!({"op": "insert", "table": "Root", "row": {"integers": ["set", [1, 1.0]]}}),
        json!({"op": "insert", "table": "Root", "row": {"_uuid": ["uuid", "x"]}}),
        json!({"op": "insert", "table": "Root", "row": {"_version": 1}}),
        root(json!({"op": "update", "row": {"_uuid": ["uuid", uuid::Uuid::nil()]}})),
        root(json!({"op": "update", "row": {"fixed": ""}})),
        root(json!({"op": "mutate", "mutations": [["_version", "insert", ["set", []]]]})),
        root(json!({"op": "mutate", "mutations": [["fixed", "+=", 1]]})),
        root(json!({"op": "mutate", "mutations": [["name", "insert", "a"]]})),
        root(json!({"op": "mutate", "mutations": [["ids", "+=", 1]]})),
        root(json!({"op": "mutate", "mutations": [["real", "%=", 1]]})),
        root(json!({"op": "mutate", "mutations": [["integer", "+=", ["set", [1, 2]]]]})),
        root(json!({"op": "mutate", "mutations": [["few", "insert", ["set", [1, 2, 3, 4]]]]})),
        root(json!({"op": "mutate", "mutations": [["few", "delete", ["set", [1, 2, 3, 4]]]]})),
        root(json!({"op": "mutate", "mutations": [["ids", "delete", ["set", ["a", "b"]]]]})),
        root(json!({"op": "mutate", "mutations": [["ids", "delete", 1]]})),
        root(json!({"op": "mutate", "mutations": [["numbers", "delete", "w"]]})),
        root(json!({"op": "mutate", "mutations": [["integer", "^=", 1]]})),
        root(json!({"op": "mutate", "mutations": ["integer"]})),
        root(json!({"op": "mutate", "mutations": []})),
        json!({"op": "delete", "table": "Root"}),
        json!({"op": "delete", "table": "Nowhere", "where": []}),
        root(json!({"op": "delete", "where": [["name", "~", ""]]})),
        root(json!({"op": "delete", "where": [["small", "==", 77]]})),
        root(json!({"op": "delete", "where": [["some", "<", ["set", []]]]})),
        root(json!({"op": "delete", "where": [["name", "<", "a"]]})),
        root(json!({"op": "delete", "where": [["integers", "<", 1]]})),
        root(json!({"op": "delete", "where": [["few", "includes", ["set", [1, 2, 3, 4]]]]})),
        root(json!({"op": "delete", "where": [["few", "excludes", ["set", [1, 2, 3, 4]]]]})),
        root(json!({"op": "delete", "where": [["plain", "==", ["named-uuid", "later"]]]})),
        root(json!({"op": "delete", "where": [true, false]})),
        root(json!({"op": "select", "columns": ["name", "name"]})),
        root(json!({"op": "select", "columns": []})),
        root(json!({"op": "select", "columns": ["nothing"]})),
        root(json!({"op": "wait", "until": "==", "rows": [], "timeout": -1})),
        root(json!({"op": "wait", "until": "<", "rows": []})),
        root(json!({"op": "wait", "until": "!=", "rows": [{"nothing": 1}]})),
        root(json!({"op": "wait", "until": "!=", "rows": [{}], "columns": ["name"]})),
        root(json!({"op": "wait", "until": "!=", "rows": [{}]})),
    ];
    clients.transact(0, json!([insert("first")])).await;
    for operation in operations {
        clients
            .transact(0, json!([operation, {"op": "abort"}]))
            .await;
        for operation in [operation, json!({"op": "commit", "durable": false})] {
            clients
                .call(0, "transact", json!(["_Server", operation]))
                .await;
        }
    }
    let status = json!({"op": "select", "table": "Database", "where": [],
        "columns": ["name", "model", "connected", "leader", "cid", "sid", "index"]});
    clients
        .call(0, "transact", json!(["_Server", status]))
        .await;
    let delete = json!({"op": "delete", "table": "Database", "where": []});
    clients
        .call(0, "transact", json!(["_Server", delete]))
        .await;
}

#[tokio::test]
async fn the_connection_ends_for_the_same_reasons() {
    let Some(both) = Both::start().await else {
        return;
    };
    let messages = [
        json!({"method": "echo", "params": [], "id": 1, "jsonrpc": "2.0"}),
        json!({"method": "echo", "id": 1}),
        json!({"method": "echo", "params": {}, "id": 1}),
        json!({"params": [], "id": 1}),
        json!({"id": 1, "result": [], "error": null}),
        json!({"method": "echo", "params": [], "id": 1, "result": null, "error": null}),
        json!({"method": "echo", "params": [], "id": null}),
        json!({"method": "echo", "params": []}),
        json!({"method": "explode", "params": []}),
        json!({"method": 1, "params": [], "id": 1}),
        json!({}),
        json!([]),
        json!("echo"),
    ];
    for message in messages {
        let mut clients = Clients::connect(&both).await;
        clients.send(0, &message).await;
    }
}
