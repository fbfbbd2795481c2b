//! How a cluster is asked for and started.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ofm_netns::Keeper;

use crate::apply::files::{Additions, Seeds};
use crate::clock::{Begun, Clock, Listener};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::{Event, Phase};
use crate::name::ClusterName;
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::runtime::engine::image::Pull;
use crate::schemas::Schemas;
use crate::software::Sources;
use crate::spec::{ClusterSpec, DatabaseMode, DatapathChoice, Images, RuntimeChoice, Workload};
use crate::state::{self, State, StateDir};
use crate::topology::Topology;
use crate::trace::{self, SpanKind, Trace};
use crate::{apply, host};

/// What a cluster is to be like. Plain data with defaults; nothing happens before [`Builder::start`].
#[derive(Clone, Default)]
pub struct Builder {
    spec: ClusterSpec,
    state_root: Option<PathBuf>,
    listener: Option<Listener>,
    trace: Option<Trace>,
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

    /// How many availability zones; 1 unless told otherwise.
    #[must_use]
    pub fn zones(mut self, count: u32) -> Self {
        self.spec.zones = count;
        self
    }

    /// How each zone's databases are served; by one server each unless told otherwise.
    #[must_use]
    pub fn database(mut self, mode: DatabaseMode) -> Self {
        self.spec.database = mode;
        self
    }

    /// How many relays of the southbound database in each zone; none unless told otherwise.
    #[must_use]
    pub fn relays(mut self, count: u32) -> Self {
        self.spec.relays = count;
        self
    }

    /// Whether databases are reached by TLS; they are unless told otherwise.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.spec.tls = tls;
        self
    }

    /// How many chassis; 2 per zone unless told otherwise.
    #[must_use]
    pub fn chassis(mut self, count: u32) -> Self {
        self.spec.chassis = Some(count);
        self
    }

    /// How many gateways; 1 per zone unless told otherwise.
    #[must_use]
    pub fn gateways(mut self, count: u32) -> Self {
        self.spec.gateways = Some(count);
        self
    }

    /// What provides the nodes; ofm itself unless told otherwise.
    #[must_use]
    pub fn runtime(mut self, runtime: RuntimeChoice) -> Self {
        self.spec.runtime = runtime;
        self
    }

    /// Where Open vSwitch and OVN come from; the host unless told otherwise.
    #[must_use]
    pub fn software(mut self, sources: Sources) -> Self {
        self.spec.software = sources;
        self
    }

    /// Open vSwitch of all nodes: an installation's prefix, a build tree, or a root file system, which OVN comes from too.
    #[must_use]
    pub fn ovs(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        for source in self.spec.software.each_mut() {
            source.ovs = Some(path.clone());
        }
        self
    }

    /// OVN of all nodes: an installation's prefix, a build tree, or a root file system, which Open vSwitch comes from too.
    #[must_use]
    pub fn ovn(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        for source in self.spec.software.each_mut() {
            source.ovn = Some(path.clone());
        }
        self
    }

    /// The images of containers; the one that `ofm build` makes unless told otherwise.
    #[must_use]
    pub fn images(mut self, images: Images) -> Self {
        self.spec.images = images;
        self
    }

    /// The engine's socket; found by the environment and in the usual places unless told otherwise.
    #[must_use]
    pub fn engine_socket(mut self, socket: impl Into<PathBuf>) -> Self {
        self.spec.engine_socket = Some(socket.into());
        self
    }

    /// Which datapath; the kernel's if it has one unless told otherwise.
    #[must_use]
    pub fn datapath(mut self, datapath: DatapathChoice) -> Self {
        self.spec.datapath = datapath;
        self
    }

    /// How long a daemon may take until it serves, and then all of them until the cluster is ready, in whole seconds; two
    /// minutes unless told otherwise.
    #[must_use]
    pub fn ready_timeout(mut self, time: Duration) -> Self {
        self.spec.ready_timeout = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1);
        self
    }

    /// After how many milliseconds without a sign of the leader a server of a RAFT cluster calls an election; 1000 unless told
    /// otherwise, 100 to 600000.
    #[must_use]
    pub fn election_timer(mut self, milliseconds: u32) -> Self {
        self.spec.election_timer = milliseconds;
        self
    }

    /// Sets an environment variable of all programs in nodes: daemons, and what is run beside them.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.env.insert(name.into(), value.into());
        self
    }

    /// Whether databases begin with what the daemons would write at their start; yes unless told otherwise. Without, a start
    /// takes longer and ends with the same cluster.
    #[must_use]
    pub fn seed(mut self, seed: bool) -> Self {
        self.spec.seed = seed;
        self
    }

    /// Whether there is the physical network `public`, with `eth2` of each node and `br-ex` of gateways and chassis; yes unless
    /// told otherwise. The demo needs it.
    #[must_use]
    pub fn public(mut self, public: bool) -> Self {
        self.spec.public = public;
        self
    }

    /// Starts without fake VMs.
    #[must_use]
    pub fn no_fake_vms(mut self) -> Self {
        self.spec.workload = Workload::None;
        self
    }

    /// Starts with these switches, routers and VMs instead of the demo, in the first zone.
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.spec.workload = Workload::Custom(vec![topology]);
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

    /// Records what the start does and when, and lets [`Cluster::timings`] tell where the time went.
    #[must_use]
    pub fn trace(mut self, trace: &Trace) -> Self {
        self.trace = Some(trace.clone());
        self
    }

    /// Starts the cluster and returns when it is ready. Dropping the future ends whatever was started.
    ///
    /// # Errors
    /// With everything that is wrong with the request, before anything is touched; or with the node and the phase in
    /// which something did not work, after everything was taken back.
    pub async fn start(self) -> Result<Cluster, Error> {
        let trace = self.trace;
        if let Some(trace) = &trace {
            trace.begin(&self.spec.name);
        }
        let clock = Clock::new(self.listener.unwrap_or_else(|| Arc::new(|_| {})));
        let mut clock = clock.traced(trace.clone());
        let began = clock.begin(Phase::Plan, 1);
        let root = self.state_root.unwrap_or_else(state::default_root);
        // Engines are told of folders in it, and know nothing of this process's working directory.
        let root = std::path::absolute(&root).map_err(|e| Error::state("finding", &root, e))?;
        host::require_root()?;
        host::refuse_chroot()?;
        // Known before an engine is asked, which would only say that all names are taken.
        if state::is_locked(&root.join(self.spec.name.as_str())) {
            let name = self.spec.name.to_string();
            return Err(Error::Running { name });
        }
        let facts = host::gather(&self.spec, &root, Pull::Missing(&clock.listener));
        let what = "looking at the machine";
        let facts = trace::span(trace.as_ref(), None, SpanKind::Step, what, facts).await?;
        let plan = Plan::new(&self.spec, &facts)?;
        let seeds = apply::files::seeds(&plan)?;
        let dir = StateDir::create(&plan.state_dir, &plan.cluster)?;
        let mut record = State {
            spec: self.spec.clone(),
            plan: plan.clone(),
            keeper: None,
            nodes: BTreeMap::new(),
            phases: BTreeMap::new(),
            leases: BTreeMap::new(),
            ready: false,
        };
        dir.write(&record)?;
        let authority = match plan
            .tls
            .then(|| dir.new_authority(&plan.cluster))
            .transpose()
        {
            Ok(authority) => authority,
            Err(error) => {
                dir.remove()?;
                return Err(error);
            }
        };
        clock.end(Phase::Plan, began);

        let began = clock.begin(Phase::Nodes, plan.nodes.len());
        let made = Keeper::create(&[dir.lock().as_fd()])
            .map_err(Error::from)
            .and_then(|keeper| Ok((Runtime::new(&plan, &keeper)?, keeper)));
        let (runtime, keeper) = match made {
            Ok(made) => made,
            Err(error) => {
                dir.remove()?;
                return Err(error);
            }
        };
        // From here on, dropping the cluster takes everything back.
        let mut cluster = Cluster {
            plan,
            keeper: Arc::new(keeper),
            runtime,
            nodes: BTreeMap::new(),
            phases: BTreeMap::new(),
            leases: BTreeMap::new(),
            authority,
            started: false,
            schemas: Schemas::default(),
            trace,
            tied: Some(dir),
        };
        let result = bring_up(&mut cluster, &mut record, seeds, clock, began).await;
        if let Some(trace) = &cluster.trace {
            trace.end();
        }
        match result {
            Ok(()) => Ok(cluster),
            Err(error) => Err(match cluster.take_down().await {
                Ok(()) => error,
                Err(then) => Error::TakingBack {
                    first: Box::new(error),
                    then: Box::new(then),
                },
            }),
        }
    }
}

