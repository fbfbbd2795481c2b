//! A running cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use ofm_netns::Keeper;
use ovsdb_client::Client;

use crate::builder::Builder;
use crate::error::Error;
use crate::event::Phase;
use crate::name::ClusterName;
use crate::node::NodeHandle;
use crate::pki::Authority;
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::schemas::Schemas;
use crate::spec::ClusterSpec;
use crate::state::{self, State, StateDir};
use crate::trace::{self, SpanKind, Trace};
use crate::vm::Vm;

/// How long the kernel may take to end a cluster: it has to end every process of it.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running cluster.
///
/// One that was started here ends when it is dropped, unless it was detached; one that was opened does not.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) plan: Plan,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) runtime: Runtime,
    pub(crate) nodes: BTreeMap<String, NodeHandle>,
    pub(crate) phases: BTreeMap<Phase, Duration>,
    /// Addresses that VMs got by DHCP, by name.
    pub(crate) leases: BTreeMap<String, IpNet>,
    /// Who issues the certificates of nodes that are being made, if they get any.
    pub(crate) authority: Option<Authority>,
    pub(crate) started: bool,
    /// The schemas of its databases, as far as they are known.
    pub(crate) schemas: Schemas,
    /// The timeline of its start, if somebody asked for one.
    pub(crate) trace: Option<Trace>,
    /// Present while the cluster is tied to this process.
    pub(crate) tied: Option<StateDir>,
}

impl Cluster {
    /// Asks for a cluster. Everything has a default: two chassis, one gateway, and the demo with four fake VMs.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens a cluster that another process started.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when there is none of that name below `root`.
    pub fn open(root: &Path, name: &ClusterName) -> Result<Self, Error> {
        let state = state::read(&root.join(name.as_str()), name)?;
        let not_running = || Error::NotRunning {
            name: name.to_string(),
        };
        let keeper = state.keeper.ok_or_else(not_running)?;
        let keeper = Keeper::open(keeper.into()).map_err(|_| not_running())?;
        let runtime = Runtime::new(&state.plan, &keeper)?;
        let mut nodes = BTreeMap::new();
        for plan in &state.plan.nodes {
            // A node whose first process is gone is left out here and shown as dead by `status`.
            let node = state.nodes.get(plan.name.as_str());
            if let Some(node) = node.and_then(|id| runtime.open(plan, (*id).into()).ok()) {
                let plan = plan.clone();
                nodes.insert(
                    plan.name.to_string(),
                    NodeHandle {
                        plan,
                        node,
                        ready_timeout: state.plan.ready_timeout,
                        trace: None,
                    },
                );
            }
        }
        Ok(Self {
            authority: None,
            leases: state.leases,
            plan: state.plan,
            keeper: Arc::new(keeper),
            runtime,
            nodes,
            phases: state.phases,
            started: state.ready,
            schemas: Schemas::default(),
            trace: None,
            tied: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &ClusterName {
        &self.plan.cluster
    }

    /// Everything that was decided about it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was asked for, as it was changed since.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn spec(&self) -> Result<ClusterSpec, Error> {
        Ok(state::read(&self.plan.state_dir, self.name())?.spec)
    }

    /// How long each phase of its start took.
    pub fn phases(&self) -> &BTreeMap<Phase, Duration> {
        &self.phases
    }

    /// Whether its start came to its end.
    pub(crate) fn started(&self) -> bool {
        self.started
    }

    /// A node that runs.
    ///
    /// # Errors
    /// [`Error::UnknownNode`]; [`Error::NodeStopped`] when it has ended.
    pub fn node(&self, name: &str) -> Result<NodeHandle, Error> {
        match self.nodes.get(name) {
            Some(node) => Ok(node.clone()),
            None if self.plan.node_named(name).is_some() => Err(Error::NodeStopped {
                name: name.to_owned(),
            }),
            None => Err(self.unknown_node(name)),
        }
    }

    pub(crate) fn unknown_node(&self, name: &str) -> Error {
        Error::UnknownNode {
            cluster: self.name().to_string(),
            name: name.to_owned(),
            known: self.plan.nodes.iter().map(|n| n.name.to_string()).collect(),
        }
    }

    /// A fake VM.
    ///
    /// # Errors
    /// [`Error::UnknownVm`].
    pub fn vm(&self, name: &str) -> Result<Vm, Error> {
        let unknown = || Error::UnknownVm {
            cluster: self.name().to_string(),
            name: name.to_owned(),
            known: self.plan.vms().map(|vm| vm.name.clone()).collect(),
        };
        let plan = self.plan.vms().find(|vm| vm.name == name);
        let plan = plan.ok_or_else(unknown)?.clone();
        let node = self.node(plan.node.as_str())?;
        let net = node.node.open_netns(name)?;
        Ok(Vm {
            namespaces: node.node.namespaces().with_network(net),
            plan,
            node,
        })
    }

    /// A client of the northbound database, of the first zone if there are several.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn nb(&self) -> Result<Client, Error> {
        self.nb_of(1).await
    }

    /// A client of the southbound database, of the first zone if there are several.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn sb(&self) -> Result<Client, Error> {
        self.sb_of(1).await
    }

