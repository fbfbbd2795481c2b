//! The servers of a cluster.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use uuid::Uuid;

use super::Remote;
use super::parse::{Expected, ParseRemoteError, Scanner, as_string};

/// One or more remotes that serve the same database, with commas between them as ovsdb(7) writes
/// them, and perhaps the `cid:UUID` of the cluster that must be found there.
///
/// As in Open vSwitch (`ovsdb_session_parse_remote`), a comma separates only when a method follows
/// it: `unix:/a,b` is one path. Blanks after a comma are skipped.
///
/// ```
/// # use ovsdb_client::remote::Remotes;
/// let remotes: Remotes = "tcp:192.0.2.1:6641, tcp:192.0.2.2:6641".parse()?;
/// assert_eq!(remotes.as_slice().len(), 2);
/// assert_eq!(remotes.to_string(), "tcp:192.0.2.1:6641,tcp:192.0.2.2:6641");
/// # Ok::<(), ovsdb_client::ParseRemoteError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remotes {
    /// Never empty.
    remotes: Vec<Remote>,
    cluster_id: Option<Uuid>,
}

impl Remotes {
    /// Lists remotes; there is at least one.
    pub fn new(first: Remote, others: impl IntoIterator<Item = Remote>) -> Self {
        Self {
            remotes: std::iter::once(first).chain(others).collect(),
            cluster_id: None,
        }
    }

    /// Sets the cluster whose servers these are (`cid:` in the text).
    #[must_use]
    pub fn with_cluster_id(mut self, cluster_id: Uuid) -> Self {
        self.cluster_id = Some(cluster_id);
        self
    }

    /// The remotes, at least one, in the order in which they were given.
    pub fn as_slice(&self) -> &[Remote] {
        &self.remotes
    }

    /// The remotes, in the order in which they were given.
    pub fn iter(&self) -> std::slice::Iter<'_, Remote> {
        self.remotes.iter()
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.iter().flat_map(Remote::paths)
    }

    /// The cluster whose servers these are, if that was said.
    pub fn cluster_id(&self) -> Option<Uuid> {
        self.cluster_id
    }
}

impl From<Remote> for Remotes {
    fn from(remote: Remote) -> Self {
        Self::new(remote, [])
    }
}

impl<'a> IntoIterator for &'a Remotes {
    type Item = &'a Remote;
    type IntoIter = std::slice::Iter<'a, Remote>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for Remotes {
    type Err = ParseRemoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut remotes = Vec::new();
        let mut cluster_id = None;
        for part in parts(text) {
            let mut scanner = Scanner::of_part(text, part);
            if scanner.eat("cid:") {
                let uuid = parse_uuid(scanner.rest()).filter(|_| cluster_id.is_none());
                cluster_id = Some(uuid.ok_or_else(|| scanner.refuse(Expected::ClusterId))?);
            } else {
                remotes.push(Remote::scan(scanner).map_err(blame_method)?);
            }
        }
        match remotes.is_empty() {
            true => Err(Scanner::of_part(text, text.len()..text.len()).refuse(Expected::Method)),
            false => Ok(Self {
                remotes,
                cluster_id,
            }),
        }
    }
}

/// Where the elements of a list are.
fn parts(text: &str) -> Vec<Range<usize>> {
    let begins_at = |at: usize| text.len() - text[at..].trim_start_matches([' ', '\t']).len();
    let mut parts = Vec::new();
    let mut start = begins_at(0);
    for (comma, _) in text.match_indices(',') {
        let next = begins_at(comma + 1);
        let method = text[next..].find(|c: char| !c.is_ascii_lowercase());
        if comma >= start
            && method.is_some_and(|end| end > 0 && text[next + end..].starts_with(':'))
        {
            parts.push(start..comma);
            start = next;
        }
    }
    if start < text.len() {
        parts.push(start..text.len());
    }
    parts
}

