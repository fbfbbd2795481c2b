//! What a cluster shall be, for `start` and `plan`.

mod given;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use ipnet::IpNet;
use ofm::lab::{Images, Lab};
use ofm::name::ClusterName;
use ofm::spec::{DEFAULT_IMAGE, DatabaseMode, DatapathChoice, Encapsulation, RuntimeChoice};

use super::software::SoftwareArgs;
pub(super) use given::Layer;
pub(crate) use given::Selection;

#[derive(Debug, Args)]
struct Arguments {
    /// A topology file: TOML that says what flags say, and switches, routers and VMs; - is standard input
    ///
    /// A flag that is given goes before the file, and the file before variables in the environment. `ofm schema` describes
    /// the file to editors, and `ofm export` writes one.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
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
        action = ArgAction::Set,
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
        action = ArgAction::Set,
        env = "OVN_DB_CLUSTER",
        default_value = "no",
        value_parser = yes_or_no
    )]
    db_cluster: bool,
    /// Milliseconds without a sign of the leader after which a server of --db raft calls an election
    #[arg(long, value_name = "MS", env = "OFM_ELECTION_TIMER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=600_000))]
    election_timer: u32,
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
        action = ArgAction::Set,
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
        action = ArgAction::Set,
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
    /// Interface of this machine that joins the underlay while the cluster runs; a virtual one goes with it
    #[arg(long, value_name = "INTERFACE")]
    uplink: Option<String>,
    /// Leave out the physical network `public`: eth2 of each node and br-ex of gateways and chassis
    #[arg(long)]
    no_public: bool,
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
        action = ArgAction::Set,
        env = "OVN_MONITOR_ALL",
        default_value = "no",
        num_args = 0..=1,
        default_missing_value = "yes",
        require_equals = true,
        value_parser = yes_or_no
    )]
    monitor_all: bool,
    /// Leave to the daemons what databases otherwise begin with; slower, for comparison
    #[arg(long)]
    no_seed: bool,
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
    /// Set an environment variable of all programs in nodes: daemons, and what is run beside them
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Seconds that a container engine may take to answer a request
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    engine_timeout: u32,
    /// Seconds that a daemon may take until it serves, and then all of them until the cluster is ready
    #[arg(long, value_name = "SECONDS", env = "OFM_READY_TIMEOUT", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    ready_timeout: u32,
    /// Folder of this machine that all nodes show as /data [default: one of the cluster's own]
    #[arg(long, value_name = "DIR", env = "FAKENODE_MNT_DIR")]
    data: Option<PathBuf>,
}

/// The images of containers. One of a role goes before the one for all.
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
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) {
        lab.image = layer.value("image", &self.image);
        lab.images = Images {
            central: layer.option("central_image", &self.central_image),
            gateway: layer.option("gateway_image", &self.gateway_image),
            relay: layer.option("relay_image", &self.relay_image),
            chassis: layer.option("chassis_image", &self.chassis_image),
        };
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
pub(super) enum DatapathArg {
    /// The kernel's where the kernel has it, else the userspace one
    Auto,
    /// In userspace, by ovs-vswitchd
    Netdev,
    /// In the kernel, by its module openvswitch
    System,
}

impl From<DatapathArg> for DatapathChoice {
    fn from(datapath: DatapathArg) -> Self {
        match datapath {
            DatapathArg::Auto => DatapathChoice::Auto,
            DatapathArg::Netdev => DatapathChoice::Netdev,
            DatapathArg::System => DatapathChoice::System,
        }
    }
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

impl Arguments {
    /// What one of the places in which a value may be given says.
    fn lab(&self, layer: Layer<'_>, name: &ClusterName) -> anyhow::Result<Lab> {
        let mut lab = Lab::default();
        lab.name = layer.value("cluster", name);
        self.size.add_to(&mut lab, layer);
        self.names.add_to(&mut lab, layer);
        self.databases.add_to(&mut lab, layer)?;
        self.underlay.add_to(&mut lab, layer)?;
        self.chassis.add_to(&mut lab, layer);
        self.runtime.add_to(&mut lab, layer)?;
        Ok(lab)
    }

    /// What the topology file says, if there is one.
    fn file(&self) -> anyhow::Result<Lab> {
        match &self.file {
            None => Ok(Lab::default()),
            Some(path) if path == Path::new("-") => {
                let text =
                    io::read_to_string(io::stdin()).context("reading standard input failed")?;
                Ok(Lab::parse(&text)?.relative_to(&std::env::current_dir()?))
            }
            Some(path) => Ok(Lab::read(path)?),
        }
    }
}

impl SizeArgs {
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) {
        lab.zones = layer.value("central", &self.central);
        lab.chassis = layer.option("chassis", &self.chassis);
        lab.gateways = layer.option("gateways", &self.gateways);
        lab.relays = layer.value("relays", &self.relays);
        lab.demo = layer
            .no("no_fake_vms")
            .or(layer.value("fake_vms", &self.fake_vms));
    }
}

impl NameArgs {
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) {
        let central = layer.option("central_name", &self.central_name);
        lab.names.central = central.filter(|name| !name.is_empty());
        lab.names.central_prefix = layer.value("central_prefix", &self.central_prefix);
        lab.names.chassis_prefix = layer.value("chassis_prefix", &self.chassis_prefix);
    }
}

