//! What is copied, and as what.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) folder: bool,
    /// Whether what is in the folder is meant, and not the folder.
    pub(super) contents: bool,
    pub(super) name: OsString,
}

impl Source {
    /// Looks at a path from where it is meant.
    pub(super) fn look(path: &Path, follow: bool) -> io::Result<Self> {
        let metadata = if follow {
            std::fs::metadata(path)?
        } else {
            std::fs::symlink_metadata(path)?
        };
        let folder = metadata.is_dir();
        let name = path.file_name();
        Ok(Self {
            folder,
            // A path that ends in `..` or is `/` has no name to be copied under.
            contents: folder && (ends_in_dot(path) || name.is_none()),
            name: name.unwrap_or(OsStr::new("")).to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Whether the last part of a path is `.`, which [`Path`] itself leaves out.
fn ends_in_dot(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes == b"." || bytes.ends_with(b"/.")
}

/// Where a source arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The folder, which is there.
    pub(super) folder: PathBuf,
    /// The name below it; none for what is in the source folder.
    pub(super) name: Option<OsString>,
}

impl Target {
    /// Decides where a source goes, from where the target is meant. An error says why it cannot go there.
    pub(super) fn find(source: &Source, to: &Path) -> Result<Self, String> {
        let ends_in_slash = to.as_os_str().as_bytes().ends_with(b"/");
        match std::fs::metadata(to) {
            Ok(there) if there.is_dir() && source.contents => Ok(Self {
                folder: to.to_owned(),
                name: None,
            }),
            Ok(there) if there.is_dir() => {
                let target = Self {
                    folder: to.to_owned(),
                    name: Some(source.name.clone()),
                };
                target.refuse_other_kind(source)
            }
            Ok(_) if source.folder => Err("it is a file, and the source is a folder".to_owned()),
            Ok(_) => Self::beside(to),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if ends_in_slash && !source.folder {
                    return Err("there is no such folder".to_owned());
                }
                Self::beside(to)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The target itself, in a folder that must be there.
    fn beside(to: &Path) -> Result<Self, String> {
        let name = to.file_name().ok_or("it has no name")?;
        let folder = match to.parent() {
            None => Path::new("/"),
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
        };
        if !folder.is_dir() {
            return Err(format!("there is no folder {}", folder.display()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            name: Some(name.to_owned()),
        })
    }

    /// Refuses to put a folder in the place of a file, and the other way round.
    fn refuse_other_kind(self, source: &Source) -> Result<Self, String> {
        let name = self.name.as_deref().unwrap_or_default();
        let there = std::fs::symlink_metadata(self.folder.join(name));
        match there.map(|there| there.is_dir()) {
            Ok(folder) if folder != source.folder => {
                let (is, shall) = match folder {
                    true => ("a folder", "a file"),
                    false => ("a file", "a folder"),
                };
                let name = name.to_string_lossy();
                Err(format!("{name} is {is} there, and the source is {shall}"))
            }
            _ => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, a folder, and a folder with another of the source's name.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        std::fs::create_dir_all(place.path().join("folder/tree")).unwrap();
        std::fs::create_dir(place.path().join("tree")).unwrap();
        place
    }

    fn target(from: &str, to: &str) -> Result<(String, Option<String>), String> {
        let place = place();
        let raw = |path: &str| PathBuf::from(format!("{}/{path}", place.path().display()));
        let source = Source::look(&raw(from), false).unwrap();
        let text = |name: OsString| name.to_string_lossy().into_owned();
        let target = Target::find(&source, &raw(to))?;
        let folder = target.folder.strip_prefix(place.path()).unwrap();
        Ok((folder.display().to_string(), target.name.map(text)))
    }

    #[test]
    fn a_file_goes_into_a_folder_or_becomes_the_target() {
        let named = |folder: &str, name: &str| Ok((folder.to_owned(), Some(name.to_owned())));
        assert_eq!(target("file", "folder"), named("folder", "file"));
        assert_eq!(target("file", "folder/"), named("folder", "file"));
        assert_eq!(target("file", "new"), named("", "new"));
        assert_eq!(target("file", "folder/new"), named("folder", "new"));
        assert!(target("file", "new/").is_err());
        assert!(target("file", "absent/new").is_err());
        assert!(target("file", "file/below").is_err());
    }

    #[test]
    fn a_folder_goes_into_a_folder_or_becomes_the_target() {
        let named = |folder: &str, name: &str| Ok((folder.to_owned(), Some(name.to_owned())));
        assert_eq!(target("tree", "folder"), named("folder", "tree"));
        assert_eq!(target("tree/", "folder"), named("folder", "tree"));
        assert_eq!(target("tree", "new"), named("", "new"));
        assert_eq!(target("tree", "new/"), named("", "new"));
        assert!(target("tree", "file").is_err());
        assert!(target("tree", "absent/new").is_err());
    }

    #[test]
    fn a_dot_means_what_is_in_the_folder() {
        assert_eq!(target("tree/.", "folder"), Ok(("folder".to_owned(), None)));
        let new = Ok((String::new(), Some("new".to_owned())));
        assert_eq!(target("tree/.", "new"), new);
    }

    #[test]
    fn kinds_do_not_replace_each_other() {
        let place = place();
        let at = |path: &str| place.path().join(path);
        std::fs::create_dir(at("folder/file")).unwrap();
        let source = Source::look(&at("file"), false).unwrap();
        assert!(Target::find(&source, &at("folder")).is_err());
    }
}
