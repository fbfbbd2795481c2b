//! Which files of the host a node sees.

use std::path::{Path, PathBuf};

use ofm_netns::HostMount;

use crate::runtime::own_folders;

/// File systems that are no place for programs and data, or that a node has of its own.
const NOT_SHOWN: [&str; 16] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "tmpfs",
    "cgroup",
    "cgroup2",
    "mqueue",
    "hugetlbfs",
    "debugfs",
    "tracefs",
    "securityfs",
    "bpf",
    "nsfs",
    "autofs",
    "squashfs",
];

/// The host's mounts, in the order in which they were made.
#[derive(Debug)]
pub(crate) struct Mounts {
    mounts: Vec<Mount>,
    own: Vec<&'static str>,
}

#[derive(Debug)]
struct Mount {
    path: PathBuf,
    kind: String,
    shown: bool,
}

impl Mounts {
    /// Reads those of this process.
    pub(crate) fn read() -> std::io::Result<Self> {
        std::fs::read_to_string("/proc/self/mountinfo").map(|table| Self::parse(&table))
    }

    /// Reads a table as proc_pid_mountinfo(5) describes it.
    pub(crate) fn parse(table: &str) -> Self {
        let own: Vec<_> = own_folders().collect();
        let mount = |line: &str| {
            let (head, tail) = line.split_once(" - ")?;
            let path = Path::new(head.split(' ').nth(4)?);
            let kind = tail.split(' ').next()?;
            let below_own = own.iter().any(|own| path.starts_with(own));
            // Octal escapes stand for blanks and the like in odd mount points, which nobody keeps OVS in.
            let odd = path.to_string_lossy().contains('\\') || kind.starts_with("fuse");
            let shown = !NOT_SHOWN.contains(&kind) && !below_own && !odd;
            Some(Mount {
                path: path.to_owned(),
                kind: kind.to_owned(),
                // The root itself is shown whatever it is.
                shown: shown || path == Path::new("/"),
            })
        };
        Self {
            mounts: table.lines().filter_map(mount).collect(),
            own,
        }
    }

    /// A host of which nodes see everything.
    #[cfg(test)]
    pub(crate) fn all_seen() -> Self {
        Self {
            mounts: Vec::new(),
            own: Vec::new(),
        }
    }

    /// The file systems below the host's root that a node should see, outermost first.
    pub(crate) fn shown(&self) -> Vec<HostMount> {
        let shown = self.mounts.iter().filter(|mount| mount.shown);
        let mut paths: Vec<_> = shown
            .map(|mount| &mount.path)
            .filter(|path| *path != Path::new("/") && path.is_dir())
            .collect();
        paths.sort();
        paths.dedup();
        paths.into_iter().cloned().map(HostMount).collect()
    }

    /// Why a node does not see a path of the host, which has no links; `None` when it does.
    pub(crate) fn why_hidden(&self, path: &Path) -> Option<String> {
        if let Some(own) = self.own.iter().find(|own| path.starts_with(own)) {
            return Some(format!("nodes do not see it: they have {own} of their own"));
        }
        // Of two mounts on the same place, the later one is on top.
        let around = self.mounts.iter().filter(|m| path.starts_with(&m.path));
        let mount = around.max_by_key(|mount| mount.path.components().count())?;
        (!mount.shown).then(|| {
            let (kind, at) = (&mount.kind, mount.path.display());
            format!("nodes do not see it: it is in the file system at {at}, a {kind}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                         23 22 0:21 / /proc rw - proc proc rw\n\
                         24 22 8:1 / /etc rw shared:1 - ext4 /dev/sda1 rw\n\
                         25 22 7:1 / /snap/x ro - squashfs /dev/loop1 ro\n\
                         26 22 8:2 / /run/media ro - ext4 /dev/sdb1 ro\n\
                         27 22 0:30 / /mnt rw - tmpfs tmpfs rw\n\
                         28 27 8:3 / /mnt/disk rw - xfs /dev/sdc1 rw\n";

    #[test]
    fn only_real_file_systems_are_shown_to_nodes() {
        // What is no folder here is not shown either, so the table has one that is.
        let shown = Mounts::parse(TABLE).shown();
        assert_eq!(shown, [HostMount("/etc".into())]);
    }

    #[test]
    fn the_nearest_mount_decides_what_is_seen() {
        let mounts = Mounts::parse(TABLE);
        let why = |path: &str| mounts.why_hidden(Path::new(path)).unwrap_or_default();
        for seen in ["/opt/x", "/etc/x", "/mnt/disk/ovn", "/runner"] {
            assert_eq!(why(seen), "");
        }
        assert!(why("/tmp/ovn").contains("have /tmp of their own"));
        assert!(why("/run/media/ovn").contains("have /run of their own"));
        assert!(why("/mnt/ovn").contains("at /mnt, a tmpfs"));
        assert!(why("/snap/x/bin").contains("a squashfs"));
    }
}
