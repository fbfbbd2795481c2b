//! A program's terminal, joined to ours.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::Arc;

use ofm_netns::{Child, Pty};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, Winsize, isatty};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Signals, wait};
use crate::output;

/// What a terminal in its usual mode takes for the end of the input (^D).
const END_OF_INPUT: u8 = 0x04;

/// The size of a terminal that no window shows.
const NO_WINDOW: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// Joins the terminal to standard input and output until the program ends.
pub(super) async fn run(
    mut child: Child,
    pty: Pty,
    interactive: bool,
    signals: &mut Signals,
) -> anyhow::Result<ExitStatus> {
    let mut resized = signal(SignalKind::window_change())?;
    pty.resize(window().unwrap_or(NO_WINDOW))?;
    let master = pty.into_master();
    rustix::io::ioctl_fionbio(&master, true)?;
    #[expect(
        deprecated,
        reason = "the safe form; an owned descriptor stays open for as long as it is registered"
    )]
    let master = Arc::new(AsyncFd::new(master)?);

    let local = isatty(io::stdin());
    let _raw = local.then(Raw::enter).transpose()?;
    if interactive || local {
        tokio::spawn(write(Arc::clone(&master), read_stdin()?));
    }
    let (ended, end) = watch::channel(false);
    let mut output = tokio::spawn(read(Arc::clone(&master), end));
    let mut shown = false;
    let status = loop {
        tokio::select! {
            status = wait(&mut child, signals) => break status?,
            // When nobody reads our output, dropping the child ends the program.
            result = &mut output, if !shown => {
                result??;
                shown = true;
            }
            _ = resized.recv() => {
                if let Some(size) = window() {
                    let _gone = rustix::termios::tcsetwinsize(master.get_ref(), size);
                }
            }
        }
    };
    if !shown {
        // All that the program wrote is in the terminal; what it left in the background may hold that open.
        let _unread = ended.send(true);
        output.await??;
    }
    Ok(status)
}

/// The size of the local terminal.
fn window() -> Option<Winsize> {
    rustix::termios::tcgetwinsize(io::stdin())
        .or_else(|_| rustix::termios::tcgetwinsize(io::stdout()))
        .or_else(|_| rustix::termios::tcgetwinsize(io::stderr()))
        .ok()
        .filter(|size| size.ws_row > 0 && size.ws_col > 0)
}

/// The local terminal in raw mode, for as long as this lives.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Self> {
        let usual = rustix::termios::tcgetattr(io::stdin())?;
        let mut raw = usual.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(usual))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _gone = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Reads standard input on a thread of its own, which may block for good and ends with us.
fn read_stdin() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut buffer = [0; 4096];
            let mut stdin = io::stdin().lock();
            loop {
                match stdin.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                    Ok(n) => {
                        if sender.blocking_send(buffer[..n].to_vec()).is_err() {
                            break;
                        }
                    }
                }
            }
        })?;
    Ok(receiver)
}

/// Types the input, and its end.
async fn write(master: Arc<AsyncFd<OwnedFd>>, mut input: mpsc::Receiver<Vec<u8>>) {
    let mut last = b'\n';
    while let Some(bytes) = input.recv().await {
        last = bytes.last().copied().unwrap_or(last);
        if write_all(&master, &bytes).await.is_err() {
            return;
        }
    }
    // In the middle of a line the first one only hands over what is there of the line.
    let end: &[u8] = match last {
        b'\n' => &[END_OF_INPUT],
        _ => &[END_OF_INPUT, END_OF_INPUT],
    };
    let _gone = write_all(&master, end).await;
}

async fn write_all(master: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut ready = master.writable().await?;
        if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
            bytes = &bytes[written?..];
        }
    }
    Ok(())
}

/// Copies what is shown to standard output, until the terminal or the program is at its end.
async fn read(master: Arc<AsyncFd<OwnedFd>>, mut end: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut buffer = [0; 16384];
    let mut ended = false;
    loop {
        let read = if ended {
            // Takes what there is and waits for no more.
            rustix::io::read(master.get_ref(), &mut buffer).map_err(io::Error::from)
        } else {
            tokio::select! {
                ready = master.readable() => {
                    match ready?.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?)) {
                        Ok(read) => read,
                        Err(_nothing_yet) => continue,
                    }
                }
                _ = end.changed() => {
                    ended = true;
                    continue;
                }
            }
        };
        match read {
            Ok(0) => return Ok(()),
            Ok(n) => output::print_bytes(&buffer[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if ended && error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // Nobody has the program's side open any more.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
