//! What the commands print: data to standard output, everything else to standard error.

pub(crate) mod progress;
pub(crate) mod table;

use std::fmt;
use std::io::{ErrorKind, Write};

use serde::Serialize;

/// Standard output was closed by its reader.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for Closed {}

/// Whether an error only says that whoever read our standard output has seen enough.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Closed>().is_some()
}

/// Writes text and a newline to standard output.
pub(crate) fn print(text: impl fmt::Display) -> anyhow::Result<()> {
    print_bytes(format!("{text}\n").as_bytes())
}

/// Writes bytes as they are to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        result => Ok(result?),
    }
}

/// Writes a value as JSON to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value)?)
}

/// Writes what is not as it should be but keeps nothing from being done.
pub(crate) fn print_warning(error: &anyhow::Error) {
    eprintln!("warning: {error:#}");
}

/// Writes what its user may not expect.
pub(crate) fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Writes an error, what caused it, and what helps, to standard error.
pub(crate) fn print_error(error: &anyhow::Error) {
    let mut said = error.to_string();
    eprintln!("error: {said}");
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        // An error that only passes another one on says the same.
        if text != said {
            eprintln!("caused by: {text}");
            said = text;
        }
    }
    let hint = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<ofm::Error>()?.hint());
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
}
