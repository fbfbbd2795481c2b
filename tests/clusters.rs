//! Real clusters with real daemons. Each test has a state folder of its own, and they run side by side. Needs root.

mod crash;
mod refusals;
mod traffic;

use libtest_mimic::{Arguments, Failed, Trial};
use ofm_tests::{Place, missing};

const DAEMONS: [&str; 4] = [
    "ovsdb-server",
    "ovs-vswitchd",
    "ovn-northd",
    "ovn-controller",
];

fn main() {
    let mut arguments = Arguments::from_args();
    // The tests wait for daemons more than they compute.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let trials = vec![
        real("vms_on_two_chassis_reach_each_other", &[], traffic::reach),
        real("ten_megabytes_arrive_intact", &[], traffic::transfer),
        real("five_clusters_run_at_once", &[], traffic::five),
        real("a_node_is_isolated", &["killall", "ip"], traffic::isolated),
        real("exec_passes_on_what_a_program_does", &[], traffic::exec),
        real("only_daemons_are_executed", &["strace"], traffic::executed),
        real("a_killed_start_leaves_nothing", &[], crash::start),
        real("a_killed_harness_leaves_nothing", &[], crash::harness),
        real("a_panic_leaves_nothing", &[], crash::panic),
        real("what_cannot_be_is_refused", &[], refusals::table),
        real("no_root_is_refused", &[], refusals::no_root),
        real(
            "a_missing_daemon_is_named",
            &["unshare"],
            refusals::no_daemon,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test on real daemons. What it lacks is its reason to be skipped, shown in its name.
fn real(name: &str, needs: &[&str], test: fn(&Place) -> Result<(), Failed>) -> Trial {
    let mut programs = DAEMONS.to_vec();
    programs.extend(needs);
    let run = move || test(&Place::new()?);
    match missing(&programs) {
        None => Trial::test(name, run),
        Some(reason) => {
            Trial::test(format!("{name} (skipped: {reason})"), run).with_ignored_flag(true)
        }
    }
}

/// Runs async test code.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    Ok(runtime.block_on(future))
}
