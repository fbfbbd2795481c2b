//! Names of clusters and nodes, and MAC addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A name that breaks the rules for its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid {kind} name {name:?}: {problem}")]
pub struct InvalidName {
    /// What was to be named: `cluster` or `node`.
    pub kind: &'static str,
    /// The name as given.
    pub name: String,
    /// The rule that it breaks.
    pub problem: String,
}

fn check(kind: &'static str, name: &str, longest: usize) -> Result<(), InvalidName> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let problem = if name.is_empty() {
        Some("it is empty".to_owned())
    } else if name.len() > longest {
        Some(format!("it has {} bytes, more than {longest}", name.len()))
    } else if let Some(bad) = name.chars().find(|&c| !allowed(c) && c != '-') {
        Some(format!("{bad:?} is none of a-z, 0-9 and '-'"))
    } else if !name.starts_with(allowed) || !name.ends_with(allowed) {
        Some("it must start and end with a letter or a digit".to_owned())
    } else {
        None
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(InvalidName {
            kind,
            name: name.to_owned(),
            problem,
        }),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $longest:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, InvalidName> {
                check($kind, &name, $longest)?;
                Ok(Self(name))
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                name.to_owned().try_into()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// Name of a cluster: 1 to 32 characters of `a-z`, `0-9` and `-`, the first and last of them
    /// no `-`.
    ClusterName, "cluster", 32
}

impl Default for ClusterName {
    /// `default`
    fn default() -> Self {
        Self("default".to_owned())
    }
}

name! {
    /// Name of a node, which is also its host name and, of a gateway or chassis, its `system-id`:
    /// 1 to 63 characters of `a-z`, `0-9` and `-`, the first and last of them no `-`.
    NodeName, "node", 63
}

/// An Ethernet address, written as six pairs of hexadecimal digits with colons between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr(pub [u8; 6]);

/// Text that is not an Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "invalid MAC address {0:?}: expected six pairs of hexadecimal digits, as in 50:51:00:00:00:03"
)]
pub struct InvalidMacAddr(pub String);

impl FromStr for MacAddr {
    type Err = InvalidMacAddr;

    fn from_str(text: &str) -> Result<Self, InvalidMacAddr> {
        let invalid = || InvalidMacAddr(text.to_owned());
        let mut octets = [0; 6];
        let mut pairs = text.split(':');
        for octet in &mut octets {
            let pair = pairs.next().ok_or_else(invalid)?;
            if pair.len() != 2 || !pair.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        match pairs.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(invalid()),
        }
    }
}

impl TryFrom<String> for MacAddr {
    type Error = InvalidMacAddr;

    fn try_from(text: String) -> Result<Self, InvalidMacAddr> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["a", "ovn-central-az1", "0", &"x".repeat(32)] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", &"x".repeat(33)] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
        assert!("x".repeat(63).parse::<NodeName>().is_ok());
        assert!(serde_json::from_str::<NodeName>("\"../x\"").is_err());
    }

    #[test]
    fn mac_addresses_go_through_text() {
        let mac: MacAddr = "50:51:00:00:00:03".parse().unwrap();
        assert_eq!(mac, MacAddr([0x50, 0x51, 0, 0, 0, 3]));
        assert_eq!(mac.to_string(), "50:51:00:00:00:03");
        for bad in [
            "",
            "50:51",
            "50:51:00:00:00:03:04",
            "5:51:00:00:00:03",
            "+5:51:00:00:00:03",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
