//! Chrome's trace event format: <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.
//!
//! A process is the cluster. Its threads are lanes, the first of which has the phases and what else is of the whole cluster; then
//! comes one for each node, in the order in which the start came to them. Events of a thread have to nest, so what goes on beside
//! something else at one node, and neither within it nor around it, gets another lane of that node.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::time::Duration;

use serde::Serialize;

use super::{Outcome, Span, SpanKind};
use crate::name::NodeName;

/// The process that all events belong to. Any number will do.
const PROCESS: u32 = 1;

/// The file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Timeline<'a> {
    display_time_unit: &'static str,
    trace_events: Vec<Event<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "ph")]
enum Event<'a> {
    /// Says something of the process or a thread.
    #[serde(rename = "M")]
    Metadata {
        pid: u32,
        tid: u32,
        name: &'static str,
        args: About,
    },
    /// Something with a beginning and an end.
    #[serde(rename = "X")]
    Complete {
        pid: u32,
        tid: u32,
        name: Cow<'a, str>,
        cat: SpanKind,
        /// Microseconds since the start began.
        ts: u64,
        /// Microseconds.
        dur: u64,
        args: Args<'a>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum About {
    Name(String),
    SortIndex(u32),
}

#[derive(Serialize)]
struct Args<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
}

/// The timeline of a cluster's start.
pub(crate) fn timeline<'a>(cluster: &str, spans: &'a [Span]) -> Timeline<'a> {
    let about = |tid, name, args| Event::Metadata {
        pid: PROCESS,
        tid,
        name,
        args,
    };
    let title = About::Name(format!("ofm start: cluster {cluster}"));
    let mut trace_events = vec![about(0, "process_name", title)];
    let mut tid = 0;
    for (node, spans) in tracks(spans) {
        let track = node.map_or("phases", NodeName::as_str);
        for (k, lane) in lanes(spans).into_iter().enumerate() {
            let name = match k {
                0 => track.to_owned(),
                _ => format!("{track} ({})", k + 1),
            };
            trace_events.push(about(tid, "thread_name", About::Name(name)));
            trace_events.push(about(tid, "thread_sort_index", About::SortIndex(tid)));
            trace_events.extend(lane.into_iter().map(|span| complete(tid, span)));
            tid += 1;
        }
    }
    Timeline {
        display_time_unit: "ms",
        trace_events,
    }
}

/// The spans of the cluster, which may be none, and those of each node that has any.
fn tracks(spans: &[Span]) -> Vec<(Option<&NodeName>, Vec<&Span>)> {
    let mut tracks = vec![(None, Vec::new())];
    for span in spans {
        let node = span.node.as_ref();
        match tracks.iter_mut().find(|(of, _)| *of == node) {
            Some((_, spans)) => spans.push(span),
            None => tracks.push((node, vec![span])),
        }
    }
    tracks
}

/// Deals spans to lanes, within each of which any two are one within the other or one after the other.
fn lanes(mut spans: Vec<&Span>) -> Vec<Vec<&Span>> {
    spans.sort_by_key(|span| (micros(span.from), Reverse(micros(span.to))));
    let mut lanes = vec![Vec::new()];
    // Of each lane, when those end that go on.
    let mut open: Vec<Vec<u64>> = vec![Vec::new()];
    for span in spans {
        let (from, to) = (micros(span.from), micros(span.to));
        let fits = |ends: &mut Vec<u64>| {
            while ends.last().is_some_and(|end| *end <= from) {
                ends.pop();
            }
            ends.last().is_none_or(|end| to <= *end)
        };
        let lane = match open.iter_mut().position(fits) {
            Some(lane) => lane,
            None => {
                lanes.push(Vec::new());
                open.push(Vec::new());
                lanes.len() - 1
            }
        };
        lanes[lane].push(span);
        open[lane].push(to);
    }
    lanes
}

