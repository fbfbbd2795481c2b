//! The daemons of each role, with the arguments that ovn-ctl(8) and ovs-ctl(8) give them.

use std::path::PathBuf;

use super::nodes::NamedNode;
use super::{DaemonPlan, Plan, Role};
use crate::name::NodeName;
use crate::pki;
use crate::software::Software;
use crate::spec::DatabaseMode;

const NB_SOCKET: &str = "/var/run/ovn/ovnnb_db.sock";
const SB_SOCKET: &str = "/var/run/ovn/ovnsb_db.sock";
const OVS_SOCKET: &str = "/var/run/openvswitch/db.sock";

impl Plan {
    /// Whether a node has the databases of the interconnection.
    pub(super) fn serves_interconnection(&self, node: &NodeName) -> bool {
        let interconnection = self.interconnection.as_ref();
        interconnection.is_some_and(|ic| ic.central == *node)
    }

    /// The options of a daemon that speaks TLS.
    fn certificates(&self) -> Vec<String> {
        let options = [
            ("private-key", pki::PRIVATE_KEY),
            ("certificate", pki::CERTIFICATE),
            ("ca-cert", pki::CA_CERTIFICATE),
        ];
        let options = options.map(|(name, path)| format!("--{name}={path}"));
        options.into_iter().filter(|_| self.tls).collect()
    }
}

pub(super) fn daemons(plan: &Plan, node: &NamedNode, software: &Software) -> Vec<DaemonPlan> {
    let daemon = |name: &str, program: &str, place: Place, args: Vec<String>| {
        daemon(name, software.path(program).to_owned(), place, args)
    };
    let certificates = plan.certificates();
    match node.role {
        Role::Central => {
            let server = |database: Database| {
                let args = database.server_args(&format!("/etc/ovn/{}.db", database.stem));
                let place = Place::Ovn(database.stem);
                let args = [args, certificates.clone()].concat();
                daemon(database.daemon, "ovsdb-server", place, args)
            };
            let mut daemons = vec![server(NB), server(SB)];
            if plan.serves_interconnection(&node.name) {
                daemons.extend([server(IC_NB), server(IC_SB)]);
            }
            let zone = plan.zone(node.zone);
            // A server that follows another one in a cluster is no place to write to in a hurry, so northd looks for the
            // leader among all.
            let (nb, sb, keys) = match plan.database {
                DatabaseMode::Standalone => (
                    format!("unix:{NB_SOCKET}"),
                    format!("unix:{SB_SOCKET}"),
                    Vec::new(),
                ),
                DatabaseMode::Raft => (
                    zone.nb_remote.clone(),
                    zone.sb_remote.clone(),
                    certificates.clone(),
                ),
            };
            let databases = vec![format!("--ovnnb-db={nb}"), format!("--ovnsb-db={sb}")];
            let args = [databases.clone(), keys].concat();
            daemons.push(daemon(
                "ovn-northd",
                "ovn-northd",
                Place::Ovn("ovn-northd"),
                args,
            ));
            if let Some(ic) = &plan.interconnection {
                let remotes = vec![
                    format!("--ic-nb-db={}", ic.nb_remote),
                    format!("--ic-sb-db={}", ic.sb_remote),
                ];
                let args = [databases, remotes, certificates].concat();
                daemons.push(daemon("ovn-ic", "ovn-ic", Place::Ovn("ovn-ic"), args));
            }
            daemons
        }
        Role::Relay => {
            let remotes = &plan.zone(node.zone).sb_remote;
            let args = SB.server_args(&format!("relay:OVN_Southbound:{remotes}"));
            let args = [args, certificates].concat();
            vec![daemon(SB.daemon, "ovsdb-server", Place::Ovn(SB.stem), args)]
        }
        Role::Gateway | Role::Chassis => {
            let ssl = |option: &str, column| format!("--{option}=db:Open_vSwitch,SSL,{column}");
            let server = vec![
                "/etc/openvswitch/conf.db".to_owned(),
                format!("--remote=punix:{OVS_SOCKET}"),
                "--remote=db:Open_vSwitch,Open_vSwitch,manager_options".to_owned(),
                ssl("private-key", "private_key"),
                ssl("certificate", "certificate"),
                ssl("bootstrap-ca-cert", "ca_cert"),
            ];
            let switch = vec![format!("unix:{OVS_SOCKET}")];
            let controller = [switch.clone(), certificates].concat();
            vec![
                daemon(
                    "ovsdb-server",
                    "ovsdb-server",
                    Place::Ovs("ovsdb-server"),
                    server,
                ),
                daemon(
                    "ovs-vswitchd",
                    "ovs-vswitchd",
                    Place::Ovs("ovs-vswitchd"),
                    switch,
                ),
                daemon(
                    "ovn-controller",
                    "ovn-controller",
                    Place::Ovn("ovn-controller"),
                    controller,
                ),
            ]
        }
        Role::Host => Vec::new(),
    }
}

/// A database of a central, by the names that ovn-ctl(8) has for it.
#[derive(Clone, Copy)]
struct Database {
    daemon: &'static str,
    /// Of its file, socket, pidfile and control socket.
    stem: &'static str,
    name: &'static str,
    global: &'static str,
}

const NB: Database = Database {
    daemon: "ovsdb-server-nb",
    stem: "ovnnb_db",
    name: "OVN_Northbound",
    global: "NB_Global",
};
const SB: Database = Database {
    daemon: "ovsdb-server-sb",
    stem: "ovnsb_db",
    name: "OVN_Southbound",
    global: "SB_Global",
};
const IC_NB: Database = Database {
    daemon: "ovsdb-server-ic-nb",
    stem: "ovn_ic_nb_db",
    name: "OVN_IC_Northbound",
    global: "IC_NB_Global",
};
const IC_SB: Database = Database {
    daemon: "ovsdb-server-ic-sb",
    stem: "ovn_ic_sb_db",
    name: "OVN_IC_Southbound",
    global: "IC_SB_Global",
};

impl Database {
    /// The arguments of a server of it; `source` is its file or what it relays.
    fn server_args(self, source: &str) -> Vec<String> {
        vec![
            source.to_owned(),
            format!("--remote=punix:/var/run/ovn/{}.sock", self.stem),
            format!("--remote=db:{},{},connections", self.name, self.global),
            format!("--unixctl=/var/run/ovn/{}.ctl", self.stem),
        ]
    }
}

/// Whose directory below `/var/run` and `/var/log` a daemon uses, and the name of its pidfile.
#[derive(Clone, Copy)]
enum Place {
    Ovs(&'static str),
    Ovn(&'static str),
}

fn daemon(name: &str, program: PathBuf, place: Place, mut args: Vec<String>) -> DaemonPlan {
    let (place, pid) = match place {
        Place::Ovs(pid) => ("openvswitch", pid),
        Place::Ovn(pid) => ("ovn", pid),
    };
    let pidfile = format!("/var/run/{place}/{pid}.pid");
    args.extend([
        format!("--pidfile={pidfile}"),
        format!("--log-file=/var/log/{place}/{name}.log"),
        "--detach".to_owned(),
        "-vconsole:emer".to_owned(),
        "-vsyslog:off".to_owned(),
        "-vfile:info".to_owned(),
    ]);
    DaemonPlan {
        name: name.to_owned(),
        program,
        args,
        pidfile: PathBuf::from(pidfile),
    }
}
