//! The context of a build: a tar archive in memory.

use std::io::Read;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};
use walkdir::{DirEntry, WalkDir};

use super::error::BuildError;
use super::{Source, recipe};
use crate::node::blocking;

/// Checks the files and folders of a source, and says all that is wrong with them.
pub(super) fn check(source: &Source) -> Result<(), BuildError> {
    let mut problems = Vec::new();
    match source {
        Source::Distribution => {}
        Source::Packages(files) => {
            let kind =
                |path: &PathBuf| path.extension().and_then(|e| e.to_str()).map(str::to_owned);
            let first = files.first().and_then(kind);
            if files.is_empty() {
                problems.push("no package file is given".to_owned());
            }
            for path in files {
                match kind(path).as_deref() {
                    Some("deb" | "rpm") if kind(path) == first => {}
                    Some("deb" | "rpm") => {
                        problems.push(format!("{}: .deb and .rpm do not mix", path.display()));
                    }
                    _ => problems.push(format!("{}: neither .deb nor .rpm", path.display())),
                }
                if let Err(error) = std::fs::File::open(path) {
                    problems.push(format!("{}: {error}", path.display()));
                }
            }
        }
        Source::Trees { ovs, ovn, .. } => {
            for (tree, sign, what) in [
                (ovs, "vswitchd/ovs-vswitchd.c", "Open vSwitch"),
                (ovn, "northd/ovn-northd.c", "OVN"),
            ] {
                if !tree.join(sign).is_file() {
                    let tree = tree.display();
                    problems.push(format!(
                        "{tree}: no source tree of {what} (there is no {sign})"
                    ));
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(BuildError::Source(problems))
    }
}

/// Puts the context together. The same input gives the same bytes, whenever and wherever it is read.
pub(super) async fn archive(base: String, source: Source) -> Result<Vec<u8>, BuildError> {
    blocking(move || {
        let mut context = Context(Builder::new(Vec::new()));
        context.text("Dockerfile", &recipe::dockerfile(&base, &source))?;
        for (name, text) in recipe::files() {
            context.text(&name, &text)?;
        }
        match &source {
            Source::Distribution => {}
            Source::Packages(files) => {
                let mut files = files.clone();
                files.sort();
                for path in files {
                    let name = path.file_name().unwrap_or_default();
                    context.file(&Path::new("packages").join(name), &path)?;
                }
            }
            Source::Trees { ovs, ovn, .. } => {
                context.tree("ovs", ovs)?;
                context.tree("ovn", ovn)?;
            }
        }
        context
            .0
            .into_inner()
            .map_err(|e| unreadable("the build context", e))
    })
    .await
}

struct Context(Builder<Vec<u8>>);

impl Context {
    fn text(&mut self, name: &str, text: &str) -> Result<(), BuildError> {
        self.entry(Path::new(name), 0o644, text.as_bytes())
    }

    fn file(&mut self, name: &Path, path: &Path) -> Result<(), BuildError> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|mut file| {
            file.read_to_end(&mut bytes)?;
            file.metadata()
        });
        let metadata = read.map_err(|e| unreadable(path.display(), e))?;
        let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100;
        let mode = if executable == 0 { 0o644 } else { 0o755 };
        self.entry(name, mode, &bytes)
    }

    fn entry(&mut self, name: &Path, mode: u32, bytes: &[u8]) -> Result<(), BuildError> {
        let mut header = header(EntryType::Regular, mode);
        header.set_size(bytes.len() as u64);
        self.0
            .append_data(&mut header, name, bytes)
            .map_err(|e| unreadable(name.display(), e))
    }

    /// A source tree without the objects of a build in it, which would confuse this one.
    fn tree(&mut self, name: &str, root: &Path) -> Result<(), BuildError> {
        let walk = WalkDir::new(root).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| !is_built(entry)) {
            let entry = entry.map_err(|e| unreadable(root.display(), e.into()))?;
            let Ok(relative) = entry.path().strip_prefix(root) else {
                continue;
            };
            let target = Path::new(name).join(relative);
            let kind = entry.file_type();
            if kind.is_symlink() {
                let link = std::fs::read_link(entry.path())
                    .map_err(|e| unreadable(entry.path().display(), e))?;
                let mut header = header(EntryType::Symlink, 0o777);
                header.set_size(0);
                self.0
                    .append_link(&mut header, &target, link)
                    .map_err(|e| unreadable(entry.path().display(), e))?;
            } else if kind.is_file() {
                self.file(&target, entry.path())?;
            }
        }
        Ok(())
    }
}

/// Whether a build made it, by autotools and libtool's names; or git, for itself. What git ignores is no measure: it does
/// not know of files that are tracked nevertheless.
fn is_built(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let kind = Path::new(name.as_ref())
        .extension()
        .and_then(|e| e.to_str());
    if entry.file_type().is_dir() {
        let built = [".git", ".deps", ".libs", "autom4te.cache", "testsuite.dir"];
        built.contains(&name.as_ref())
    } else {
        let built = ["config.cache", "config.log", "config.status", "libtool"];
        matches!(kind, Some("o" | "lo" | "la" | "a" | "Po" | "Plo"))
            || built.contains(&name.as_ref())
    }
}

/// A header without what differs from one machine to the next: owner and time.
fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn unreadable(what: impl ToString, source: std::io::Error) -> BuildError {
    BuildError::Read {
        what: what.to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries
            .map(|entry| entry.path().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    fn tree(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
    }

    #[tokio::test]
    async fn trees_come_without_what_was_built_in_them() {
        let root = tempfile::tempdir().unwrap();
        let (ovs, ovn) = (root.path().join("a"), root.path().join("b"));
        tree(&ovs, &["vswitchd/ovs-vswitchd.c", "lib/x.o", ".git/config"]);
        tree(&ovn, &["northd/ovn-northd.c", "boot.sh"]);
        // A file that git ignores and tracks.
        std::fs::write(ovs.join(".gitignore"), "doc\n").unwrap();
        std::fs::write(ovs.join("doc"), "").unwrap();
        std::os::unix::fs::symlink("boot.sh", ovn.join("link")).unwrap();
        let source = Source::Trees {
            ovs,
            ovn,
            cflags: String::new(),
        };
        check(&source).unwrap();
        let first = archive("base".into(), source.clone()).await.unwrap();
        let found = names(&first);
        for wanted in [
            "Dockerfile",
            "steps/install",
            "ovs/vswitchd/ovs-vswitchd.c",
            "ovs/doc",
            "ovn/link",
        ] {
            assert!(
                found.iter().any(|name| name == wanted),
                "{wanted}: {found:?}"
            );
        }
        for unwanted in ["ovs/lib/x.o", "ovs/.git/config"] {
            assert!(!found.iter().any(|name| name == unwanted), "{found:?}");
        }
        assert!(first == archive("base".into(), source).await.unwrap());
    }

    #[test]
    fn all_that_is_wrong_with_a_source_is_said_at_once() {
        let problems = |source| match check(&source) {
            Err(BuildError::Source(problems)) => problems,
            other => panic!("{other:?}"),
        };
        let files = ["/nonexistent/a.deb", "/nonexistent/b.rpm", "/etc/passwd"];
        let found = problems(Source::Packages(files.map(PathBuf::from).into()));
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(problems(Source::Packages(Vec::new())).len(), 1);
        let found = problems(Source::Trees {
            ovs: "/nonexistent".into(),
            ovn: "/nonexistent".into(),
            cflags: String::new(),
        });
        assert!(
            found[0].contains("Open vSwitch") && found[1].contains("OVN"),
            "{found:?}"
        );
    }
}