fn complete(tid: u32, span: &Span) -> Event<'_> {
    let (name, error) = match &span.outcome {
        Outcome::Done => (Cow::Borrowed(span.name.as_str()), None),
        Outcome::Failed(error) => (format!("{} (failed)", span.name).into(), Some(&**error)),
        Outcome::Unfinished => (format!("{} (unfinished)", span.name).into(), None),
    };
    let ts = micros(span.from);
    Event::Complete {
        pid: PROCESS,
        tid,
        name,
        cat: span.kind,
        ts,
        // The difference of what was rounded down, so that what is within something else stays so.
        dur: micros(span.to) - ts,
        args: Args {
            error,
            unfinished: span.outcome == Outcome::Unfinished,
        },
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn span(node: Option<&str>, name: &str, from: u64, to: u64) -> Span {
        Span {
            node: node.map(|node| node.parse().unwrap()),
            kind: if node.is_some() {
                SpanKind::Step
            } else {
                SpanKind::Phase
            },
            name: name.to_owned(),
            from: Duration::from_nanos(from),
            to: Duration::from_nanos(to),
            outcome: Outcome::Done,
        }
    }

    fn written(spans: &[Span]) -> Vec<Value> {
        let text = serde_json::to_string(&timeline("c", spans)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["displayTimeUnit"], "ms");
        value["traceEvents"].as_array().unwrap().clone()
    }

    /// The name of a thread, and the names of the events on it with their times.
    type Thread<'a> = (&'a str, Vec<(&'a str, u64, u64)>);

    fn threads(events: &[Value]) -> Vec<Thread<'_>> {
        let names = events.iter().filter(|event| event["name"] == "thread_name");
        let number = |event: &Value, key: &str| event[key].as_u64().unwrap();
        let thread = |thread: &'_ Value| {
            let on = |event: &&Value| event["ph"] == "X" && event["tid"] == thread["tid"];
            events
                .iter()
                .filter(on)
                .map(|event| {
                    let name = event["name"].as_str().unwrap();
                    (name, number(event, "ts"), number(event, "dur"))
                })
                .collect()
        };
        names
            .map(|name| (name["args"]["name"].as_str().unwrap(), thread(name)))
            .collect()
    }

    #[test]
    fn an_event_is_as_the_format_says() {
        let events = written(&[span(Some("n1"), "links", 1_500, 4_000)]);
        let expected = json!([
            {"ph": "M", "pid": 1, "tid": 0, "name": "process_name", "args": {"name": "ofm start: cluster c"}},
            {"ph": "M", "pid": 1, "tid": 0, "name": "thread_name", "args": {"name": "phases"}},
            {"ph": "M", "pid": 1, "tid": 0, "name": "thread_sort_index", "args": {"sort_index": 0}},
            {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "n1"}},
            {"ph": "M", "pid": 1, "tid": 1, "name": "thread_sort_index", "args": {"sort_index": 1}},
            {"ph": "X", "pid": 1, "tid": 1, "name": "links", "cat": "step", "ts": 1, "dur": 3, "args": {}},
        ]);
        assert_eq!(Value::from(events), expected);
    }

    #[test]
    fn nothing_is_a_timeline_too() {
        assert_eq!(threads(&written(&[])), [("phases", vec![])]);
    }

    #[test]
    fn each_node_is_a_thread() {
        let spans = [
            span(None, "nodes", 0, 9_000),
            span(Some("b"), "node", 0, 3_000),
            span(Some("a"), "node", 1_000, 4_000),
            span(Some("b"), "links", 3_000, 5_000),
        ];
        let expected = [
            ("phases", vec![("nodes", 0, 9)]),
            ("b", vec![("node", 0, 3), ("links", 3, 2)]),
            ("a", vec![("node", 1, 3)]),
        ];
        assert_eq!(threads(&written(&spans)), expected);
    }

    #[test]
    fn what_overlaps_gets_another_lane() {
        let spans = [
            span(Some("a"), "outer", 0, 10_000),
            span(Some("a"), "inner", 1_000, 5_000),
            span(Some("a"), "across", 4_000, 6_000),
            span(Some("a"), "within both", 4_500, 4_900),
            span(Some("a"), "later", 5_000, 10_000),
        ];
        let expected = [
            ("phases", vec![]),
            (
                "a",
                vec![
                    ("outer", 0, 10),
                    ("inner", 1, 4),
                    ("within both", 4, 0),
                    ("later", 5, 5),
                ],
            ),
            ("a (2)", vec![("across", 4, 2)]),
        ];
        assert_eq!(threads(&written(&spans)), expected);
    }

    proptest::proptest! {
        #[test]
        fn within_a_lane_all_nest(times in proptest::collection::vec((0_u64..40, 0_u64..40), 0..30)) {
            let spans: Vec<_> = times
                .iter()
                .map(|(from, length)| span(Some("a"), "x", from * 300, (from + length) * 300))
                .collect();
            let lanes = lanes(spans.iter().collect());
            assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), spans.len());
            for lane in lanes {
                for (k, a) in lane.iter().enumerate() {
                    let (from, to) = (micros(a.from), micros(a.to));
                    let nests = |b: &&Span| micros(b.from) >= to || micros(b.to) <= to;
                    assert!(lane[k + 1..].iter().all(nests), "{a:?} in {lane:?}");
                    assert!(lane[k + 1..].iter().all(|b| micros(b.from) >= from));
                }
            }
        }
    }

    #[test]
    fn what_did_not_end_well_is_marked() {
        let mut spans = [span(None, "daemons", 0, 1), span(Some("a"), "ovn-ic", 0, 1)];
        spans[0].outcome = Outcome::Unfinished;
        spans[1].outcome = Outcome::Failed("ended:\n  \"no\"".to_owned());
        let events = written(&spans);
        let found: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
        assert_eq!(found[0]["name"], "daemons (unfinished)");
        assert_eq!(found[0]["args"], json!({"unfinished": true}));
        assert_eq!(found[1]["name"], "ovn-ic (failed)");
        assert_eq!(found[1]["args"], json!({"error": "ended:\n  \"no\""}));
    }

    #[test]
    fn names_may_have_anything_in_them() {
        let name = "quote \" slash \\ line \n bell \u{7} ☃";
        let events = written(&[span(Some("a"), name, 0, 1)]);
        assert_eq!(threads(&events)[1].1, [(name, 0, 0)]);
    }
}
