//! What can fail, one type per operation.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A thread could not be moved into the namespaces it was made for.
#[derive(Debug, Error)]
pub enum EnterError {
    /// The kernel gave no thread.
    #[error("no thread could be started")]
    Thread(#[source] io::Error),
    /// setns(2) was refused. `ESRCH` means that the process which held the namespaces is gone.
    #[error("entering the {what} namespaces of process {pid} failed")]
    Enter {
        /// Which namespaces.
        what: &'static str,
        /// Whose, as seen from here.
        pid: i32,
        /// The kernel's refusal.
        source: io::Error,
    },
}

/// A keeper could not be made or opened.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// A step before the process existed.
    #[error("preparing the keeper process failed: {step}")]
    Prepare {
        /// What was being done.
        step: &'static str,
        /// The kernel's refusal.
        source: io::Error,
    },
}

/// A node could not be made.
#[derive(Debug, Error)]
pub enum NodeError {
    /// A step before there was a process that makes nodes.
    #[error("preparing to make nodes failed: {step}")]
    Nursery {
        /// What was being done.
        step: &'static str,
        /// The kernel's refusal.
        source: io::Error,
    },
    /// Its root was not among those that were prepared.
    #[error("node {node} was not prepared")]
    Unprepared {
        /// The node's host name.
        node: String,
    },
    /// A step outside the node.
    #[error("preparing node {node} failed: {step}")]
    Prepare {
        /// The node's host name.
        node: String,
        /// What was being done.
        step: &'static str,
        /// The kernel's refusal.
        source: io::Error,
    },
    /// A step inside the new node.
    #[error("node {node} could not {step}")]
    Setup {
        /// The node's host name.
        node: String,
        /// What the node was doing.
        step: String,
        /// The kernel's refusal.
        source: io::Error,
    },
    /// The node's first process ended without a word, as it does when its keeper dies.
    #[error("node {node} ended while it was being made")]
    Vanished {
        /// The node's host name.
        node: String,
    },
    /// The process that was said to be the node's is another one.
    #[error("process {pid} is not the first one of node {node}")]
    Stranger {
        /// The node's name.
        node: String,
        /// The process, as seen from here.
        pid: i32,
    },
    /// The node did not report within the deadline.
    #[error("node {node} did not report within {seconds} s")]
    Silent {
        /// The node's host name.
        node: String,
        /// The deadline.
        seconds: i64,
    },
    /// The namespaces could not be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
}

/// A program could not be started or waited for.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The namespaces could not be entered.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The program was not started.
    #[error("starting {program} failed")]
    Start {
        /// The program as it was named.
        program: String,
        /// The kernel's refusal; `NotFound` when there is no such program in the node.
        source: io::Error,
    },
    /// The folder it was to start in cannot be entered.
    #[error("entering {} failed", folder.display())]
    Folder {
        /// The folder of the node.
        folder: PathBuf,
        /// The kernel's refusal.
        source: io::Error,
    },
    /// Its end could not be awaited or its output not be read.
    #[error("waiting for {program} failed")]
    Wait {
        /// The program as it was named.
        program: String,
        /// The kernel's refusal.
        source: io::Error,
    },
}
