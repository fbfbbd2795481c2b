//! The daemons of each role, with the arguments that ovn-ctl(8) and ovs-ctl(8) give them.

use std::path::{Path, PathBuf};

use super::{DaemonPlan, Role};
use crate::software::Software;

const NB_SOCKET: &str = "/var/run/ovn/ovnnb_db.sock";
const SB_SOCKET: &str = "/var/run/ovn/ovnsb_db.sock";
const OVS_SOCKET: &str = "/var/run/openvswitch/db.sock";

pub(super) fn daemons(role: Role, software: &Software) -> Vec<DaemonPlan> {
    match role {
        Role::Central => vec![
            daemon(
                "ovsdb-server-nb",
                software.path("ovsdb-server"),
                "ovn",
                "ovnnb_db",
                &[
                    "/etc/ovn/ovnnb_db.db",
                    &format!("--remote=punix:{NB_SOCKET}"),
                    "--remote=db:OVN_Northbound,NB_Global,connections",
                    "--unixctl=/var/run/ovn/ovnnb_db.ctl",
                ],
            ),
            daemon(
                "ovsdb-server-sb",
                software.path("ovsdb-server"),
                "ovn",
                "ovnsb_db",
                &[
                    "/etc/ovn/ovnsb_db.db",
                    &format!("--remote=punix:{SB_SOCKET}"),
                    "--remote=db:OVN_Southbound,SB_Global,connections",
                    "--unixctl=/var/run/ovn/ovnsb_db.ctl",
                ],
            ),
            daemon(
                "ovn-northd",
                software.path("ovn-northd"),
                "ovn",
                "ovn-northd",
                &[
                    &format!("--ovnnb-db=unix:{NB_SOCKET}"),
                    &format!("--ovnsb-db=unix:{SB_SOCKET}"),
                ],
            ),
        ],
        Role::Gateway | Role::Chassis => vec![
            daemon(
                "ovsdb-server",
                software.path("ovsdb-server"),
                "openvswitch",
                "ovsdb-server",
                &[
                    "/etc/openvswitch/conf.db",
                    &format!("--remote=punix:{OVS_SOCKET}"),
                    "--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
                ],
            ),
            daemon(
                "ovs-vswitchd",
                software.path("ovs-vswitchd"),
                "openvswitch",
                "ovs-vswitchd",
                &[&format!("unix:{OVS_SOCKET}")],
            ),
            daemon(
                "ovn-controller",
                software.path("ovn-controller"),
                "ovn",
                "ovn-controller",
                &[&format!("unix:{OVS_SOCKET}")],
            ),
        ],
    }
}

/// `place` is the directory below `/var/run` and `/var/log`, `pid` the name of the pidfile.
fn daemon(name: &str, program: &Path, place: &str, pid: &str, args: &[&str]) -> DaemonPlan {
    let pidfile = format!("/var/run/{place}/{pid}.pid");
    let mut args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
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
        program: program.to_owned(),
        args,
        pidfile: PathBuf::from(pidfile),
    }
}
