//! What a client took.

use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What one run of one client took. Scaled figures are those of fewer operations, multiplied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds from the first byte to the end of the work.
    pub(crate) wall: f64,
    /// Seconds of processor time of the client in that time.
    pub(crate) cpu: f64,
    /// Most memory that the process of the client ever had, in MB.
    pub(crate) peak: f64,
    /// Seconds of processor time of the server.
    #[serde(default)]
    pub(crate) server: f64,
}

impl Cost {
    /// The cost of as many times the work; memory does not grow with it.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self {
            wall: self.wall * factor,
            cpu: self.cpu * factor,
            peak: self.peak,
            server: self.server * factor,
        }
    }
}

/// Times work in this process.
pub(crate) struct Stopwatch {
    began: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu_of_this_process(),
        }
    }

    pub(crate) fn stop(self) -> anyhow::Result<Cost> {
        let wall = self.began.elapsed();
        let cpu = cpu_of_this_process() - self.cpu;
        Ok(Cost {
            wall: wall.as_secs_f64(),
            cpu: cpu.as_secs_f64(),
            peak: peak("self").context("no VmHWM of this process")?,
            server: 0.0,
        })
    }
}

fn cpu_of_this_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // It counts from 0 up.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Most memory that a process ever had, in MB (proc_pid_status(5), `VmHWM`); none once it is gone.
pub(crate) fn peak(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Seconds of processor time of a process, and of the children that it has waited for
/// (proc_pid_stat(5)).
pub(crate) fn cpu(process: &str) -> anyhow::Result<(f64, f64)> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name may have spaces; `utime` is the 12th field after it.
    let (_, fields) = stat.rsplit_once(')').with_context(|| path.clone())?;
    let fields = fields.split_whitespace().skip(11).take(4);
    let ticks: Vec<f64> = fields.map(str::parse).collect::<Result<_, _>>()?;
    let [user, system, of_children, system_of_children] = ticks[..] else {
        anyhow::bail!("{path} is too short");
    };
    let second = rustix::param::clock_ticks_per_second() as f64;
    let of_children = of_children + system_of_children;
    Ok(((user + system) / second, of_children / second))
}
