//! How a folder that has Open vSwitch or OVN is laid out.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::{NB_SCHEMA, Project, SB_SCHEMA, Software, VSWITCH_SCHEMA};

/// What a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// What `make install` fills.
    Prefix,
    /// Where `make` ran.
    Tree,
    /// A root file system.
    Root,
}

impl Project {
    /// What of it tells a prefix and a tree.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            Project::Ovs => &["ovs-vswitchd", "ovsdb-server", VSWITCH_SCHEMA],
            Project::Ovn => &["ovn-northd", "ovn-controller", NB_SCHEMA, SB_SCHEMA],
        }
    }

    /// The folders of a tree that have programs: daemons and tools.
    const fn tree_folders(self) -> &'static [&'static str] {
        match self {
            Project::Ovs => &["vswitchd", "ovsdb", "utilities"],
            Project::Ovn => &["northd", "controller", "ic", "utilities"],
        }
    }
}

impl Layout {
    /// Tells what a folder is, if it is anything.
    pub(super) fn recognize(project: Project, folder: &Path) -> Option<Self> {
        let is = |name: &str| folder.join(name).is_dir();
        // First, because /sbin and /bin of many a root file system are links that make it look like a prefix.
        if (is("usr/bin") || is("usr/sbin")) && is("lib") && is("etc") {
            return Some(Layout::Root);
        }
        [Layout::Prefix, Layout::Tree].into_iter().find(|layout| {
            let mut marks = project.marks().iter();
            marks.any(|name| layout.find(folder, name).is_some())
        })
    }

    /// Looks for a program or schema. Returns its path as a node sees it.
    pub(super) fn find(self, folder: &Path, name: &str) -> Option<PathBuf> {
        match self {
            Layout::Prefix => {
                let below: &[&str] = match name.ends_with(".ovsschema") {
                    true => &["share"],
                    false => &["sbin", "bin"],
                };
                let paths = below.iter().map(|below| folder.join(below).join(name));
                paths.into_iter().find(|path| path.is_file())
            }
            Layout::Tree => {
                let path = folder.join(in_tree(name)?);
                path.is_file().then_some(path)
            }
            Layout::Root => Software::candidates(name).find(|path| is_file_of(folder, path)),
        }
    }

    /// The folders whose programs a node finds before others.
    pub(super) fn program_folders(self, project: Project, folder: &Path) -> Vec<PathBuf> {
        let below = match self {
            Layout::Prefix => &["sbin", "bin"],
            Layout::Tree => project.tree_folders(),
            // They are in the usual places.
            Layout::Root => return Vec::new(),
        };
        below.iter().map(|below| folder.join(below)).collect()
    }

    /// Where scripts of a project find what is neither program nor configuration, such as schemas, if that is not the usual
    /// place: a variable for them (`ovs-lib.in` of Open vSwitch, `ovn-lib.in` of OVN) and its value.
    pub(super) fn data_folder(
        self,
        project: Project,
        folder: &Path,
    ) -> Option<(&'static str, PathBuf)> {
        let below = match (self, project) {
            (Layout::Prefix, Project::Ovs) => "share/openvswitch",
            (Layout::Prefix, Project::Ovn) => "share/ovn",
            (Layout::Tree, Project::Ovs) => "vswitchd",
            (Layout::Tree, Project::Ovn) => "",
            (Layout::Root, _) => return None,
        };
        let variable = match project {
            Project::Ovs => "OVS_PKGDATADIR",
            Project::Ovn => "OVN_PKGDATADIR",
        };
        // Without the slash that joining nothing leaves.
        let path: PathBuf = folder.join(below).components().collect();
        Some((variable, path))
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Layout::Prefix => "an installation's prefix",
            Layout::Tree => "a build tree",
            Layout::Root => "a root file system",
        }
    }

    /// What to do when something is missing.
    pub(super) const fn completing(self) -> &'static str {
        match self {
            Layout::Prefix => "configure with this prefix, and run make install",
            Layout::Tree => "run make in it",
            Layout::Root => {
                "install the packages of Open vSwitch and OVN in it: openvswitch-switch, ovn-central, ovn-host, ovn-ic and \
                 ovn-ic-db on Debian and Ubuntu; openvswitch, ovn-central and ovn-host on Fedora"
            }
        }
    }
}

