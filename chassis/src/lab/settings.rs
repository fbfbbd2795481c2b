//! What a topology file says of a cluster itself, and what is meant where it says nothing.

use super::{Lab, NamedChassis, SoftwarePaths};
use crate::software;
use crate::spec::{ChassisSpec, ClusterSpec, Images, NodeNames, Workload};

/// A spec of which nothing is said, but whether its chassis use somebody else's databases.
pub(super) fn usual(remote: bool) -> ClusterSpec {
    let usual = ClusterSpec::default();
    if !remote {
        return usual;
    }
    ClusterSpec {
        zones: 0,
        interconnection: false,
        workload: Workload::None,
        ..usual
    }
}

fn named_chassis(chassis: &NamedChassis) -> ChassisSpec {
    ChassisSpec {
        name: chassis.name.clone(),
        gateway: chassis.gateway,
        zone: chassis.zone,
        remote: chassis.remote.clone(),
    }
}

impl Lab {
    /// Everything but the workload.
    pub(super) fn settings(&self) -> ClusterSpec {
        let usual = usual(self.remote.is_some());
        let names = NodeNames::default();
        let or = |given: &Option<String>, usual: &String| given.as_ref().unwrap_or(usual).clone();
        let image =
            |role: &Option<String>, usual: &String| or(role, self.image.as_ref().unwrap_or(usual));
        let source = |role: &SoftwarePaths| software::Source {
            ovs: role.ovs.as_ref().or(self.ovs.as_ref()).cloned(),
            ovn: role.ovn.as_ref().or(self.ovn.as_ref()).cloned(),
        };
        ClusterSpec {
            name: self.name.clone().unwrap_or(usual.name),
            zones: self.zones.unwrap_or(usual.zones),
            chassis: self.chassis,
            gateways: self.gateways,
            relays: self.relays.unwrap_or(usual.relays),
            others: self.named_chassis.iter().map(named_chassis).collect(),
            absent: self.absent.clone(),
            names: NodeNames {
                central: self.names.central.clone(),
                central_prefix: or(&self.names.central_prefix, &names.central_prefix),
                gateway_prefix: or(&self.names.gateway_prefix, &names.gateway_prefix),
                chassis_prefix: or(&self.names.chassis_prefix, &names.chassis_prefix),
            },
            database: self.db.unwrap_or(usual.database),
            election_timer: self.election_timer.unwrap_or(usual.election_timer),
            tls: self.tls.unwrap_or(usual.tls),
            rbac: self.rbac.unwrap_or(usual.rbac),
            interconnection: self.interconnection.unwrap_or(usual.interconnection),
            remote: self.remote.clone(),
            nb_db: self.nb_db.clone(),
            sb_db: self.sb_db.clone(),
            data: self.data.clone(),
            runtime: self.runtime.unwrap_or(usual.runtime),
            images: Images {
                central: image(&self.images.central, &usual.images.central),
                gateway: image(&self.images.gateway, &usual.images.gateway),
                relay: image(&self.images.relay, &usual.images.relay),
                chassis: image(&self.images.chassis, &usual.images.chassis),
            },
            software: software::Sources {
                central: source(&self.software.central),
                gateway: source(&self.software.gateway),
                relay: source(&self.software.relay),
                chassis: source(&self.software.chassis),
            },
            env: self.env.clone(),
            engine_socket: self.engine_socket.clone(),
            engine_timeout: self.engine_timeout.unwrap_or(usual.engine_timeout),
            ready_timeout: self.ready_timeout.unwrap_or(usual.ready_timeout),
            datapath: self.datapath.unwrap_or(usual.datapath),
            workload: Workload::None,
            underlay: self.underlay.unwrap_or(usual.underlay),
            first_address: self.first_address,
            mtu: self.mtu.unwrap_or(usual.mtu),
            uplink: self.uplink.clone(),
            public: self.public.unwrap_or(usual.public),
            encapsulation: self.encap.unwrap_or(usual.encapsulation),
            seed: self.seed.unwrap_or(usual.seed),
            monitor_all: self.monitor_all.unwrap_or(usual.monitor_all),
            remote_probe_interval: self
                .remote_probe_interval
                .unwrap_or(usual.remote_probe_interval),
            openflow_probe_interval: self
                .openflow_probe_interval
                .unwrap_or(usual.openflow_probe_interval),
        }
    }
}
