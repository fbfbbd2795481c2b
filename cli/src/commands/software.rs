//! Where Open vSwitch and OVN come from.

use std::path::PathBuf;

use clap::Args;
use ofm::{Source, Sources};

/// The paths of software. A flag of a role goes before the one for all.
#[derive(Debug, Args)]
pub(super) struct SoftwareArgs {
    /// Open vSwitch of all nodes: an installation's prefix, a build tree, or a root file system
    ///
    /// A prefix is what was given to ./configure --prefix; a build tree is where make ran, with nothing installed. Of a
    /// root file system, as mmdebstrap unpacks it, both Open vSwitch and OVN are taken, and its nodes see it instead of
    /// this machine's files. Without any of these flags they are this machine's, and / means that for one role.
    #[arg(long, value_name = "PATH")]
    ovs: Option<PathBuf>,
    /// OVN of all nodes: likewise
    #[arg(long, value_name = "PATH")]
    ovn: Option<PathBuf>,
    /// Open vSwitch of the central node
    #[arg(long, value_name = "PATH")]
    central_ovs: Option<PathBuf>,
    /// OVN of the central node
    #[arg(long, value_name = "PATH")]
    central_ovn: Option<PathBuf>,
    /// Open vSwitch of the chassis
    #[arg(long, value_name = "PATH")]
    chassis_ovs: Option<PathBuf>,
    /// OVN of the chassis
    #[arg(long, value_name = "PATH")]
    chassis_ovn: Option<PathBuf>,
    /// Open vSwitch of the gateways
    #[arg(long, value_name = "PATH")]
    gateway_ovs: Option<PathBuf>,
    /// OVN of the gateways
    #[arg(long, value_name = "PATH")]
    gateway_ovn: Option<PathBuf>,
    /// Open vSwitch of the relays, where a cluster has any
    #[arg(long, value_name = "PATH")]
    relay_ovs: Option<PathBuf>,
    /// OVN of the relays, where a cluster has any
    #[arg(long, value_name = "PATH")]
    relay_ovn: Option<PathBuf>,
}

impl SoftwareArgs {
    pub(super) fn sources(&self) -> Sources {
        let source = |ovs: &Option<PathBuf>, ovn: &Option<PathBuf>| Source {
            ovs: ovs.as_ref().or(self.ovs.as_ref()).cloned(),
            ovn: ovn.as_ref().or(self.ovn.as_ref()).cloned(),
        };
        Sources {
            central: source(&self.central_ovs, &self.central_ovn),
            gateway: source(&self.gateway_ovs, &self.gateway_ovn),
            relay: source(&self.relay_ovs, &self.relay_ovn),
            chassis: source(&self.chassis_ovs, &self.chassis_ovn),
        }
    }
}
