//! A running cluster, and how it is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ofm_netns::{Keeper, Node};
use ovsdb_client::Client;

use crate::error::Error;
use crate::event::{Event, Phase};
use crate::name::ClusterName;
use crate::node::NodeHandle;
use crate::plan::Plan;
use crate::spec::{ClusterSpec, DatapathChoice, Workload};
use crate::state::{self, State, StateDir};
use crate::topology::Topology;
use crate::vm::Vm;
use crate::{apply, host};

/// How long the kernel may take to end a cluster: it has to end every process of it.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Whoever wants to hear of the start.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// A running cluster.
///
/// One that was started here ends when it is dropped, unless it was detached; one that was opened does not.
#[derive(Debug)]
pub struct Cluster {
    plan: Plan,
    keeper: Arc<Keeper>,
    nodes: BTreeMap<String, NodeHandle>,
    phases: BTreeMap<Phase, Duration>,
    started: bool,
    /// Present while the cluster is tied to this process.
    tied: Option<StateDir>,
}

impl Cluster {
    /// Asks for a cluster. Everything has a default: two chassis, one gateway, and two fake VMs.
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
        let mut nodes = BTreeMap::new();
        for plan in &state.plan.nodes {
            // A node whose first process is gone is left out here and shown as dead by `status`.
            let node = state.nodes.get(plan.name.as_str());
            if let Some(node) = node.and_then(|id| Node::open((*id).into()).ok()) {
                let plan = plan.clone();
                nodes.insert(plan.name.to_string(), NodeHandle { plan, node });
            }
        }
        Ok(Self {
            plan: state.plan,
            keeper: Arc::new(keeper),
            nodes,
            phases: state.phases,
            started: state.ready,
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
    /// [`Error::UnknownNode`].
    pub fn node(&self, name: &str) -> Result<NodeHandle, Error> {
        let unknown = || Error::UnknownNode {
            cluster: self.name().to_string(),
            name: name.to_owned(),
            known: self.plan.nodes.iter().map(|n| n.name.to_string()).collect(),
        };
        self.nodes.get(name).cloned().ok_or_else(unknown)
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

    /// A client of the northbound database.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn nb(&self) -> Result<Client, Error> {
        self.central()?.connect("ovn/ovnnb_db.sock").await
    }

    /// A client of the southbound database.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn sb(&self) -> Result<Client, Error> {
        self.central()?.connect("ovn/ovnsb_db.sock").await
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
        match self.tied.take() {
            Some(dir) => dir.remove(),
            None => StateDir::create(&self.plan.state_dir, self.name())?.remove(),
        }
    }

    fn central(&self) -> Result<NodeHandle, Error> {
        self.node(self.plan.central().name.as_str())
    }

    pub(crate) fn handles(&self) -> &BTreeMap<String, NodeHandle> {
        &self.nodes
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(dir) = self.tied.take() {
            self.keeper.process().kill();
            self.keeper.process().wait_blocking(STOP_DEADLINE);
            if let Err(error) = dir.remove() {
                tracing::warn!(%error, "a dropped cluster left its folder");
            }
        }
    }
}

/// What a cluster is to be like. Plain data with defaults; nothing happens before [`Builder::start`].
#[derive(Clone, Default)]
pub struct Builder {
    spec: ClusterSpec,
    state_root: Option<PathBuf>,
    listener: Option<Listener>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("spec", &self.spec)
            .field("state_root", &self.state_root)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Replaces everything that was asked for so far.
    #[must_use]
    pub fn spec(mut self, spec: ClusterSpec) -> Self {
        self.spec = spec;
        self
    }

    /// Names it; clusters of different names run side by side. `default` unless told otherwise.
    #[must_use]
    pub fn name(mut self, name: ClusterName) -> Self {
        self.spec.name = name;
        self
    }

    /// How many chassis; 2 unless told otherwise.
    #[must_use]
    pub fn chassis(mut self, count: u32) -> Self {
        self.spec.chassis = count;
        self
    }

    /// How many gateways; 1 unless told otherwise.
    #[must_use]
    pub fn gateways(mut self, count: u32) -> Self {
        self.spec.gateways = count;
        self
    }

