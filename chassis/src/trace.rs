//! What a start does and when: a timeline, for those who ask for one.

pub(crate) mod chrome;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ofm_netns::CpuTime;
use serde::Serialize;

use crate::name::{ClusterName, NodeName};

/// The timeline of a start. Cheap to clone; all clones are of the same one.
///
/// Given to [`Builder::trace`](crate::Builder::trace), it has everything that the start did, also when that failed or was
/// dropped: what was done until then. Used for another start, it begins anew.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let trace = ofm::Trace::new();
/// let started = ofm::Cluster::builder().trace(&trace).start().await;
/// trace.write_chrome(std::fs::File::create("start.json")?)?;
/// for span in trace.spans() {
///     println!("{:?} {}: {:?}", span.node, span.name, span.to - span.from);
/// }
/// # started?; Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Trace {
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    cluster: Option<ClusterName>,
    /// When the start began, and what this process had used by then.
    began: Option<(Instant, CpuTime)>,
    spans: Vec<Span>,
    /// How long the start took and what this process used meanwhile, once it is over.
    end: Option<(Duration, CpuTime)>,
    /// What the processes used that launched daemons and ended, by program.
    launched: BTreeMap<String, CpuTime>,
}

/// Something that took its time during a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The node that it was about; `None` for what is of the whole cluster.
    pub node: Option<NodeName>,
    /// What kind of thing it was.
    pub kind: SpanKind,
    /// What it was: a phase, a step, a daemon, or what was waited for.
    pub name: String,
    /// When it began, from the beginning of the start.
    pub from: Duration,
    /// When it ended; as `from` while it still goes on.
    pub to: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// What kind of thing took its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanKind {
    /// A phase of the start.
    Phase,
    /// Something that this process did.
    Step,
    /// From a daemon's launch until it serves.
    Daemon,
    /// Something that daemons did and that was waited for.
    Wait,
}

/// How a part of a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It failed; with the error.
    Failed(String),
    /// It was given up because something else failed or the start was dropped, or it still goes on.
    Unfinished,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}

impl Trace {
    /// A trace of a start to come.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was recorded by now, in the order in which it began.
    pub fn spans(&self) -> Vec<Span> {
        self.lock().spans.clone()
    }

