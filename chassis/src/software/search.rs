//! Finding the software of every role of a cluster without containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::layout::{Layout, is_libtool_script};
use super::{Project, Software, Sources};
use crate::error::Error;
use crate::host::mounts::Mounts;
use crate::plan::{PlanErrors, PlanProblem, Role};
use crate::runtime::EngineKind;
use crate::spec::ClusterSpec;

/// Finds what each role of a cluster needs, where the cluster is to have it from.
///
/// # Errors
/// Everything that is wrong with a source at once, else what the host lacks.
pub(crate) fn search(
    spec: &ClusterSpec,
    mounts: &Mounts,
) -> Result<BTreeMap<Role, Software>, Error> {
    let mut search = Search {
        mounts,
        problems: Vec::new(),
        lacking: BTreeMap::new(),
        missing: BTreeSet::new(),
    };
    let found = spec
        .roles()
        .map(|role| (role, search.role(spec, role)))
        .collect();
    search.end()?;
    Ok(found)
}

/// Refuses sources where a container engine provides the nodes, whose images have their software.
///
/// # Errors
/// When there is any source.
pub(crate) fn refuse_sources(spec: &ClusterSpec, engine: EngineKind) -> Result<(), PlanErrors> {
    if spec.software == Sources::default() {
        return Ok(());
    }
    let problem = PlanProblem {
        location: "software".to_owned(),
        what: format!(
            "with {engine} Open vSwitch and OVN come from images, and from no other path"
        ),
        hint: "make an image of them (ofm build) and name it (--image, --central-image, ...), or let ofm itself \
               provide the nodes (--runtime native)"
            .to_owned(),
    };
    Err(PlanErrors {
        problems: vec![problem],
    })
}

/// Where one of the two projects comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Nothing was said.
    Unsaid,
    /// The host, and that was said.
    Host,
    Folder(Layout, PathBuf),
}

struct Search<'a> {
    mounts: &'a Mounts,
    problems: Vec<PlanProblem>,
    /// What was not found where it was asked for.
    lacking: BTreeMap<(PathBuf, Layout), BTreeSet<String>>,
    /// What was not found on the host.
    missing: BTreeSet<String>,
}

