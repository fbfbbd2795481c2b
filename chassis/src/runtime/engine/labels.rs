//! How containers say whose they are, so that they are found again when nothing else is left of a cluster.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ofm_netns::{Process, ProcessId};

use crate::name::ClusterName;

/// The cluster's name.
pub(crate) const CLUSTER: &str = "ofm.cluster";
/// The node's name; a container that only shows what an image holds has none.
pub(crate) const NODE: &str = "ofm.node";
/// The folder with the cluster's state.
pub(crate) const STATE: &str = "ofm.state";
/// The process whose end makes the container garbage: an [`Owner`].
pub(crate) const OWNER: &str = "ofm.owner";

/// A process to which a container belongs: its cluster's keeper, or the one that looks into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    process: ProcessId,
    /// The pid namespace in which the number counts, by its inode.
    pid_namespace: u64,
}

/// Whether an owner lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// Its pid namespace is not ours.
    Unknown,
}

impl Owner {
    pub(crate) fn new(process: ProcessId) -> io::Result<Self> {
        Ok(Self {
            process,
            pid_namespace: own_pid_namespace()?,
        })
    }

    /// This process.
    pub(crate) fn this_process() -> io::Result<Self> {
        Self::new(Process::current()?.id())
    }

    pub(crate) fn process(&self) -> ProcessId {
        self.process
    }

    pub(crate) fn life(&self) -> Life {
        if own_pid_namespace().ok() != Some(self.pid_namespace) {
            return Life::Unknown;
        }
        match Process::open(self.process) {
            Ok(process) if process.is_alive() => Life::Alive,
            _ => Life::Dead,
        }
    }
}

fn own_pid_namespace() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino())
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProcessId { pid, start_time } = self.process;
        write!(f, "{pid}.{start_time}.{}", self.pid_namespace)
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut fields = text.split('.');
        let mut next = || fields.next().ok_or(());
        let (pid, start_time, pid_namespace) = (next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(());
        }
        Ok(Self {
            process: ProcessId {
                pid: pid.parse().map_err(|_| ())?,
                start_time: start_time.parse().map_err(|_| ())?,
            },
            pid_namespace: pid_namespace.parse().map_err(|_| ())?,
        })
    }
}

/// What the labels of a container of ours say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Its cluster and the state root of that; `None` for one that only shows what an image holds.
    pub(crate) cluster: Option<(ClusterName, PathBuf)>,
    pub(crate) owner: Owner,
}

impl Ours {
    /// Reads labels. `None` unless they are all there and make sense: then the container is somebody else's.
    pub(crate) fn read(labels: &HashMap<String, String>) -> Option<Self> {
        let owner = labels.get(OWNER)?.parse().ok()?;
        let cluster = match [CLUSTER, NODE, STATE].map(|key| labels.get(key)) {
            [Some(cluster), Some(_), Some(state)] => {
                let root = Path::new(state).parent()?;
                Some((cluster.parse().ok()?, root.to_owned()))
            }
            [None, None, None] => None,
            _ => return None,
        };
        Some(Self { cluster, owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_goes_through_text() {
        let owner = Owner::this_process().unwrap();
        assert_eq!(owner.to_string().parse(), Ok(owner));
        assert_eq!(owner.life(), Life::Alive);
        for bad in ["", "1.2", "1.2.3.4", "a.2.3"] {
            assert_eq!(bad.parse::<Owner>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn an_owner_is_judged_only_in_its_own_pid_namespace() {
        let mut owner = Owner::this_process().unwrap();
        owner.process.start_time += 1;
        assert_eq!(owner.life(), Life::Dead);
        owner.pid_namespace += 1;
        assert_eq!(owner.life(), Life::Unknown);
    }

    #[test]
    fn half_of_the_labels_are_somebody_elses() {
        let owner = Owner::this_process().unwrap().to_string();
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Ours::read(&pairs.collect())
        };
        let all = [
            (OWNER, owner.as_str()),
            (CLUSTER, "a"),
            (NODE, "n"),
            (STATE, "/r/a"),
        ];
        let ours = labels(&all).unwrap();
        assert_eq!(ours.cluster, Some(("a".parse().unwrap(), "/r".into())));
        assert!(labels(&all[..1]).is_some());
        assert!(labels(&all[1..]).is_none());
        assert!(labels(&all[..2]).is_none());
        assert!(labels(&all[..3]).is_none());
        for (key, value) in [(OWNER, "1"), (CLUSTER, "A/b"), (STATE, "/")] {
            let changed = all.map(|(k, v)| (k, if k == key { value } else { v }));
            assert!(labels(&changed).is_none(), "{key}");
        }
    }
}
