//! `ofm build`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use ofm::Event;
use ofm::image::packages::Distribution;
use ofm::image::{Base, Build, CFLAGS, OPTIMIZED_CFLAGS, Source};
use ofm::runtime::EngineKind;
use ofm::spec::DEFAULT_IMAGE;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::Global;
use crate::commands::start::INTERRUPTED;
use crate::output;

/// Build an image for nodes that are containers
///
/// It has Open vSwitch, OVN and the tools that tests of OVN use: from packages of a distribution, from package files, or
/// compiled from source trees. What the engine says while it builds goes to standard error; a build with the same input as
/// one before is answered from the engine's cache.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("on").args(["base", "rootfs"]))]
pub(crate) struct BuildArgs {
    /// The engine that builds
    #[arg(long, value_enum, value_name = "ENGINE", env = "OFM_RUNTIME", default_value_t = EngineArg::Docker)]
    runtime: EngineArg,
    /// Name and tag of the image
    #[arg(long, value_name = "IMAGE", env = "OFM_IMAGE", default_value = DEFAULT_IMAGE)]
    tag: String,
    /// Distribution whose image is built on
    #[arg(long, value_enum, value_name = "NAME", env = "OS_BASE", default_value_t = DistributionArg::Debian)]
    distribution: DistributionArg,
    /// Image to build on, of Debian, Ubuntu, Fedora or one like them
    #[arg(long, value_name = "IMAGE", env = "OS_IMAGE")]
    base: Option<String>,
    /// Root file system to build on, as a tar archive; it needs no registry, and no network if it has all the packages
    #[arg(long, value_name = "TAR")]
    rootfs: Option<PathBuf>,
    /// Package file of Open vSwitch or OVN, .deb or .rpm, to be installed instead of the distribution's; may be repeated
    #[arg(long = "package", value_name = "FILE", conflicts_with_all = ["ovs", "ovn"])]
    packages: Vec<PathBuf>,
    /// Source tree of Open vSwitch, to be compiled
    #[arg(long, value_name = "DIR", env = "OVS_SRC_PATH", requires = "ovn")]
    ovs: Option<PathBuf>,
    /// Source tree of OVN, to be compiled
    #[arg(long, value_name = "DIR", env = "OVN_SRC_PATH", requires = "ovs")]
    ovn: Option<PathBuf>,
    /// Flags of the C compiler [default: those for debugging and profiling]
    #[arg(
        long,
        value_name = "FLAGS",
        env = "OVN_CFLAGS",
        allow_hyphen_values = true,
        requires = "ovs"
    )]
    cflags: Option<String>,
    /// Compile for speed on this machine's processor
    #[arg(long, requires = "ovs", conflicts_with = "cflags")]
    optimize: bool,
    /// Network of the build's steps: host, none, or one of the engine's
    #[arg(long, value_name = "NETWORK", default_value = "host")]
    network: String,
    /// How often to ask for the image that is built on
    #[arg(
        long,
        value_name = "N",
        env = "OS_IMAGE_PULL_RETRIES",
        default_value_t = 40
    )]
    pull_attempts: u32,
    /// Seconds between two such attempts
    #[arg(
        long,
        value_name = "SECONDS",
        env = "OS_IMAGE_PULL_INTERVAL",
        default_value_t = 5
    )]
    pull_interval: u32,
    /// Build everything anew
    #[arg(long)]
    no_cache: bool,
    /// Seconds that the engine may take to answer a request, other than the build itself
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    engine_timeout: u32,
    /// Print the packages that the image is to have, as for making a root file system, and build nothing
    #[arg(long)]
    list_packages: bool,
    /// Print the image's name and id as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EngineArg {
    /// Docker
    Docker,
    /// Podman
    Podman,
    /// No engine, hence no build; only accepted so that OFM_RUNTIME may be set to it
    #[value(hide = true)]
    Native,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DistributionArg {
    /// Debian stable
    Debian,
    /// The latest Ubuntu with long support
    Ubuntu,
    /// The latest Fedora
    Fedora,
}

impl From<DistributionArg> for Distribution {
    fn from(distribution: DistributionArg) -> Self {
        match distribution {
            DistributionArg::Debian => Distribution::Debian,
            DistributionArg::Ubuntu => Distribution::Ubuntu,
            DistributionArg::Fedora => Distribution::Fedora,
        }
    }
}

impl BuildArgs {
    pub(crate) async fn run(self, _global: &Global) -> anyhow::Result<ExitCode> {
        let distribution = Distribution::from(self.distribution);
        if self.list_packages {
            output::print(distribution.packages().join("\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let kind = match self.runtime {
            EngineArg::Docker | EngineArg::Native => EngineKind::Docker,
            EngineArg::Podman => EngineKind::Podman,
        };
        let base = match (self.rootfs, self.base) {
            (Some(archive), _) => Base::RootFs(archive),
            (None, Some(image)) => Base::Image(image),
            (None, None) => Base::Image(distribution.image().to_owned()),
        };
        let default_flags = if self.optimize {
            OPTIMIZED_CFLAGS
        } else {
            CFLAGS
        };
        let source = match (self.ovs, self.ovn) {
            (Some(ovs), Some(ovn)) => Source::Trees {
                ovs,
                ovn,
                cflags: self.cflags.unwrap_or_else(|| default_flags.to_owned()),
            },
            _ if self.packages.is_empty() => Source::Distribution,
            _ => Source::Packages(self.packages),
        };
        let mut build = Build::new(kind)
            .tag(self.tag)
            .base(base)
            .source(source)
            .network(self.network)
            .pull_attempts(
                self.pull_attempts,
                Duration::from_secs(self.pull_interval.into()),
            )
            .engine_deadline(Duration::from_secs(self.engine_timeout.into()))
            .on_event(show);
        if self.no_cache {
            build = build.no_cache();
        }
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let built = tokio::select! {
            biased;
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            built = build.run() => Some(built?),
        };
        let Some(built) = built else {
            eprintln!(
                "interrupted; `ofm gc` removes what the engine keeps to build faster the next time"
            );
            return Ok(ExitCode::from(INTERRUPTED));
        };
        if self.json {
            output::print_json(&built)?;
        } else {
            output::print(format_args!("image {} is {}", built.tag, built.id))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows what the engine says, as it says it.
fn show(event: Event) {
    match event {
        Event::Output(text) => eprint!("{text}"),
        Event::Pulling {
            layer,
            status,
            done: None,
            ..
        } if layer.is_empty() => eprintln!("{status}"),
        _ => {}
    }
}
