//! What a cluster shall be, for `start` and `plan`.

use clap::{Args, ValueEnum};
use ofm::name::ClusterName;
use ofm::spec::{
    ClusterSpec, DEFAULT_IMAGE, DatabaseMode, DatapathChoice, Images, RuntimeChoice, Workload,
};

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
    images: ImageArgs,
    /// Seconds that a container engine may take to answer a request
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    engine_timeout: u32,
    /// Number of availability zones
    #[arg(long, value_name = "N", env = "CENTRAL_COUNT", default_value_t = 1)]
    central: u32,
    /// Number of chassis [default: 2 per zone]
    #[arg(long, value_name = "N", env = "CHASSIS_COUNT")]
    chassis: Option<u32>,
    /// Number of gateways [default: 1 per zone]
    #[arg(long, value_name = "N", env = "GW_COUNT")]
    gateways: Option<u32>,
    /// Number of relays of the southbound database in each zone
    #[arg(long, value_name = "N", env = "RELAY_COUNT", default_value_t = 0)]
    relays: u32,
    /// How each zone's databases are served
    #[arg(long, value_enum, default_value_t = DatabaseArg::Standalone)]
    db: DatabaseArg,
    /// Reach databases by TCP instead of TLS
    #[arg(long)]
    no_tls: bool,
    /// Let a chassis change only what concerns itself in the southbound database
    #[arg(long)]
    rbac: bool,
    /// Do not interconnect the zones
    #[arg(long)]
    no_ic: bool,
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
    /// ofm itself, with the programs of this machine
    Native,
    /// Docker, with the programs of images
    Docker,
    /// Podman, with the programs of images
    Podman,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DatabaseArg {
    /// By one central
    Standalone,
    /// By a cluster of three centrals
    Raft,
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
            images: self.images.images(),
            engine_timeout: self.engine_timeout,
            zones: self.central,
            chassis: self.chassis,
            gateways: self.gateways,
            relays: self.relays,
            database: match self.db {
                DatabaseArg::Standalone => DatabaseMode::Standalone,
                DatabaseArg::Raft => DatabaseMode::Raft,
            },
            tls: !self.no_tls,
            rbac: self.rbac,
            interconnection: !self.no_ic,
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
