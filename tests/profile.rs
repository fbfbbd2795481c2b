//! Where the time of a start goes: its timeline and its timings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use ofm::trace::{Outcome, Span, SpanKind};
use ofm::{Phase, Timings, Trace};
use ofm_tests::{Place, copy_program, describe, leftovers, pause, wait_until_gone};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::block_on;
use crate::refusals::refused;
use crate::traffic::GRACE;
use crate::versions::{OVN_TREE, fill, folder};

/// The events of a timeline that take their time, by thread.
fn timeline(path: &Path) -> anyhow::Result<BTreeMap<String, Vec<Value>>> {
    let trace: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let events = trace["traceEvents"].as_array().context("no traceEvents")?;
    let of = |kind: &'static str, key: &'static str| {
        let events = events.iter();
        events.filter(move |event| event[key] == kind)
    };
    let threads = of("thread_name", "name").map(|thread| {
        let on = |event: &&Value| event["tid"] == thread["tid"];
        let events = of("X", "ph").filter(on).cloned().collect();
        let name = thread["args"]["name"].as_str().unwrap_or_default();
        (name.to_owned(), events)
    });
    Ok(threads.collect())
}

fn names(events: &[Value]) -> Vec<&str> {
    let names = events.iter().map(|event| event["name"].as_str());
    names.map(Option::unwrap_or_default).collect()
}

/// What was done for a node. What overlaps is on a second thread, and so on: `NAME (2)`.
fn of_node<'a>(threads: &'a BTreeMap<String, Vec<Value>>, node: &str) -> BTreeSet<&'a str> {
    let threads = threads.iter().filter(|(thread, _)| {
        let rest = thread.strip_prefix(node);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
    });
    threads.flat_map(|(_, events)| names(events)).collect()
}

/// The timeline of the default cluster has each node with its steps and daemons, the phases in order, and every wait; and
/// nothing in it took longer than the program.
pub(crate) fn traced(place: &Place) -> anyhow::Result<()> {
    // An engine would say later that the names are taken.
    let plan: Value = serde_json::from_str(&place.run(&["plan", "--json"])?)?;
    let file = place.root().join("start.json");
    let path = file.to_string_lossy();
    let began = Instant::now();
    place.run(&["start", "--trace", &path])?;
    let wall = began.elapsed().as_micros() as u64;
    let threads = timeline(&file)?;

    let phases = &threads["phases"];
    let of_kind = |kind: &str| -> Vec<Value> {
        let events = phases.iter();
        events
            .filter(|event| event["cat"] == kind)
            .cloned()
            .collect()
    };
    let in_order = of_kind("phase");
    let expected = Phase::ALL.map(Phase::as_str);
    assert_eq!(names(&in_order), expected);
    let waits = of_kind("wait");
    let expected = [
        "southbound database: ovn-central-az1",
        "chassis registered: ovn-central-az1",
        "routes of other zones: ovn-central-az1",
        "ports up: ovn-central-az1",
        "acknowledgements: ovn-central-az1",
    ];
    assert_eq!(names(&waits), expected);

    let nodes = plan["nodes"].as_array().context("a plan has nodes")?;
    for node in nodes {
        let name = node["name"].as_str().context("a node has a name")?;
        let found = of_node(&threads, name);
        let daemons = node["daemons"].as_array().into_iter().flatten();
        let daemons = daemons.filter_map(|daemon| daemon["name"].as_str());
        let steps = ["node", "links", "making files", "writing files"];
        for step in steps.into_iter().chain(daemons) {
            assert!(found.contains(step), "{name} has no {step}: {found:?}");
        }
        let is_chassis = node["role"] == "chassis" || node["role"] == "gateway";
        assert_eq!(found.contains("tunnels and ports"), is_chassis, "{name}");
    }
    for (node, wanted) in [
        (
            "ovn-chassis-1",
            ["VM sw01p1", "VM sw01p3", "lease of sw01p3"],
        ),
        (
            "ovn-chassis-2",
            ["VM sw11p1", "VM sw01p4", "lease of sw01p4"],
        ),
    ] {
        let found = of_node(&threads, node);
        assert!(wanted.iter().all(|name| found.contains(name)), "{found:?}");
    }

    for (thread, events) in &threads {
        for event in events {
            let number = |key: &str| {
                event[key]
                    .as_u64()
                    .with_context(|| format!("{thread}: {event}"))
            };
            let (from, length) = (number("ts")?, number("dur")?);
            assert!(from + length <= wall, "{thread} ends at {wall}: {event}");
            assert_eq!(event["args"], serde_json::json!({}), "{thread}: {event}");
            // Everything that is about a node is within the phases that do it.
            let within = in_order.iter().any(|phase| {
                let (began, took) = (phase["ts"].as_u64(), phase["dur"].as_u64());
                began.is_some_and(|began| began <= from && from <= began + took.unwrap_or(0))
            });
            assert!(within || thread == "phases", "{thread}: {event}");
        }
    }
    place.run(&["stop"])?;
    Ok(())
}

