//! `ofm exec`

mod terminal;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use ofm_netns::{Child, Stdio};
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
    /// Let the program read standard input; without it there is nothing to read
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// Give the program a terminal, which it also reads from when standard input is one
    #[arg(short, long)]
    pub(super) tty: bool,
    /// The program and its arguments
    #[arg(value_name = "CMD", last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

impl Exec {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let cluster = global.open()?;
        let node = cluster.node(&self.node)?;
        let mut words = self.command.into_iter();
        let program = words.next().unwrap_or_default();
        let command = node.command(program).args(words);
        let mut signals = Signals::new()?;
        let status = if self.tty {
            let (child, pty) = command.spawn_on_terminal()?;
            terminal::run(child, pty, self.interactive, &mut signals).await?
        } else {
            if !self.interactive {
                rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            }
            let mut child = command.stdio(Stdio::Inherit).spawn()?;
            wait(&mut child, &mut signals).await?
        };
        Ok(ExitCode::from(code(status)))
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
    fn the_status_of_a_program_is_passed_on() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(255 << 8)), 255);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
    }
}
