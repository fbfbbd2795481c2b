//! What is tried: the name of each test, where it runs, the programs that it needs besides, and what it does.

use ofm_tests::{EngineKind, Place, Runtime};

use crate::{
    certificates, changes, crash, engines, failover, guard, images, kernel, lab, node, profile,
    refusals, rows, seeding, seeds, shim, suite, traffic, underlays, versions,
};

const DOCKER: Runtime = Runtime::Engine(EngineKind::Docker);
const PODMAN: Runtime = Runtime::Engine(EngineKind::Podman);
/// Where the whole suite runs.
pub(crate) const MAIN: &[Runtime] = &[Runtime::Native, DOCKER];

type Test = fn(&Place) -> anyhow::Result<()>;
type EngineTest = fn(EngineKind) -> anyhow::Result<()>;

/// In clusters of their own.
pub(crate) const CLUSTERS: &[(&str, &[Runtime], &[&str], Test)] = &[
    (
        "vms_on_two_chassis_reach_each_other",
        &Runtime::ALL,
        &[],
        traffic::reach,
    ),
    (
        "ten_megabytes_arrive_intact",
        &Runtime::ALL,
        &[],
        traffic::transfer,
    ),
    ("five_clusters_run_at_once", MAIN, &[], traffic::five),
    (
        "a_node_is_isolated",
        MAIN,
        &["killall", "ip"],
        traffic::isolated,
    ),
    (
        "chassis_come_and_go_while_others_talk",
        MAIN,
        &["ping", "killall"],
        changes::undisturbed,
    ),
    (
        "chassis_come_and_go_beside_a_dead_database",
        &[Runtime::Native],
        &["killall"],
        changes::beside_a_dead_one,
    ),
    (
        "commands_change_a_running_cluster",
        MAIN,
        &["ovs-vsctl"],
        changes::commands,
    ),
    (
        "chassis_join_the_databases_of_others",
        &[Runtime::Native],
        &["ip", "ping", "ovs-vsctl"],
        changes::joined,
    ),
    (
        "a_running_cluster_follows_its_file",
        MAIN,
        &["ip", "ping", "ovs-vsctl", "ovn-nbctl"],
        lab::applied,
    ),
    (
        "controllers_find_their_rows_as_they_want_them",
        MAIN,
        &["ovn-sbctl"],
        rows::written_once,
    ),
    (
        "a_seeded_start_ends_with_the_same_cluster",
        &[Runtime::Native],
        &["ovs-ofctl"],
        seeding::same_cluster,
    ),
    (
        "a_seeded_start_of_another_release_ends_with_the_same_cluster",
        &[Runtime::Native],
        &["mmdebstrap"],
        seeding::same_cluster_of_another_release,
    ),
    (
        "daemons_are_started_again",
        MAIN,
        &["killall"],
        changes::restarted,
    ),
    (
        "exec_passes_on_what_a_program_does",
        &Runtime::ALL,
        &[],
        traffic::exec,
    ),
    (
        "a_shim_runs_programs_as_an_engine_does",
        &Runtime::ALL,
        &[],
        shim::exec,
    ),
    (
        "a_hundred_megabytes_pass_through_a_shim",
        &[Runtime::Native],
        &[],
        shim::stdin,
    ),
    ("a_shim_copies_trees_as_they_are", MAIN, &[], shim::cp),
    (
        "a_shim_shows_nodes_as_containers",
        MAIN,
        &["ip", "ps"],
        shim::looked_at,
    ),
    (
        "nodes_are_switched_off_and_on",
        MAIN,
        &["ping", "ovs-vsctl", "ovn-sbctl"],
        shim::switched_off_and_on,
    ),
    (
        "programs_have_the_environment_asked_for",
        MAIN,
        &["env", "grep", "tr"],
        node::environment,
    ),
    (
        "scripts_stop_and_start_what_ofm_has_started",
        MAIN,
        &["pgrep"],
        node::scripts,
    ),
    (
        "scripts_make_fake_vms",
        MAIN,
        &["ip", "ping", "ovs-vsctl", "ovn-nbctl"],
        node::fake_vms,
    ),
    (
        "systemctl_starts_and_stops_frr",
        &[Runtime::Native],
        &["mmdebstrap"],
        node::frr,
    ),
    (
        "a_suite_tells_how_each_test_ended",
        &[Runtime::Native],
        &["ovn-nbctl"],
        suite::verdicts,
    ),
    (
        "a_suite_that_is_given_up_leaves_nothing",
        &[Runtime::Native],
        &[],
        suite::ended,
    ),
    (
        "a_suite_that_cannot_run_says_why",
        &[Runtime::Native],
        &[],
        suite::refused,
    ),
    (
        "only_daemons_are_executed",
        &Runtime::ALL,
        &["strace"],
        traffic::executed,
    ),
    (
        "a_start_costs_what_was_recorded",
        &[Runtime::Native],
        &["strace"],
        guard::start,
    ),
    (
        "the_databases_hold_the_demo_row_by_row",
        MAIN,
        &[],
        rows::all,
    ),
    (
        "each_node_has_a_key_of_its_own",
        MAIN,
        &[],
        certificates::files,
    ),
    (
        "databases_refuse_whom_the_cluster_has_not_certified",
        MAIN,
        &[],
        certificates::strangers,
    ),
    (
        "a_chassis_changes_nothing_of_another_one",
        MAIN,
        &["ovn-sbctl"],
        certificates::roles,
    ),
    (
        "a_cluster_begins_with_a_database_brought_along",
        &[Runtime::Native],
        &[],
        seeds::taken,
    ),
    (
        "a_file_that_is_no_database_is_refused",
        &[Runtime::Native],
        &[],
        seeds::refused,
    ),
    (
        "a_cluster_outlives_the_leader_of_its_databases",
        MAIN,
        &[],
        failover::leader,
    ),
    ("the_underlay_may_be_ipv6", MAIN, &[], underlays::ipv6),
    (
        "tunnels_may_be_vxlan",
        &[Runtime::Native],
        &[],
        underlays::vxlan,
    ),
    (
        "tunnels_may_be_either",
        &[Runtime::Native],
        &[],
        underlays::both,
    ),
    ("the_mtu_may_be_large", MAIN, &["ping"], underlays::jumbo),
    (
        "chassis_may_monitor_all",
        &[Runtime::Native],
        &[],
        underlays::monitor_all,
    ),
    (
        "the_physical_network_may_be_left_out",
        MAIN,
        &["ping"],
        underlays::no_public,
    ),
    ("nodes_may_have_other_names", MAIN, &[], underlays::names),
    (
        "a_killed_start_leaves_nothing",
        &[Runtime::Native],
        &[],
        crash::start,
    ),
    (
        "a_killed_add_chassis_is_taken_back_by_the_next_change",
        &[Runtime::Native],
        &[],
        crash::add_chassis,
    ),
    (
        "a_killed_apply_goes_on_where_it_stopped",
        &[Runtime::Native],
        &[],
        crash::apply,
    ),
    (
        "a_killed_harness_leaves_nothing",
        &Runtime::ALL,
        &[],
        crash::harness,
    ),
    ("a_panic_leaves_nothing", &Runtime::ALL, &[], crash::panic),
    ("what_cannot_be_is_refused", MAIN, &[], refusals::table),
    ("no_root_is_refused", MAIN, &[], refusals::no_root),
    (
        "a_missing_daemon_is_named",
        &[Runtime::Native],
        &["unshare"],
        refusals::no_daemon,
    ),
    ("doctor_says_what_is_there", MAIN, &[], refusals::doctor),
    (
        "a_prefix_and_a_build_tree_are_used",
        &[Runtime::Native],
        &[],
        versions::paths,
    ),
    ("unusable_software_is_refused", MAIN, &[], versions::refused),
    (
        "a_daemon_that_never_serves_ends_the_start",
        &[Runtime::Native],
        &[],
        versions::silent,
    ),
    (
        "a_central_of_another_release_serves",
        &[Runtime::Native],
        &["mmdebstrap"],
        versions::other_central,
    ),
    (
        "chassis_of_another_release_serve",
        &[Runtime::Native],
        &["mmdebstrap"],
        versions::other_chassis,
    ),
    (
        "a_trace_has_all_that_a_start_did",
        MAIN,
        &[],
        profile::traced,
    ),
    (
        "a_trace_has_every_kind_of_wait",
        &[Runtime::Native],
        &[],
        profile::waits,
    ),
    (
        "a_failed_start_is_traced_until_then",
        &[Runtime::Native],
        &[],
        profile::failed,
    ),
    (
        "an_interrupted_start_is_traced_until_then",
        &[Runtime::Native],
        &[],
        profile::interrupted,
    ),
    (
        "a_trace_that_cannot_be_written_is_refused",
        &[Runtime::Native],
        &[],
        profile::unwritable,
    ),
    ("timings_have_all_programs", MAIN, &[], profile::timed),
    (
        "gc_removes_what_a_killed_start_left",
        &[DOCKER, PODMAN],
        &[],
        crash::collected,
    ),
    (
        "a_cluster_is_found_without_its_folder",
        &[DOCKER, PODMAN],
        &[],
        engines::found,
    ),
    (
        "daemons_are_confined_like_their_container",
        &[DOCKER, PODMAN],
        &[],
        engines::confined,
    ),
    (
        "containers_are_told_apart_by_labels_alone",
        &[DOCKER, PODMAN],
        &[],
        engines::strangers,
    ),
    (
        "a_container_that_stops_keeps_none_from_being_listed",
        &[PODMAN],
        &[],
        engines::passing,
    ),
    (
        "no_engine_is_an_error_that_says_what_was_tried",
        &[DOCKER, PODMAN],
        &[],
        engines::absent,
    ),
    (
        "a_missing_program_of_an_image_is_named",
        &[DOCKER, PODMAN],
        &[],
        images::lacking,
    ),
    (
        "a_missing_image_is_named",
        &[DOCKER, PODMAN],
        &[],
        images::absent,
    ),
    (
        "roles_have_images_of_their_own",
        &[DOCKER],
        &[],
        images::roles,
    ),
    (
        "a_second_build_is_answered_from_the_cache",
        &[DOCKER, PODMAN],
        &["strace"],
        images::cached,
    ),
    (
        "a_build_that_fails_says_why",
        &[DOCKER, PODMAN],
        &[],
        images::failing,
    ),
    ("trees_are_compiled", &[DOCKER], &[], images::compiled),
    (
        "package_files_are_installed",
        &[DOCKER],
        &["dpkg-deb"],
        images::packaged,
    ),
    (
        "the_packages_of_an_image_are_listed",
        &[Runtime::Native],
        &[],
        images::listed,
    ),
    (
        "an_image_has_what_tests_need_and_no_systemd",
        &[DOCKER, PODMAN],
        &[],
        images::contents,
    ),
];

