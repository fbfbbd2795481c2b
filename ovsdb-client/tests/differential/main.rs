//! The in-process server against the real one: the same random requests, and the same answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod compare;
mod generate;
mod link;
#[path = "../server/process.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod process;
mod protocol;

use compare::{Comparison, Dumps, has_dangling};
use generate::Generator;
use link::{Answer, Link};
use ovsdb_client::Schema;
use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::server::Server;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::net::UnixStream;

const SCHEMA: &str = include_str!("schema.ovsschema");

/// Both servers, and a connection to each.
struct Both {
    real: Link<UnixStream>,
    ours: Link<DuplexStream>,
    comparison: Comparison,
    server: process::Server,
    in_process: Server,
}

impl Both {
    async fn start() -> Option<Self> {
        let directory = process::directory()?;
        let schema = Schema::parse(SCHEMA).unwrap();
        DatabaseFile::new(&schema)
            .create(directory.path().join("db"), Durability::Process)
            .unwrap();
        let server = process::Server::start(directory, "db", None).await;
        let in_process = Server::new();
        in_process.add(schema).unwrap();
        Some(Self {
            real: Link::new(UnixStream::connect(server.socket()).await.unwrap()),
            ours: Link::new(in_process.connect()),
            comparison: Comparison::default(),
            server,
            in_process,
        })
    }

    /// Connects once more to each.
    async fn connect(&self) -> (Link<UnixStream>, Link<DuplexStream>) {
        let real = UnixStream::connect(self.server.socket()).await.unwrap();
        (Link::new(real), Link::new(self.in_process.connect()))
    }

    /// Calls both.
    async fn ask(&mut self, method: &str, params: &Value) -> (Answer, Answer) {
        let real = self.real.call(method, params).await;
        let ours = self.ours.call(method, params).await;
        self.comparison.learn(&real.reply, &ours.reply);
        (real, ours)
    }

    /// Compares the replies to a call and the notifications before them.
    fn compare(&self, method: &str, params: &Value, real: &Answer, ours: &Answer) {
        self.comparison
            .check("reply", method, params, &real.reply, &ours.reply);
        // Each monitor is told once, but in no order that could be known.
        let [of_real, of_ours] = [&real, &ours].map(|answer| {
            let by_monitor = answer.notifications.iter();
            let by_monitor = by_monitor.map(|told| (told["params"][0].to_string(), told.clone()));
            assert!(answer.notifications.iter().all(|told| told["id"].is_null()));
            Value::Object(by_monitor.collect())
        });
        self.comparison
            .check("notifications", method, params, &of_real, &of_ours);
    }

    async fn call(&mut self, method: &str, params: &Value) {
        let (real, ours) = self.ask(method, params).await;
        self.compare(method, params, &real, &ours);
    }

    /// Carries out a transaction on both, compares the rows afterwards, and tells whether it
    /// succeeded; `None` when the real server made a mistake and there is nothing to compare.
    async fn transact(&mut self, operations: &[Value], dumps: &mut Dumps) -> Option<bool> {
        let mut params = vec![json!("Diff")];
        params.extend_from_slice(operations);
        let params = Value::Array(params);
        let (real, ours) = self.ask("transact", &params).await;
        let tables = ["Root", "Node", "Limited", "Needy", "Pair"];
        let mut dump = vec![json!("Diff")];
        dump.extend(tables.map(|table| json!({"op": "select", "table": table, "where": []})));
        let dump = Value::Array(dump);
        let (of_real, of_ours) = self.ask("transact", &dump).await;
        let schema = Schema::parse(SCHEMA).unwrap();
        if has_dangling(&schema, &tables, &of_real.reply) {
            return None;
        }
        self.compare("transact", &params, &real, &ours);
        self.compare("transact", &dump, &of_real, &of_ours);
        let changed = dumps.versions(&of_real.reply, &of_ours.reply, &self.comparison);
        assert_eq!(
            changed.0, changed.1,
            "rows with a new _version after {params}"
        );
        let results = real.reply["result"].as_array().unwrap();
        Some(results.iter().all(|result| result.get("error").is_none()))
    }
}

