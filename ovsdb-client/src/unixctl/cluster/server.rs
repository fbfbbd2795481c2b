//! The servers of a cluster, as one of them sees them.

use std::time::Duration;

/// A server of a cluster, as another one names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// The server that was asked.
    Itself,
    /// None, or none that is known.
    Unknown,
    /// Another server, by its nickname.
    Other(String),
}

impl From<&str> for ServerName {
    fn from(value: &str) -> Self {
        match value {
            "self" => Self::Itself,
            "unknown" => Self::Unknown,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A connection between the server that was asked and another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConnection {
    /// Nickname of the other server.
    pub peer: String,
    /// Whether the other server made the connection.
    pub incoming: bool,
    /// Whether it stands. An outgoing one that does not is tried again and again.
    pub connected: bool,
}

impl ClusterConnection {
    /// Reads `->s2`, `<-s2`, or either in parentheses when it does not stand.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'));
        let arrow = bare.unwrap_or(text);
        let (incoming, peer) = match arrow.strip_prefix("<-") {
            Some(peer) => (true, peer),
            None => (false, arrow.strip_prefix("->")?),
        };
        Some(Self {
            peer: peer.to_owned(),
            incoming,
            connected: bare.is_none(),
        })
    }
}

/// One server of a cluster, as the server that was asked knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterServer {
    /// Its nickname.
    pub nickname: String,
    /// The first digits of its id.
    pub short_id: String,
    /// Where it listens for the others.
    pub address: String,
    /// Whether it is the server that was asked.
    pub is_self: bool,
    /// Index of the next log entry to be sent to it; only a leader knows.
    pub next_index: Option<u64>,
    /// Index of the last log entry that it is known to have; only a leader knows.
    pub match_index: Option<u64>,
    /// For whom it voted; only a candidate knows.
    pub vote: Option<String>,
    /// How far it has come in being added or removed, such as `adding: catchup`; absent when it
    /// is a member for good.
    pub phase: Option<String>,
    /// How long ago it was last heard of, if ever since the server that was asked started. Versions
    /// of Open vSwitch before 2.15 do not tell.
    pub last_message: Option<Duration>,
}

impl ClusterServer {
    /// Reads `s2 (ba62 at tcp:192.0.2.2:6643) next_index=5 match_index=4 last msg 330 ms ago`;
    /// remarks of unknown meaning are skipped.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (nickname, rest) = line.split_once(" (")?;
        let (short_id, rest) = rest.split_once(" at ")?;
        let (address, rest) = rest.split_once(')')?;
        let mut server = Self {
            nickname: nickname.to_owned(),
            short_id: short_id.to_owned(),
            address: address.to_owned(),
            is_self: false,
            next_index: None,
            match_index: None,
            vote: None,
            phase: None,
            last_message: None,
        };
        let mut rest = rest.trim_start();
        while !rest.is_empty() {
            rest = server.remark(rest)?.trim_start();
        }
        Some(server)
    }

    /// Takes in the remark at the beginning of `text` and returns what follows it.
    fn remark<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        if let Some(text) = text.strip_prefix('(') {
            let (remark, rest) = text.split_once(')')?;
            match remark.strip_prefix("voted for ") {
                Some(vote) => self.vote = Some(vote.to_owned()),
                None if remark == "self" => self.is_self = true,
                None => self.phase = Some(remark.to_owned()),
            }
            return Some(rest);
        }
        if let Some(text) = text.strip_prefix("last msg ") {
            let (milliseconds, rest) = text.split_once(" ms ago")?;
            self.last_message = Some(Duration::from_millis(milliseconds.parse().ok()?));
            return Some(rest);
        }
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        if let Some(index) = word.strip_prefix("next_index=") {
            self.next_index = Some(index.parse().ok()?);
        } else if let Some(index) = word.strip_prefix("match_index=") {
            self.match_index = Some(index.parse().ok()?);
        }
        Some(rest)
    }
}
