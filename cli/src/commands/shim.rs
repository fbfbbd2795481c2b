//! `ofm shim`

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::output;
use crate::shim::Engine;

/// Answer in the place of a container engine
///
/// Called by the name podman or docker, ofm does for the nodes of a cluster what an engine does for containers: exec, cp,
/// inspect, ps, logs, top, start, stop, restart, kill, rm and version. OFM_CLUSTER names the cluster.
#[derive(Debug, Args)]
pub(crate) struct Shim {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make links to ofm in a folder, named podman and docker; the folder goes first in PATH
    Install {
        /// The folder; it is made if it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Shim {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let What::Install { folder } = self.what;
        install(&folder)?;
        output::print(format_args!(
            "PATH={}:$PATH makes podman and docker mean the nodes of the cluster that OFM_CLUSTER names",
            folder.display()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes the links. What has such a name and is no link to an ofm is left alone, and then no link is made.
pub(crate) fn install(folder: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding the path of ofm")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let links = Engine::ALL.map(|engine| folder.join(engine.as_str()));
    for link in &links {
        if !is_free(link)? {
            let link = link.display();
            bail!("{link} is there already and is no link to ofm; choose another folder");
        }
    }
    for link in &links {
        let replaced = match fs::remove_file(link) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => symlink(&program, link),
        };
        replaced.with_context(|| format!("making the link {}", link.display()))?;
    }
    Ok(())
}

/// Whether there is nothing, or a link to a program of our name.
fn is_free(link: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(link) {
        Ok(there) if there.is_symlink() => {
            let leads_to = fs::read_link(link)?;
            Ok(leads_to.file_name().is_some_and(|name| name == "ofm"))
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("looking at {}", link.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("bin");
        install(&folder).unwrap();
        let program = std::env::current_exe().unwrap();
        assert_eq!(fs::read_link(folder.join("podman")).unwrap(), program);
        assert_eq!(fs::read_link(folder.join("docker")).unwrap(), program);

        // Here the program is the test; a link to an older ofm is replaced.
        let podman = folder.join("podman");
        fs::remove_file(folder.join("docker")).unwrap();
        fs::remove_file(&podman).unwrap();
        symlink("/elsewhere/ofm", &podman).unwrap();
        install(&folder).unwrap();
        assert_eq!(fs::read_link(&podman).unwrap(), program);

        fs::remove_file(&podman).unwrap();
        fs::remove_file(folder.join("docker")).unwrap();
        fs::write(folder.join("docker"), "an engine").unwrap();
        let error = install(&folder).unwrap_err().to_string();
        assert!(error.contains("docker is there already"), "{error}");
        assert_eq!(fs::read(folder.join("docker")).unwrap(), b"an engine");
        assert!(!podman.exists(), "it made half of the links");
    }
}
