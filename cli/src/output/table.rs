//! Tables for people.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use ipnet::IpNet;
use ofm::host::Check;
use ofm::inventory::Listed;
use ofm::plan::Plan;
use ofm::spec::DatabaseMode;
use ofm::status::{NodeState, Status};
use ofm::{Phase, Timings};

/// Lays out rows below a header, without any lines.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    // Whole rows whatever the terminal's width: what is printed may well be cut up by a program.
    table.force_no_tty();
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "-".to_owned()
    } else {
        items.join(",")
    }
}

/// A duration as a person reads it: `12 ms`, `3.4 s`.
pub(crate) fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// How long each phase of a start took, and all of them.
pub(crate) fn phases(phases: &BTreeMap<Phase, Duration>) -> String {
    let rows = phases
        .iter()
        .map(|(phase, time)| [phase.as_str().to_owned(), duration(*time)]);
    let total = ["total".to_owned(), duration(phases.values().sum())];
    table(["PHASE", "TIME"], rows.chain([total]))
}

/// How many nodes are shown of a start.
const LAST_NODES: usize = 10;

/// Which nodes were done last, and what programs used of the processors.
pub(crate) fn timings(timings: &Timings) -> String {
    let nodes = timings.nodes.iter().take(LAST_NODES).map(|node| {
        [
            node.name.to_string(),
            milliseconds(node.from),
            milliseconds(node.to),
            node.longest.clone(),
            milliseconds(node.took),
        ]
    });
    let nodes = table(["NODE", "FROM", "TO", "LONGEST STEP", "TIME"], nodes);
    let more = timings.nodes.len().saturating_sub(LAST_NODES);
    let more = match more {
        0 => String::new(),
        more => format!("\nand {more} that were done before them"),
    };
    let maybe = |time: Option<_>| time.map_or_else(|| "-".to_owned(), milliseconds);
    let programs = timings.programs.iter().map(|program| {
        [
            program.program.clone(),
            maybe(program.user),
            maybe(program.system),
            milliseconds(program.total),
            program.processes.to_string(),
            maybe(program.each()),
        ]
    });
    let header = ["PROGRAM", "USER", "SYSTEM", "CPU", "PROCESSES", "EACH"];
    format!(
        "{nodes}{more}\n\n{}\n\n\
         {} from begin to end ÷ ({} CPU of OVS and OVN ÷ {} cores) = {:.2}\n\n\
         CPU is exact and includes the processes that launched daemons; the kernel estimates how it divides.\n\
         Work of the kernel for no process, and of a container engine, is not included.",
        table(header, programs),
        milliseconds(timings.wall),
        milliseconds(timings.daemons),
        timings.cores,
        timings.ratio,
    )
}

/// A duration to be compared with others: `12.3 ms`.
fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// The clusters of the machine.
pub(crate) fn clusters(clusters: &[Listed]) -> String {
    let rows = clusters.iter().map(|cluster| {
        let state = if cluster.running { "running" } else { "dead" };
        let runtime = cluster.runtime.as_deref().unwrap_or("-");
        [
            cluster.name.to_string(),
            state.to_owned(),
            runtime.to_owned(),
        ]
    });
    table(["CLUSTER", "STATE", "RUNTIME"], rows)
}

/// What is there of a cluster.
pub(crate) fn status(status: &Status) -> String {
    let head = format!(
        "cluster {}: {}, runtime {}, datapath {}",
        status.cluster,
        if status.ready { "ready" } else { "not ready" },
        status.runtime,
        status.datapath.as_str(),
    );
    let nodes = status.nodes.iter().map(|node| {
        let daemons = node.daemons.iter().map(|daemon| {
            let end = if daemon.alive { "" } else { "(dead)" };
            format!("{}{end}", daemon.name)
        });
        let state = match node.state {
            NodeState::Running => "running",
            NodeState::Dead => "dead",
        };
        [
            node.name.to_string(),
            node.role.as_str().to_owned(),
            node.ip.to_string(),
            node.pid.to_string(),
            state.to_owned(),
            node.tunnels.to_string(),
            list(&node.versions.ovs),
            list(&node.versions.ovn),
            list(daemons),
        ]
    });
    let header = [
        "NODE", "ROLE", "IP", "PID", "STATE", "TUNNELS", "OVS", "OVN", "DAEMONS",
    ];
    let mut text = format!("{head}\n\n{}", table(header, nodes));
    if !status.vms.is_empty() {
        let vms = status.vms.iter().map(|vm| {
            [
                vm.name.clone(),
                vm.node.to_string(),
                vm.iface_id.clone(),
                vm.mac.to_string(),
                list(&vm.ips),
                if vm.up { "up" } else { "down" }.to_owned(),
            ]
        });
        text += "\n\n";
        text += &table(["VM", "NODE", "PORT", "MAC", "IPS", "STATE"], vms);
    }
    text
}

