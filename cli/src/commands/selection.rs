//! What a cluster shall be, for `start` and `plan`.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use ofm::name::ClusterName;
use ofm::spec::{
    ClusterSpec, DEFAULT_IMAGE, DatabaseMode, DatapathChoice, Encapsulation, Images, NodeNames,
    RuntimeChoice, Workload,
};

use super::software::SoftwareArgs;

#[derive(Debug, Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    size: SizeArgs,
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    databases: DatabaseArgs,
    #[command(flatten)]
    underlay: UnderlayArgs,
    #[command(flatten)]
    chassis: ChassisArgs,
    #[command(flatten)]
    runtime: RuntimeArgs,
}

#[derive(Debug, Args)]
struct SizeArgs {
    /// Number of availability zones, each with databases of its own
    #[arg(long, value_name = "N", env = "CENTRAL_COUNT", default_value_t = 1)]
    central: u32,
    /// Number of chassis, dealt round robin to the zones [default: 2 per zone]
    #[arg(long, value_name = "N", env = "CHASSIS_COUNT")]
    chassis: Option<u32>,
    /// Number of gateways, dealt round robin to the zones [default: 1 per zone]
    #[arg(long, value_name = "N", env = "GW_COUNT")]
    gateways: Option<u32>,
    /// Number of relays of the southbound database in each zone
    #[arg(long, value_name = "N", env = "RELAY_COUNT", default_value_t = 0)]
    relays: u32,
    /// Leave the northbound database empty and start no fake VMs
    #[arg(long)]
    no_fake_vms: bool,
    /// Whether to make the demo with its fake VMs
    #[arg(
        long,
        value_name = "yes|no",
        env = "CREATE_FAKE_VMS",
        default_value = "yes",
        overrides_with = "no_fake_vms",
        value_parser = yes_or_no
    )]
    fake_vms: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Names")]
struct NameArgs {
    /// What the number of the zone follows in the name of its central
    #[arg(
        long,
        value_name = "PREFIX",
        env = "CENTRAL_PREFIX",
        default_value = "ovn-central-az"
    )]
    central_prefix: String,
    /// The name of the only central
    #[arg(long, value_name = "NAME", env = "CENTRAL_NAME")]
    central_name: Option<String>,
    /// What the number follows in the name of a chassis
    #[arg(
        long,
        value_name = "PREFIX",
        env = "CHASSIS_PREFIX",
        default_value = "ovn-chassis-"
    )]
    chassis_prefix: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Databases")]
struct DatabaseArgs {
    /// How each zone's databases are served [default: standalone]
    #[arg(long, value_enum)]
    db: Option<DatabaseArg>,
    /// Whether --db raft is meant where --db is not given
    #[arg(
        long,
        hide = true,
        value_name = "yes|no",
        env = "OVN_DB_CLUSTER",
        default_value = "no",
        value_parser = yes_or_no
    )]
    db_cluster: bool,
    /// A file with the northbound database that each zone begins with, of a standalone or clustered server
    #[arg(long, value_name = "FILE", env = "OVN_NBDB_SRC")]
    nb_db: Option<PathBuf>,
    /// A file with the southbound database that each zone begins with, of a standalone or clustered server
    #[arg(long, value_name = "FILE", env = "OVN_SBDB_SRC")]
    sb_db: Option<PathBuf>,
    /// Reach databases by TCP instead of TLS
    #[arg(long)]
    no_tls: bool,
    /// Whether to reach databases by TLS
    #[arg(
        long,
        value_name = "yes|no",
        env = "ENABLE_SSL",
        default_value = "yes",
        overrides_with = "no_tls",
        value_parser = yes_or_no
    )]
    tls: bool,
    /// Let a chassis change only what concerns itself in the southbound database
    #[arg(long)]
    rbac: bool,
    /// Do not interconnect the zones
    #[arg(long)]
    no_ic: bool,
    /// Whether to interconnect the zones, by ovn-ic in each and databases at the first
    #[arg(
        long,
        value_name = "yes|no",
        env = "OVN_START_IC_DBS",
        default_value = "yes",
        overrides_with = "no_ic",
        value_parser = yes_or_no
    )]
    ic: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Underlay")]
