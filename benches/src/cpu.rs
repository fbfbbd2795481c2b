//! Processor time of processes.

use std::fs;
use std::io;
use std::time::Duration;

/// Processor time of a process that runs.
///
/// The sum of what its threads have run on a processor, to the nanosecond (`schedstat`, in the kernel's
/// Documentation/scheduler/sched-stats.rst); threads that have ended are not in it. Where the kernel has no such file, the
/// time of proc_pid_stat(5), which is counted in ticks and on some kernels only found out at ticks.
///
/// # Errors
/// When the process is gone.
pub fn of_process(pid: i32) -> io::Result<Duration> {
    if !fs::exists(format!("/proc/{pid}/schedstat"))? {
        return Ok(Times::of(pid)?.own);
    }
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => text,
            Err(e) if has_ended(&e) => continue,
            Err(e) => return Err(e),
        };
        nanos += on_processor(&text).ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Whether an error in `/proc` says that a thread has ended meanwhile.
fn has_ended(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    let ended = [rustix::io::Errno::SRCH, rustix::io::Errno::NOENT];
    number.is_some_and(|number| ended.iter().any(|errno| errno.raw_os_error() == number))
}

/// The first number of `schedstat`: nanoseconds on a processor.
fn on_processor(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// Processor time of a process, its own and that of the children it has waited for; precise to about two ticks each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Of all its threads, also of those that have ended.
    pub own: Duration,
    /// Of its children and theirs, as getrusage(2) gives it for `RUSAGE_CHILDREN`.
    pub children: Duration,
}

impl Times {
    /// Reads it from proc_pid_stat(5), which is there also after the end of the process until its parent has waited for it.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = rustix::param::clock_ticks_per_second();
        Ok(Self::parse(&stat, ticks).ok_or(io::ErrorKind::InvalidData)?)
    }

    fn parse(stat: &str, ticks_per_second: u64) -> Option<Self> {
        // The name, in brackets, may have brackets and spaces; `utime` is the 12th field after it.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields = fields.split_whitespace().skip(11).take(4);
        let ticks: Vec<u64> = fields
            .map(|field| field.parse().ok())
            .collect::<Option<_>>()?;
        let [user, system, user_of_children, system_of_children] = ticks[..] else {
            return None;
        };
        let time = |ticks| Duration::from_nanos(ticks * 1_000_000_000 / ticks_per_second);
        Some(Self {
            own: time(user + system),
            children: time(user_of_children + system_of_children),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_name_with_brackets() {
        let stat = "7 (a) b) Z 1 7 7 0 -1 4228108 1 2 3 4 150 25 40 10 20 0 1 0 99";
        let times = Times::parse(stat, 100).unwrap();
        assert_eq!(times.own, Duration::from_millis(1750));
        assert_eq!(times.children, Duration::from_millis(500));
        assert_eq!(Times::parse("7 (short) R 1", 100), None);
    }

    #[test]
    fn schedstat_begins_with_time_on_a_processor() {
        assert_eq!(on_processor("189460 2664906 2\n"), Some(189_460));
        assert_eq!(on_processor(""), None);
    }

    #[test]
    fn this_process_has_used_some_time() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        // The kernel adds up what a thread has run when it gives up its processor, or at its next tick.
        while of_process(pid).unwrap() == Duration::ZERO {
            std::thread::yield_now();
        }
    }
}
