//! Where Open vSwitch and OVN shall come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::Role;

/// Where Open vSwitch and OVN of each role come from. Default: all from the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sources {
    /// Of the central nodes.
    pub central: Source,
    /// Of the gateways.
    pub gateway: Source,
    /// Of the relays, of which no cluster has any yet.
    pub relay: Source,
    /// Of the chassis.
    pub chassis: Source,
}

/// Where Open vSwitch and OVN of a node come from.
///
/// A path is one of three things, told apart by what is in it:
///
/// - an installation's prefix, as `./configure --prefix` was given it before `make install`;
/// - a build tree, the folder in which `make` ran, with nothing installed;
/// - a root file system, as unpacked of another release of a distribution. Its programs need its libraries, so nodes
///   see it instead of the host's files, and both projects come from it, whichever of the two it is given for.
///
/// `/` is the host, to except a role from what holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Open vSwitch. Default: where OVN comes from if that is a root file system, else the host.
    pub ovs: Option<PathBuf>,
    /// OVN. Default: where Open vSwitch comes from if that is a root file system, else the host.
    pub ovn: Option<PathBuf>,
}

impl Sources {
    /// The same source for every role.
    pub fn all(source: Source) -> Self {
        Self {
            central: source.clone(),
            gateway: source.clone(),
            relay: source.clone(),
            chassis: source,
        }
    }

    /// The source of a role.
    pub fn of(&self, role: Role) -> &Source {
        match role {
            Role::Central => &self.central,
            Role::Gateway => &self.gateway,
            Role::Relay => &self.relay,
            Role::Chassis | Role::Host => &self.chassis,
        }
    }

    pub(crate) fn each_mut(&mut self) -> [&mut Source; 4] {
        [
            &mut self.central,
            &mut self.gateway,
            &mut self.relay,
            &mut self.chassis,
        ]
    }
}

impl From<PathBuf> for Source {
    /// Both projects from one path, as for a root file system.
    fn from(path: PathBuf) -> Self {
        Self {
            ovs: Some(path.clone()),
            ovn: Some(path),
        }
    }
}
