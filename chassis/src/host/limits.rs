//! Limits of the host that a large cluster meets.

use std::path::{Path, PathBuf};

use rustix::process::Resource;

use super::checks::Check;

/// What one process of a cluster has open at most: `ovs-vswitchd` 56 files, whatever the size.
const OPEN_FILES: u64 = 64;
/// And for each node: ofm itself 1.6 while it starts them, the southbound server 1.
const OPEN_FILES_PER_NODE: u64 = 2;
/// Processes and threads of a node: 12 on two processors. `ovs-vswitchd` has more on more processors.
const TASKS_PER_NODE: u64 = 11;
/// Neighbours that the kernel remembers for each node: 3 of IPv4 and 7 of IPv6.
const NEIGHBORS_PER_NODE: [u64; 2] = [4, 8];

const NAMESPACES: [&str; 5] = ["ipc", "mnt", "net", "pid", "uts"];

/// The limits as they are, and how much of them is used up where that can be known; `None` where there is no limit.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    /// Processes and threads that the kernel and the cgroups still allow.
    tasks: Option<u64>,
    /// Files that a process may have open.
    open_files: Option<u64>,
    /// The kinds of namespaces that the kernel lacks.
    no_namespaces: Vec<&'static str>,
    /// The lowest number of namespaces of any kind that there may be.
    namespaces: Option<u64>,
    /// Entries of the tables of neighbours, of IPv4 and IPv6. All namespaces share them.
    neighbors: [Option<u64>; 2],
    inotify_instances: Option<u64>,
    inotify_watches: Option<u64>,
    processors: u64,
}

impl Limits {
    pub(super) fn read() -> Self {
        let sysctl = |name: &str| number(&Path::new("/proc/sys").join(name));
        let of_kernel = [sysctl("kernel/pid_max"), sysctl("kernel/threads-max")];
        let of_kernel = of_kernel.into_iter().flatten().min();
        let used = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let room = of_kernel.map(|most| most.saturating_sub(tasks_in_use(&used).unwrap_or(0)));
        let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let namespaces = NAMESPACES.map(|kind| sysctl(&format!("user/max_{kind}_namespaces")));
        let missing = |kind: &&str| !Path::new("/proc/self/ns").join(kind).exists();
        Self {
            tasks: room.into_iter().chain(room_in_cgroups(&cgroups)).min(),
            open_files: rustix::process::getrlimit(Resource::Nofile).current,
            no_namespaces: NAMESPACES.into_iter().filter(missing).collect(),
            namespaces: namespaces.into_iter().flatten().min(),
            neighbors: ["ipv4", "ipv6"]
                .map(|family| sysctl(&format!("net/{family}/neigh/default/gc_thresh3"))),
            inotify_instances: sysctl("fs/inotify/max_user_instances"),
            inotify_watches: sysctl("fs/inotify/max_user_watches"),
            processors: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
        }
    }

