//! Records of a log: the framing that all database files share (ovsdb(5), "File Format").
//!
//! A record is a line `OVSDB <magic> <length> <SHA-1>` and a line of JSON; length and hash cover
//! the second with its newline.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::str::FromStr;

use sha1::{Digest, Sha1};

/// Longest header line that servers read, with its newline (`ovsdb/log.c`).
const HEADER_LIMIT: u64 = 127;

/// What kind of database a file holds: the second word of every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    Standalone,
    Clustered,
}

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "JSON",
            Self::Clustered => "CLUSTER",
        })
    }
}

/// Frames one line of JSON as a record.
pub(super) fn record(magic: Magic, json: &str) -> Vec<u8> {
    let line = format!("{json}\n");
    let digest = Sha1::digest(line.as_bytes());
    let mut record = format!("OVSDB {magic} {} {digest:x}\n", line.len()).into_bytes();
    record.extend(line.into_bytes());
    record
}

/// Drops the white space between the tokens of a JSON text and changes nothing else.
pub(super) fn compact(json: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    let keep = |character: &char| {
        if escaped {
            escaped = false;
        } else if *character == '"' {
            inside = !inside;
        } else if inside && *character == '\\' {
            escaped = true;
        }
        inside || !character.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file ends before the record does: what a crash during a write leaves behind. A damaged
    /// length that became too large looks the same.
    #[error("the file ends inside the record")]
    Torn,
    /// The line before the JSON is not that of a record of this file.
    #[error("{line:?} is not the header of a record")]
    Header {
        /// The line, cut off after 127 bytes.
        line: String,
    },
    /// The JSON is not what was written.
    #[error("the SHA-1 of the record is {found}, not {expected}")]
    Hash {
        /// What the header says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The record is not JSON.
    #[error("the record is not JSON")]
    Json {
        /// Where.
        source: serde_json::Error,
    },
    /// The record is JSON, but no object.
    #[error("the record is not a JSON object")]
    Shape,
    /// It is a record of a standalone database, but cannot be applied to the rows before it.
    #[error("the transaction in the record cannot be applied")]
    Transaction {
        /// Why not.
        source: super::BadTransaction,
    },
}

/// The reader stopped for a reason that says nothing about the records before.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("cannot read")]
    Io(#[from] io::Error),
    #[error("{length} bytes are more than {limit}")]
    TooLong { length: u64, limit: u64 },
}

/// The parsed header line.
struct Header {
    magic: Magic,
    length: u64,
    hash: String,
}

impl FromStr for Header {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words = line.strip_prefix("OVSDB ").ok_or(())?;
        let mut words = words.strip_suffix('\n').ok_or(())?.split(' ');
        let mut next = || words.next().ok_or(());
        let magic = match next()? {
            "JSON" => Magic::Standalone,
            "CLUSTER" => Magic::Clustered,
            _ => return Err(()),
        };
        let digits = next()?;
        let length: u64 = digits.parse().map_err(drop)?;
        let hash = next()?;
        let is_hash = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_length = length > 0 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_hash && is_length && words.next().is_none() {
            let hash = hash.to_ascii_lowercase();
            Ok(Self {
                magic,
                length,
                hash,
            })
        } else {
            Err(())
        }
    }
}

/// Reads the records of a log one by one, holding one of them at a time.
pub(super) struct Records<R> {
    input: R,
    limit: u64,
    magic: Option<Magic>,
    /// Number of records read whole.
    pub(super) count: u64,
    /// Where the record that is read next begins.
    pub(super) offset: u64,
    body: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    /// Reads records of at most `limit` bytes.
    pub(super) fn new(input: R, limit: u64) -> Self {
        Self {
            input,
            limit,
            magic: None,
            count: 0,
            offset: 0,
            body: Vec::new(),
        }
    }

    /// The kind of the file, which its first record tells.
    pub(super) fn magic(&self) -> Option<Magic> {
        self.magic
    }

    /// The JSON of the next record, which begins with a brace; `None` at the end of the file.
    ///
    /// After an error within the record, the reader is at its beginning as far as `count` and
    /// `offset` tell, and has nothing more to give.
    pub(super) fn next(&mut self) -> Result<Option<Result<&[u8], RecordError>>, Stop> {
        let mut line = Vec::new();
        (&mut self.input)
            .take(HEADER_LIMIT)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let text = str::from_utf8(&line).ok();
        let header = match text.and_then(|text| text.parse::<Header>().ok()) {
            Some(header) if self.magic.is_none_or(|magic| magic == header.magic) => header,
            _ if !line.ends_with(b"\n") && (line.len() as u64) < HEADER_LIMIT => {
                return Ok(Some(Err(RecordError::Torn)));
            }
            _ => {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                return Ok(Some(Err(RecordError::Header { line })));
            }
        };
        if header.length > self.limit {
            let (length, limit) = (header.length, self.limit);
            return Err(Stop::TooLong { length, limit });
        }
        self.magic = Some(header.magic);
        self.body.clear();
        // The buffer grows with what is there, not with what the header promises.
        let read = (&mut self.input)
            .take(header.length)
            .read_to_end(&mut self.body)?;
        if (read as u64) < header.length {
            return Ok(Some(Err(RecordError::Torn)));
        }
        let found = format!("{:x}", Sha1::digest(&self.body));
        if found != header.hash {
            let expected = header.hash;
            return Ok(Some(Err(RecordError::Hash { expected, found })));
        }
        let mut visible = self
            .body
            .iter()
            .skip_while(|byte| byte.is_ascii_whitespace());
        if visible.next().is_some_and(|&byte| byte != b'{') {
            return Ok(Some(Err(RecordError::Shape)));
        }
        self.count += 1;
        self.offset += line.len() as u64 + header.length;
        Ok(Some(Ok(&self.body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "OVSDB JSON 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n";

    /// What becomes of each record, and where the readable part ends.
    fn read(bytes: &[u8], limit: u64) -> (Vec<String>, u64) {
        let mut records = Records::new(bytes, limit);
        let mut seen = Vec::new();
        loop {
            seen.push(match records.next() {
                Ok(None) => break,
                Ok(Some(Ok(body))) => String::from_utf8(body.to_vec()).unwrap(),
                Ok(Some(Err(error))) => error.to_string(),
                Err(stop) => stop.to_string(),
            });
            if seen.last().is_some_and(|last| !last.starts_with('{')) {
                break;
            }
        }
        (seen, records.offset)
    }

    #[test]
    fn a_record_counts_and_hashes_its_newline() {
        assert_eq!(record(Magic::Standalone, "{}"), EMPTY.as_bytes());
        let two = EMPTY.repeat(2);
        assert_eq!(
            read(two.as_bytes(), 3),
            (vec!["{}\n".to_owned(); 2], two.len() as u64)
        );
    }

    #[test]
    fn damage_is_told_apart() {
        let torn = "the file ends inside the record";
        let header = |line: &str| format!("{line:?} is not the header of a record");
        let long = format!("OVSDB JSON {} {}\n", "1".repeat(80), "0".repeat(40));
        let cases = [
            (EMPTY[..9].to_owned(), torn.to_owned()),
            (EMPTY[..EMPTY.len() - 1].to_owned(), torn.to_owned()),
            (
                EMPTY.replace("JSON", "CLUSTER"),
                header(EMPTY.replace("JSON", "CLUSTER").lines().next().unwrap()),
            ),
            ("garbage\n".to_owned(), header("garbage")),
            ("{".repeat(200), header(&"{".repeat(127))),
            (long.clone(), header(&long[..127])),
            (
                EMPTY.replace(" 3 ", " 0 "),
                header(EMPTY.replace(" 3 ", " 0 ").lines().next().unwrap()),
            ),
            (EMPTY.replace(" 3 ", " 4 "), torn.to_owned()),
            (
                EMPTY.replace(" 3 ", " 9 "),
                "9 bytes are more than 8".to_owned(),
            ),
            (
                EMPTY.replace("{}", "[]"),
                format!(
                    "the SHA-1 of the record is {:x}, not {}",
                    Sha1::digest("[]\n"),
                    "5f36b2ea290645ee34d943220a14b54ee5ea5be5"
                ),
            ),
            (
                String::from_utf8(record(Magic::Standalone, "[]")).unwrap(),
                "the record is not a JSON object".to_owned(),
            ),
        ];
        for (second, message) in cases {
            let (seen, offset) = read(format!("{EMPTY}{second}").as_bytes(), 8);
            assert_eq!(seen[1], message, "{second:?}");
            assert_eq!(
                offset,
                EMPTY.len() as u64,
                "the first record stays readable"
            );
        }
    }

    #[test]
    fn white_space_goes_only_from_between_tokens() {
        let json = "{ \"a b\" : [ 1 ,\n\t\"c \\\" d\\\\\" , {} ] }";
        assert_eq!(compact(json), r#"{"a b":[1,"c \" d\\",{}]}"#);
    }
}
