//! Processor time that processes have used.

use std::collections::BTreeSet;
use std::io;
use std::ops::AddAssign;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::node::Node;

/// Processor time of a process: of all its threads, also of those that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// All of it, as the scheduler counts it: exact.
    pub total: Duration,
    /// As much of it as the kernel puts down to user code. Most kernels find that out by looking at each tick, and tell it of a
    /// process that runs in steps of 10 ms rounded down (proc_pid_stat(5)), so that the two are less than `total`.
    pub user: Duration,
    /// As much of it as the kernel puts down to itself.
    pub system: Duration,
}

impl CpuTime {
    /// What a process has used by now. One that has ended and was not waited for counts too.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn of(pid: i32) -> io::Result<Self> {
        let total = clock(pid)?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse().ok();
        let (Some(user), Some(system)) = (ticks(), ticks()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        // USER_HZ is 100 on every architecture that is in use.
        let time = |ticks: u64| Duration::from_millis(10 * ticks);
        Ok(Self {
            total,
            user: time(user),
            system: time(system),
        })
    }

    /// What was used since an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

impl AddAssign for CpuTime {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.user += other.user;
        self.system += other.system;
    }
}

/// The processes that run in nodes by now, each with the name of its program, which the kernel cuts off after 15 bytes, and
/// what it has used. The nodes' first processes are among them.
///
/// # Errors
/// When /proc cannot be read.
pub fn processes_in<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
) -> io::Result<Vec<(String, CpuTime)>> {
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
    let namespaces: BTreeSet<_> = nodes
        .into_iter()
        .filter_map(|node| namespace(node.process().pid()).ok())
        .collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // What is gone by now does not count.
        if !namespace(pid).is_ok_and(|namespace| namespaces.contains(&namespace)) {
            continue;
        }
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        if let (Ok(program), Ok(cpu)) = (program, CpuTime::of(pid)) {
            found.push((program.trim_end().to_owned(), cpu));
        }
    }
    Ok(found)
}

/// Waits for a child, which may be one without an exit signal (`__WALL`, wait(2)), and returns what it used, and those of its
/// own children that it has waited for.
pub(crate) fn wait_for_child(pid: i32) -> io::Result<(ExitStatus, CpuTime)> {
    let mut status = 0;
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both point to what the kernel is to write, and outlive the call.
        let result = unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) };
        if result == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    let (user, system) = (time(usage.ru_utime), time(usage.ru_stime));
    // The kernel divides what the scheduler has counted (getrusage(2)), so these two make all of it.
    let total = user + system;
    let cpu = CpuTime {
        total,
        user,
        system,
    };
    Ok((ExitStatus::from_raw(status), cpu))
}

/// The processor time clock of a process, clock_getcpuclockid(3).
fn clock(pid: i32) -> io::Result<Duration> {
    let mut id = 0;
    // SAFETY: `id` is where the answer goes.
    let errno = unsafe { libc::clock_getcpuclockid(pid, &raw mut id) };
    if errno != 0 {
        return Err(io::Error::from_raw_os_error(errno));
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is where the answer goes.
    match unsafe { libc::clock_gettime(id, &raw mut time) } {
        0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use super::*;

    fn spin(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            black_box(began);
        }
    }

    #[test]
    fn threads_count_also_when_they_have_ended() {
        let me = std::process::id() as i32;
        let before = CpuTime::of(me).unwrap();
        let mine = || {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            let used = text.split_whitespace().next().unwrap();
            Duration::from_nanos(used.parse().unwrap())
        };
        let thread = std::thread::spawn(move || {
            spin(Duration::from_millis(30));
            mine()
        });
        let used = thread.join().unwrap();
        let cpu = CpuTime::of(me).unwrap().since(before);
        assert!(
            cpu.total >= used,
            "{cpu:?}, of which {used:?} is a thread's"
        );
    }

    #[test]
    fn nobody_has_used_anything() {
        assert!(CpuTime::of(i32::MAX).is_err());
    }

    #[test]
    fn a_child_is_waited_for_once() {
        #[expect(
            clippy::disallowed_methods,
            clippy::zombie_processes,
            reason = "a child to be waited for"
        )]
        let child = std::process::Command::new("false").spawn().unwrap();
        let pid = child.id() as i32;
        let (status, cpu) = wait_for_child(pid).unwrap();
        assert_eq!(status.code(), Some(1));
        assert!(cpu.total > Duration::ZERO && cpu.total == cpu.user + cpu.system);
        let again = wait_for_child(pid).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::ECHILD));
    }
}
