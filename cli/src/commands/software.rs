//! Where Open vSwitch and OVN come from.

use std::path::PathBuf;

use clap::Args;
use ofm::lab::{Lab, Software, SoftwarePaths};

use super::selection::{Layer, given};

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
    pub(super) fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) -> anyhow::Result<()> {
        let path = |id, path| given(layer.option(id, path));
        lab.ovs = path("ovs", &self.ovs)?;
        lab.ovn = path("ovn", &self.ovn)?;
        lab.software = Software {
            central: SoftwarePaths {
                ovs: path("central_ovs", &self.central_ovs)?,
                ovn: path("central_ovn", &self.central_ovn)?,
            },
            gateway: SoftwarePaths {
                ovs: path("gateway_ovs", &self.gateway_ovs)?,
                ovn: path("gateway_ovn", &self.gateway_ovn)?,
            },
            relay: SoftwarePaths {
                ovs: path("relay_ovs", &self.relay_ovs)?,
                ovn: path("relay_ovn", &self.relay_ovn)?,
            },
            chassis: SoftwarePaths {
                ovs: path("chassis_ovs", &self.chassis_ovs)?,
                ovn: path("chassis_ovn", &self.chassis_ovn)?,
            },
        };
        Ok(())
    }
}