/// Starts monitors of every dialect. No two follow the same columns, for the real server lets those
/// share their state, and the conditions of one are then seen in the updates of the other.
async fn start_monitors(both: &mut Both, generator: &mut Generator<'_>) {
    both.call(
        "monitor",
        &json!(["Diff", "all", {"Root": {}, "Node": [{}], "Needy": {}}]),
    )
    .await;
    let selective = json!(["Diff", ["selective"], {
        "Root": [{"columns": ["name", "integer"], "select": {"modify": false}},
                 {"columns": ["children", "ids"], "select": {"initial": false, "delete": false}}],
        "Node": {"columns": ["name"], "select": {"insert": false}},
        "Pair": {"columns": ["left", "_uuid"], "select": {"modify": true, "insert": true}},
        "Limited": {"columns": ["number"], "select": {"initial": false, "delete": false,
            "insert": false}}}]);
    both.call("monitor", &selective).await;
    let everything = json!({"Root": {}, "Node": {}, "Limited": {}, "Needy": {}, "Pair": {}});
    let since = json!([
        "Diff",
        "since",
        everything,
        "00000000-0000-0000-0000-000000000001"
    ]);
    both.call("monitor_cond_since", &since).await;
    let requests = json!({
        "Root": [{"columns": ["small", "ids", "peers", "integers", "kind"],
                  "where": generator.conditions_of("Root", 3)}],
        "Node": [{"columns": ["tag", "back"], "where": [["name", "!=", "a"]]}],
        "Needy": [{"columns": ["name"]}, {"columns": ["needs"], "select": {"insert": false}}],
        "Pair": [{"columns": ["left", "right"], "where": [false],
                  "select": {"delete": false}}]});
    both.call("monitor_cond", &json!(["Diff", "conditional", requests]))
        .await;
}

/// Changes what the conditional monitor follows, or begins it anew.
async fn change_conditions(both: &mut Both, generator: &mut Generator<'_>, id: &mut u32) {
    let old = match *id {
        0 => json!("conditional"),
        id => json!(id),
    };
    *id += u32::from(generator.chance(50));
    let new = match *id {
        0 => json!("conditional"),
        id => json!(id),
    };
    let mut requests = json!({});
    for table in ["Root", "Node", "Pair"] {
        if generator.chance(60) {
            requests[table] = json!([{"where": generator.conditions_of(table, 3)}]);
        }
    }
    both.call("monitor_cond_change", &json!([old, new, requests]))
        .await;
    if generator.chance(10) {
        both.call("monitor_cancel", &json!(["since"])).await;
        let since = json!(["Diff", "since", {"Root": {}, "Node": {}}, uuid::Uuid::nil()]);
        both.call("monitor_cond_since", &since).await;
    }
}

async fn compare_servers(seed: u64, mut rounds: usize) {
    let Some(mut both) = Both::start().await else {
        return;
    };
    let schema = Schema::parse(SCHEMA).unwrap();
    let mut generator = Generator::new(&schema, seed);
    let mut dumps = Dumps::default();
    both.call("lock", &json!(["held"])).await;
    let (mut committed, mut monitor) = (0, 0);
    for round in 0..rounds {
        // Not at once, so that there is something to begin with.
        match round {
            100 => start_monitors(&mut both, &mut generator).await,
            101.. if round % 7 == 0 => {
                change_conditions(&mut both, &mut generator, &mut monitor).await;
            }
            _ => {}
        }
        let operations = generator.operations();
        match both.transact(&operations, &mut dumps).await {
            Some(success) => committed += usize::from(success),
            None => {
                rounds = round;
                break;
            }
        }
    }
    // The real server forgets to remove a weak reference when the row that holds it is changed by
    // the very transaction in which its target is collected as garbage. From then on the two have
    // different rows; that it happens all the time would be another matter.
    assert!(
        rounds >= 100,
        "seed {seed} ends after {rounds} transactions"
    );
    // A generator whose transactions all fail would compare nothing but failures.
    assert!(
        (rounds / 5..rounds * 19 / 20).contains(&committed),
        "{committed} of {rounds} transactions committed"
    );
}

/// Each seed takes about ten seconds, most of them in the real server.
#[tokio::test]
async fn the_same_requests_have_the_same_answers_and_effects() {
    let seeds = std::env::var("OVSDB_DIFFERENTIAL_SEEDS");
    let seeds = seeds.map_or_else(
        |_| vec![1, 2, 3],
        |seeds| seeds.split(',').map(|seed| seed.parse().unwrap()).collect(),
    );
    for seed in seeds {
        compare_servers(seed, 1000).await;
    }
}
