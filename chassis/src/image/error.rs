//! What can go wrong before an engine is asked to build.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An image could not be built, for a reason that is not the engine's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Packages or source trees are not what they should be.
    #[error("the image cannot be built:{}", .0.iter().map(|p| format!("\n  {p}")).collect::<String>())]
    Source(Vec<String>),
    /// A file is no archive of a root file system.
    #[error("{} is no tar archive", path.display())]
    NoArchive {
        /// The file.
        path: PathBuf,
    },
    /// Something could not be read.
    #[error("reading {what} failed")]
    Read {
        /// What.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The mark that a build is going on could not be set.
    #[error("marking that a build goes on failed: {}", path.display())]
    Session {
        /// The file that is the mark.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}