/// On a kernel that has the datapath and its modules.
pub(crate) const KERNEL: &[(&str, &[&str], Test)] = &[
    ("the_kernel_has_the_geneve_tunnels", &["ip"], kernel::geneve),
    (
        "the_kernel_has_geneve_tunnels_over_ipv6",
        &["ip"],
        kernel::geneve_over_ipv6,
    ),
    ("the_kernel_has_the_vxlan_tunnels", &["ip"], kernel::vxlan),
    (
        "each_node_has_a_datapath_of_its_own",
        &[],
        kernel::own_datapath,
    ),
    ("each_node_tracks_its_connections", &[], kernel::conntrack),
    ("a_node_may_have_vrfs", &["ip", "ping"], kernel::vrf),
];

/// What does something to its engine, so that each has one of its own.
pub(crate) const ENGINES: &[(&str, &[Runtime], &[&str], EngineTest)] = &[
    (
        "an_engine_that_halts_in_mid_start_is_given_up",
        &[DOCKER, PODMAN],
        &[],
        engines::halted,
    ),
    (
        "an_engine_without_a_capability_is_clear_about_it",
        &[DOCKER],
        &[],
        engines::incapable,
    ),
    ("a_full_disk_is_clear", &[DOCKER], &[], engines::full),
    (
        "gc_removes_what_a_killed_build_left",
        &[DOCKER, PODMAN],
        &[],
        images::killed,
    ),
    (
        "a_missing_image_is_pulled",
        &[DOCKER],
        &["docker-registry"],
        images::pulled,
    ),
];
