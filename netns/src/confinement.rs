//! What holds a container's processes, for the programs that are started in it from outside.
//!
//! setns(2) moves a program into a container's namespaces, and nothing else of what the engine gave the container. A
//! program that is to be like one of the container's own has to be in its cgroups, which account for it, limit it and
//! decide about devices, and must have no capability that the container was not given.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::CapabilitySet;

use crate::process::Process;

/// The cgroups and the capability bounding set of a process, to be given to another one.
#[derive(Debug)]
pub(crate) struct Confinement {
    /// `cgroup.procs` of each hierarchy, opened outside the container, where all hierarchies are seen.
    cgroups: Vec<File>,
    /// The capabilities to be given up.
    refused: Vec<CapabilitySet>,
}

impl Confinement {
    /// Reads what confines a process.
    ///
    /// # Errors
    /// When it is gone, or its cgroups cannot be opened for writing.
    pub(crate) fn of(process: &Process) -> io::Result<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.pid()));
        let (memberships, status) = (read("cgroup")?, read("status")?);
        // The number was read through, so it counts only if the process it belonged to is still there.
        if !process.is_alive() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let open = |path: PathBuf| {
            let opened = File::options().write(true).open(&path);
            opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
        };
        let cgroups = procs_files(&memberships, &mounts).map(open);
        let bounding = bounding_set(&status).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            cgroups: cgroups.collect::<io::Result<_>>()?,
            refused: (CapabilitySet::all() - bounding).iter().collect(),
        })
    }

    /// Confines a program that is about to be started.
    pub(crate) fn apply(self, command: &mut Command) {
        let Self { cgroups, refused } = self;
        // SAFETY: the closure allocates nothing and makes async-signal-safe system calls only; it owns its descriptors.
        unsafe {
            command.pre_exec(move || {
                // Zero stands for whoever writes it (cgroups(7)).
                for mut procs in &cgroups {
                    procs.write_all(b"0")?;
                }
                for capability in &refused {
                    match rustix::thread::remove_capability_from_bounding_set(*capability) {
                        // The kernel does not know one so new.
                        Err(rustix::io::Errno::INVAL) | Ok(()) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                Ok(())
            })
        };
    }
}

/// The names of the capabilities in a process's bounding set, without `CAP_`.
///
/// # Errors
/// When there is no such process.
pub fn capabilities(pid: i32) -> io::Result<BTreeSet<String>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let set = bounding_set(&status).ok_or(io::ErrorKind::InvalidData)?;
    Ok(set.iter_names().map(|(name, _)| name.to_owned()).collect())
}

/// The line `CapBnd` of proc_pid_status(5).
fn bounding_set(status: &str) -> Option<CapabilitySet> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapBnd:"))?;
    let bits = u64::from_str_radix(line.trim(), 16).ok()?;
    Some(CapabilitySet::from_bits_retain(bits))
}

/// Where to write for each hierarchy in which a process is (proc_pid_cgroup(5)) and which is mounted here.
fn procs_files<'a>(memberships: &'a str, mounts: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    memberships.lines().filter_map(move |line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, mount_point) = mounts
            .lines()
            .find_map(|mount| hierarchy(mount, controllers))?;
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(mount_point).join(below).join("cgroup.procs"))
    })
}

/// Root and mount point of a line of proc_pid_mountinfo(5) if it mounts the hierarchy of these controllers; the one of
/// version 2 has none.
fn hierarchy<'a>(mount: &'a str, controllers: &str) -> Option<(&'a str, &'a str)> {
    let (head, tail) = mount.split_once(" - ")?;
    let mut head = head.split(' ').skip(3);
    let (root, mount_point) = (head.next()?, head.next()?);
    let mut tail = tail.split(' ');
    let (kind, options) = (tail.next()?, tail.nth(1)?);
    let mounts_it = match kind {
        "cgroup2" => controllers.is_empty(),
        "cgroup" => {
            let mut wanted = controllers.split(',').filter(|c| !c.is_empty()).peekable();
            wanted.peek().is_some() && wanted.all(|c| options.split(',').any(|o| o == c))
        }
        _ => false,
    };
    mounts_it.then_some((root, mount_point))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:2 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:3 - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn every_mounted_hierarchy_is_found() {
        let of =
            "9:name=systemd:/docker/1\n4:cpu,cpuacct:/docker/1\n2:pids:/docker/1\n0::/docker/1\n";
        let found: Vec<_> = procs_files(of, HYBRID).collect();
        let expected = ["systemd", "cpu,cpuacct", "unified"];
        let expected =
            expected.map(|h| PathBuf::from(format!("/sys/fs/cgroup/{h}/docker/1/cgroup.procs")));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_mount_leaves_out_of_the_path_is_left_out() {
        let mount = "40 30 0:30 /outer /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";
        let found: Vec<_> = procs_files("0::/outer/box.scope\n", mount).collect();
        assert_eq!(
            found,
            [PathBuf::from("/sys/fs/cgroup/box.scope/cgroup.procs")]
        );
        assert_eq!(procs_files("0::/elsewhere\n", mount).count(), 0);
    }

    #[test]
    fn the_bounding_set_is_read() {
        let status = "Name:\tx\nCapBnd:\t0000000000000003\n";
        let set = CapabilitySet::CHOWN | CapabilitySet::DAC_OVERRIDE;
        assert_eq!(bounding_set(status), Some(set));
        assert_eq!(bounding_set("Name:\tx\n"), None);
    }
}
