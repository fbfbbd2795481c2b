//! The commonest commands, and their results.

use std::fmt;

use super::{ClusterStatus, Unixctl, UnixctlError};
use crate::error::Disconnect;

impl Unixctl {
    /// Asks which program this is: command `version`, which every daemon has.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`], as for every command.
    pub async fn version(&mut self) -> Result<Version, UnixctlError> {
        let command = "version";
        let text = self.call(command, &[]).await?;
        Version::parse(&text)
            .ok_or_else(|| UnixctlError::unexpected(command, &text, "a program and its version"))
    }

    /// Names the commands of the daemon: command `list-commands`, which every daemon has.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`], as for every command.
    pub async fn list_commands(&mut self) -> Result<Vec<CommandUsage>, UnixctlError> {
        let text = self.call("list-commands", &[]).await?;
        Ok(CommandUsage::parse_list(&text))
    }

    /// Sets which messages the daemon logs where: command `vlog/set`, which every daemon has.
    ///
    /// `spec` is that of `ovs-appctl`(8): a module, a destination and a level, each of them
    /// optional, such as `raft:file:dbg`.
    ///
    /// # Errors
    ///
    /// [`UnixctlError::Refused`] for a spec that the daemon does not understand, and
    /// [`UnixctlError`] as for every command.
    pub async fn vlog_set(&mut self, spec: &str) -> Result<(), UnixctlError> {
        self.call("vlog/set", &[spec]).await?;
        Ok(())
    }

    /// Ends the daemon: command `exit`. Returns when the daemon has closed its control socket, one
    /// of the last things that it does.
    ///
    /// What it does before takes its time: `ovn-controller`(8) removes its rows from the database,
    /// and waits for a connection if it has none. See [`exit_with`](Self::exit_with).
    ///
    /// # Errors
    ///
    /// [`UnixctlError`], as for every command.
    pub async fn exit(self) -> Result<(), UnixctlError> {
        self.exit_with(&[]).await
    }

    /// As [`exit`](Self::exit), with arguments: `--restart` lets `ovn-controller`(8) leave its rows
    /// to its successor, `--cleanup` makes `ovs-vswitchd`(8) take down its bridges.
    ///
    /// # Errors
    ///
    /// [`UnixctlError::Arguments`] for a daemon that takes none, and [`UnixctlError`] as for every
    /// command.
    pub async fn exit_with(mut self, args: &[&str]) -> Result<(), UnixctlError> {
        let command = "exit";
        let deadline = self.deadline;
        let ended = async {
            self.call(command, args).await?;
            loop {
                match self.next_reply().await {
                    // That of an earlier call which was given up.
                    Ok(_) => {}
                    Err(Disconnect::Closed) => return Ok(()),
                    // Likewise, when the daemon did not wait until we had read it.
                    Err(Disconnect::Read { .. }) => return Ok(()),
                    Err(source) => {
                        let command = command.to_owned();
                        return Err(UnixctlError::Disconnected { command, source });
                    }
                }
            }
        };
        let ended = tokio::time::timeout(deadline, ended).await;
        ended.unwrap_or_else(|_| {
            let command = command.to_owned();
            Err(UnixctlError::Timeout { command, deadline })
        })
    }

    /// Asks whether a client of a database, such as `ovn-controller`(8), has its connection:
    /// command `connection-status`.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`], as for every command.
    pub async fn connection_status(&mut self) -> Result<ConnectionStatus, UnixctlError> {
        self.status_of("connection-status").await
    }

    /// As [`connection_status`](Self::connection_status), for a daemon that is a client of several
    /// databases: command `<database>-connection-status`, as `nb` and `sb` for `ovn-northd`(8).
    ///
    /// # Errors
    ///
    /// [`UnixctlError`], as for every command.
    pub async fn connection_status_of(
        &mut self,
        database: &str,
    ) -> Result<ConnectionStatus, UnixctlError> {
        self.status_of(&format!("{database}-connection-status"))
            .await
    }

    async fn status_of(&mut self, command: &str) -> Result<ConnectionStatus, UnixctlError> {
        let text = self.call(command, &[]).await?;
        match text.trim_end() {
            "connected" => Ok(ConnectionStatus::Connected),
            "not connected" => Ok(ConnectionStatus::NotConnected),
            _ => {
                let expected = "\"connected\" or \"not connected\"";
                Err(UnixctlError::unexpected(command, &text, expected))
            }
        }
    }

    /// Makes `ovsdb-server` write a database file anew, without its history: command
    /// `ovsdb-server/compact`.
    ///
    /// The server does nothing else meanwhile.
    ///
    /// # Errors
    ///
    /// [`UnixctlError::Refused`] for an unknown database, and [`UnixctlError`] as for every command.
    pub async fn compact(&mut self, database: &str) -> Result<(), UnixctlError> {
        self.call("ovsdb-server/compact", &[database]).await?;
        Ok(())
    }

