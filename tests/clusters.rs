//! Real clusters with real daemons, on every runtime. Each test has a state folder and a cluster name of its own, and
//! they run side by side. Needs root.

mod certificates;
mod changes;
mod crash;
mod engines;
mod failover;
mod guard;
mod images;
mod kernel;
mod lab;
mod matrix;
mod node;
mod profile;
mod refusals;
mod rows;
mod seeding;
mod seeds;
mod shim;
mod suite;
mod traffic;
mod trials;
mod underlays;
mod versions;

use libtest_mimic::{Arguments, Trial};
use ofm_tests::{Place, Runtime, missing, on_kernel_datapath, stop_shared_engines, trial};

/// What is recorded on the userspace datapath, or is of it.
const USERSPACE: &[&str] = &["a_start_costs_what_was_recorded"];

fn main() {
    let mut arguments = Arguments::from_args();
    // The tests wait for daemons more than they compute.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let mut trials = Vec::new();
    for &(name, runtimes, needs, test) in trials::CLUSTERS {
        for &runtime in runtimes {
            let run = move || test(&Place::new(runtime)?);
            trials.push(real(format!("{runtime}::{name}"), runtime, needs, run));
        }
    }
    // Elsewhere the kernel need not have the modules.
    for &(name, needs, test) in trials::KERNEL.iter().filter(|_| on_kernel_datapath()) {
        let run = move || test(&Place::new(Runtime::Native)?);
        let name = format!("kernel::{name}");
        trials.push(real(name, Runtime::Native, needs, run));
    }
    for combination in matrix::Combination::all() {
        let runtimes = match (combination.is_extreme(), combination.relays) {
            (false, _) => &[Runtime::Native][..],
            (true, 0) => trials::MAIN,
            (true, _) => &Runtime::ALL,
        };
        for &runtime in runtimes {
            let name = format!("{runtime}::all_is_connected_with_{combination}");
            let run = move || matrix::connected(&Place::new(runtime)?, combination);
            trials.push(real(name, runtime, &[], run));
        }
    }
    for &(name, runtimes, needs, test) in trials::ENGINES {
        for &runtime in runtimes {
            let Runtime::Engine(kind) = runtime else {
                continue;
            };
            let run = move || test(kind);
            trials.push(real(format!("{runtime}::{name}"), runtime, needs, run));
        }
    }
    if let Some(part) = std::env::var_os("OFM_TEST_PART") {
        trials = part_of(trials, &part.to_string_lossy());
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(error) = stop_shared_engines() {
        panic!("{error}");
    }
    conclusion.exit();
}

/// Those of a part that is named as in `2/3`: from the second on, every third of those that run. What is skipped is in the first.
fn part_of(trials: Vec<Trial>, part: &str) -> Vec<Trial> {
    let (number, parts) = part
        .split_once('/')
        .and_then(|(number, parts)| Some((number.parse().ok()?, parts.parse().ok()?)))
        .filter(|&(number, parts): &(usize, usize)| (1..=parts).contains(&number))
        .unwrap_or_else(|| panic!("OFM_TEST_PART is {part}, not like 2/3"));
    let (skipped, run): (Vec<_>, Vec<_>) = trials.into_iter().partition(Trial::has_ignored_flag);
    let skipped = skipped.into_iter().filter(|_| number == 1);
    run.into_iter()
        .skip(number - 1)
        .step_by(parts)
        .chain(skipped)
        .collect()
}

/// A test on real daemons.
fn real(
    name: String,
    runtime: Runtime,
    needs: &[&str],
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Trial {
    let mut programs = runtime.programs();
    programs.extend(needs);
    let of_userspace = USERSPACE.iter().any(|test| name.ends_with(test));
    let elsewhere =
        (of_userspace && on_kernel_datapath()).then(|| "only on the userspace datapath".to_owned());
    trial(name, elsewhere.or_else(|| missing(&programs)), run)
}

/// Runs async test code.
fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Runtime::new()?;
    Ok(runtime.block_on(future))
}
