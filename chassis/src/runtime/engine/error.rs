//! What can go wrong with a container engine.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::EngineKind;

/// A socket that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The socket.
    pub socket: PathBuf,
    /// What it is known from.
    pub origin: String,
    /// What was the matter.
    pub why: String,
}

/// A container engine did not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is none.
    #[error("{kind} does not answer; tried{}", list(tried))]
    NoAnswer {
        /// Which was looked for.
        kind: EngineKind,
        /// Where.
        tried: Vec<Attempt>,
    },
    /// A socket is of no use.
    #[error("{why}")]
    Unusable {
        /// The socket.
        socket: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// The environment names an engine that is not on this machine.
    #[error("{variable} is {address:?}, which is no Unix socket of this machine")]
    NotLocal {
        /// The environment variable.
        variable: String,
        /// Its value.
        address: String,
    },
    /// Another engine answers.
    #[error("{} ({origin}) is the socket of {found}, not of {wanted}", socket.display())]
    OtherKind {
        /// Which was looked for.
        wanted: EngineKind,
        /// Which answers.
        found: EngineKind,
        /// Where.
        socket: PathBuf,
        /// What the socket is known from.
        origin: String,
    },
    /// It did not answer in time.
    #[error("{kind} did not {action} within {deadline:?}")]
    Silent {
        /// Which.
        kind: EngineKind,
        /// What it was asked for.
        action: String,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// It said no.
    #[error("{kind} would not {action}: {message}")]
    Refused {
        /// Which.
        kind: EngineKind,
        /// What it was asked for.
        action: String,
        /// The HTTP status, 0 when it came in the middle of an answer.
        status: u16,
        /// Why not.
        message: String,
    },
    /// The connection or the answer is broken.
    #[error("{kind} did not {action}")]
    Broken {
        /// Which.
        kind: EngineKind,
        /// What it was asked for.
        action: String,
        /// What is the matter.
        source: Box<bollard::errors::Error>,
    },
    /// Somebody else has a container of that name.
    #[error("{kind} has a container {name} already, which is not of this cluster")]
    NameTaken {
        /// Which engine.
        kind: EngineKind,
        /// The name.
        name: String,
    },
    /// An image is not there and cannot be had.
    #[error("{kind} has no image {image} and could not pull it: {why}")]
    NoImage {
        /// Which engine.
        kind: EngineKind,
        /// The image.
        image: String,
        /// What the pull said.
        why: String,
    },
    /// An image lacks what nodes need.
    #[error("image {image} has no {}", missing.join(", no "))]
    ImageLacks {
        /// The image.
        image: String,
        /// The names of programs and schemas.
        missing: Vec<String>,
    },
    /// The process of a container is not what it should be.
    #[error(transparent)]
    Node(#[from] ofm_netns::NodeError),
    /// A container did not stay.
    #[error("container {name} ended as soon as it was started{}", with_status(*.status))]
    Ended {
        /// The container.
        name: String,
        /// Its exit status, where the engine still knew it.
        status: Option<i64>,
    },
    /// The cluster ends while its nodes are still being made.
    #[error("the cluster is being stopped")]
    Stopping,
    /// Containers are still there.
    #[error("{kind} still has {} of this cluster: {}", count(.names), names.join(", "))]
    Remain {
        /// Which engine.
        kind: EngineKind,
        /// The containers.
        names: Vec<String>,
    },
    /// The state of the host could not be read.
    #[error("reading {what} failed")]
    Host {
        /// What.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

impl EngineError {
    /// Sorts an answer that is none.
    pub(super) fn answered(
        kind: EngineKind,
        action: String,
        error: bollard::errors::Error,
        deadline: Duration,
    ) -> Self {
        use bollard::errors::Error;
        match error {
            // The client has the same deadline and may be the first to notice.
            Error::RequestTimeoutError => EngineError::Silent {
                kind,
                action,
                deadline,
            },
            Error::DockerResponseServerError {
                status_code,
                message,
            } => EngineError::Refused {
                kind,
                action,
                status: status_code,
                message: message.trim().to_owned(),
            },
            Error::DockerStreamError { error } => EngineError::Refused {
                kind,
                action,
                status: 0,
                message: error.trim().to_owned(),
            },
            other => EngineError::Broken {
                kind,
                action,
                source: Box::new(other),
            },
        }
    }

    /// Whether the engine says that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, EngineError::Refused { status: 404, .. })
    }

    /// Whether the engine says that a name is taken. Docker does by the status, Podman by its words.
    pub(crate) fn is_name_conflict(&self) -> bool {
        match self {
            EngineError::Refused {
                status, message, ..
            } => *status == 409 || message.contains("already in use"),
            _ => false,
        }
    }

    /// Whether something else keeps it from being done, or it is done already.
    pub(crate) fn is_in_the_way(&self) -> bool {
        matches!(
            self,
            EngineError::Refused {
                status: 404 | 409,
                ..
            }
        )
    }

    /// Why not, without what was asked for.
    pub(crate) fn reason(&self) -> String {
        match self {
            EngineError::Refused { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            EngineError::NoAnswer { kind, .. } => Some(match kind {
                EngineKind::Docker => {
                    "start it (systemctl start docker), or say where it listens: \
                     DOCKER_HOST=unix:///path/to/docker.sock"
                        .into()
                }
                EngineKind::Podman => {
                    "start its service (systemctl start podman.socket), or say where it listens: \
                     CONTAINER_HOST=unix:///path/to/podman.sock"
                        .into()
                }
            }),
            EngineError::NotLocal { .. } => Some(
                "nodes are joined by links of this machine's kernel, so the engine must run on it: \
                 set it to unix:///path/to/socket, or unset it"
                    .into(),
            ),
            EngineError::OtherKind { found, .. } => {
                Some(format!("choose --runtime {}, or another socket", found.as_str()))
            }
            EngineError::Silent { kind, .. } => Some(format!(
                "see whether {kind} is well and its machine not overloaded; `ofm gc` removes what it may still make"
            )),
            EngineError::NameTaken { name, .. } => Some(format!(
                "choose another name for the cluster with --cluster, or remove the container {name}"
            )),
            EngineError::NoImage { .. } => {
                Some("make it with `ofm build`, or name another one with --image".into())
            }
            EngineError::ImageLacks { .. } => {
                Some("install it in the image, or make an image with `ofm build`".into())
            }
            EngineError::Remain { .. } => Some("`ofm gc` removes them once the engine lets it".into()),
            EngineError::Refused { message, kind, .. } => hint_of(*kind, message),
            _ => None,
        }
    }
}

/// What is known about the words of an engine.
fn hint_of(kind: EngineKind, message: &str) -> Option<String> {
    let says = |words: &str| message.to_lowercase().contains(words);
    let hint = if says("no space left on device") {
        "make room where the engine keeps its data, as by removing images and containers that nobody needs"
    } else if says("init binary not found") || says("docker-init") {
        match kind {
            EngineKind::Docker => "install docker-init (package tini on Debian and Ubuntu)",
            EngineKind::Podman => "install catatonit, which Podman runs as the first process",
        }
    } else if says("unable to apply caps") || says("unable to apply bounding set") {
        "the engine runs with fewer capabilities than ofm: start it with those of the machine"
    } else if says("cgroups in hybrid mode") {
        "crun does not know this host's cgroups: set runtime = \"runc\" in containers.conf"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn list(tried: &[Attempt]) -> String {
    tried
        .iter()
        .map(
            |Attempt {
                 socket,
                 origin,
                 why,
             }| format!("\n  {} ({origin}): {why}", socket.display()),
        )
        .collect()
}

fn with_status(status: Option<i64>) -> String {
    status.map_or_else(String::new, |status| format!(", with status {status}"))
}

fn count(names: &[String]) -> String {
    match names.len() {
        1 => "a container".to_owned(),
        n => format!("{n} containers"),
    }
}
