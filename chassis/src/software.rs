//! The programs and schemas of Open vSwitch and OVN that nodes run with, and where they are.

mod layout;
mod search;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::plan::Role;

pub(crate) use search::{refuse_sources, search};
pub use source::{Source, Sources};

const PROGRAM_FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
const SCHEMA_FOLDERS: [&str; 2] = ["/usr/local/share", "/usr/share"];

/// Schema of `OVN_Northbound`, as [`Software`] names it.
pub(crate) const NB_SCHEMA: &str = "ovn/ovn-nb.ovsschema";
/// Schema of `OVN_Southbound`.
pub(crate) const SB_SCHEMA: &str = "ovn/ovn-sb.ovsschema";
/// Schema of `OVN_IC_Northbound`.
pub(crate) const IC_NB_SCHEMA: &str = "ovn/ovn-ic-nb.ovsschema";
/// Schema of `OVN_IC_Southbound`.
pub(crate) const IC_SB_SCHEMA: &str = "ovn/ovn-ic-sb.ovsschema";
/// Schema of `Open_vSwitch`.
pub(crate) const VSWITCH_SCHEMA: &str = "openvswitch/vswitch.ovsschema";

impl Role {
    /// Its name, as in the flags of `ofm start`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Central => "central",
            Role::Gateway => "gateway",
            Role::Relay => "relay",
            Role::Chassis => "chassis",
            Role::Host => "host",
        }
    }

    /// The programs and schemas without which a node of this role cannot be.
    pub const fn needs(self) -> &'static [&'static str] {
        match self {
            Role::Central => &[
                "ovsdb-server",
                "ovn-northd",
                "ovn-ic",
                NB_SCHEMA,
                SB_SCHEMA,
                IC_NB_SCHEMA,
                IC_SB_SCHEMA,
            ],
            Role::Relay => &["ovsdb-server"],
            Role::Host => &[],
            Role::Gateway | Role::Chassis => &[
                "ovsdb-server",
                "ovs-vswitchd",
                "ovn-controller",
                VSWITCH_SCHEMA,
            ],
        }
    }
}

/// One of the two projects whose programs a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Project {
    Ovs,
    Ovn,
}

impl Project {
    /// Whose program or schema has that name.
    pub(crate) fn of(name: &str) -> Self {
        if name.starts_with("ovn") {
            Project::Ovn
        } else {
            Project::Ovs
        }
    }

    const fn other(self) -> Self {
        match self {
            Project::Ovs => Project::Ovn,
            Project::Ovn => Project::Ovs,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Project::Ovs => "Open vSwitch",
            Project::Ovn => "OVN",
        }
    }
}

/// The directories that nodes use, whatever those are that a program was built with (`dirs.c.in` of Open vSwitch,
/// `ovn-dirs.c.in` of OVN). A control socket is in the first, and so is the one on which `ovn-controller` programs
/// `br-int`; the tools that talk to the daemons look there too.
const DIRECTORIES: [(&str, &str); 8] = [
    ("OVS_RUNDIR", "/var/run/openvswitch"),
    ("OVS_LOGDIR", "/var/log/openvswitch"),
    ("OVS_DBDIR", "/etc/openvswitch"),
    ("OVS_SYSCONFDIR", "/etc"),
    ("OVN_RUNDIR", "/var/run/ovn"),
    ("OVN_LOGDIR", "/var/log/ovn"),
    ("OVN_DBDIR", "/etc/ovn"),
    ("OVN_SYSCONFDIR", "/etc"),
];

/// Where programs and schemas are as a node sees them, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Software {
    paths: BTreeMap<String, PathBuf>,
    /// Folders whose programs go before those in the usual places.
    folders: Vec<PathBuf>,
    /// Where scripts find schemas, by the variables that tell them.
    data: BTreeMap<String, PathBuf>,
    /// The root file system that they are in, if it is not the one that the runtime gives to nodes anyway.
    root: Option<PathBuf>,
}

impl Software {
    /// The places in which something of that name may be, the preferred one first.
    pub fn candidates(name: &str) -> impl Iterator<Item = PathBuf> {
        let folders: &[&str] = if name.ends_with(".ovsschema") {
            &SCHEMA_FOLDERS
        } else {
            &PROGRAM_FOLDERS
        };
        folders
            .iter()
            .map(move |folder| Path::new(folder).join(name))
    }

    /// Looks for programs and schemas below the root of the calling thread.
    ///
    /// # Errors
    /// The names of those that are not there.
    pub fn here<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<String>> {
        let found = names.into_iter().map(|name| {
            let path = Self::candidates(name).find(|path| path.is_file());
            (name.to_owned(), path)
        });
        Self::complete(found)
    }

    /// Takes what was found of each name.
    ///
    /// # Errors
    /// The names of which nothing was found.
    pub fn complete(
        found: impl IntoIterator<Item = (String, Option<PathBuf>)>,
    ) -> Result<Self, Vec<String>> {
        let (mut there, mut missing) = (BTreeMap::new(), Vec::new());
        for (name, path) in found {
            match path {
                Some(path) => drop(there.insert(name, path)),
                None => missing.push(name),
            }
        }
        if missing.is_empty() {
            Ok(Self {
                paths: there,
                ..Self::default()
            })
        } else {
            Err(missing)
        }
    }

    /// Where the program or schema of that name is.
    ///
    /// # Panics
    /// When it was not looked for.
    pub fn path(&self, name: &str) -> &Path {
        self.paths
            .get(name)
            .expect("software is complete for the role it is asked about")
    }

    /// The root file system that a node has to have for it, instead of the one that the runtime gives to nodes.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The environment of everything that runs in a node: the directories of Open vSwitch and OVN, and a search path on
    /// which the tools of the same version come first.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> = DIRECTORIES
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let data = self.data.iter();
        variables.extend(data.map(|(name, path)| (name.clone(), path.display().to_string())));
        if !self.folders.is_empty() {
            let folders = self.folders.iter().map(|folder| folder.to_string_lossy());
            let path: Vec<_> = folders.chain([ofm_netns::SEARCH_PATH.into()]).collect();
            variables.insert("PATH".to_owned(), path.join(":"));
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let missing = Software::here(["no-such-program", "no/such.ovsschema"]).unwrap_err();
        assert_eq!(missing, ["no-such-program", "no/such.ovsschema"]);
    }

    #[test]
    fn schemas_and_programs_have_places_of_their_own() {
        let first = |name| Software::candidates(name).next().unwrap();
        assert_eq!(
            first("ovs-vswitchd"),
            Path::new("/usr/local/sbin/ovs-vswitchd")
        );
        assert_eq!(
            first(NB_SCHEMA),
            Path::new("/usr/local/share/ovn/ovn-nb.ovsschema")
        );
    }
}