struct UnderlayArgs {
    /// Subnet on which the tunnels run, IPv4 or IPv6 [default: 170.168.0.0/16]
    #[arg(long, value_name = "SUBNET")]
    underlay: Option<IpNet>,
    /// Network of --underlay where that is not given
    #[arg(
        long,
        hide = true,
        value_name = "IP",
        env = "IP_HOST",
        default_value = "170.168.0.0"
    )]
    underlay_network: IpAddr,
    /// Length of the prefix of --underlay where that is not given
    #[arg(
        long,
        hide = true,
        value_name = "BITS",
        env = "IP_CIDR",
        default_value_t = 16
    )]
    underlay_prefix: u8,
    /// Address of the first node; the others follow [default: the second one of the subnet]
    #[arg(long, value_name = "IP", env = "IP_START")]
    first_address: Option<IpAddr>,
    /// MTU of the underlay in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    mtu: u32,
    /// How packets between chassis are encapsulated
    #[arg(long, value_enum, default_value_t = EncapsulationArg::Geneve)]
    encap: EncapsulationArg,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Chassis")]
struct ChassisArgs {
    /// Datapath of the switches
    #[arg(long, value_enum, env = "OVN_DP_TYPE", default_value_t = DatapathArg::Auto)]
    datapath: DatapathArg,
    /// Let each chassis keep a copy of the whole southbound database
    #[arg(
        long,
        value_name = "yes|no",
        env = "OVN_MONITOR_ALL",
        default_value = "no",
        num_args = 0..=1,
        default_missing_value = "yes",
        require_equals = true,
        value_parser = yes_or_no
    )]
    monitor_all: bool,
    /// Milliseconds of silence after which a chassis probes its southbound database, 0 for never
    #[arg(long, value_name = "MS", default_value_t = 180_000)]
    remote_probe_interval: u32,
    /// Seconds of silence after which ovn-controller and ovs-vswitchd probe each other, 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    openflow_probe_interval: u32,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Runtime")]
struct RuntimeArgs {
    /// What provides the nodes [default: native]
    #[arg(long, value_enum, value_name = "RUNTIME", env = "OFM_RUNTIME")]
    runtime: Option<RuntimeArg>,
    /// What provides the nodes where --runtime is not given
    #[arg(long, hide = true, value_name = "PROGRAM", env = "RUNC_CMD")]
    runc_cmd: Option<String>,
    #[command(flatten)]
    software: SoftwareArgs,
    #[command(flatten)]
    images: ImageArgs,
    /// Seconds that a container engine may take to answer a request
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    engine_timeout: u32,
    /// Folder of this machine that all nodes show as /data [default: one of the cluster's own]
    #[arg(long, value_name = "DIR", env = "FAKENODE_MNT_DIR")]
    data: Option<PathBuf>,
}

