//! `ofm exec`, and how programs are run in nodes

mod relay;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use ofm::NodeHandle;
use ofm_netns::{Child, Command, Stdio};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::commands::Global;

/// Run a program in a node
///
/// The exit status is the program's, or 128 and the number of the signal that ended it. SIGINT, SIGTERM and SIGHUP are
/// passed on to the program.
#[derive(Debug, Args)]
#[command(after_help = "Example: ofm exec ovn-chassis-1 -it -- bash")]
pub(crate) struct Exec {
    /// The node, as `ofm status` names it
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    pub(super) manner: Manner,
    /// The program and its arguments
    #[arg(value_name = "CMD", last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

impl Exec {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let node = global.open()?.node(&self.node)?;
        self.manner.run(&node, self.command).await
    }
}

/// How a program is run in a node.
#[derive(Debug, Default, Args)]
pub(crate) struct Manner {
    /// Let the program read standard input; without it there is nothing to read
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the program a terminal, which it also reads from when standard input is one
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Leave the program in the background of the node; what it writes is lost
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Set an environment variable; without a value it has that of ofm, if there is one
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<OsString>,
    /// Folder of the node in which the program starts [default: /]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
    /// User of the node, by name or number, and group, as which the program runs [default: root]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
}

impl Manner {
    /// Runs a program and returns how it ended.
    pub(crate) async fn run(
        self,
        node: &NodeHandle,
        words: Vec<OsString>,
    ) -> anyhow::Result<ExitCode> {
        let mut words = words.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = node.command(program).args(words);
        if let Some(user) = &self.user {
            let user = node.user(user).await?;
            command = command.env("HOME", user.home).credentials(user.credentials);
        }
        command = command.envs(self.env.iter().filter_map(|given| variable(given)));
        if let Some(folder) = self.workdir {
            command = command.current_dir(folder);
        }
        if self.detach {
            command.stdio(Stdio::Null).own_session().spawn()?.leave()?;
            return Ok(ExitCode::SUCCESS);
        }
        let status = attached(command, self.interactive, self.tty).await?;
        Ok(ExitCode::from(code(status)))
    }
}

/// Runs a program that has our standard streams or a terminal.
async fn attached(command: Command, interactive: bool, tty: bool) -> anyhow::Result<ExitStatus> {
    let mut signals = Signals::new()?;
    if tty {
        let (child, pty) = command.spawn_on_terminal()?;
        return terminal::run(child, pty, interactive, &mut signals).await;
    }
    if !interactive {
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    }
    let (command, relays) = relay::instead_of_pipes(command.stdio(Stdio::Inherit))?;
    let mut child = command.spawn()?;
    let relayed = relays.run(child.process())?;
    let status = wait(&mut child, &mut signals).await?;
    tokio::select! {
        result = relayed => result?,
        // Nobody takes what the program wrote, and the signal cannot be the program's any more.
        _ = signals.next() => {}
    }
    Ok(status)
}

/// A variable that is given as `NAME=VALUE`, or as `NAME` for our own value of it.
fn variable(given: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = given.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        None => Some((given.to_owned(), std::env::var_os(given)?)),
        Some(at) => {
            let text = |bytes| OsStr::from_bytes(bytes).to_owned();
            Some((text(&bytes[..at]), text(&bytes[at + 1..])))
        }
    }
}

/// Waits for a program's end and passes signals on to it.
async fn wait(child: &mut Child, signals: &mut Signals) -> anyhow::Result<ExitStatus> {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return Ok(status?),
            signal = signals.next() => signal,
        };
        // It may have ended by now, which the next turn sees.
        let _gone = child.process().signal(signal.as_raw_value());
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or(status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The signals that are the program's rather than ours.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_given_or_taken_over() {
        let pair = |name: &str, value: &str| Some((name.into(), value.into()));
        assert_eq!(variable("A=b=c".as_ref()), pair("A", "b=c"));
        assert_eq!(variable("A=".as_ref()), pair("A", ""));
        let path = std::env::var("PATH").unwrap();
        assert_eq!(variable("PATH".as_ref()), pair("PATH", &path));
        assert_eq!(variable("OFM_NOT_SET_ANYWHERE".as_ref()), None);
    }

    #[test]
    fn the_status_of_a_program_is_passed_on() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(255 << 8)), 255);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
    }
}
