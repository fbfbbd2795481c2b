//! Copies of files and folders into nodes, out of them, and between them.
//!
//! What is copied goes as a tar stream from a thread that sees the one side to a thread that sees the other, so nothing
//! needs a path that both have. A node's thread is in the node's mount namespace: no link leads it out of there.

mod archive;
mod target;

use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::error::Error as ClusterError;
use crate::node::{NodeHandle, blocking};
use archive::{pack, unpack};
use target::{Source, Target};

/// One end of a copy.
#[derive(Debug, Clone)]
pub struct End {
    /// The node whose path it is; without one it is the host's.
    node: Option<NodeHandle>,
    path: PathBuf,
}

/// How a copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyOptions {
    /// Keeps the numbers of users and groups. Otherwise all that arrives belongs to the caller.
    pub owners: bool,
    /// Copies what a link at the source leads to, instead of the link. Links below the source are always copied as such.
    pub follow: bool,
}

/// What a copy left out, because it is no file, folder or link: sockets, devices and pipes.
pub type LeftOut = Vec<PathBuf>;

/// Why something was not copied.
#[derive(Debug, Error)]
pub enum CopyError {
    /// A path of a node has more `..` than folders before them.
    #[error("{end} leads out of the node's root")]
    Outside {
        /// The end.
        end: String,
    },
    /// There is nothing at the source, or it cannot be looked at.
    #[error("{end} cannot be read")]
    Source {
        /// The end.
        end: String,
        /// Why not.
        source: io::Error,
    },
    /// Nothing can be copied to there.
    #[error("nothing can be copied to {end}: {problem}")]
    Target {
        /// The end.
        end: String,
        /// Why not.
        problem: String,
    },
    /// It failed on the way. What had arrived by then is still there.
    #[error("copying {from} to {to} failed")]
    Transfer {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
        /// Why.
        source: io::Error,
    },
}

/// How an error names a stream.
const STREAM: &str = "a stream";

/// Copies a file, a folder or a link, with modes, times and links, by the rules of `docker cp`: what has a folder as its
/// target goes into that; a folder that ends in `/.` stands for what is in it; a target that is not there is made, but not
/// the folder it is in.
///
/// # Errors
/// [`ClusterError::Copy`].
pub async fn copy(from: &End, to: &End, options: CopyOptions) -> Result<LeftOut, ClusterError> {
    let (from, to) = (from.clone(), to.clone());
    blocking(move || {
        let (seen, target) = meet(&from, &to, options)?;
        let (reader, writer) = io::pipe().map_err(|e| transfer(from.shown(), to.shown(), e))?;
        let (packed, unpacked) = std::thread::scope(|scope| {
            let packing = || from.inside(|_| pack(&seen, target.name.as_deref(), writer, options));
            let packing = scope.spawn(packing);
            let unpacked = to.inside(|_| unpack(reader, &target.folder, options));
            (joined(packing), unpacked)
        });
        match (packed?, unpacked?) {
            // Who writes only hears that nobody reads any more; who reads knows why.
            (Err(error), Err(why)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(transfer(from.shown(), to.shown(), why).into())
            }
            (Err(error), _) | (_, Err(error)) => {
                Err(transfer(from.shown(), to.shown(), error).into())
            }
            (Ok(left_out), Ok(())) => Ok(left_out),
        }
    })
    .await
}

/// Writes what [`copy`] would copy as a tar stream.
///
/// # Errors
/// [`ClusterError::Copy`].
pub async fn copy_out(
    from: &End,
    to: impl Write + Send + 'static,
    options: CopyOptions,
) -> Result<LeftOut, ClusterError> {
    let from = from.clone();
    blocking(move || {
        let seen = from.source(options)?;
        let name = (!seen.contents).then(|| seen.name.clone());
        let packed = from.inside(|_| pack(&seen, name.as_deref(), to, options))?;
        packed.map_err(|e| transfer(from.shown(), STREAM.to_owned(), e).into())
    })
    .await
}

/// Unpacks a tar stream into a folder that is there. Entries whose names lead out of it are an error.
///
/// # Errors
/// [`ClusterError::Copy`].
pub async fn copy_in(
    from: impl Read + Send + 'static,
    to: &End,
    options: CopyOptions,
) -> Result<(), ClusterError> {
    let to = to.clone();
    blocking(move || {
        to.check()?;
        let folder = to.inside(|path| path.is_dir().then(|| path.to_owned()))?;
        let folder = folder.ok_or_else(|| CopyError::Target {
            end: to.shown(),
            problem: "there is no such folder".to_owned(),
        })?;
        let unpacked = to.inside(|_| unpack(from, &folder, options))?;
        unpacked.map_err(|e| transfer(STREAM.to_owned(), to.shown(), e).into())
    })
    .await
}

/// Looks at both ends.
fn meet(from: &End, to: &End, options: CopyOptions) -> Result<(Source, Target), ClusterError> {
    to.check()?;
    let seen = from.source(options)?;
    let target = to.inside(|path| Target::find(&seen, path))?;
    let target = target.map_err(|problem| CopyError::Target {
        end: to.shown(),
        problem,
    })?;
    Ok((seen, target))
}

impl End {
    /// A path of the host.
    pub fn host(path: impl Into<PathBuf>) -> Self {
        Self {
            node: None,
            path: path.into(),
        }
    }

    /// A path of a node; one that is not absolute begins at the node's root.
    pub fn node(node: NodeHandle, path: impl Into<PathBuf>) -> Self {
        Self {
            node: Some(node),
            path: path.into(),
        }
    }

    /// Whether it is in a node.
    pub fn is_in_node(&self) -> bool {
        self.node.is_some()
    }

    fn source(&self, options: CopyOptions) -> Result<Source, ClusterError> {
        self.check()?;
        let seen = self.inside(|path| Source::look(path, options.follow))?;
        Ok(seen.map_err(|source| CopyError::Source {
            end: self.shown(),
            source,
        })?)
    }

    /// Refuses a path of a node that would be above its root. The kernel would take it for one below.
    fn check(&self) -> Result<(), CopyError> {
        if self.is_in_node() && leads_out(&self.path) {
            return Err(CopyError::Outside { end: self.shown() });
        }
        Ok(())
    }

    /// Does something where the path is meant.
    fn inside<T: Send>(&self, f: impl FnOnce(&Path) -> T + Send) -> Result<T, ClusterError> {
        match &self.node {
            None => Ok(f(&self.path)),
            Some(handle) => {
                let path = Path::new("/").join(&self.path);
                Ok(handle.node().namespaces().run(|| f(&path))?)
            }
        }
    }

    fn shown(&self) -> String {
        let path = self.path.display();
        match &self.node {
            None => path.to_string(),
            Some(handle) => format!("{}:{path}", handle.plan().name),
        }
    }
}

fn leads_out(path: &Path) -> bool {
    let mut depth = 0_i64;
    path.components().any(|part| {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            _ => {}
        }
        depth < 0
    })
}

fn transfer(from: String, to: String, source: io::Error) -> CopyError {
    CopyError::Transfer { from, to, source }
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_go_up_only_as_far_as_it_went_down() {
        for inside in ["/a/../b", "a/b/../../c", "/", "", "a/..", "./a/./.."] {
            assert!(!leads_out(Path::new(inside)), "{inside}");
        }
        for outside in ["..", "/..", "/a/../../b", "a/../..", "../../etc/passwd"] {
            assert!(leads_out(Path::new(outside)), "{outside}");
        }
    }
}
