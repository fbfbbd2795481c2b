//! How the text of a connection method is taken apart, and what is said when that fails.

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Range;

use super::host::{self, Host};

/// Why a text is not a [`Remote`](super::Remote), a [`PassiveRemote`](super::PassiveRemote) or a
/// list of [`Remotes`](super::Remotes): something else was expected at one of its characters.
///
/// Displayed it is one line. [`marked`](Self::marked) shows the place:
///
/// ```
/// # use ovsdb_client::Remote;
/// let error = "tcp:192.0.2.1:70000".parse::<Remote>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#""tcp:192.0.2.1:70000": expected a port from 1 to 65535 at character 15, before "70000""#
/// );
/// assert_eq!(
///     error.marked().to_string(),
///     "tcp:192.0.2.1:70000\n              ^ expected a port from 1 to 65535"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: expected {expected} at {}", self.place())]
pub struct ParseRemoteError {
    text: String,
    offset: usize,
    expected: Expected,
}

/// What should have stood where a text could not be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// `unix:`, `tcp:` or `ssl:`.
    Method,
    /// `punix:`, `ptcp:` or `pssl:`.
    PassiveMethod,
    /// The path of a socket, without null characters.
    Path,
    /// A host name or an address.
    Host,
    /// A letter, a digit, a hyphen, an underscore, or a dot between two labels.
    HostName,
    /// A host name with fewer characters.
    ShorterName,
    /// Four numbers: a host that ends in a number is no name.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Brackets: without them a port cannot be told from the address.
    Brackets,
    /// The end of a bracketed address.
    ClosingBracket,
    /// The network device of a link-local address: at most 15 bytes, none of them `/`, `:` or a
    /// blank.
    Device,
    /// The colon before a port.
    Colon,
    /// A port to connect to.
    Port,
    /// A port to listen on.
    PassivePort,
    /// The end of the text.
    End,
    /// The UUID after `cid:`, which may be given once.
    ClusterId,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "one of the methods unix:, tcp: and ssl:",
            Self::PassiveMethod => "one of the methods punix:, ptcp: and pssl:",
            Self::Path => "the path of a socket",
            Self::Host => "a host name, an IPv4 address or an IPv6 address in brackets",
            Self::HostName => "a host name of letters, digits, hyphens and dots",
            Self::ShorterName => "a host name of at most 253 characters, 63 between two dots",
            Self::Ipv4 => "an IPv4 address of four numbers from 0 to 255",
            Self::Ipv6 => "an IPv6 address",
            Self::Brackets => "an IPv6 address in brackets",
            Self::ClosingBracket => "a closing bracket",
            Self::Device => "the name of a network device",
            Self::Colon => "a colon and a port, or the end",
            Self::Port => "a port from 1 to 65535",
            Self::PassivePort => "a port from 0 to 65535, before any address",
            Self::End => "the end",
            Self::ClusterId => "one cluster ID, a UUID of 36 characters",
        })
    }
}

impl ParseRemoteError {
    /// The text that was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where in the text reading ended, in bytes from 0; the length of the text at its end.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What should have stood there.
    pub fn expected(&self) -> Expected {
        self.expected
    }

    /// The text with a caret below the character: two lines, for a terminal.
    ///
    /// Control characters are shown as escapes.
    pub fn marked(&self) -> impl fmt::Display {
        let (before, after) = self.text.split_at(self.offset);
        let (before, after) = (visible(before), visible(after));
        let indent = before.chars().count();
        format!(
            "{before}{after}\n{:indent$}^ expected {}",
            "", self.expected
        )
    }

    /// Puts the blame on another place in the text, where something else was expected.
    pub(super) fn moved_to(mut self, offset: usize, expected: Expected) -> Self {
        (self.offset, self.expected) = (offset, expected);
        self
    }

    fn place(&self) -> String {
        let (before, after) = self.text.split_at(self.offset);
        match after {
            "" => "its end".to_owned(),
            after => format!("character {}, before {after:?}", before.chars().count() + 1),
        }
    }
}

fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// A reader of a part of a text, that knows where it is in the whole.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    part: Range<usize>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let part = 0..text.len();
        Self { text, part }
    }

    /// Reads `part` of a text, on whose boundaries there must be whole characters.
    pub(super) fn of_part(text: &'a str, part: Range<usize>) -> Self {
        Self { text, part }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.part.clone()]
    }

    /// Reads `prefix` if it comes next.
    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.part.start += prefix.len();
        }
        found
    }

    /// Reads all that comes before the first `stop`, or everything.
    pub(super) fn take_until(&mut self, stop: char) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(stop).map_or(rest, |end| &rest[..end]);
        self.part.start += taken.len();
        taken
    }

    /// An error at the next character.
    pub(super) fn refuse(&self, expected: Expected) -> ParseRemoteError {
        self.refuse_after(0, expected)
    }

    /// An error `bytes` after the next character.
    pub(super) fn refuse_after(&self, bytes: usize, expected: Expected) -> ParseRemoteError {
        ParseRemoteError {
            text: self.text.to_owned(),
            offset: self.part.start + bytes,
            expected,
        }
    }

    /// Reads the path of a socket: the whole rest.
    pub(super) fn path(&mut self) -> Result<&'a str, ParseRemoteError> {
        let path = self.rest();
        match path.find('\0') {
            None if !path.is_empty() => Ok(path),
            end => Err(self.refuse_after(end.unwrap_or(0), Expected::Path)),
        }
    }

    /// Makes sure that nothing is left.
    pub(super) fn end(&self, expected: Expected) -> Result<(), ParseRemoteError> {
        match self.rest() {
            "" => Ok(()),
            _ => Err(self.refuse(expected)),
        }
    }

    /// Reads a port of at least `least` up to the next colon or the end.
    pub(super) fn port(&mut self, least: u16, expected: Expected) -> Result<u16, ParseRemoteError> {
        let from = self.clone();
        let digits = self.take_until(':');
        if let Some(other) = digits.find(|c: char| !c.is_ascii_digit()) {
            return Err(from.refuse_after(other, expected));
        }
        // Without a digit, or with too many.
        let port = digits.parse().ok().filter(|port| *port >= least);
        port.ok_or_else(|| from.refuse(expected))
    }

    /// Reads a host: a bracketed IPv6 address, or all before the next colon.
    pub(super) fn host(&mut self) -> Result<Host, ParseRemoteError> {
        if self.eat("[") {
            return self.bracketed();
        }
        let from = self.clone();
        let rest = from.rest();
        let before_port = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
        if is_ipv6(rest) || is_ipv6(before_port) {
            return Err(from.refuse(Expected::Brackets));
        }
        let name = self.take_until(':');
        host::unbracketed(name).map_err(|(at, expected)| from.refuse_after(at, expected))
    }

    /// Reads an IPv6 address and the bracket after it.
    fn bracketed(&mut self) -> Result<Host, ParseRemoteError> {
        let from = self.clone();
        let inner = self.take_until(']');
        if !self.eat("]") {
            return Err(self.refuse(Expected::ClosingBracket));
        }
        host::bracketed(inner).map_err(|(at, expected)| from.refuse_after(at, expected))
    }
}

/// Whether a text is an IPv6 address, of any scope.
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// Writes a type as the string that it is displayed as, and reads it back.
///
/// The type has a method `paths`. One that is not UTF-8 cannot be written: displayed, it would be
/// another one.
macro_rules! as_string {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.paths().find(|path| path.to_str().is_none()) {
                    None => serializer.collect_str(self),
                    Some(path) => Err(serde::ser::Error::custom(format_args!(
                        "the path {path:?} is not UTF-8"
                    ))),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use as_string;