    /// Writes what was recorded by now in Chrome's trace event format, which Perfetto and chrome://tracing load: an object
    /// with `traceEvents`, of which each node is a thread and whose times are microseconds since the start began.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_chrome(&self, to: impl io::Write) -> io::Result<()> {
        let record = self.lock();
        let name = record.cluster.as_ref().map_or("", ClusterName::as_str);
        let timeline = chrome::timeline(name, &record.spans);
        let mut to = io::BufWriter::new(to);
        serde_json::to_writer(&mut to, &timeline)?;
        io::Write::flush(&mut to)
    }

    /// Begins anew: the start begins now.
    pub(crate) fn begin(&self, cluster: &ClusterName) {
        *self.lock() = Record {
            cluster: Some(cluster.clone()),
            began: Some((Instant::now(), own_cpu())),
            ..Record::default()
        };
    }

    /// The start is over. What the cluster does later is not recorded.
    pub(crate) fn end(&self) {
        let mut record = self.lock();
        if let Some((began, cpu)) = record.began {
            record.end = Some((began.elapsed(), own_cpu().since(cpu)));
        }
    }

    /// How long the start took and what this process used meanwhile, once it is over.
    pub(crate) fn whole(&self) -> Option<(Duration, CpuTime)> {
        self.lock().end
    }

    /// What the processes used that launched daemons, by program.
    pub(crate) fn launched(&self) -> BTreeMap<String, CpuTime> {
        self.lock().launched.clone()
    }

    /// Notes what a process used that launched a daemon.
    pub(crate) fn add_launched(&self, program: &Path, cpu: CpuTime) {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let mut record = self.lock();
        *record.launched.entry(name.into_owned()).or_default() += cpu;
    }

    /// Opens a span; `None` before and after the start.
    pub(crate) fn open(
        &self,
        node: Option<&NodeName>,
        kind: SpanKind,
        name: impl fmt::Display,
    ) -> Option<OpenSpan> {
        let mut record = self.lock();
        let (began, _) = record.began.filter(|_| record.end.is_none())?;
        let from = began.elapsed();
        record.spans.push(Span {
            node: node.cloned(),
            kind,
            name: name.to_string(),
            from,
            to: from,
            outcome: Outcome::Unfinished,
        });
        Some(OpenSpan {
            trace: self.clone(),
            began,
            place: record.spans.len() - 1,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this process has used, which is nothing if /proc says nothing.
fn own_cpu() -> CpuTime {
    CpuTime::of(std::process::id() as i32).unwrap_or_default()
}

/// A span that goes on. Dropped without an [`OpenSpan::end`], it stays unfinished.
pub(crate) struct OpenSpan {
    trace: Trace,
    began: Instant,
    place: usize,
}

impl OpenSpan {
    /// It ended well, or with an error.
    pub(crate) fn end(self, error: Option<&dyn Error>) {
        let outcome = match error {
            None => Outcome::Done,
            Some(error) => Outcome::Failed(error.to_string()),
        };
        if let Some(span) = self.trace.lock().spans.get_mut(self.place) {
            span.outcome = outcome;
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(span) = self.trace.lock().spans.get_mut(self.place) {
            span.to = self.began.elapsed();
        }
    }
}

/// Does work as a span of a trace, if there is one. Its error is the span's; if it is dropped, the span stays unfinished.
pub(crate) async fn span<T, E: Error + 'static>(
    trace: Option<&Trace>,
    node: Option<&NodeName>,
    kind: SpanKind,
    name: impl fmt::Display,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let open = trace.and_then(|trace| trace.open(node, kind, name));
    let result = work.await;
    if let Some(open) = open {
        open.end(result.as_ref().err().map(|error| error as &dyn Error));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Trace {
        let trace = Trace::new();
        trace.begin(&"c".parse().unwrap());
        trace
    }

    fn outcomes(trace: &Trace) -> Vec<(String, Outcome)> {
        let spans = trace.spans().into_iter();
        spans.map(|span| (span.name, span.outcome)).collect()
    }

    async fn work(
        trace: &Trace,
        name: &str,
        result: Result<(), io::Error>,
    ) -> Result<(), io::Error> {
        span(Some(trace), None, SpanKind::Step, name, async { result }).await
    }

    #[tokio::test]
    async fn spans_end_as_their_work_does() {
        let trace = begun();
        work(&trace, "good", Ok(())).await.unwrap();
        work(&trace, "bad", Err(io::Error::other("no")))
            .await
            .unwrap_err();
        let never = span(
            Some(&trace),
            None,
            SpanKind::Wait,
            "dropped",
            std::future::pending::<Result<(), io::Error>>(),
        );
        tokio::select! {
            biased;
            _ = never => unreachable!("it waits for ever"),
            () = async {} => {}
        }
        let expected = [
            ("good".to_owned(), Outcome::Done),
            ("bad".to_owned(), Outcome::Failed("no".to_owned())),
            ("dropped".to_owned(), Outcome::Unfinished),
        ];
        assert_eq!(outcomes(&trace), expected);
        let spans = trace.spans();
        assert!(spans.iter().all(|span| span.from <= span.to), "{spans:?}");
        assert!(spans.is_sorted_by_key(|span| span.from), "{spans:?}");
    }

    #[tokio::test]
    async fn nothing_is_recorded_outside_a_start() {
        let trace = Trace::new();
        work(&trace, "before", Ok(())).await.unwrap();
        assert!(trace.whole().is_none());
        trace.begin(&"c".parse().unwrap());
        work(&trace, "meanwhile", Ok(())).await.unwrap();
        trace.end();
        work(&trace, "after", Ok(())).await.unwrap();
        assert_eq!(outcomes(&trace), [("meanwhile".to_owned(), Outcome::Done)]);
        let (wall, _) = trace.whole().unwrap();
        assert!(trace.spans()[0].to <= wall);
        trace.begin(&"c".parse().unwrap());
        assert_eq!(outcomes(&trace), []);
    }

    #[test]
    fn launches_of_a_program_add_up() {
        let trace = begun();
        let cpu = CpuTime {
            total: Duration::from_millis(3),
            ..CpuTime::default()
        };
        trace.add_launched(Path::new("/usr/bin/ovn-ic"), cpu);
        trace.add_launched(Path::new("ovn-ic"), cpu);
        assert_eq!(trace.launched()["ovn-ic"].total, Duration::from_millis(6));
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        struct Full;
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = begun().write_chrome(Full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
