//! The clusters that are measured.

use std::error::Error;
use std::fmt;

use ofm::name::ClusterName;
use ofm::spec::Workload;
use ofm::{Builder, Cluster, ClusterSpec};

/// What is in a cluster besides a central and its chassis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, not even TLS or the physical network: as little as a script written by hand starts.
    Plain,
    /// What `ofm start` makes: TLS, ovn-ic, a gateway, the demo with its VMs and their leases.
    Default,
}

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::Plain, Kind::Default];

    /// The flags of `ofm start` that ask for it.
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Kind::Plain => &[
                "--gateways",
                "0",
                "--no-fake-vms",
                "--no-tls",
                "--no-ic",
                "--no-public",
            ],
            Kind::Default => &[],
        }
    }

    /// The same for those who embed ofm.
    pub fn spec(self, chassis: u32) -> ClusterSpec {
        let spec = ClusterSpec {
            name: name(),
            chassis: Some(chassis),
            ..ClusterSpec::default()
        };
        match self {
            Kind::Default => spec,
            Kind::Plain => ClusterSpec {
                gateways: Some(0),
                workload: Workload::None,
                tls: false,
                interconnection: false,
                public: false,
                ..spec
            },
        }
    }

    /// How many chassis it has in all: a gateway is one too, with tunnels to all others.
    pub fn all_chassis(self, chassis: u32) -> u32 {
        let spec = self.spec(chassis);
        spec.chassis() + spec.gateways()
    }

    /// Asks for it.
    pub fn builder(self, chassis: u32) -> Builder {
        Cluster::builder().spec(self.spec(chassis))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Plain => "plain",
            Kind::Default => "default",
        })
    }
}

/// A name that no other process's cluster has.
pub fn name() -> ClusterName {
    let name = format!("bench-{}", std::process::id());
    name.parse().expect("letters, digits and a dash")
}

/// What a step of a bench gave. Criterion knows no failure but a panic, which ends the clusters of its process too.
pub fn done<T>(result: Result<T, ofm::Error>) -> T {
    result.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// An error with its sources, on one line.
fn chain(error: &dyn Error) -> String {
    let errors = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<_> = errors.map(ToString::to_string).collect();
    texts.join(": ")
}