/// With servers in clusters, relays and more chassis there are the waits that only they have.
pub(crate) fn waits(place: &Place) -> anyhow::Result<()> {
    let trace = Trace::new();
    block_on(async {
        let builder = place.builder().database(ofm::spec::DatabaseMode::Raft);
        let builder = builder.relays(1).chassis(10).trace(&trace);
        let cluster = builder.start().await?;
        let timings = cluster.timings().await?.context("there is a trace")?;
        let spans = trace.spans();
        assert_eq!(timings.nodes.len(), cluster.plan().nodes.len());
        cluster.stop().await?;
        assert_eq!(trace.spans(), spans, "a stop is no part of the start");
        anyhow::Ok(())
    })??;
    let spans = trace.spans();
    let count = |wanted: &str| {
        let of = |span: &&Span| span.name == wanted && span.kind == SpanKind::Wait;
        spans.iter().filter(of).count()
    };
    assert_eq!(count("member of OVN_Northbound"), 3, "{spans:#?}");
    assert_eq!(count("member of OVN_Southbound"), 3, "{spans:#?}");
    // One chassis goes ahead of the others.
    assert_eq!(count("rows of the first controller"), 1, "{spans:#?}");
    assert_eq!(count("tunnels and ports"), 11, "{spans:#?}");
    assert!(
        spans.iter().all(|span| span.outcome == Outcome::Done),
        "{spans:#?}"
    );
    Ok(())
}

/// A start that fails leaves the timeline of what it did, and nothing else.
pub(crate) fn failed(place: &Place) -> anyhow::Result<()> {
    let folder = folder()?;
    let ovn = folder.path().join("ovn");
    fill(&ovn, &OVN_TREE, true)?;
    let controller = ovn.join("controller/ovn-controller");
    std::fs::remove_file(&controller)?;
    copy_program(Path::new("/bin/false"), &controller)?;
    let file = folder.path().join("start.json");
    let (tree, path) = (ovn.to_string_lossy(), file.to_string_lossy());
    let args = ["start", "--chassis-ovn", &tree, "--trace", &path];
    let output = place.ofm(&args).output()?;
    refused(&args, &output, 1, &["ovn-chassis-", "ovn-controller"]);
    assert_eq!(std::fs::read_dir(place.root())?.count(), 0);
    assert!(leftovers(place)?.is_empty());

    let threads = timeline(&file)?;
    let phases = names(&threads["phases"]);
    assert!(phases.contains(&"files"), "{phases:?}");
    assert!(phases.contains(&"daemons (unfinished)"), "{phases:?}");
    assert!(!phases.contains(&"chassis"), "{phases:?}");
    let mut failed = threads.values().flatten();
    let failed = failed.find(|event| event["name"] == "ovn-controller (failed)");
    let error = failed.with_context(|| format!("{threads:#?}"))?["args"]["error"].to_string();
    assert!(error.contains("instead of starting"), "{error}");
    Ok(())
}