impl Search<'_> {
    /// What is not found is noted and left out.
    fn role(&mut self, spec: &ClusterSpec, role: Role) -> Software {
        let source = spec.software.of(role);
        let ovs = self.place(Project::Ovs, source.ovs.as_deref());
        let ovn = self.place(Project::Ovn, source.ovn.as_deref());
        let (Some(ovs), Some(ovn)) = (ovs, ovn) else {
            return Software::default();
        };
        for (project, place, other) in [(Project::Ovs, &ovs, &ovn), (Project::Ovn, &ovn, &ovs)] {
            let Place::Folder(Layout::Root, root) = place else {
                continue;
            };
            if *other == Place::Unsaid || other == place {
                return self.in_root(spec, role, root);
            }
            let whence = match other {
                Place::Folder(_, folder) => folder.display().to_string(),
                Place::Unsaid | Place::Host => "the host".to_owned(),
            };
            self.problem(
                format!("{} from {}", project.as_str(), root.display()),
                format!(
                    "that is a root file system, so {} must come from it too and not from {whence}",
                    project.other().as_str()
                ),
                "name it for both, or for neither",
            );
            return Software::default();
        }
        let mut software = Software::default();
        for name in spec.needs(role) {
            let place = match Project::of(name) {
                Project::Ovs => &ovs,
                Project::Ovn => &ovn,
            };
            if let Some(path) = self.find(place, name) {
                software.paths.insert(name.to_owned(), path);
            }
        }
        for (project, place) in [(Project::Ovn, &ovn), (Project::Ovs, &ovs)] {
            if let Place::Folder(layout, folder) = place {
                let folders = layout.program_folders(project, folder);
                software.folders.extend(folders);
                let data = layout.data_folder(project, folder);
                software
                    .data
                    .extend(data.map(|(name, path)| (name.to_owned(), path)));
            }
        }
        software
    }

    fn in_root(&mut self, spec: &ClusterSpec, role: Role, root: &Path) -> Software {
        let place = Place::Folder(Layout::Root, root.to_owned());
        let mut software = Software {
            root: Some(root.to_owned()),
            ..Software::default()
        };
        for name in spec.needs(role) {
            if let Some(path) = self.find(&place, name) {
                software.paths.insert(name.to_owned(), path);
            }
        }
        software
    }

    /// Tells where a project comes from; `None` when there is something wrong with it.
    fn place(&mut self, project: Project, asked: Option<&Path>) -> Option<Place> {
        let Some(asked) = asked else {
            return Some(Place::Unsaid);
        };
        let location = || format!("{} from {}", project.as_str(), asked.display());
        let folder = match asked.canonicalize() {
            Ok(folder) => folder,
            Err(error) => {
                let hint = "name an installation's prefix, a build tree or a root file system";
                self.problem(location(), error.to_string(), hint);
                return None;
            }
        };
        if folder == Path::new("/") {
            return Some(Place::Host);
        }
        let Some(layout) = Layout::recognize(project, &folder) else {
            self.problem(location(), unrecognized(project), near(project, &folder));
            return None;
        };
        // A root file system need not be seen by nodes; it is what they see.
        if layout != Layout::Root
            && let Some(why) = self.mounts.why_hidden(&folder)
        {
            self.problem(location(), why, TO_BE_SEEN);
            return None;
        }
        Some(Place::Folder(layout, folder))
    }

    fn find(&mut self, place: &Place, name: &str) -> Option<PathBuf> {
        let Place::Folder(layout, folder) = place else {
            let path = Software::candidates(name).find(|path| path.is_file());
            if path.is_none() {
                self.missing.insert(name.to_owned());
            }
            return path;
        };
        let Some(path) = layout.find(folder, name) else {
            let lacking = self.lacking.entry((folder.clone(), *layout)).or_default();
            lacking.insert(name.to_owned());
            return None;
        };
        if *layout == Layout::Tree && !name.ends_with(".ovsschema") && is_libtool_script(&path) {
            self.problem(
                format!("build tree {}", folder.display()),
                format!("its {name} is a script of libtool's, for a program with shared libraries"),
                "configure it without --enable-shared, or install it and name the prefix",
            );
            return None;
        }
        if *layout != Layout::Root {
            // It may be a link that leads elsewhere.
            let file = path.canonicalize().ok()?;
            if let Some(why) = self.mounts.why_hidden(&file) {
                self.problem(path.display().to_string(), why, TO_BE_SEEN);
            }
        }
        Some(path)
    }

    fn problem(&mut self, location: String, what: String, hint: impl Into<String>) {
        let problem = PlanProblem {
            what,
            location,
            hint: hint.into(),
        };
        // Roles may share a source, and what is wrong with it.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn end(mut self) -> Result<(), Error> {
        for ((folder, layout), names) in std::mem::take(&mut self.lacking) {
            let names: Vec<_> = names.into_iter().collect();
            self.problem(
                folder.display().to_string(),
                format!("{}, lacks {}", layout.as_str(), names.join(", ")),
                layout.completing(),
            );
        }
        if !self.problems.is_empty() {
            let problems = self.problems;
            return Err(PlanErrors { problems }.into());
        }
        if !self.missing.is_empty() {
            return Err(Error::Missing(self.missing.into_iter().collect()));
        }
        Ok(())
    }
}

const TO_BE_SEEN: &str =
    "move it to where nodes see the host's files, as below /home, /opt or /usr/local";

fn unrecognized(project: Project) -> String {
    let (prefix, tree) = match project {
        Project::Ovs => ("sbin/ovs-vswitchd", "vswitchd/ovs-vswitchd"),
        Project::Ovn => ("bin/ovn-northd", "northd/ovn-northd"),
    };
    format!(
        "it is no installation's prefix, which has {prefix}, no build tree, which has {tree}, and no root file system, \
         which has usr/bin, lib and etc"
    )
}

