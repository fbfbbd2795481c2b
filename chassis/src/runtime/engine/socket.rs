//! Where engines listen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::EngineKind;
use super::error::EngineError;

/// A socket, and what it is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) socket: PathBuf,
    pub(crate) origin: String,
}

/// The addresses of an engine, in the order in which they are to be tried.
pub(crate) fn addresses(kind: EngineKind) -> Result<Vec<Address>, EngineError> {
    let uid = rustix::process::getuid().as_raw();
    of_environment(kind, uid, |name| {
        std::env::var(name).ok().filter(|v| !v.is_empty())
    })
}

/// As [`addresses`], for some user and environment. What the environment says is the only one; without it there are the
/// engine of the machine, that of the user, and that of the user who called sudo.
fn of_environment(
    kind: EngineKind,
    uid: u32,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Address>, EngineError> {
    let named: &[&str] = match kind {
        EngineKind::Docker => &["DOCKER_HOST"],
        // Podman's own variable goes before the one that it shares with Docker.
        EngineKind::Podman => &["CONTAINER_HOST", "DOCKER_HOST"],
    };
    for name in named {
        if let Some(value) = variable(name) {
            let socket = value
                .strip_prefix("unix://")
                .filter(|path| path.starts_with('/'));
            return match socket {
                Some(path) => Ok(vec![Address {
                    socket: path.into(),
                    origin: (*name).to_owned(),
                }]),
                None => Err(EngineError::NotLocal {
                    variable: (*name).to_owned(),
                    address: value,
                }),
            };
        }
    }
    let (of_machine, of_user) = match kind {
        EngineKind::Docker => ("/var/run/docker.sock", "docker.sock"),
        EngineKind::Podman => ("/run/podman/podman.sock", "podman/podman.sock"),
    };
    let mut addresses = vec![Address {
        socket: of_machine.into(),
        origin: "of the machine".into(),
    }];
    let folder = |uid: &str| Path::new("/run/user").join(uid);
    let users = [
        variable("XDG_RUNTIME_DIR").map(PathBuf::from),
        (uid != 0).then(|| folder(&uid.to_string())),
        variable("SUDO_UID").map(|uid| folder(&uid)),
    ];
    for folder in users.into_iter().flatten() {
        let socket = folder.join(of_user);
        if addresses.iter().all(|a| a.socket != socket) {
            addresses.push(Address {
                socket,
                origin: "of the user, rootless".into(),
            });
        }
    }
    Ok(addresses)
}

/// Every socket that is there: those in `used`, those that the environment names, and those in the usual places.
pub(crate) fn present_sockets(used: impl IntoIterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let kinds = [EngineKind::Docker, EngineKind::Podman];
    let user = |name: &str| match name {
        "XDG_RUNTIME_DIR" | "SUDO_UID" => std::env::var(name).ok(),
        _ => None,
    };
    let named = kinds.map(addresses);
    let usual = kinds.map(|kind| of_environment(kind, uid, user));
    // What the environment says of an engine elsewhere is for whoever wants to use that one.
    let known = named.into_iter().chain(usual).flatten().flatten();
    let known = known.map(|address| address.socket);
    // One socket may go by several names, and most are not there.
    used.into_iter()
        .chain(known)
        .filter_map(|socket| socket.canonicalize().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(kind: EngineKind, uid: u32, variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let addresses = of_environment(kind, uid, variable).unwrap();
        let path = |a: Address| a.socket.to_string_lossy().into_owned();
        addresses.into_iter().map(path).collect()
    }

    #[test]
    fn the_usual_places_are_those_of_machine_user_and_caller() {
        assert_eq!(
            sockets(EngineKind::Docker, 0, &[]),
            ["/var/run/docker.sock"]
        );
        assert_eq!(
            sockets(EngineKind::Podman, 0, &[("SUDO_UID", "1000")]),
            [
                "/run/podman/podman.sock",
                "/run/user/1000/podman/podman.sock"
            ]
        );
        let xdg = [("XDG_RUNTIME_DIR", "/run/user/7")];
        assert_eq!(
            sockets(EngineKind::Docker, 7, &xdg),
            ["/var/run/docker.sock", "/run/user/7/docker.sock"]
        );
    }

    #[test]
    fn the_environment_goes_before_them() {
        let both = [
            ("DOCKER_HOST", "unix:///d"),
            ("CONTAINER_HOST", "unix:///c"),
        ];
        assert_eq!(sockets(EngineKind::Docker, 0, &both), ["/d"]);
        assert_eq!(sockets(EngineKind::Podman, 0, &both), ["/c"]);
        assert_eq!(sockets(EngineKind::Podman, 0, &both[..1]), ["/d"]);
    }

    #[test]
    fn an_engine_elsewhere_is_refused() {
        for address in ["tcp://10.0.0.1:2375", "ssh://host", "unix://relative"] {
            let error = of_environment(EngineKind::Docker, 0, |_| Some(address.to_owned()));
            assert!(
                matches!(error, Err(EngineError::NotLocal { .. })),
                "{address}"
            );
        }
    }
}