    /// Compares them with what a cluster of so many chassis, and a central and a gateway, needs.
    pub(super) fn checks(&self, chassis: u32, kernels_datapath: bool) -> Vec<Check> {
        let nodes = u64::from(chassis) + 2;
        let enough = |limit: Option<u64>, need: u64| limit.is_none_or(|limit| limit >= need);
        let found = |limit: Option<u64>, need: u64| {
            let limit = limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
            format!("{limit}; {chassis} chassis need {need}")
        };

        let mut namespaces = Check::required(
            "namespaces",
            self.no_namespaces.is_empty(),
            format!("no {}", self.no_namespaces.join(", ")),
            "use a kernel that has them",
        );
        if self.no_namespaces.is_empty() {
            // One of a kind for each node, and a network for each fake VM.
            let need = 2 * nodes;
            namespaces = Check::required(
                "namespaces",
                enough(self.namespaces, need),
                found(self.namespaces, need),
                &format!("raise user.max_*_namespaces with sysctl to {need} or more"),
            );
        }

        let tasks = nodes * (TASKS_PER_NODE + self.processors);
        let files = OPEN_FILES + OPEN_FILES_PER_NODE * nodes;
        let mut checks = vec![
            namespaces,
            Check::required(
                "tasks",
                enough(self.tasks, tasks),
                found(self.tasks, tasks),
                "raise kernel.pid_max and kernel.threads-max with sysctl, and pids.max of the cgroup (TasksMax= of systemd)",
            ),
            Check::required(
                "open files",
                enough(self.open_files, files),
                found(self.open_files, files),
                &format!("raise the limit: ulimit -n {files}"),
            ),
        ];
        for (k, family) in ["ipv4", "ipv6"].into_iter().enumerate() {
            // In the kernel's datapath a node with traffic to all others knows all of them.
            let mesh = if kernels_datapath && k == 0 {
                nodes.saturating_mul(nodes)
            } else {
                0
            };
            let need = mesh.max(NEIGHBORS_PER_NODE[k] * nodes);
            let name = format!("net.{family}.neigh.default.gc_thresh3");
            // A namespace other than the first does not show it.
            if let limit @ Some(_) = self.neighbors[k] {
                let hint = format!("a full table loses packets: sysctl -w {name}={need}");
                checks.push(Check::useful(
                    &format!("{family} neighbors"),
                    enough(limit, need),
                    found(limit, need),
                    &hint,
                ));
            }
        }
        if let (Some(instances), Some(watches)) = (self.inotify_instances, self.inotify_watches) {
            // Neither ofm nor the daemons of OVS and OVN use any.
            checks.push(Check::useful(
                "inotify",
                instances >= 2 * nodes,
                format!("{instances} instances, {watches} watches"),
                &format!(
                    "for nodes that are containers, which their engines watch: sysctl -w \
                     fs.inotify.max_user_instances={}",
                    2 * nodes
                ),
            ));
        }
        checks
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// How many processes and threads there are, of the fourth field of proc_loadavg(5).
fn tasks_in_use(loadavg: &str) -> Option<u64> {
    let (_running, all) = loadavg.split(' ').nth(3)?.split_once('/')?;
    all.parse().ok()
}

/// How many tasks the cgroups of this process still allow, by a table as in proc_pid_cgroup(5).
fn room_in_cgroups(table: &str) -> Option<u64> {
    let folders = pids_folders(table).into_iter();
    folders
        .filter_map(|folder| {
            let most = number(&folder.join("pids.max"))?;
            let used = number(&folder.join("pids.current")).unwrap_or(0);
            Some(most.saturating_sub(used))
        })
        .min()
}

/// The cgroup with the controller `pids`, and those around it, in the usual places.
fn pids_folders(table: &str) -> Vec<PathBuf> {
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            list if list.split(',').any(|name| name == "pids") => "/sys/fs/cgroup/pids",
            _ => return None,
        };
        let path = Path::new(path.trim_start_matches('/'));
        let folders = path.ancestors().map(|path| Path::new(root).join(path));
        Some(folders.collect::<Vec<_>>())
    };
    table.lines().filter_map(group).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_both_versions_are_found() {
        let table = "8:pids:/a/b\n4:memory:/a\n0::/init.scope\n";
        assert_eq!(
            pids_folders(table),
            [
                "/sys/fs/cgroup/pids/a/b",
                "/sys/fs/cgroup/pids/a",
                "/sys/fs/cgroup/pids/",
                "/sys/fs/cgroup/init.scope",
                "/sys/fs/cgroup/"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(tasks_in_use("0.1 0.2 0.3 2/345 678\n"), Some(345));
    }

    #[test]
    fn what_fails_depends_on_the_number_of_chassis() {
        let limits = Limits {
            tasks: Some(4000),
            open_files: Some(1024),
            namespaces: Some(1000),
            neighbors: [Some(1024), None],
            inotify_instances: Some(128),
            inotify_watches: Some(8192),
            processors: 2,
            ..Limits::default()
        };
        let all = |chassis, kernel| limits.checks(chassis, kernel);
        let failing = |chassis| {
            let failed = all(chassis, false).into_iter().filter(|check| !check.ok);
            failed.map(|check| check.what).collect::<Vec<_>>()
        };
        assert_eq!(failing(50), [""; 0]);
        assert_eq!(failing(400), ["tasks"]);
        assert_eq!(failing(600), ["namespaces", "tasks", "open files"]);

        let hints = |chassis, kernel| {
            let hinting = all(chassis, kernel).into_iter();
            let hinting = hinting.filter(|check| !check.hint.is_empty());
            hinting.map(|check| check.what).collect::<Vec<_>>()
        };
        assert_eq!(hints(50, false), [""; 0]);
        assert_eq!(hints(50, true), ["ipv4 neighbors"]);
        assert_eq!(hints(70, false), ["inotify"]);
        assert!(hints(u32::MAX, true).contains(&"ipv4 neighbors".to_owned()));
    }
}