/// Where a build tree has a program or schema.
fn in_tree(name: &str) -> Option<PathBuf> {
    let folder = match name {
        "ovs-vswitchd" | VSWITCH_SCHEMA => "vswitchd",
        "ovsdb-server" => "ovsdb",
        "ovn-northd" => "northd",
        "ovn-controller" => "controller",
        "ovn-ic" => "ic",
        schema if schema.ends_with(".ovsschema") => "",
        _ => return None,
    };
    Some(Path::new(folder).join(Path::new(name).file_name()?))
}

/// Whether a root file system has a file at that path. Its links are its own: an absolute one stays below `root`.
fn is_file_of(root: &Path, path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let opened = rustix::fs::open(root, flags, Mode::empty())
        .and_then(|root| {
            let how = ResolveFlags::IN_ROOT;
            rustix::fs::openat2(root, path, flags, Mode::empty(), how)
        })
        .and_then(rustix::fs::fstat);
    opened.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// Whether a program of a build tree is a script of libtool's, which sets the shared libraries of the tree up and then
/// runs the program itself.
pub(super) fn is_libtool_script(program: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(folder: &Path, file: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn a_prefix_has_programs_and_schemas() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(Layout::recognize(Project::Ovn, folder), None);
        put(folder, "bin/ovn-northd");
        put(folder, "share/ovn/ovn-nb.ovsschema");
        assert_eq!(
            Layout::recognize(Project::Ovn, folder),
            Some(Layout::Prefix)
        );
        assert_eq!(Layout::recognize(Project::Ovs, folder), None);
        let find = |name| Layout::Prefix.find(folder, name);
        assert_eq!(find("ovn-northd"), Some(folder.join("bin/ovn-northd")));
        assert_eq!(
            find(NB_SCHEMA),
            Some(folder.join("share/ovn/ovn-nb.ovsschema"))
        );
        assert_eq!(find("ovn-controller"), None);
    }

    #[test]
    fn a_tree_is_known_before_it_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        put(folder, "vswitchd/vswitch.ovsschema");
        assert_eq!(Layout::recognize(Project::Ovs, folder), Some(Layout::Tree));
        assert_eq!(Layout::Tree.find(folder, "ovs-vswitchd"), None);
        put(folder, "ovsdb/ovsdb-server");
        assert_eq!(
            Layout::Tree.find(folder, "ovsdb-server"),
            Some(folder.join("ovsdb/ovsdb-server"))
        );
        assert_eq!(
            in_tree("ovn/ovn-ic-sb.ovsschema"),
            Some("ovn-ic-sb.ovsschema".into())
        );
    }

    #[test]
    fn links_of_a_root_file_system_stay_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for below in ["usr/bin", "usr/sbin", "usr/lib", "etc/alternatives"] {
            std::fs::create_dir_all(folder.join(below)).unwrap();
        }
        for name in ["sbin", "bin", "lib"] {
            symlink(format!("usr/{name}"), folder.join(name)).unwrap();
        }
        put(folder, "usr/lib/openvswitch-switch/ovs-vswitchd");
        let there = "/usr/lib/openvswitch-switch/ovs-vswitchd";
        symlink(there, folder.join("etc/alternatives/ovs-vswitchd")).unwrap();
        let link = folder.join("usr/sbin/ovs-vswitchd");
        symlink("/etc/alternatives/ovs-vswitchd", link).unwrap();
        // Led out of the root file system, this one would be found on the host.
        symlink("/proc/self/exe", folder.join("usr/bin/ovn-northd")).unwrap();

        assert_eq!(Layout::recognize(Project::Ovn, folder), Some(Layout::Root));
        let find = |name| Layout::Root.find(folder, name);
        assert_eq!(find("ovs-vswitchd"), Some("/usr/sbin/ovs-vswitchd".into()));
        assert_eq!(find("ovn-northd"), None);
    }
}
