//! Where the time of a start goes.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ofm::Trace;

/// What of the start is recorded and shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ProfileArgs {
    /// Write a timeline of the start to FILE, in Chrome's trace event format
    ///
    /// Perfetto (https://ui.perfetto.dev) and chrome://tracing show it: every phase, and of every node each step, each daemon
    /// from its launch until it serves, and what was waited for. Of a start that fails, what was done until then.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print where the time went: phases, the nodes that were done last, and processor time by program
    #[arg(long)]
    pub(super) timings: bool,
}

/// A start that is recorded.
pub(super) struct Profile {
    /// Present if anything is to be made of it.
    pub(super) trace: Option<Trace>,
    file: Option<TraceFile>,
}

struct TraceFile {
    path: PathBuf,
    file: File,
}

impl Profile {
    /// Makes the file, before anything else is done.
    pub(super) fn new(args: &ProfileArgs) -> anyhow::Result<Self> {
        let file = args.trace.as_deref().map(TraceFile::create).transpose()?;
        let wanted = file.is_some() || args.timings;
        Ok(Self {
            trace: wanted.then(Trace::new),
            file,
        })
    }

    /// Writes the timeline down, if it is wanted.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let (Some(trace), Some(TraceFile { path, file })) = (&self.trace, &self.file) else {
            return Ok(());
        };
        let written = trace.write_chrome(file);
        written.with_context(|| format!("writing the trace to {} failed", path.display()))
    }
}

impl TraceFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path)
            .with_context(|| format!("creating the trace file {} failed", path.display()))?;
        let path = path.to_owned();
        Ok(Self { path, file })
    }
}
