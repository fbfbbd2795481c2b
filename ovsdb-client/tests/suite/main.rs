//! What the library promises, against every kind of server: one ovsdb-server, a cluster of three,
//! and the server of this crate, which must not behave otherwise.
//!
//! Cases share the servers of their backend, where each has a database of its own; those that kill
//! or stop servers have servers of their own. Where ovsdb-server is not installed the trials that
//! need it are listed as ignored, and fail if OFM_TEST_REQUIRE=all.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod backend;
mod case;
mod cases;
mod process;
mod proxy;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use ovsdb_client::RpcLayer;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use backend::{Backend, Servers};
use case::{Case, Fixture, schema};

/// Longest that a case may take, on a machine with other things to do.
const LONGEST: Duration = Duration::from_secs(120);

/// Trials at the same time: they mostly wait.
const THREADS: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let suite = Arc::new(Suite {
        runtime: Runtime::new().unwrap(),
        shared: Default::default(),
    });
    let mut trials = Vec::new();
    for case in cases::all() {
        for &backend in case.backends {
            for &layer in case.layers {
                trials.push(trial(&suite, case, backend, layer));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Here, and not when the process ends, so that no server outlives it.
    drop(suite);
    conclusion.exit_code()
}

fn trial(suite: &Arc<Suite>, case: Case, backend: Backend, layer: RpcLayer) -> Trial {
    let layer_name = match layer {
        RpcLayer::Jsonrpsee => "",
        RpcLayer::Direct => "direct::",
    };
    let missing = process::missing().filter(|_| backend.is_real());
    let left_out = missing.is_some() && !process::everything_is_required();
    let suite = Arc::clone(suite);
    let name = format!("{}::{layer_name}{}", backend.name(), case.name);
    let run = move || {
        if let Some(missing) = missing {
            return Err(format!("{missing} is missing").into());
        }
        suite.runtime.block_on(suite.run(case, backend, layer));
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(left_out)
}

/// What all trials share.
struct Suite {
    /// First, so that no task is left when the servers end.
    runtime: Runtime,
    shared: [OnceCell<Arc<Servers>>; 3],
}

impl Suite {
    async fn run(&self, case: Case, backend: Backend, layer: RpcLayer) {
        let start = || async { Arc::new(Servers::start(backend).await) };
        let servers = match case.own_servers {
            true => start().await,
            false => Arc::clone(self.shared[backend as usize].get_or_init(start).await),
        };
        let database = format!("{}_{layer:?}", case.name.replace("::", "_"));
        servers.add(&schema(&database)).await;
        let fixture = Fixture {
            backend,
            layer,
            servers,
            name: database,
        };
        tokio::time::timeout(LONGEST, (case.run)(fixture.clone()))
            .await
            .expect("the case ends in time");
        if !case.own_servers {
            fixture.servers.remove(&fixture.name).await;
        }
    }
}
