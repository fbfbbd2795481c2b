//! What can go wrong with a cluster.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::copy::CopyError;
use crate::event::Phase;
use crate::image::BuildError;
use crate::plan::{PlanErrors, PlanProblem};
use crate::runtime::EngineError;

/// What went wrong below.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of a cluster. [`Error::hint`] says what to do about it, where that is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be.
    #[error(transparent)]
    Plan(#[from] PlanErrors),
    /// A change of a running cluster cannot be.
    #[error("{}: {}", .0.location, .0.what)]
    Change(PlanProblem),
    /// A database that was brought along cannot be used.
    #[error("{what}")]
    Source {
        /// The file, and what is wrong with it.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The caller may not create namespaces.
    #[error("starting a cluster needs root")]
    NotRoot,
    /// The caller's root folder is not its mount namespace's.
    #[error("a cluster cannot be started in a chroot")]
    Chroot,
    /// Programs or schemas of OVS and OVN were not found.
    #[error("not found on this machine: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// There is one of that name.
    #[error("cluster {name} runs already")]
    Running {
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error("cluster {name} does not run")]
    NotRunning {
        /// Its name.
        name: String,
    },
    /// The cluster has no node of that name.
    #[error("cluster {cluster} has no node {name}")]
    UnknownNode {
        /// The cluster.
        cluster: String,
        /// The name.
        name: String,
        /// The names it has.
        known: Vec<String>,
    },
    /// The node has ended.
    #[error("node {name} does not run")]
    NodeStopped {
        /// The node.
        name: String,
    },
    /// The cluster has no VM of that name.
    #[error("cluster {cluster} has no VM {name}")]
    UnknownVm {
        /// The cluster.
        cluster: String,
        /// The name.
        name: String,
        /// The names it has.
        known: Vec<String>,
    },
    /// The state folder could not be read or written.
    #[error("{action} {path} failed")]
    State {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something was not copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A container engine did not do what it was asked for.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An image could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Something failed, and so did taking back what had been done by then.
    #[error("{first}; taking back what was done by then failed too: {then}")]
    TakingBack {
        /// What failed first.
        first: Box<Error>,
        /// What failed then.
        then: Box<Error>,
    },
    /// The keeper could not be made.
    #[error(transparent)]
    Keeper(#[from] ofm_netns::KeeperError),
    /// A node could not be made.
    #[error(transparent)]
    Node(#[from] ofm_netns::NodeError),
    /// A node is gone.
    #[error(transparent)]
    Enter(#[from] ofm_netns::EnterError),
    /// A program could not be run in a node.
    #[error(transparent)]
    Spawn(#[from] ofm_netns::SpawnError),
    /// A step in a node failed.
    #[error("node {node}: {action} failed")]
    InNode {
        /// Where.
        node: String,
        /// What.
        action: String,
        /// Why.
        source: Cause,
    },
    /// A daemon did not come up.
    #[error("node {node}: {daemon} ended with {status} instead of starting{output}")]
    Daemon {
        /// Where.
        node: String,
        /// Which.
        daemon: String,
        /// How it ended.
        status: String,
        /// What it said, and the end of its log.
        output: String,
    },
    /// Something was not seen in time.
    #[error("node {node}: {missing} within {waited:?} (phase {}){log}", phase.as_str())]
    NotReady {
        /// Where.
        node: String,
        /// In which phase.
        phase: Phase,
        /// What was missing, and what was last seen.
        missing: String,
        /// For how long it was waited.
        waited: Duration,
        /// The end of the daemon's log.
        log: String,
    },
    /// A packet was not answered.
    #[error("{vm}: no answer from {address} within {waited:?}")]
    NoAnswer {
        /// Who asked.
        vm: String,
        /// Who did not answer.
        address: std::net::IpAddr,
        /// For how long it was waited.
        waited: Duration,
    },
}

impl From<crate::seed::SourceProblem> for Error {
    fn from(problem: crate::seed::SourceProblem) -> Self {
        Error::Source {
            what: problem.to_string(),
            hint: problem.hint(),
        }
    }
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotRoot => Some("run it with sudo, or as root in a container".into()),
            Error::Chroot => Some("use pivot_root, as containers do, or start it outside".into()),
            Error::Missing(_) => Some(
                "install Open vSwitch and OVN: openvswitch-switch, ovn-central, ovn-host, ovn-ic and ovn-ic-db on Debian \
                 and Ubuntu; openvswitch, ovn-central and ovn-host on Fedora; or name paths to them (--ovs, --ovn)"
                    .into(),
            ),
            Error::Running { name } => Some(format!(
                "choose another name with --cluster, or stop it with: ofm --cluster {name} stop"
            )),
            Error::NotRunning { .. } => Some("`ofm ls` shows the clusters there are".into()),
            Error::NodeStopped { .. } => {
                Some("`ofm start-node` makes gateways, chassis and relays anew".into())
            }
            Error::UnknownNode { known, .. } | Error::UnknownVm { known, .. } => {
                Some(format!("there are {}", known.join(", ")))
            }
            Error::Engine(error) => error.hint(),
            Error::Change(problem) => Some(problem.hint.clone()),
            Error::Source { hint, .. } => Some(hint.clone()),
            Error::TakingBack { first, then } => first.hint().or_else(|| then.hint()),
            _ => None,
        }
    }

    pub(crate) fn state(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Error::State {
            action,
            path,
            source,
        }
    }

    pub(crate) fn in_node(
        node: impl AsRef<str>,
        action: impl Into<String>,
        source: impl Into<Cause>,
    ) -> Self {
        Error::InNode {
            node: node.as_ref().to_owned(),
            action: action.into(),
            source: source.into(),
        }
    }
}
