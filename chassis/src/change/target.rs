//! Making a running cluster what a spec asks for, with the least change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ovsdb_client::value::Datum;
use ovsdb_client::{Condition, Mutation, Schema, Transaction};

use super::Change;
use crate::apply;
use crate::apply::difference::{difference, transaction};
use crate::cluster::Cluster;
use crate::error::{Cause, Error};
use crate::host;
use crate::node::NodeHandle;
use crate::plan::nodes::{has_hosts, raw_names};
use crate::plan::ovs::external_ids;
use crate::plan::zones::topologies;
use crate::plan::{ChassisSettings, HostFacts, NodePlan, Plan, PlanErrors, PlanProblem, Role};
use crate::runtime::engine::image::Pull;
use crate::spec::{ChassisSpec, ClusterSpec};
use crate::topology::{Topology, VmSpec};

/// What was done to a cluster to make it what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Applied {
    /// Nodes that came, or had ended and were made anew.
    pub added: Vec<String>,
    /// Nodes that went.
    pub stopped: Vec<String>,
    /// VMs that came, were moved or made anew.
    pub vms_added: Vec<String>,
    /// VMs that went.
    pub vms_removed: Vec<String>,
    /// How many rows of northbound databases came, changed or went.
    pub rows: usize,
    /// Whether chassis were configured anew.
    pub reconfigured: bool,
}

impl Cluster {
    /// Makes the cluster what a spec asks for, with the least change: gateways, chassis and VMs come and go, rows of the
    /// northbound databases change, and chassis are configured anew. What is as it should be is not touched; gateways, chassis
    /// and relays that have ended are made anew.
    ///
    /// If it is interrupted, doing it again goes on where it stopped.
    ///
    /// # Errors
    /// With everything that is wrong with the spec, or that only a new cluster can have, before anything is touched; or with
    /// what did not work.
    pub async fn apply(&mut self, spec: &ClusterSpec) -> Result<Applied, Error> {
        let mut change = Change::begin(self).await?;
        let old = change.state.spec.clone();
        refuse_fixed(&old, spec)?;
        let topologies = topologies(spec);
        let changed = self
            .plan
            .zones
            .iter()
            .zip(&topologies)
            .any(|(zone, new)| zone.topology != *new);
        if changed && old.nb_db.is_some() {
            return Err(Error::Change(PlanProblem {
                what: "the northbound database was brought along, so its rows are not known"
                    .to_owned(),
                location: "topology".to_owned(),
                hint: "change it with ovn-nbctl, or start a new cluster".to_owned(),
            }));
        }
        let facts = self.facts(spec).await?;
        Plan::new(spec, &facts)?;

        self.plan.ready_timeout = Duration::from_secs(spec.ready_timeout.into());
        let mut applied = Applied::default();
        let (gone, new) = vm_changes(&self.plan, &topologies);
        for name in gone {
            self.remove_vm(&name).await?;
            applied.vms_removed.push(name);
        }
        change.write(self)?;
        self.remove_nodes(spec, &mut applied).await?;
        change.write(self)?;
        self.change_topologies(&mut change, topologies, &mut applied)
            .await?;
        change.state.spec = ClusterSpec {
            name: old.name,
            ..spec.clone()
        };
        self.add_nodes(&mut change, spec, &facts, &mut applied)
            .await?;
        for vm in new {
            self.add_vm(spec, &vm).await?;
            change.write(self)?;
            applied.vms_added.push(vm.name);
        }
        self.reconfigure(spec, &mut applied).await?;
        change.write(self)?;
        if applied != Applied::default() {
            let leases = apply::ready::wait_again(self).await?;
            self.leases.extend(leases);
            change.write(self)?;
        }
        Ok(applied)
    }

    /// What the host offers, as if this cluster were not there.
    async fn facts(&self, spec: &ClusterSpec) -> Result<HostFacts, Error> {
        let root = self.plan.state_dir.parent().unwrap_or(&self.plan.state_dir);
        let mut facts = host::gather(
            spec,
            root,
            Pull::Missing(&crate::clock::Clock::deaf().listener),
        )
        .await?;
        if let Some(engine) = &mut facts.engine {
            for container in self
                .plan
                .nodes
                .iter()
                .filter_map(|node| node.container.as_ref())
            {
                engine.taken.remove(&container.name);
            }
        }
        // The uplink is in the underlay now.
        facts.interfaces.extend(self.plan.uplink.clone());
        Ok(facts)
    }