    /// Which datapath; the kernel's if it has one unless told otherwise.
    #[must_use]
    pub fn datapath(mut self, datapath: DatapathChoice) -> Self {
        self.spec.datapath = datapath;
        self
    }

    /// Starts without fake VMs.
    #[must_use]
    pub fn no_fake_vms(mut self) -> Self {
        self.spec.workload = Workload::None;
        self
    }

    /// Starts with these switches, routers and VMs instead of the two fake VMs.
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.spec.workload = Workload::Custom(topology);
        self
    }

    /// Where the state folder is made; [`state::default_root`] unless told otherwise.
    #[must_use]
    pub fn state_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.state_root = Some(root.into());
        self
    }

    /// Is told how the start goes on. Called from the task that starts; it should return soon.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Starts the cluster and returns when it is ready. Dropping the future ends whatever was started.
    ///
    /// # Errors
    /// With everything that is wrong with the request, before anything is touched; or with the node and the phase in
    /// which something did not work, after everything was taken back.
    pub async fn start(self) -> Result<Cluster, Error> {
        let mut clock = Clock {
            listener: self.listener.unwrap_or_else(|| Arc::new(|_| {})),
            phases: BTreeMap::new(),
        };
        let began = clock.begin(Phase::Plan, 1);
        let root = self.state_root.unwrap_or_else(state::default_root);
        host::require_root()?;
        let facts = host::inspect(&root)?;
        let plan = Plan::new(&self.spec, &facts)?;
        let dir = StateDir::create(&plan.state_dir, &plan.cluster)?;
        let mut record = State {
            plan: plan.clone(),
            keeper: None,
            nodes: BTreeMap::new(),
            phases: BTreeMap::new(),
            ready: false,
        };
        dir.write(&record)?;
        clock.end(Phase::Plan, began);

        let began = clock.begin(Phase::Nodes, plan.nodes.len());
        let keeper = Keeper::create(&[std::os::fd::AsFd::as_fd(dir.lock())])?;
        // From here on, dropping the cluster takes everything back.
        let mut cluster = Cluster {
            plan,
            keeper: Arc::new(keeper),
            nodes: BTreeMap::new(),
            phases: BTreeMap::new(),
            started: false,
            tied: Some(dir),
        };
        record.keeper = Some(cluster.keeper.process().id().into());
        cluster.write(&record)?;
        cluster.nodes = apply::nodes::create(&cluster, &clock).await?;
        record.nodes = cluster
            .nodes
            .iter()
            .map(|(name, handle)| (name.clone(), handle.node.process().id().into()))
            .collect();
        cluster.write(&record)?;
        clock.end(Phase::Nodes, began);

        apply::links::create(&cluster, &mut clock).await?;
        apply::files::write(&cluster, &mut clock).await?;
        apply::daemons::start(&cluster, &mut clock).await?;
        apply::ready::wait(&cluster, &mut clock).await?;

        cluster.phases.clone_from(&clock.phases);
        cluster.started = true;
        record.phases = clock.phases;
        record.ready = true;
        cluster.write(&record)?;
        Ok(cluster)
    }
}

impl Cluster {
    fn write(&self, state: &State) -> Result<(), Error> {
        self.tied.as_ref().map_or(Ok(()), |dir| dir.write(state))
    }
}

/// Tells the listener what happens and remembers how long it took.
pub(crate) struct Clock {
    listener: Listener,
    phases: BTreeMap<Phase, Duration>,
}

impl Clock {
    pub(crate) fn begin(&self, phase: Phase, total: usize) -> Instant {
        (self.listener)(Event::Started { phase, total });
        Instant::now()
    }

    pub(crate) fn progress(&self, phase: Phase, done: usize, total: usize) {
        (self.listener)(Event::Progress { phase, done, total });
    }

    pub(crate) fn end(&mut self, phase: Phase, began: Instant) {
        let elapsed = began.elapsed();
        self.phases.insert(phase, elapsed);
        (self.listener)(Event::Finished { phase, elapsed });
    }
}
