//! What a cluster shall be, for `start` and `plan`.

use clap::{Args, ValueEnum};
use ofm::name::ClusterName;
use ofm::spec::{ClusterSpec, DEFAULT_IMAGE, DatapathChoice, Images, RuntimeChoice, Workload};

use super::software::SoftwareArgs;

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// What provides the nodes
    #[arg(
        long,
        value_enum,
        value_name = "RUNTIME",
        env = "OFM_RUNTIME",
        default_value_t = RuntimeArg::Native
    )]
    runtime: RuntimeArg,
    #[command(flatten)]
    software: SoftwareArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// Seconds that a container engine may take to answer a request
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    engine_timeout: u32,
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

/// The images of containers. A flag or variable of a role goes before the one for all.
#[derive(Debug, Args)]
struct ImageArgs {
    /// Image of all nodes, where a container engine provides them
    #[arg(long, value_name = "IMAGE", env = "OFM_IMAGE", default_value = DEFAULT_IMAGE)]
    image: String,
    /// Image of the central node
    #[arg(long, value_name = "IMAGE", env = "CENTRAL_IMAGE")]
    central_image: Option<String>,
    /// Image of the chassis
    #[arg(long, value_name = "IMAGE", env = "CHASSIS_IMAGE")]
    chassis_image: Option<String>,
    /// Image of the gateways
    #[arg(long, value_name = "IMAGE", env = "GW_IMAGE")]
    gateway_image: Option<String>,
    /// Image of the relays, where a cluster has any
    #[arg(long, value_name = "IMAGE", env = "RELAY_IMAGE")]
    relay_image: Option<String>,
}

impl ImageArgs {
    fn images(&self) -> Images {
        let of = |role: &Option<String>| role.as_ref().unwrap_or(&self.image).clone();
        Images {
            central: of(&self.central_image),
            gateway: of(&self.gateway_image),
            relay: of(&self.relay_image),
            chassis: of(&self.chassis_image),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RuntimeArg {
    /// ofm itself, with the programs of this machine or of paths
    Native,
    /// Docker, with the programs of images
    Docker,
    /// Podman, with the programs of images
    Podman,
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
            runtime: match self.runtime {
                RuntimeArg::Native => RuntimeChoice::Native,
                RuntimeArg::Docker => RuntimeChoice::Docker,
                RuntimeArg::Podman => RuntimeChoice::Podman,
            },
            software: self.software.sources(),
            images: self.images.images(),
            engine_timeout: self.engine_timeout,
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