    async fn remove_nodes(
        &mut self,
        spec: &ClusterSpec,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        let wanted: BTreeSet<String> = raw_names(spec).map(|(.., name)| name).collect();
        let goes = |node: &&NodePlan| match node.role {
            Role::Host => !has_hosts(spec),
            role => role.is_chassis() && !wanted.contains(node.name.as_str()),
        };
        let gone: Vec<NodePlan> = self.plan.nodes.iter().filter(goes).cloned().collect();
        for node in gone {
            self.take_out(&node).await?;
            applied.stopped.push(node.name.to_string());
        }
        Ok(())
    }

    async fn add_nodes(
        &mut self,
        change: &mut Change,
        spec: &ClusterSpec,
        facts: &HostFacts,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        // What is in the plan and does not run is made anew: an apply that was interrupted had got no further.
        let ended = self.plan.nodes.iter();
        let ended = ended.filter(|node| node.role != Role::Central);
        let ended = ended.filter(|node| !self.nodes.contains_key(node.name.as_str()));
        let mut added: Vec<NodePlan> = ended.cloned().collect();
        for node in &added {
            self.switch_off(node).await?;
        }
        for (role, zone, _, name) in raw_names(spec).filter(|(role, ..)| role.is_chassis()) {
            if self.plan.node_named(&name).is_some() {
                continue;
            }
            let name = name.parse().expect("the spec was checked");
            let mut others = spec.others.iter();
            let remote = others
                .find(|other| other.name == name)
                .and_then(|o| o.remote.clone());
            let chassis = ChassisSpec {
                gateway: role == Role::Gateway,
                zone: Some(zone),
                remote,
                ..ChassisSpec::new(name)
            };
            added.push(self.plan.add_chassis(spec, facts, &chassis)?.clone());
        }
        let hosts = self.plan.nodes.iter().any(|node| node.role == Role::Host);
        if has_hosts(spec) && !hosts {
            let before = self.plan.nodes.len();
            self.plan.add_hosts(spec);
            added.extend_from_slice(&self.plan.nodes[before..]);
        }
        if added.is_empty() {
            return Ok(());
        }
        change.write(self)?;
        self.bring(&added).await?;
        change.write(self)?;
        applied
            .added
            .extend(added.iter().map(|node| node.name.to_string()));
        Ok(())
    }

    /// Brings the rows of the northbound databases from the old topologies to the new ones.
    async fn change_topologies(
        &mut self,
        change: &mut Change,
        topologies: Vec<Topology>,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        for (zone, new) in (1..).zip(topologies) {
            if self.plan.zone(zone).topology == new {
                continue;
            }
            let failed = |e: Cause| {
                Error::in_node(
                    "the cluster",
                    format!("changing the northbound database of zone {zone}"),
                    e,
                )
            };
            let nb = self.nb_of(zone).await?;
            let schema: Schema = nb
                .get_schema("OVN_Northbound")
                .await
                .map_err(|e| failed(e.into()))?;
            let changes = difference(&schema, &self.plan.zone(zone).topology.rows(), &new.rows());
            applied.rows += changes.len();
            let done = nb.transact("OVN_Northbound", transaction(&changes)).await;
            done.map_err(|e| failed(e.into()))?;
            self.plan.zones[zone as usize - 1].topology = new;
            change.write(self)?;
        }
        Ok(())
    }

    /// Gives all chassis the settings of the spec.
    async fn reconfigure(
        &mut self,
        spec: &ClusterSpec,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        let settings = ChassisSettings {
            encapsulation: self.plan.chassis.encapsulation,
            monitor_all: spec.monitor_all,
            remote_probe_interval: spec.remote_probe_interval,
            openflow_probe_interval: spec.openflow_probe_interval,
        };
        if settings == self.plan.chassis {
            return Ok(());
        }
        self.plan.chassis = settings;
        let plan = &self.plan;
        let chassis: Vec<_> = self
            .nodes
            .values()
            .filter(|h| h.plan.role.is_chassis())
            .collect();
        apply::for_all(chassis.into_iter(), |handle| configure(plan, handle)).await?;
        applied.reconfigured = true;
        Ok(())
    }
}