/// What a start would make.
pub(crate) fn plan(plan: &Plan) -> String {
    let head = format!(
        "cluster {}: runtime {}, datapath {}, {} databases over {}, underlay {} with MTU {} and {}, state in {}",
        plan.cluster,
        plan.runtime.name(),
        plan.datapath.as_str(),
        match plan.database {
            DatabaseMode::Standalone => "standalone",
            DatabaseMode::Raft => "RAFT",
        },
        match (plan.tls, plan.rbac) {
            (true, true) => "TLS with RBAC",
            (true, false) => "TLS",
            (false, _) => "TCP",
        },
        plan.underlay,
        plan.mtu,
        plan.chassis.encapsulation.types().join(" and "),
        plan.state_dir.display(),
    );
    let zones = plan.zones.iter().map(|zone| {
        [
            zone.number.to_string(),
            zone.name.to_string(),
            zone.nb_remote.clone(),
            zone.chassis_remote.clone(),
            list(zone.topology.switch_names()),
            list(zone.topology.router_names()),
        ]
    });
    let nodes = plan.nodes.iter().map(|node| {
        [
            node.name.to_string(),
            node.role.as_str().to_owned(),
            node.address.to_string(),
            node.zone.to_string(),
            list(node.links.iter().map(|link| &link.node_name)),
            list(node.daemons.iter().map(|daemon| &daemon.name)),
        ]
    });
    let mut text = head;
    if !plan.zones.is_empty() {
        text += "\n\n";
        let header = ["ZONE", "NAME", "NB", "SB OF CHASSIS", "SWITCHES", "ROUTERS"];
        text += &table(header, zones);
    }
    text += "\n\n";
    let header = ["NODE", "ROLE", "IP", "ZONE", "LINKS", "DAEMONS"];
    text += &table(header, nodes);
    if plan.vms().next().is_some() {
        let vms = plan.vms().map(|vm| {
            let addresses = vm.addresses.iter().map(IpNet::to_string);
            [
                vm.name.clone(),
                vm.node.to_string(),
                vm.iface_id.clone(),
                vm.mac.to_string(),
                list(addresses.chain(vm.dhcp.then(|| "dhcp".to_owned()))),
                list(&vm.gateways),
            ]
        });
        text += "\n\n";
        text += &table(["VM", "NODE", "PORT", "MAC", "IPS", "GATEWAYS"], vms);
    }
    text
}

/// Nodes as an engine lists containers.
pub(crate) fn containers(rows: impl IntoIterator<Item = [String; 4]>) -> String {
    table(["CONTAINER ID", "IMAGE", "STATUS", "NAMES"], rows)
}

/// Tests and what became of them.
pub(crate) fn tests(rows: impl IntoIterator<Item = [String; 5]>) -> String {
    table(["#", "TEST", "RESULT", "SECONDS", "WHY"], rows)
}

/// What was found on the host.
pub(crate) fn checks(checks: &[Check]) -> String {
    let rows = checks.iter().map(|check| {
        let mark = match (check.ok, check.hint.is_empty()) {
            (true, true) => "ok",
            (true, false) => "note",
            (false, _) => "FAIL",
        };
        [
            mark.to_owned(),
            check.what.clone(),
            check.found.clone(),
            check.hint.clone(),
        ]
    });
    table(["", "CHECK", "FOUND", "HINT"], rows)
}
