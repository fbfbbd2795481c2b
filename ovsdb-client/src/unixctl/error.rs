//! Why a command has no result.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::ParseClusterStatusError;
use crate::error::Disconnect;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum UnixctlError {
    /// The operating system refused: the daemon does not run, or accepts no more connections.
    #[error("cannot connect to the control socket {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The connection is gone. Whether the daemon carried out the command is unknown.
    #[error("{command}: the connection is gone")]
    Disconnected {
        /// The command.
        command: String,
        /// Why the connection ended.
        source: Disconnect,
    },
    /// No reply in time. Whether the daemon carried out the command is unknown.
    #[error("{command}: no reply within {deadline:?}")]
    Timeout {
        /// The command.
        command: String,
        /// How long the call waited.
        deadline: Duration,
    },
    /// The daemon has no such command.
    #[error("the daemon has no command {command:?}; list-commands names those that it has")]
    UnknownCommand {
        /// The command.
        command: String,
    },
    /// The command takes another number of arguments.
    #[error("wrong number of arguments: {message}")]
    Arguments {
        /// The command.
        command: String,
        /// What the daemon said.
        message: String,
    },
    /// The command failed.
    #[error("{command}: {message}")]
    Refused {
        /// The command.
        command: String,
        /// What the daemon said, without the newline at its end.
        message: String,
    },
    /// The daemon printed something else than this command does.
    #[error("{command}: expected {expected}, but the daemon said {result:?}")]
    Unexpected {
        /// The command.
        command: String,
        /// What the daemon printed.
        result: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The status of a cluster cannot be understood.
    #[error("cluster/status: cannot understand the status of {database}")]
    ClusterStatus {
        /// The database.
        database: String,
        /// The line to blame.
        source: ParseClusterStatusError,
    },
}

impl UnixctlError {
    /// Sorts the error text of a daemon. The texts are those of `process_command` in Open
    /// vSwitch's `lib/unixctl.c`, and the same in its Python daemons.
    pub(super) fn refused(command: &str, message: String) -> Self {
        let message = message.trim_end();
        let about = message
            .strip_prefix('"')
            .and_then(|rest| rest.strip_prefix(command))
            .and_then(|rest| rest.strip_prefix("\" "))
            .unwrap_or_default();
        let (command, message) = (command.to_owned(), message.to_owned());
        if about.starts_with("is not a valid command") {
            Self::UnknownCommand { command }
        } else if about.starts_with("command requires at least ")
            || about.starts_with("command takes at most ")
        {
            Self::Arguments { command, message }
        } else {
            Self::Refused { command, message }
        }
    }

    pub(super) fn unexpected(command: &str, result: &str, expected: &'static str) -> Self {
        Self::Unexpected {
            command: command.to_owned(),
            result: result.to_owned(),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_their_text() {
        let cases = [
            (
                "reboot",
                "\"reboot\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n",
                "the daemon has no command \"reboot\"; list-commands names those that it has",
            ),
            (
                "version",
                "\"version\" command takes at most 0 arguments\n",
                "wrong number of arguments: \"version\" command takes at most 0 arguments",
            ),
            (
                "cluster/status",
                "\"cluster/status\" command requires at least 1 arguments\n",
                "wrong number of arguments: \"cluster/status\" command requires at least 1 arguments",
            ),
            (
                "cluster/status",
                "unknown cluster\n",
                "cluster/status: unknown cluster",
            ),
            // What another command is said to lack is no reason to call this one unknown.
            (
                "a",
                "\"b\" is not a valid command",
                "a: \"b\" is not a valid command",
            ),
            ("a", "", "a: "),
        ];
        for (command, message, expected) in cases {
            let error = UnixctlError::refused(command, message.to_owned());
            assert_eq!(error.to_string(), expected);
        }
    }
}