/// A start that is interrupted leaves it too.
pub(crate) fn interrupted(place: &Place) -> anyhow::Result<()> {
    let folder = folder()?;
    let file = folder.path().join("start.json");
    let mut child = place
        .ofm(&["start", "--chassis", "12", "--trace"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // In the middle of the daemons, once one of the nodes shows a socket of one.
    let socket = place.root().join(place.name()).join("nodes");
    let socket = socket.join("ovn-gw-1/run/openvswitch/db.sock");
    let began = Instant::now();
    while !socket.exists() && began.elapsed() < Duration::from_secs(120) {
        pause(Duration::from_millis(1));
    }
    let pid = Pid::from_raw(child.id() as i32).context("a child has a number")?;
    rustix::process::kill_process(pid, Signal::INT)?;
    assert_eq!(child.wait()?.code(), Some(130));
    wait_until_gone(place, GRACE)?;
    let threads = timeline(&file)?;
    let phases = names(&threads["phases"]);
    assert!(phases.contains(&"daemons (unfinished)"), "{phases:?}");
    let mut daemons = threads.values().flatten();
    let cut_off =
        daemons.find(|event| event["cat"] == "daemon" && event["args"]["unfinished"] == true);
    assert!(cut_off.is_some(), "{threads:#?}");
    Ok(())
}

/// A file that cannot be made is an error before anything is touched. That it fills up is none: the cluster is there.
pub(crate) fn unwritable(place: &Place) -> anyhow::Result<()> {
    let folder = place.root().to_string_lossy();
    let absent = format!("{folder}/absent/start.json");
    for (path, reason) in [
        (&*folder, "Is a directory"),
        (&absent, "No such file or directory"),
        ("/proc/start.json", "No such file or directory"),
    ] {
        for args in [
            &["start", "--trace", path][..],
            &["start-chassis", "tcp:10.0.0.1:6642", "--trace", path],
        ] {
            let output = place.ofm(args).output()?;
            refused(args, &output, 1, &[path, reason]);
            assert_eq!(std::fs::read_dir(place.root())?.count(), 0, "{args:?}");
            assert!(leftovers(place)?.is_empty(), "{args:?}");
        }
    }
    // Of a request that is refused there is a timeline of looking at it.
    let file = place.root().join("start.json");
    let path = file.to_string_lossy();
    let mut start = place.ofm(&["start", "--chassis", "70000", "--trace", &path]);
    let output = start.output()?;
    assert_eq!(output.status.code(), Some(1), "{}", describe(&output));
    let refused = timeline(&file)?;
    assert_eq!(names(&refused["phases"])[0], "plan (unfinished)");

    let mut start = place.ofm(&["start", "--no-fake-vms", "--trace", "/dev/full"]);
    let output = start.output()?;
    let text = describe(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("warning: writing the trace to /dev/full"),
        "{text}"
    );
    place.run(&["stop"])?;
    Ok(())
}

/// What `--timings` prints has all programs, and its figures fit together.
pub(crate) fn timed(place: &Place) -> anyhow::Result<()> {
    let text = place.run(&["start", "--timings"])?;
    place.run(&["stop"])?;
    let table = |first: &str| {
        let lines = text.lines().skip_while(|line| !line.starts_with(first));
        let rows = lines.skip(1).take_while(|line| !line.is_empty());
        let words = rows.map(|row| row.split_whitespace().next().unwrap_or_default());
        words.collect::<BTreeSet<_>>()
    };
    assert!(table("PHASE").contains("daemons"), "{text}");
    let nodes = table("NODE");
    assert!(
        nodes.contains("ovn-central-az1") && nodes.contains("ovn-chassis-2"),
        "{text}"
    );
    let programs = table("PROGRAM");
    for program in [
        "ovs-vswitchd",
        "ovsdb-server",
        "ovn-controller",
        "ovn-northd",
        "ovn-ic",
        "ofm",
    ] {
        assert!(programs.contains(program), "{program} is missing: {text}");
    }
    assert!(text.contains("cores) = "), "{text}");

    let started: Value = serde_json::from_str(&place.run(&["start", "--timings", "--json"])?)?;
    assert_eq!(started["ready"], true, "it is a status too");
    let timings = &started["timings"];
    let number = |value: &Value| value.as_f64().with_context(|| format!("{timings:#}"));
    let programs = timings["programs"].as_array().context("no programs")?;
    let of = |name: &str| programs.iter().find(|p| p["program"] == name);
    for (name, processes) in [
        ("ovs-vswitchd", 3),
        ("ovn-controller", 3),
        ("ovn-northd", 1),
    ] {
        let program = of(name).with_context(|| format!("{timings:#}"))?;
        assert_eq!(program["processes"], processes, "{timings:#}");
        assert!(number(&program["total_ms"])? > 1.0, "{timings:#}");
    }
    let wall = number(&timings["wall_ms"])?;
    let phases = timings["phases_ms"].as_object().context("no phases")?;
    let sum: f64 = phases.values().filter_map(Value::as_f64).sum();
    assert!(sum <= wall, "{timings:#}");
    for node in timings["nodes"].as_array().into_iter().flatten() {
        assert!(
            number(&node["from_ms"])? <= number(&node["to_ms"])?,
            "{node}"
        );
        assert!(number(&node["to_ms"])? <= wall, "{node}");
    }
    let total: f64 = programs.iter().filter_map(|p| p["total_ms"].as_f64()).sum();
    let cores = number(&timings["cores"])?;
    let daemons = number(&timings["daemons_ms"])?;
    assert!(daemons < total, "{timings:#}");
    let ratio = wall / (daemons / cores);
    assert!(
        (number(&timings["ratio"])? / ratio - 1.0).abs() < 1e-3,
        "{timings:#}"
    );
    place.run(&["stop"])?;

    let without: Value = serde_json::from_str(&place.run(&["start", "--json"])?)?;
    assert!(without.get("timings").is_none());
    place.run(&["stop"])?;
    block_on(async {
        let cluster = place.builder().no_fake_vms().start().await?;
        let timings: Option<Timings> = cluster.timings().await?;
        assert!(timings.is_none(), "nobody asked for a trace");
        cluster.stop().await?;
        anyhow::Ok(())
    })?
}
