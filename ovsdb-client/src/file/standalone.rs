//! Logs of standalone databases: a record with the schema, then one for each transaction.

use std::io::BufRead;

use super::contents::Contents;
use super::log::{Magic, RecordError, Records, Stop, compact, record};
use super::transaction::{self, Annotation, BadTransaction};
use super::{LogError, Tail};
use crate::schema::Schema;

/// What a file of a standalone database holds.
#[derive(Debug)]
pub struct StandaloneLog {
    /// The rows that the transactions add up to.
    ///
    /// [`Contents::settle`] is done once at their end, where a server does it after each. In what
    /// servers write there is nothing to settle.
    pub contents: Contents,
    /// What the transactions say about themselves, in the order of their records.
    pub history: Vec<Annotation>,
    /// The first record that could not be read or applied, if any. It and all after it are not in
    /// the contents. A server too stops at what it cannot read, and writes over it later; a
    /// transaction that does not fit it leaves out, and goes on with the next.
    pub tail: Option<Tail>,
    /// Length of the readable part in bytes.
    pub(super) end: u64,
}

impl StandaloneLog {
    /// Reads what follows the record with the schema.
    pub(super) fn read<R: BufRead>(
        schema: Schema,
        records: &mut Records<R>,
    ) -> Result<Self, LogError> {
        let mut contents = Contents::new(schema);
        let mut history = Vec::new();
        let (mut end, mut tail) = (records.offset, None);
        loop {
            let number = records.count;
            let source = match records.next()? {
                None => break,
                Some(Err(source)) => source,
                Some(Ok(json)) => match contents.apply(json) {
                    Ok(annotation) => {
                        history.push(annotation);
                        end = records.offset;
                        continue;
                    }
                    Err(BadTransaction::Json { source }) => RecordError::Json { source },
                    Err(source) => RecordError::Transaction { source },
                },
            };
            tail = Some(Tail {
                record: number,
                offset: end,
                source,
            });
            break;
        }
        contents
            .settle_loaded()
            .map_err(|source| LogError::Inconsistent { source })?;
        Ok(Self {
            contents,
            history,
            tail,
            end,
        })
    }
}

/// A whole file: the schema, and the rows if there are any.
pub(super) fn to_bytes(contents: &Contents, annotation: &Annotation) -> Vec<u8> {
    let mut bytes = record(Magic::Standalone, &compact(contents.schema().json()));
    if contents.stored().next().is_some() {
        let rows = transaction::whole(contents, annotation);
        bytes.extend(record(Magic::Standalone, &rows));
    }
    bytes
}

impl From<Stop> for LogError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Io(source) => Self::Read { source },
            Stop::TooLong { length, limit } => Self::TooLong { length, limit },
        }
    }
}
