//! What a cluster shall be, for `start` and `plan`.

use clap::{Args, ValueEnum};
use ofm::name::ClusterName;
use ofm::spec::{ClusterSpec, DatapathChoice, Workload};

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Number of chassis
    #[arg(long, value_name = "N", default_value_t = 2)]
    chassis: u32,
    /// Number of gateways
    #[arg(long, value_name = "N", default_value_t = 1)]
    gateways: u32,
    /// Datapath of the switches
    #[arg(long, value_enum, default_value_t = DatapathArg::Auto)]
    datapath: DatapathArg,
    /// Leave the northbound database empty and start no fake VMs
    #[arg(long)]
    no_fake_vms: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DatapathArg {
    /// The kernel's where the kernel has it, else the userspace one
    Auto,
    /// In userspace, by ovs-vswitchd
    Netdev,
    /// In the kernel, by its module openvswitch
    System,
}

impl Selection {
    pub(crate) fn spec(&self, name: &ClusterName) -> ClusterSpec {
        ClusterSpec {
            name: name.clone(),
            chassis: self.chassis,
            gateways: self.gateways,
            datapath: match self.datapath {
                DatapathArg::Auto => DatapathChoice::Auto,
                DatapathArg::Netdev => DatapathChoice::Netdev,
                DatapathArg::System => DatapathChoice::System,
            },
            workload: if self.no_fake_vms {
                Workload::None
            } else {
                Workload::Demo
            },
            ..ClusterSpec::default()
        }
    }
}