/// Everything that a start does below its keeper. `began` is when the phase `nodes` did.
fn bring_up<'a>(
    cluster: &'a mut Cluster,
    record: &'a mut State,
    seeds: Seeds,
    mut clock: Clock,
    began: Begun,
) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async move {
        record.keeper = Some(cluster.keeper.process().id().into());
        cluster.write(record)?;
        cluster.runtime.clear().await?;
        let nodes = cluster.plan.nodes.clone();
        let (ahead, others) = apply::ahead(&cluster.plan, nodes);
        apply::nodes::prepare(&cluster.plan)?;
        cluster.nodes = apply::nodes::create(cluster, &ahead, &clock).await?;
        let bridges = apply::links::bridges(cluster);
        cluster.span(SpanKind::Step, "bridges", bridges).await?;

        let mut additions = Additions { seeds, model: None };
        let model = apply::go_ahead(cluster, &additions);
        let others = async {
            let later = clock.after(ahead.len());
            let others = apply::nodes::create(cluster, &others, &later).await?;
            let all = cluster.nodes.iter().chain(&others);
            record.nodes = all
                .map(|(name, handle)| (name.clone(), handle.node.process().id().into()))
                .collect();
            cluster.write(record)?;
            clock.end(Phase::Nodes, began);
            let began = clock.begin(Phase::Links, others.len());
            let handles: Vec<_> = others.values().collect();
            apply::links::create(cluster, &handles, &clock).await?;
            Ok((others, began))
        };
        let (model, (others, began)) = futures::try_join!(model, others)?;
        let model = model.map(Arc::new);
        additions.model.clone_from(&model);
        clock.end(Phase::Links, began);
        let names: Vec<String> = others.keys().cloned().collect();
        cluster.nodes.extend(others);
        let handles: Vec<_> = names.iter().map(|name| &cluster.nodes[name]).collect();
        apply::files::write(cluster, &handles, &additions, &mut clock).await?;
        apply::daemons::start(cluster, &handles, model.as_deref(), &mut clock).await?;
        let leases = apply::ready::wait(cluster, &mut clock).await?;

        cluster.leases.clone_from(&leases);
        record.leases = leases;
        cluster.phases.clone_from(&clock.phases);
        cluster.started = true;
        record.phases = clock.phases;
        record.ready = true;
        cluster.write(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[test]
    fn a_start_may_be_awaited_on_any_thread() {
        is_send(&Builder::default().start());
    }
}