/// The images of containers. A flag or variable of a role goes before the one for all.
#[derive(Debug, Args)]
struct ImageArgs {
    /// Image of all nodes, where a container engine provides them
    #[arg(long, value_name = "IMAGE", env = "OFM_IMAGE", default_value = DEFAULT_IMAGE)]
    image: String,
    /// Image of the centrals
    #[arg(long, value_name = "IMAGE", env = "CENTRAL_IMAGE")]
    central_image: Option<String>,
    /// Image of the chassis
    #[arg(long, value_name = "IMAGE", env = "CHASSIS_IMAGE")]
    chassis_image: Option<String>,
    /// Image of the gateways
    #[arg(long, value_name = "IMAGE", env = "GW_IMAGE")]
    gateway_image: Option<String>,
    /// Image of the relays
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncapsulationArg {
    /// Geneve, which OVN needs for all its features
    Geneve,
    /// VXLAN, which has less room for metadata
    Vxlan,
    /// Each chassis offers both
    Both,
}

impl Selection {
    pub(crate) fn spec(&self, name: &ClusterName) -> anyhow::Result<ClusterSpec> {
        let Self {
            size,
            names,
            databases,
            underlay,
            chassis,
            runtime,
        } = self;
        Ok(ClusterSpec {
            name: name.clone(),
            zones: size.central,
            chassis: size.chassis,
            gateways: size.gateways,
            relays: size.relays,
            names: NodeNames {
                central: names.central_name.clone().filter(|name| !name.is_empty()),
                central_prefix: names.central_prefix.clone(),
                chassis_prefix: names.chassis_prefix.clone(),
                ..NodeNames::default()
            },
            database: databases.mode(),
            tls: databases.tls && !databases.no_tls,
            rbac: databases.rbac,
            interconnection: databases.ic && !databases.no_ic,
            nb_db: given(&databases.nb_db)?,
            sb_db: given(&databases.sb_db)?,
            data: given(&runtime.data)?,
            runtime: runtime.choice()?,
            software: runtime.software.sources(),
            images: runtime.images.images(),
            engine_timeout: runtime.engine_timeout,
            datapath: match chassis.datapath {
                DatapathArg::Auto => DatapathChoice::Auto,
                DatapathArg::Netdev => DatapathChoice::Netdev,
                DatapathArg::System => DatapathChoice::System,
            },
            workload: if size.fake_vms && !size.no_fake_vms {
                Workload::Demo
            } else {
                Workload::None
            },
            underlay: underlay.subnet()?,
            first_address: underlay.first_address,
            mtu: underlay.mtu,
            encapsulation: match underlay.encap {
                EncapsulationArg::Geneve => Encapsulation::Geneve,
                EncapsulationArg::Vxlan => Encapsulation::Vxlan,
                EncapsulationArg::Both => Encapsulation::Both,
            },
            monitor_all: chassis.monitor_all,
            remote_probe_interval: chassis.remote_probe_interval,
            openflow_probe_interval: chassis.openflow_probe_interval,
            ..ClusterSpec::default()
        })
    }
}

impl DatabaseArgs {
    fn mode(&self) -> DatabaseMode {
        match self.db {
            Some(DatabaseArg::Standalone) => DatabaseMode::Standalone,
            Some(DatabaseArg::Raft) => DatabaseMode::Raft,
            None if self.db_cluster => DatabaseMode::Raft,
            None => DatabaseMode::Standalone,
        }
    }
}

impl UnderlayArgs {
    fn subnet(&self) -> anyhow::Result<IpNet> {
        match self.underlay {
            Some(subnet) => Ok(subnet),
            None => {
                let (network, prefix) = (self.underlay_network, self.underlay_prefix);
                let subnet = IpNet::new(network, prefix);
                subnet.with_context(|| {
                    format!("IP_HOST={network} with IP_CIDR={prefix} is no subnet")
                })
            }
        }
    }
}

impl RuntimeArgs {
    fn choice(&self) -> anyhow::Result<RuntimeChoice> {
        match (self.runtime, self.runc_cmd.as_deref()) {
            (Some(RuntimeArg::Native), _) | (None, None | Some("")) => Ok(RuntimeChoice::Native),
            (Some(RuntimeArg::Docker), _) | (None, Some("docker")) => Ok(RuntimeChoice::Docker),
            (Some(RuntimeArg::Podman), _) | (None, Some("podman")) => Ok(RuntimeChoice::Podman),
            (None, Some(other)) => anyhow::bail!(
                "RUNC_CMD is {other:?}, and ofm speaks to docker and podman only; choose with --runtime"
            ),
        }
    }
}

/// A path that daemons and engines, which have other working directories, understand too. An empty variable is none.
fn given(path: &Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    let path = path.as_ref().filter(|path| !path.as_os_str().is_empty());
    Ok(path.map(std::path::absolute).transpose()?)
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it is neither yes nor no".to_owned()),
    }
}