    /// A client of a zone's northbound database; zones have numbers from 1.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn nb_of(&self, zone: u32) -> Result<Client, Error> {
        self.database(zone, "ovn/ovnnb_db.sock").await
    }

    /// A client of a zone's southbound database; zones have numbers from 1.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn sb_of(&self, zone: u32) -> Result<Client, Error> {
        self.database(zone, "ovn/ovnsb_db.sock").await
    }

    /// A client of the first central of a zone that answers: each passes on what another one has to decide.
    async fn database(&self, zone: u32, socket: &str) -> Result<Client, Error> {
        let mut error = None;
        for central in self.plan.centrals(zone) {
            let connected = match self.node(central.name.as_str()) {
                Ok(central) => central.connect(socket).await,
                Err(gone) => Err(gone),
            };
            match connected {
                Ok(client) => return Ok(client),
                Err(next) => error = error.or(Some(next)),
            }
        }
        Err(error.unwrap_or_else(|| {
            Error::in_node(self.name(), "connecting", format!("it has no zone {zone}"))
        }))
    }

    /// Lets it live on when this process ends.
    ///
    /// # Errors
    /// When the cluster is dead.
    pub fn detach(&mut self) -> Result<(), Error> {
        self.keeper
            .detach()
            .map_err(|e| Error::state("detaching", &self.plan.state_dir, e))?;
        self.tied = None;
        Ok(())
    }

    /// Ends it and waits until nothing is left.
    ///
    /// # Errors
    /// When a process does not end, or the state folder cannot be removed.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.take_down().await
    }

    /// Ends everything and removes what is left of it. An error of one part does not keep the others from being done.
    pub(crate) async fn take_down(&mut self) -> Result<(), Error> {
        let ended = self.end().await;
        let removed = self.runtime.remove().await;
        let dir = match self.tied.take() {
            Some(dir) => Ok(dir),
            None => StateDir::create(&self.plan.state_dir, self.name()),
        };
        ended.and(removed).and(dir.and_then(StateDir::remove))
    }

    async fn end(&self) -> Result<(), Error> {
        let began = Instant::now();
        self.keeper.process().kill();
        let ended = tokio::time::timeout(STOP_DEADLINE, self.keeper.process().exited()).await;
        if !matches!(ended, Ok(Ok(()))) {
            return Err(Error::NotReady {
                node: self.name().to_string(),
                phase: Phase::Nodes,
                missing: "its processes did not end".into(),
                waited: began.elapsed(),
                log: String::new(),
            });
        }
        Ok(())
    }

    /// Does work of its start as a span of the trace, if there is one.
    pub(crate) async fn span<T, E: std::error::Error + 'static>(
        &self,
        kind: SpanKind,
        name: impl std::fmt::Display,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        trace::span(self.trace.as_ref(), None, kind, name, work).await
    }

    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Writes the state down, as long as this process is the one that starts.
    pub(crate) fn write(&self, state: &State) -> Result<(), Error> {
        self.tied.as_ref().map_or(Ok(()), |dir| dir.write(state))
    }

    pub(crate) fn handles(&self) -> &BTreeMap<String, NodeHandle> {
        &self.nodes
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(dir) = self.tied.take() {
            self.keeper.process().kill();
            self.keeper.process().wait_blocking(STOP_DEADLINE);
            if let Err(error) = self.runtime.remove_blocking() {
                tracing::warn!(%error, "a dropped cluster left containers");
            }
            if let Err(error) = dir.remove() {
                tracing::warn!(%error, "a dropped cluster left its folder");
            }
        }
    }
}
