//! A node's root file system: the host's, read through an overlay, with the places of OVS and OVN its own.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use crate::step::Step;

/// A file system of the host, mounted below its root, that a node is to see as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMount(pub PathBuf);

/// The description of a node's root.
///
/// Everything the node writes goes to a tmpfs of its own, except below the folders given to [`RootFs::share`]. A folder
/// given to [`RootFs::private`] starts empty, whatever the host has there.
#[derive(Debug, Clone)]
pub struct RootFs {
    hostname: String,
    stage: PathBuf,
    lower: PathBuf,
    mounts: Vec<HostMount>,
    shares: Vec<(PathBuf, PathBuf)>,
    private: Vec<(PathBuf, u32)>,
}

impl RootFs {
    /// The host's root as seen by a node of that name. `stage` is an empty folder of the host where the root is put
    /// together; nothing of it is seen on the host.
    pub fn new(hostname: impl Into<String>, stage: impl Into<PathBuf>) -> Self {
        Self {
            hostname: hostname.into(),
            stage: stage.into(),
            lower: PathBuf::from("/"),
            mounts: Vec::new(),
            shares: Vec::new(),
            private: Vec::new(),
        }
    }

    /// Uses another root file system than the host's.
    #[must_use]
    pub fn lower(mut self, root: impl Into<PathBuf>) -> Self {
        self.lower = root.into();
        self
    }

    /// Shows a file system that is mounted below the host's root, which an overlay of the root alone does not.
    #[must_use]
    pub fn host_mounts(mut self, mounts: impl IntoIterator<Item = HostMount>) -> Self {
        self.mounts.extend(mounts);
        self
    }

    /// Shows a folder of the host at a path of the node, for both to write.
    #[must_use]
    pub fn share(mut self, host: impl Into<PathBuf>, node: impl Into<PathBuf>) -> Self {
        self.shares.push((host.into(), node.into()));
        self
    }

    /// Gives the node an empty folder of its own.
    #[must_use]
    pub fn private(mut self, path: impl Into<PathBuf>, mode: u32) -> Self {
        self.private.push((path.into(), mode));
        self
    }

    /// The node's host name.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// What the node has to do, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let own = &self.stage;
        let root = own.join("root");
        let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let mut steps = vec![
            Step::Hostname(c_string(self.hostname.as_bytes())),
            Step::PrivateMounts,
            mount(c"tmpfs", own, MountFlags::empty(), "mode=0755"),
            directory(&root, 0o755),
        ];
        steps.extend(overlay(own, "base", &self.lower, &root));
        for (k, HostMount(path)) in self.mounts.iter().enumerate() {
            steps.extend(overlay(own, &format!("mount{k}"), path, &inside(path)));
        }
        for (k, (path, mode)) in self.private.iter().enumerate() {
            let source = own.join(format!("private{k}"));
            steps.push(directory(&source, *mode));
            steps.extend(directories(&root, path));
            steps.push(bind(&source, &inside(path)));
        }
        for (source, path) in &self.shares {
            steps.extend(directories(&root, path));
            steps.push(bind(source, &inside(path)));
        }
        steps.extend(devices(&own.join("dev"), &inside(Path::new("/dev"))));
        for (kind, path) in [(c"proc", "/proc"), (c"sysfs", "/sys")] {
            let target = inside(Path::new(path));
            steps.push(directory(&target, 0o555));
            steps.push(mount(kind, &target, no_devices(), ""));
        }
        steps.push(Step::PivotInto(path_string(&root)));
        steps
    }
}

/// A /dev with what daemons and shells need and nothing of the host's hardware.
fn devices(source: &Path, target: &Path) -> Vec<Step> {
    let mut steps = vec![directory(source, 0o755)];
    for folder in ["pts", "shm", "net"] {
        let mode = if folder == "shm" { 0o1777 } else { 0o755 };
        steps.push(directory(&source.join(folder), mode));
    }
    // Numbers: Documentation/admin-guide/devices.txt of the kernel.
    for (name, major, minor) in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
        ("net/tun", 10, 200),
    ] {
        let path = path_string(&source.join(name));
        steps.push(Step::CharacterDevice { path, major, minor });
    }
    for (target, link) in [
        (c"/proc/self/fd", "fd"),
        (c"/proc/self/fd/0", "stdin"),
        (c"/proc/self/fd/1", "stdout"),
        (c"/proc/self/fd/2", "stderr"),
        (c"pts/ptmx", "ptmx"),
    ] {
        let link = path_string(&source.join(link));
        steps.push(Step::Symlink { target, link });
    }
    steps.push(directory(target, 0o755));
    steps.push(bind(source, target));
    steps.push(mount(
        c"devpts",
        &target.join("pts"),
        MountFlags::NOSUID | MountFlags::NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620",
    ));
    steps
}

/// A writable view of `lower` at `target`; what is written lands in a folder of the node's own tmpfs.
fn overlay(own: &Path, name: &str, lower: &Path, target: &Path) -> Vec<Step> {
    let upper = own.join(format!("{name}-upper"));
    let work = own.join(format!("{name}-work"));
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        escaped(lower),
        escaped(&upper),
        escaped(&work)
    );
    vec![
        directory(&upper, 0o755),
        directory(&work, 0o755),
        mount(c"overlay", target, MountFlags::empty(), &options),
    ]
}

/// overlayfs separates layers by colons and options by commas; a backslash quotes either.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, '\\' | ':' | ',') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Every folder on the way from the root to `path`.
fn directories(root: &Path, path: &Path) -> Vec<Step> {
    let mut at = root.to_path_buf();
    let mut steps = Vec::new();
    for part in path.components().skip(1) {
        at.push(part);
        steps.push(directory(&at, 0o755));
    }
    steps
}

fn no_devices() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC
}

fn mount(kind: &'static std::ffi::CStr, target: &Path, flags: MountFlags, options: &str) -> Step {
    Step::Mount {
        kind,
        target: path_string(target),
        flags,
        options: c_string(options.as_bytes()),
    }
}

fn bind(source: &Path, target: &Path) -> Step {
    Step::Bind {
        source: path_string(source),
        target: path_string(target),
    }
}

fn directory(path: &Path, mode: u32) -> Step {
    Step::Directory {
        path: path_string(path),
        mode,
    }
}

fn path_string(path: &Path) -> CString {
    c_string(path.as_os_str().as_bytes())
}

/// No path that reached us through the kernel or a checked name holds a NUL; one that does ends there.
fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_options_quote_what_would_end_them() {
        assert_eq!(escaped(Path::new("/a:b,c\\d")), "/a\\:b\\,c\\\\d");
    }

    #[test]
    fn the_root_is_left_last() {
        let steps = RootFs::new("n", "/stage")
            .private("/etc/ovn", 0o755)
            .share("/host/run", "/run")
            .steps();
        let text: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            text.last().unwrap(),
            "make \"/stage/root\" its root",
            "{text:#?}"
        );
        assert!(text.contains(&"bind \"/host/run\" to \"/stage/root/run\"".to_string()));
    }
}