impl DatabaseArgs {
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) -> anyhow::Result<()> {
        let db = layer.option("db", &self.db).map(|db| match db {
            DatabaseArg::Standalone => DatabaseMode::Standalone,
            DatabaseArg::Raft => DatabaseMode::Raft,
        });
        let cluster = layer.value("db_cluster", &self.db_cluster);
        lab.db = db.or(cluster.map(|raft| match raft {
            false => DatabaseMode::Standalone,
            true => DatabaseMode::Raft,
        }));
        lab.election_timer = layer.value("election_timer", &self.election_timer);
        lab.nb_db = given(layer.option("nb_db", &self.nb_db))?;
        lab.sb_db = given(layer.option("sb_db", &self.sb_db))?;
        lab.tls = layer.no("no_tls").or(layer.value("tls", &self.tls));
        lab.rbac = layer.value("rbac", &self.rbac);
        lab.interconnection = layer.no("no_ic").or(layer.value("ic", &self.ic));
        Ok(())
    }
}

impl UnderlayArgs {
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) -> anyhow::Result<()> {
        let (network, prefix) = (self.underlay_network, self.underlay_prefix);
        lab.underlay = layer.option("underlay", &self.underlay);
        if lab.underlay.is_none() && (layer.has("underlay_network") || layer.has("underlay_prefix"))
        {
            let subnet = IpNet::new(network, prefix);
            lab.underlay = Some(subnet.with_context(|| {
                format!("IP_HOST={network} with IP_CIDR={prefix} is no subnet")
            })?);
        }
        lab.first_address = layer.option("first_address", &self.first_address);
        lab.mtu = layer.value("mtu", &self.mtu);
        lab.uplink = layer.option("uplink", &self.uplink);
        lab.public = layer.no("no_public");
        lab.encap = layer.value("encap", &self.encap).map(|encap| match encap {
            EncapsulationArg::Geneve => Encapsulation::Geneve,
            EncapsulationArg::Vxlan => Encapsulation::Vxlan,
            EncapsulationArg::Both => Encapsulation::Both,
        });
        Ok(())
    }
}

impl ChassisArgs {
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) {
        let datapath = layer.value("datapath", &self.datapath);
        lab.datapath = datapath.map(Into::into);
        lab.seed = layer.no("no_seed");
        lab.monitor_all = layer.value("monitor_all", &self.monitor_all);
        lab.remote_probe_interval =
            layer.value("remote_probe_interval", &self.remote_probe_interval);
        lab.openflow_probe_interval =
            layer.value("openflow_probe_interval", &self.openflow_probe_interval);
    }
}

impl RuntimeArgs {
    fn add_to(&self, lab: &mut Lab, layer: Layer<'_>) -> anyhow::Result<()> {
        let runtime = layer.option("runtime", &self.runtime);
        let program = layer.option("runc_cmd", &self.runc_cmd);
        lab.runtime = match (runtime, program.as_deref()) {
            (None, None | Some("")) => None,
            (Some(RuntimeArg::Native), _) => Some(RuntimeChoice::Native),
            (Some(RuntimeArg::Docker), _) | (None, Some("docker")) => Some(RuntimeChoice::Docker),
            (Some(RuntimeArg::Podman), _) | (None, Some("podman")) => Some(RuntimeChoice::Podman),
            (None, Some(other)) => anyhow::bail!(
                "RUNC_CMD is {other:?}, and ofm speaks to docker and podman only; choose with --runtime"
            ),
        };
        self.images.add_to(lab, layer);
        self.software.add_to(lab, layer)?;
        lab.env = layer
            .value("env", &self.env)
            .into_iter()
            .flatten()
            .collect();
        lab.ready_timeout = layer.value("ready_timeout", &self.ready_timeout);
        lab.engine_timeout = layer.value("engine_timeout", &self.engine_timeout);
        lab.data = given(layer.option("data", &self.data))?;
        Ok(())
    }
}

/// A path that daemons and engines, which have other working directories, understand too. An empty variable is none.
pub(super) fn given(path: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    let path = path.filter(|path| !path.as_os_str().is_empty());
    Ok(path.map(std::path::absolute).transpose()?)
}

fn variable(text: &str) -> Result<(String, String), String> {
    let variable = text.split_once('=');
    let (name, value) = variable.ok_or("it is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it is neither yes nor no".to_owned()),
    }
}