/// Writes the settings of a chassis that may have changed.
async fn configure(plan: &Plan, handle: &NodeHandle) -> Result<(), Error> {
    const KEYS: [&str; 3] = [
        "ovn-monitor-all",
        "ovn-remote-probe-interval",
        "ovn-openflow-probe-interval",
    ];
    let ids = external_ids(plan, &handle.plan);
    let ids: BTreeMap<_, _> = ids
        .into_iter()
        .filter(|(key, _)| KEYS.contains(key))
        .collect();
    let mut transaction = Transaction::new();
    let all: [Condition; 0] = [];
    let mutations = [
        Mutation::delete("external_ids", Datum::set(KEYS)),
        Mutation::insert("external_ids", ids),
    ];
    transaction.mutate("Open_vSwitch", all, mutations);
    let ovs = handle.ovs().await?;
    let done = ovs.transact("Open_vSwitch", transaction).await;
    done.map(drop)
        .map_err(|e| Error::in_node(&handle.plan.name, "configuring Open vSwitch", e))
}

/// The names of the VMs that go, or are not what they shall be, and what comes in their places and besides.
fn vm_changes(plan: &Plan, new: &[Topology]) -> (Vec<String>, Vec<VmSpec>) {
    let specs = |topology: &Topology| -> Vec<VmSpec> { topology.vms().cloned().collect() };
    let old: Vec<VmSpec> = plan
        .zones
        .iter()
        .flat_map(|zone| specs(&zone.topology))
        .collect();
    let new: Vec<VmSpec> = new.iter().flat_map(specs).collect();
    let there: BTreeSet<&str> = plan.vms().map(|vm| vm.name.as_str()).collect();
    let stays =
        |vm: &VmSpec| there.contains(vm.name.as_str()) && old.contains(vm) && new.contains(vm);
    let goes = |name: &&str| !new.iter().any(|vm| vm.name == **name && stays(vm));
    let gone = there
        .iter()
        .filter(|name| goes(name))
        .map(|name| (*name).to_owned())
        .collect();
    let come = new.iter().filter(|vm| !stays(vm)).cloned().collect();
    (gone, come)
}

/// Refuses what a running cluster cannot become.
fn refuse_fixed(old: &ClusterSpec, new: &ClusterSpec) -> Result<(), PlanErrors> {
    let fixed: [(&str, bool); 26] = [
        ("zones", old.zones == new.zones),
        ("relays", old.relays == new.relays),
        ("names of nodes", old.names == new.names),
        ("kind of databases", old.database == new.database),
        ("election timer", old.election_timer == new.election_timer),
        ("TLS", old.tls == new.tls),
        ("RBAC", old.rbac == new.rbac),
        ("seed", old.seed == new.seed),
        (
            "interconnection",
            old.interconnection == new.interconnection,
        ),
        ("remote", old.remote == new.remote),
        ("northbound database", old.nb_db == new.nb_db),
        ("southbound database", old.sb_db == new.sb_db),
        ("data folder", old.data == new.data),
        ("runtime", old.runtime == new.runtime),
        ("images", old.images == new.images),
        ("software", old.software == new.software),
        ("environment", old.env == new.env),
        ("engine socket", old.engine_socket == new.engine_socket),
        ("datapath", old.datapath == new.datapath),
        ("underlay", old.underlay == new.underlay),
        ("first address", old.first_address == new.first_address),
        ("MTU", old.mtu == new.mtu),
        ("uplink", old.uplink == new.uplink),
        ("physical network", old.public == new.public),
        ("encapsulation", old.encapsulation == new.encapsulation),
        ("named chassis", same_kept(old, new)),
    ];
    let problems: Vec<_> = fixed
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(location, _)| PlanProblem {
            what: "a running cluster cannot change it".to_owned(),
            location: location.to_owned(),
            hint:
                "leave it as it is (`ofm export` shows that), or stop the cluster and start it anew"
                    .to_owned(),
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(PlanErrors { problems })
    }
}

/// Whether the named chassis that stay are what they were.
fn same_kept(old: &ClusterSpec, new: &ClusterSpec) -> bool {
    let before = |chassis: &ChassisSpec| old.others.iter().find(|other| other.name == chassis.name);
    let mut kept = new
        .others
        .iter()
        .filter_map(|chassis| Some((before(chassis)?, chassis)));
    kept.all(|(before, after)| before == after)
}
