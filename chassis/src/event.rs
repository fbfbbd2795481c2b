//! What a start tells while it goes on.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A part of a start. They follow each other in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Deciding everything and checking the host.
    Plan,
    /// The keeper, and PID 1 of every node.
    Nodes,
    /// Bridges, veth pairs, addresses and VMs' namespaces. Of many nodes some go ahead, and are ready by its end.
    Links,
    /// Database files.
    Files,
    /// The OVS and OVN daemons.
    Daemons,
    /// Every chassis in the southbound database.
    Chassis,
    /// Every tunnel, every acknowledgement, every VM's port.
    Ready,
}

impl Phase {
    /// All of them in order.
    pub const ALL: [Phase; 7] = [
        Phase::Plan,
        Phase::Nodes,
        Phase::Links,
        Phase::Files,
        Phase::Daemons,
        Phase::Chassis,
        Phase::Ready,
    ];

    /// Its name, as in `ofm status --json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Plan => "plan",
            Phase::Nodes => "nodes",
            Phase::Links => "links",
            Phase::Files => "files",
            Phase::Daemons => "daemons",
            Phase::Chassis => "chassis",
            Phase::Ready => "ready",
        }
    }
}

/// Something that happened during a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An image is being pulled, which a container engine does layer by layer.
    Pulling {
        /// The image.
        image: Arc<str>,
        /// The layer; empty where it is about the whole image.
        layer: String,
        /// What the engine does with it, in its own words.
        status: String,
        /// How many bytes are done, where the engine says so.
        done: Option<u64>,
        /// Of how many.
        total: Option<u64>,
    },
    /// An engine says something while it builds an image. Text as it came, which need not be a whole line.
    Output(Arc<str>),
    /// A phase begins; `total` things are to be done in it.
    Started {
        /// Which.
        phase: Phase,
        /// How many things.
        total: usize,
    },
    /// One more thing is done.
    Progress {
        /// Of which phase.
        phase: Phase,
        /// How many are done by now.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// A phase is over.
    Finished {
        /// Which.
        phase: Phase,
        /// How long it took.
        elapsed: Duration,
    },
}
