//! Root file systems: what the tests' images are made of, and another release than the host's.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::FlockOperation;

/// The release whose packages are installed where the host's own are not Debian's or Ubuntu's.
const SUITE: &str = "bookworm";
/// A later release, and an earlier one for hosts of that release.
const OTHERS: [&str; 2] = ["trixie", "bookworm"];
/// Where Debian and Ubuntu keep their own sources. Those of others, which may be there too, are not needed.
const SOURCES: [&str; 3] = [
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
];

/// A tar with a root file system of Debian, or of Ubuntu on such a host, that has these packages.
///
/// It is made once, from the host's package sources, and kept in the target folder. Test programs that want it at the
/// same time wait for the one that makes it, which takes about half a minute.
///
/// # Errors
/// When mmdebstrap cannot be started or fails; the message has the end of what it wrote.
pub fn rootfs(packages: &[&str]) -> io::Result<PathBuf> {
    let of_host = host_suite();
    let suite = of_host.as_deref().unwrap_or(SUITE);
    made_once(suite, packages, "tar", |packages, tar| {
        bootstrap(suite, of_host.is_some(), packages, tar)
    })
}

/// A folder with the root file system of another release of Debian than the host's, which has these packages. It is made
/// like [`rootfs`], in about a minute.
///
/// # Errors
/// As [`rootfs`].
pub fn other_release(packages: &[&str]) -> io::Result<PathBuf> {
    let of_host = host_suite();
    let mut others = OTHERS.into_iter();
    let other = others.find(|suite| of_host.as_deref() != Some(suite));
    let suite = other.unwrap_or(SUITE);
    made_once(suite, packages, "root", |packages, folder| {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        bootstrap(suite, false, packages, folder)
    })
}

/// Has something made of packages unless that was done before, in the target folder.
fn made_once(
    suite: &str,
    packages: &[&str],
    kind: &str,
    make: impl FnOnce(&[&str], &Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let mut packages = packages.to_vec();
    packages.sort_unstable();
    packages.dedup();
    let mut hasher = DefaultHasher::new();
    (suite, &packages).hash(&mut hasher);
    let test = std::env::current_exe()?;
    // target/debug/deps/TEST
    let folder = test.ancestors().nth(3).ok_or(io::ErrorKind::NotFound)?;
    let path = folder.join(format!("ofm-test-rootfs-{:016x}.{kind}", hasher.finish()));

    let lock = File::create(path.with_extension("lock"))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    if !path.exists() {
        let unfinished = path.with_extension(format!("new.{kind}"));
        make(&packages, &unfinished)?;
        std::fs::rename(unfinished, &path)?;
    }
    Ok(path)
}

/// Makes an archive of a path that ends in `.tar`, else a folder.
fn bootstrap(suite: &str, is_hosts: bool, packages: &[&str], target: &Path) -> io::Result<()> {
    let mut command = crate::program(Path::new("mmdebstrap"));
    command.arg("--variant=minbase");
    command.arg(format!("--include={}", packages.join(",")));
    command.arg(suite).arg(target);
    if is_hosts {
        // Otherwise mmdebstrap takes the distribution's own, and of Ubuntu not the component that has OVN.
        command.args(SOURCES.iter().filter(|file| Path::new(file).exists()));
    }
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let end = crate::last_lines(&said);
    Err(io::Error::other(format!(
        "mmdebstrap: {}\n{end}",
        output.status
    )))
}

/// The code name of the host's release (os-release(5)) if it is Debian's or Ubuntu's.
fn host_suite() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let id = value("ID=")?;
    ["debian", "ubuntu"]
        .contains(&id.as_str())
        .then(|| value("VERSION_CODENAME="))?
}
