//! What the host offers: programs, schemas, a datapath, file systems.

mod checks;
mod limits;
pub(crate) mod mounts;

use std::collections::BTreeSet;
use std::path::Path;

use futures::future::BoxFuture;

use crate::error::Error;
use crate::plan::HostFacts;
use crate::runtime::engine::{self, image::Pull};
use crate::software;
use crate::spec::ClusterSpec;
pub use checks::{Check, checks};
use mounts::Mounts;

/// Finds what a plan needs to know. Images are looked into if they are there; nothing is pulled.
///
/// # Errors
/// [`Error::Missing`] names all that the host lacks, [`Error::Plan`] what is wrong with other sources of software; or
/// with what a container engine did not do.
pub async fn inspect(spec: &ClusterSpec, state_root: &Path) -> Result<HostFacts, Error> {
    gather(spec, state_root, Pull::Never).await
}

/// As [`inspect`], and may pull images.
pub(crate) fn gather<'a>(
    spec: &'a ClusterSpec,
    state_root: &'a Path,
    pull: Pull<'a>,
) -> BoxFuture<'a, Result<HostFacts, Error>> {
    Box::pin(async move {
        let (engine, software) = match spec.runtime.engine() {
            None => (None, software::search(spec, &mounts()?)?),
            Some(kind) => {
                software::refuse_sources(spec, kind)?;
                let (engine, software) = engine::facts::gather(kind, spec, pull).await?;
                (Some(engine), software)
            }
        };
        Ok(HostFacts {
            software,
            openvswitch_datapath: ofm_underlay::has_openvswitch_datapath(),
            interfaces: interfaces()?,
            state_root: state_root.to_owned(),
            engine,
        })
    })
}

/// The host's mounts.
pub(crate) fn mounts() -> Result<Mounts, Error> {
    let table = Path::new("/proc/self/mountinfo");
    Mounts::read().map_err(|e| Error::state("reading", table, e))
}

/// The names of the interfaces in this process's network namespace.
fn interfaces() -> Result<BTreeSet<String>, Error> {
    let table = Path::new("/proc/net/dev");
    let text = std::fs::read_to_string(table).map_err(|e| Error::state("reading", table, e))?;
    let names = text
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    Ok(names.collect())
}

/// Whether this process may make namespaces.
pub(crate) fn require_root() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::NotRoot)
    }
}

/// Whether nodes can have roots of their own.
pub(crate) fn refuse_chroot() -> Result<(), Error> {
    match ofm_netns::in_chroot() {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Chroot),
        Err(error) => Err(Error::state("looking at", Path::new("/"), error)),
    }
}