/// A comma that stopped the parser was meant to separate, so what lacks is the method behind it.
fn blame_method(error: ParseRemoteError) -> ParseRemoteError {
    let Some(rest) = error.text()[error.offset()..].strip_prefix(',') else {
        return error;
    };
    let offset = error.text().len() - rest.trim_start_matches([' ', '\t']).len();
    error.moved_to(offset, Expected::Method)
}

/// Reads a UUID in the one form that Open vSwitch knows.
fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

impl fmt::Display for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, remote) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{remote}")?;
        }
        match self.cluster_id {
            None => Ok(()),
            Some(cluster_id) => write!(f, ",cid:{cluster_id}"),
        }
    }
}

as_string!(Remotes);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CID: &str = "cid:0f2a6e2c-95d1-4b3e-8a0e-3b5a1f0c9d11";

    #[test]
    fn lists_are_separated_as_in_open_vswitch() {
        let cases = [
            ("unix:/a", "unix:/a"),
            ("  tcp:a:1,\t ssl:[::1]", "tcp:a:1,ssl:[::1]:6640"),
            ("unix:/a,b,unix:/c", "unix:/a,b,unix:/c"),
            (
                "cid:0f2a6e2c-95d1-4b3e-8a0e-3b5a1f0c9d11,tcp:a:1",
                "tcp:a:1,cid:0f2a6e2c-95d1-4b3e-8a0e-3b5a1f0c9d11",
            ),
        ];
        for (text, normal) in cases {
            assert_eq!(text.parse::<Remotes>().unwrap().to_string(), normal);
        }
        let remotes: Remotes = "unix:/a,b,unix:/c".parse().unwrap();
        assert_eq!(remotes.as_slice()[0], Remote::Unix("/a,b".into()));
        let remotes: Remotes = format!("tcp:a:1,{CID}").parse().unwrap();
        assert_eq!(remotes.cluster_id(), parse_uuid(&CID[4..]));
    }

    #[test]
    fn errors_point_into_the_whole_list() {
        let cases = [
            ("".to_owned(), 0, Expected::Method),
            (" \t".to_owned(), 2, Expected::Method),
            (CID.to_owned(), 40, Expected::Method),
            ("tcp:a:1,".to_owned(), 8, Expected::Method),
            ("tcp:a:1, b:2".to_owned(), 9, Expected::Method),
            ("tcp:a:1,192.0.2.2:1".to_owned(), 8, Expected::Method),
            ("tcp:a:1,tcp:b:0".to_owned(), 14, Expected::Port),
            ("tcp:a:1 ,tcp:b:1".to_owned(), 7, Expected::Port),
            ("tcp:a:1,ptcp:2".to_owned(), 8, Expected::Method),
            ("tcp:a:1,cid:1".to_owned(), 12, Expected::ClusterId),
            (format!("tcp:a,{CID},{CID}"), 51, Expected::ClusterId),
        ];
        for (text, offset, expected) in cases {
            let error = text.parse::<Remotes>().unwrap_err();
            assert_eq!(
                (error.offset(), error.expected()),
                (offset, expected),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_to_the_same(
            elements in prop::collection::vec(
                prop_oneof![
                    r"tcp:[a-z0-9.,\-]{1,6}(:[0-9]{1,5})?",
                    r"ssl:\[[0-9a-f:]{2,6}\](:[0-9]{1,5})?",
                    r"unix:[ -~]{1,8}",
                    Just(CID.to_owned()),
                ],
                0..4,
            ),
            separator in "[ ,\t]{0,3}",
        ) {
            if let Ok(remotes) = elements.join(&format!(",{separator}")).parse::<Remotes>() {
                prop_assert_eq!(remotes.to_string().parse(), Ok(remotes));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in r"((tcp|ssl|unix|cid|ptcp)?[:\[\]%,. \t0-9a-fé\n]{0,6}){0,4}") {
            if let Err(error) = text.parse::<Remotes>() {
                prop_assert!(error.offset() <= text.len());
                prop_assert!(!error.to_string().is_empty() && !error.marked().to_string().is_empty());
            }
        }
    }
}