    /// Asks an `ovsdb-server` for its part in the cluster of a database: command `cluster/status`.
    ///
    /// # Errors
    ///
    /// [`UnixctlError::UnknownCommand`] when the server has no clustered database at all,
    /// [`UnixctlError::Refused`] when this one is not, and [`UnixctlError`] as for every command.
    pub async fn cluster_status(&mut self, database: &str) -> Result<ClusterStatus, UnixctlError> {
        let text = self.call("cluster/status", &[database]).await?;
        text.parse().map_err(|source| UnixctlError::ClusterStatus {
            database: database.to_owned(),
            source,
        })
    }

    /// Makes a server leave the cluster of a database: command `cluster/leave`. Returns when the
    /// server has begun; [`cluster_status`](Self::cluster_status) tells when it is done.
    ///
    /// # Errors
    ///
    /// As [`cluster_status`](Self::cluster_status).
    pub async fn cluster_leave(&mut self, database: &str) -> Result<(), UnixctlError> {
        self.call("cluster/leave", &[database]).await?;
        Ok(())
    }

    /// Removes another server from the cluster of a database: command `cluster/kick`. `server` is
    /// the beginning of its id, or its address.
    ///
    /// Returns what the server says: whether the other one is gone, or only asked to be removed.
    ///
    /// # Errors
    ///
    /// As [`cluster_status`](Self::cluster_status).
    pub async fn cluster_kick(
        &mut self,
        database: &str,
        server: &str,
    ) -> Result<String, UnixctlError> {
        self.call("cluster/kick", &[database, server]).await
    }
}

/// The version of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Name of the program, such as `ovn-controller`.
    pub program: String,
    /// Its version, such as `23.03.1`.
    pub version: String,
    /// The version of Open vSwitch that it is built with, such as `3.1.0`. The same as `version`
    /// for the programs of Open vSwitch itself.
    pub open_vswitch: String,
}

impl Version {
    /// Reads the two forms of `ovs_set_program_name` in Open vSwitch's `lib/util.c`.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (program, version) = lines.next()?.split_once(' ')?;
        let (version, open_vswitch) = match version.strip_prefix("(Open vSwitch) ") {
            Some(version) => (version, version),
            None => (
                version,
                lines.next()?.strip_prefix("Open vSwitch Library ")?,
            ),
        };
        Some(Self {
            program: program.to_owned(),
            version: version.to_owned(),
            open_vswitch: open_vswitch.to_owned(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            version,
            open_vswitch,
        } = self;
        write!(f, "{program} {version}")?;
        if version != open_vswitch {
            write!(f, " (Open vSwitch {open_vswitch})")?;
        }
        Ok(())
    }
}

/// A command of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandUsage {
    /// Its name.
    pub command: String,
    /// Its arguments in words, such as `[module]...`; empty when it takes none or does not tell.
    pub usage: String,
}

impl CommandUsage {
    /// Reads a headline and a line for each command: two spaces, the name, the usage.
    fn parse_list(text: &str) -> Vec<Self> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
        lines
            .map(|line| {
                let (command, usage) = line.split_once(' ').unwrap_or((line, ""));
                Self {
                    command: command.to_owned(),
                    usage: usage.trim().to_owned(),
                }
            })
            .collect()
    }
}

/// Whether a daemon has its connection to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// It has.
    Connected,
    /// It has not.
    NotConnected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_both_forms() {
        let version = |text| Version::parse(text).map(|version| version.to_string());
        assert_eq!(
            version("ovsdb-server (Open vSwitch) 3.1.0\n").as_deref(),
            Some("ovsdb-server 3.1.0")
        );
        assert_eq!(
            version("ovn-controller 23.03.1\nOpen vSwitch Library 3.1.0\n").as_deref(),
            Some("ovn-controller 23.03.1 (Open vSwitch 3.1.0)")
        );
        for text in ["", "ovsdb-server", "a 1", "a 1\nb"] {
            assert_eq!(version(text), None, "{text}");
        }
    }

    #[test]
    fn commands_are_listed_with_and_without_a_usage() {
        let usage = |command: &str, usage: &str| CommandUsage {
            command: command.to_owned(),
            usage: usage.to_owned(),
        };
        let text = "The available commands are:\n  cluster/kick            DB SERVER\n  \
                    exit                    \n  ovsdb-server/get-active-ovsdb-server \n  bare\n";
        assert_eq!(
            CommandUsage::parse_list(text),
            [
                usage("cluster/kick", "DB SERVER"),
                usage("exit", ""),
                usage("ovsdb-server/get-active-ovsdb-server", ""),
                usage("bare", ""),
            ]
        );
    }
}
