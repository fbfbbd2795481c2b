//! Users and groups by name, as a node's own files have them.
//!
//! The C library would look them up in the way the host is set up, and would load the node's modules for that into this
//! process.

use std::io;
use std::path::Path;

use ofm_netns::{Credentials, Namespaces};

use crate::error::Error;
use crate::node::{NodeHandle, blocking};
use crate::plan::PlanProblem;

/// A user of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its numbers.
    pub credentials: Credentials,
    /// Its home, `/` if none is known.
    pub home: String,
}

impl NodeHandle {
    /// Looks up a user of the node, given as `USER` or `USER:GROUP`, each by name or by number.
    ///
    /// # Errors
    /// [`Error::Change`] when the node does not know the name; or when its files cannot be read.
    pub async fn user(&self, given: &str) -> Result<User, Error> {
        let namespaces = self.node().namespaces();
        let (passwd, group) = blocking(move || files(&namespaces))
            .await
            .map_err(|e| Error::in_node(&self.plan().name, "reading its users", e))?;
        find(&passwd, &group, given).map_err(|what| {
            Error::Change(PlanProblem {
                what,
                location: format!("node {}", self.plan().name),
                hint: "give a number, or a name that its /etc/passwd or /etc/group has".to_owned(),
            })
        })
    }
}

/// `/etc/passwd` and `/etc/group`; one that is not there counts as empty.
fn files(namespaces: &Namespaces) -> io::Result<(String, String)> {
    let read = |path: &str| match std::fs::read(Path::new(path)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    };
    let both = || Ok((read("/etc/passwd")?, read("/etc/group")?));
    namespaces.run(both).map_err(io::Error::other)?
}

/// Finds who is meant. An error says which name is not known.
fn find(passwd: &str, group: &str, given: &str) -> Result<User, String> {
    let (name, of_group) = match given.split_once(':') {
        None => (given, None),
        Some((name, of_group)) => (name, Some(of_group)),
    };
    // passwd(5): name:password:UID:GID:GECOS:directory:shell
    let entry = entries(passwd)
        .find(|entry| entry[0] == name || (number(name).is_some() && entry.get(2) == Some(&name)));
    let uid = match &entry {
        Some(entry) => entry.get(2).and_then(|field| number(field)),
        None => number(name),
    };
    let uid = uid.ok_or_else(|| format!("it has no user {name:?}"))?;
    let primary = entry.as_ref().and_then(|entry| number(entry.get(3)?));
    let gid = match of_group {
        None => primary.unwrap_or(0),
        Some(of_group) => {
            group_number(group, of_group).ok_or_else(|| format!("it has no group {of_group:?}"))?
        }
    };
    // Whoever is given a group has no others.
    let groups = match (&entry, of_group) {
        (Some(entry), None) => memberships(group, entry[0]).collect(),
        _ => Vec::new(),
    };
    let home = entry.and_then(|entry| entry.get(5).copied());
    let home = home.filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(User {
        credentials: Credentials { uid, gid, groups },
        home: home.to_owned(),
    })
}

fn group_number(group: &str, name: &str) -> Option<u32> {
    let entry = entries(group).find(|entry| entry[0] == name);
    match entry {
        Some(entry) => number(entry.get(2)?),
        None => number(name),
    }
}

/// The groups that have a user as a member (group(5): name:password:GID:members).
fn memberships<'a>(group: &'a str, user: &'a str) -> impl Iterator<Item = u32> + 'a {
    entries(group).filter_map(move |entry| {
        let mut members = entry.get(3)?.split(',');
        members.any(|member| member == user).then_some(())?;
        number(entry.get(2)?)
    })
}

fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nfrr:x:107:113:Routing,,,:/nonexistent:/sbin/nologin\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:syslog,frr\nfrrvty:x:112:frr\nfrr:x:113:\n";

    fn found(given: &str) -> (u32, u32, Vec<u32>, String) {
        let user = find(PASSWD, GROUP, given).unwrap();
        let Credentials { uid, gid, groups } = user.credentials;
        (uid, gid, groups, user.home)
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let frr = (107, 113, vec![4, 112], "/nonexistent".to_owned());
        assert_eq!(found("frr"), frr);
        assert_eq!(found("107"), frr);
        assert_eq!(found("root"), (0, 0, vec![], "/root".to_owned()));
    }

    #[test]
    fn a_group_replaces_those_of_the_user() {
        let home = "/nonexistent".to_owned();
        assert_eq!(found("frr:adm"), (107, 4, vec![], home.clone()));
        assert_eq!(found("frr:77"), (107, 77, vec![], home));
    }

    #[test]
    fn a_number_needs_no_entry() {
        assert_eq!(found("5000"), (5000, 0, vec![], "/".to_owned()));
        assert_eq!(found("5000:frr"), (5000, 113, vec![], "/".to_owned()));
    }

    #[test]
    fn who_is_not_known_is_named() {
        let error = |given| find(PASSWD, GROUP, given).unwrap_err();
        assert_eq!(error("nobody"), "it has no user \"nobody\"");
        assert_eq!(error("frr:wheel"), "it has no group \"wheel\"");
        assert_eq!(error(""), "it has no user \"\"");
    }
}