/// What to do about a folder that is nothing: there may be something in it.
fn near(project: Project, folder: &Path) -> String {
    let below = ["usr", "usr/local", "ovs", "ovn", "_build"];
    let folders = below.into_iter().map(|below| folder.join(below));
    let mut found = folders.filter(|folder| Layout::recognize(project, folder).is_some());
    match found.next() {
        Some(folder) => format!("name {} instead", folder.display()),
        None => "name the folder that --prefix was given, or in which make ran".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::{Source, Sources};

    fn put(folder: &Path, files: &[&str], text: &str) {
        for file in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    const OVS_TREE: [&str; 3] = [
        "vswitchd/ovs-vswitchd",
        "vswitchd/vswitch.ovsschema",
        "ovsdb/ovsdb-server",
    ];
    const OVN_PREFIX: [&str; 4] = [
        "bin/ovn-northd",
        "bin/ovn-controller",
        "share/ovn/ovn-nb.ovsschema",
        "share/ovn/ovn-sb.ovsschema",
    ];
    const ROOT: [&str; 7] = [
        "usr/bin/ovn-northd",
        "usr/sbin/ovsdb-server",
        "usr/share/ovn/ovn-nb.ovsschema",
        "usr/share/ovn/ovn-sb.ovsschema",
        "usr/bin/env",
        "lib/ld.so",
        "etc/os-release",
    ];

    fn spec(software: Sources) -> ClusterSpec {
        ClusterSpec {
            software,
            interconnection: false,
            ..ClusterSpec::default()
        }
    }

    /// Everything below the test's folder is seen by nodes, wherever that is.
    fn seen() -> Mounts {
        Mounts::all_seen()
    }

    fn problems(spec: &ClusterSpec, mounts: &Mounts) -> Vec<String> {
        match search(spec, mounts) {
            Err(Error::Plan(errors)) => errors.problems.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_project_comes_from_where_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (ovs, ovn) = (folder.path().join("ovs"), folder.path().join("ovn"));
        put(&ovs, &OVS_TREE, "");
        put(&ovn, &OVN_PREFIX, "");
        let source = Source {
            ovs: Some(ovs.clone()),
            ovn: Some(ovn.clone()),
        };
        let found = search(&spec(Sources::all(source)), &seen()).unwrap();
        let (central, chassis) = (&found[&Role::Central], &found[&Role::Chassis]);
        assert_eq!(central.path("ovn-northd"), ovn.join("bin/ovn-northd"));
        assert_eq!(central.path("ovsdb-server"), ovs.join("ovsdb/ovsdb-server"));
        assert_eq!(
            chassis.path("ovs-vswitchd"),
            ovs.join("vswitchd/ovs-vswitchd")
        );
        assert_eq!(chassis.root(), None);
        let path = &chassis.environment()["PATH"];
        assert!(
            path.starts_with(&format!(
                "{}/sbin:{0}/bin:{}/vswitchd:",
                ovn.display(),
                ovs.display()
            )),
            "{path}"
        );
    }

    #[test]
    fn a_root_file_system_has_both() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &ROOT, "");
        let only_ovn = Source {
            ovs: None,
            ovn: Some(folder.path().to_owned()),
        };
        for source in [only_ovn, folder.path().to_owned().into()] {
            let spec = ClusterSpec {
                chassis: Some(0),
                gateways: Some(0),
                ..spec(Sources {
                    central: source,
                    ..Sources::default()
                })
            };
            let found = search(&spec, &seen()).unwrap();
            let central = &found[&Role::Central];
            assert_eq!(central.path("ovsdb-server"), "/usr/sbin/ovsdb-server");
            assert_eq!(
                central.root(),
                Some(&*folder.path().canonicalize().unwrap())
            );
            assert!(!central.environment().contains_key("PATH"));
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Some(folder.path().join(name));
        put(&folder.path().join("root"), &ROOT, "");
        put(&folder.path().join("ovs"), &OVS_TREE, "#!/bin/sh");
        put(&folder.path().join("staged/usr"), &OVN_PREFIX, "");
        put(&folder.path().join("half"), &OVN_PREFIX[..1], "");
        let sources = Sources {
            central: Source {
                ovs: at("ovs"),
                ovn: at("root"),
            },
            gateway: Source {
                ovs: at("ovs"),
                ovn: at("half"),
            },
            chassis: Source {
                ovs: at("gone"),
                ovn: at("staged"),
            },
            ..Sources::default()
        };
        let problems = problems(&spec(sources), &seen());
        for part in [
            "must come from it too and not from",
            "without --enable-shared",
            "gone: No such file",
            "staged/usr instead",
            "lacks ovn-controller",
        ] {
            let saying = problems.iter().filter(|text| text.contains(part)).count();
            // Both ovsdb-server and ovs-vswitchd are scripts.
            let expected = 1 + usize::from(part.contains("shared"));
            assert_eq!(saying, expected, "{part:?} in {problems:#?}");
        }
        assert_eq!(problems.len(), 6, "{problems:#?}");
    }

    #[test]
    fn what_nodes_do_not_see_is_refused() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        put(folder.path(), &OVN_PREFIX, "");
        let source = Source {
            ovs: None,
            ovn: Some(folder.path().to_owned()),
        };
        let mounts = Mounts::parse("1 0 8:1 / / rw - ext4 /dev/sda rw\n");
        let problems = problems(&spec(Sources::all(source)), &mounts);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains("/tmp of their own"), "{problems:#?}");
    }
}
