//! Where a daemon has its control socket.

use std::io;
use std::path::{Path, PathBuf};

/// Why the control socket of a daemon was not found.
#[derive(Debug, thiserror::Error)]
pub enum FindSocketError {
    /// The pid file cannot be read: the daemon does not run, or has another run directory.
    #[error("cannot read the pid file {path}; does {daemon} run?")]
    PidFile {
        /// The daemon.
        daemon: String,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The pid file holds something else.
    #[error("the pid file {path} does not hold a process id")]
    NotAPid {
        /// The file.
        path: PathBuf,
    },
    /// There is a pid file but no socket.
    #[error("{daemon} has neither the control socket {path} nor one without its process id")]
    NoSocket {
        /// The daemon.
        daemon: String,
        /// The socket that was looked for first.
        path: PathBuf,
    },
}

/// Finds the control socket of a daemon, as `ovs-appctl --target` does.
///
/// `target` is the name of a daemon, such as `ovs-vswitchd`, or the path of the socket itself, which
/// begins with a slash. For a name the process id is read from `<rundir>/<target>.pid`; the socket
/// is `<rundir>/<target>.<pid>.ctl`, or else `<rundir>/<target>.ctl`, which is how `ovn-ctl`(8)
/// names those of the databases.
///
/// A daemon that died may have left both files behind; connecting fails then.
///
/// # Errors
///
/// [`FindSocketError`]; never for a path, which is not looked at.
///
/// ```no_run
/// # use ovsdb_client::unixctl::find_socket;
/// let northbound = find_socket("/run/ovn", "ovnnb_db")?;
/// # Ok::<(), ovsdb_client::unixctl::FindSocketError>(())
/// ```
pub fn find_socket(rundir: impl AsRef<Path>, target: &str) -> Result<PathBuf, FindSocketError> {
    if target.starts_with('/') {
        return Ok(target.into());
    }
    let file = |suffix: &str| rundir.as_ref().join(format!("{target}.{suffix}"));
    let path = file("pid");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => {
            let daemon = target.to_owned();
            return Err(FindSocketError::PidFile {
                daemon,
                path,
                source,
            });
        }
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Err(FindSocketError::NotAPid { path });
    };
    let own = file(&format!("{pid}.ctl"));
    [own.clone(), file("ctl")]
        .into_iter()
        .find(|socket| socket.exists())
        .ok_or_else(|| FindSocketError::NoSocket {
            daemon: target.to_owned(),
            path: own,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_path_is_taken_as_it_is() {
        let path = "/run/ovn/ovnnb_db.ctl";
        assert_eq!(find_socket("/nowhere", path).unwrap(), Path::new(path));
    }

    #[test]
    fn a_name_leads_to_the_socket_through_the_pid_file() {
        let rundir = tempfile::tempdir().unwrap();
        let file = |name: &str| rundir.path().join(name);
        let find = || find_socket(rundir.path(), "d");

        assert!(matches!(find(), Err(FindSocketError::PidFile { .. })));
        for text in ["", "x", "-1"] {
            fs::write(file("d.pid"), text).unwrap();
            assert!(matches!(find(), Err(FindSocketError::NotAPid { .. })));
        }
        fs::write(file("d.pid"), "42\n").unwrap();
        match find() {
            Err(FindSocketError::NoSocket { path, .. }) => assert_eq!(path, file("d.42.ctl")),
            other => panic!("{other:?}"),
        }
        fs::write(file("d.ctl"), "").unwrap();
        assert_eq!(find().unwrap(), file("d.ctl"));
        fs::write(file("d.42.ctl"), "").unwrap();
        assert_eq!(find().unwrap(), file("d.42.ctl"));
    }
}
