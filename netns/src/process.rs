//! A process that may not be a child, held so that its number cannot be mistaken for another's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What names a process for as long as the machine runs: its number, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    /// Its number in the pid namespace of the caller.
    pub pid: i32,
    /// Clock ticks since boot at its start, field 22 of proc_pid_stat(5).
    pub start_time: u64,
}

/// A handle on a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Process {
    pidfd: Arc<OwnedFd>,
    id: ProcessId,
}

impl Process {
    pub(crate) fn from_pidfd(pidfd: OwnedFd, pid: i32) -> Self {
        // A process that is gone already has no start time; zero never matches one.
        let start_time = start_time(pid).unwrap_or(0);
        Self {
            pidfd: Arc::new(pidfd),
            id: ProcessId { pid, start_time },
        }
    }

    /// Opens the process with that identity.
    ///
    /// # Errors
    /// `NotFound` when it is gone, also if its number now belongs to another process.
    pub fn open(id: ProcessId) -> io::Result<Self> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the process is gone");
        let pid = Pid::from_raw(id.pid).ok_or_else(gone)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
        // Read after the pidfd was opened: if the start time is right now, the pidfd means the right process.
        if start_time(id.pid).ok() != Some(id.start_time) {
            return Err(gone());
        }
        Ok(Self {
            pidfd: Arc::new(pidfd),
            id,
        })
    }

    /// Opens the process that has this number now; whether it is the right one is for the caller to find out.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub(crate) fn with_pid(pid: i32) -> io::Result<Self> {
        let id = ProcessId {
            pid,
            start_time: start_time(pid)?,
        };
        Self::open(id)
    }

    /// The processes that it is the parent of.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(crate) fn children(&self) -> io::Result<Vec<Self>> {
        let mut children = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // What is gone by now is nobody's child, and what it was is asked again once it is held.
            if parent(pid).ok() != Some(self.pid()) {
                continue;
            }
            if let Ok(child) = Self::with_pid(pid)
                && parent(pid).ok() == Some(self.pid())
            {
                children.push(child);
            }
        }
        Ok(children)
    }

    /// The calling process.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn current() -> io::Result<Self> {
        Self::with_pid(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Its identity, to be stored and given to [`Process::open`] later.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Its number in the pid namespace of the caller.
    pub fn pid(&self) -> i32 {
        self.id.pid
    }

    /// For how long it has been running.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn age(&self) -> io::Result<Duration> {
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        let seconds = uptime
            .split(' ')
            .next()
            .and_then(|text| text.parse::<f64>().ok());
        let uptime = seconds.ok_or(io::ErrorKind::InvalidData)?;
        // USER_HZ is 100 on every architecture that is in use.
        let started = Duration::from_millis(10 * self.id.start_time);
        Ok(Duration::from_secs_f64(uptime).saturating_sub(started))
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(&*self.pidfd, PollFlags::IN)];
        matches!(
            rustix::event::poll(&mut fds, Some(&Timespec::default())),
            Ok(0)
        )
    }

    /// Kills it (SIGKILL). A process that is gone is no error.
    pub fn kill(&self) {
        // ESRCH is the only refusal for a process of our own.
        let _gone = rustix::process::pidfd_send_signal(&*self.pidfd, Signal::KILL);
    }

    /// Sends it a signal by number.
    ///
    /// # Errors
    /// The kernel's, `ESRCH` when it is gone.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal =
            Signal::from_named_raw(signal).ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(rustix::process::pidfd_send_signal(&*self.pidfd, signal)?)
    }

    /// Waits until it has ended, and with it, for PID 1 of a pid namespace, everything in that namespace.
    ///
    /// # Errors
    /// The kernel's, if the pidfd cannot be polled.
    pub async fn exited(&self) -> io::Result<()> {
        wait_for_end(self.pidfd.try_clone()?).await?;
        self.reap();
        Ok(())
    }

    /// As [`Process::exited`], for code without a runtime. Returns whether it ended in time.
    pub fn wait_blocking(&self, deadline: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: deadline.as_secs() as i64,
            tv_nsec: deadline.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&*self.pidfd, PollFlags::IN)];
        let ended = matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1));
        if ended {
            self.reap();
        }
        ended
    }

    pub(crate) fn clone_fd(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }

    /// Takes the exit status if it was a child made by this crate, so that no zombie stays.
    pub(crate) fn reap(&self) {
        // Our own children have no exit signal, which waitid(2) passes over unless it is told __WALL.
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::NOHANG
            | WaitIdOptions::from_bits_retain(libc::__WALL as u32);
        // ECHILD: somebody else's child.
        let _not_ours = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// A pidfd becomes readable when its process has ended (pidfd_open(2)).
pub(crate) async fn wait_for_end(pidfd: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is owned and stays open as long as it is registered.
    let fd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
    fd.readable().await?.retain_ready();
    Ok(())
}

fn start_time(pid: i32) -> io::Result<u64> {
    stat(pid, 22)
}

/// The number of the process that is told of its end.
fn parent(pid: i32) -> io::Result<i32> {
    stat(pid, 4)
}

/// A field of /proc/PID/stat behind the program's name, numbered as in proc_pid_stat(5).
fn stat<T: FromStr>(pid: i32, field: usize) -> io::Result<T> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(field - 3))
        .and_then(|field| field.parse().ok())
        .ok_or(io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_again_only_by_its_start_time() {
        let me = std::process::id() as i32;
        let id = ProcessId {
            pid: me,
            start_time: start_time(me).unwrap(),
        };
        assert!(Process::open(id).unwrap().is_alive());
        let other = ProcessId {
            start_time: id.start_time + 1,
            ..id
        };
        assert_eq!(
            Process::open(other).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
