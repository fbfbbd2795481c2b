//! What a program writes, passed on to pipes.
//!
//! Whoever reads a pipe reads until nobody has it open for writing. A program that leaves a daemon behind leaves it its
//! standard streams, and were those our own, `output=$(ofm exec …)` would wait for the daemon. So where ours are pipes or
//! sockets, the program has pipes between, and what it has written by its end is all that is passed on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ofm_netns::{Command, Process};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;

/// As much as a pipe has room for (pipe(7)).
const ROOM: usize = 65536;

/// The ends of pipes that a program will write to, each with the stream of ours that they stand for.
#[derive(Debug)]
pub(super) struct Relays(Vec<Relay>);

#[derive(Debug)]
struct Relay {
    from: OwnedFd,
    to: OwnedFd,
}

/// Has the program write to other pipes than ours.
pub(super) fn instead_of_pipes(mut command: Command) -> io::Result<(Command, Relays)> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let (out, err) = (fstat(&stdout)?, fstat(&stderr)?);
    let mut relays = Vec::new();
    let mut relay = |to: BorrowedFd<'_>| -> io::Result<Arc<OwnedFd>> {
        let (from, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let to = to.try_clone_to_owned()?;
        relays.push(Relay { from, to });
        Ok(Arc::new(writer))
    };
    let shared = (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino);
    let mut writer = None;
    if has_a_reader(&out) {
        let stream = relay(stdout.as_fd())?;
        command = command.stdout_to(&stream);
        writer = Some(stream);
    }
    match writer {
        // What goes to one pipe keeps its order.
        Some(writer) if shared => command = command.stderr_to(&writer),
        _ if has_a_reader(&err) => command = command.stderr_to(&relay(stderr.as_fd())?),
        _ => {}
    }
    Ok((command, Relays(relays)))
}

fn has_a_reader(stream: &Stat) -> bool {
    let kind = FileType::from_raw_mode(stream.st_mode);
    [FileType::Fifo, FileType::Socket].contains(&kind)
}

impl Relays {
    /// Passes on what the program writes. What is returned is done when the program has ended and all of it is passed on.
    pub(super) fn run(
        self,
        program: &Process,
    ) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
        // Threads, because our streams may be set to block, for all who share them.
        let (sender, mut results) = mpsc::channel(1);
        for relay in self.0 {
            let (sender, program) = (sender.clone(), program.clone());
            let run = move || {
                if let Err(error) = relay.run(&program) {
                    let _given_up = sender.blocking_send(error);
                }
            };
            let thread = std::thread::Builder::new().name("relay".to_owned());
            thread.spawn(run)?;
        }
        Ok(async move {
            drop(sender);
            results.recv().await.map_or(Ok(()), Err)
        })
    }
}

impl Relay {
    fn run(self, program: &Process) -> io::Result<()> {
        let mut buffer = vec![0; ROOM];
        loop {
            let mut fds = [
                PollFd::new(&self.from, PollFlags::IN),
                PollFd::new(program, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            if fds[0].revents().is_empty() {
                // It has ended, and nothing is left of what it wrote.
                return Ok(());
            }
            let written = match rustix::io::read(&self.from, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => write_all(&self.to, &buffer[..read]),
                Err(error) => Err(error),
            };
            match written {
                // Without a reader the program has none either, and gets SIGPIPE as it would from ours.
                Err(Errno::PIPE) => return Ok(()),
                Err(Errno::INTR) => {}
                result => result?,
            }
        }
    }
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Somebody who shares it has set it not to block.
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(to, PollFlags::OUT)];
                match poll(&mut fds, None) {
                    Err(Errno::INTR) => {}
                    result => drop(result?),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
