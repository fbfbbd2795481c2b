//! Memory of processes.

use std::io;
use std::ops::AddAssign;

/// Memory of one or several processes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// What goes when they end: pages that nobody else has mapped.
    pub unique: u64,
    /// Their proportional share: a page that several processes have mapped counts once for all of them together.
    pub proportional: u64,
}

impl Memory {
    /// Reads it from `smaps_rollup` of proc_pid_smaps(5).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of(pid: i32) -> io::Result<Self> {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Self::parse(&rollup).ok_or(io::ErrorKind::InvalidData)?)
    }

    fn parse(rollup: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut lines = rollup.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        };
        Some(Self {
            unique: field("Private_Clean")? + field("Private_Dirty")?,
            proportional: field("Pss")?,
        })
    }
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.unique += other.unique;
        self.proportional += other.proportional;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_is_read_by_whole_names() {
        let rollup = "5614473d1000-7fffd0f29000 ---p 00000000 00:00 0    [rollup]\n\
                      Rss:                1624 kB\n\
                      Pss_Dirty:           366 kB\n\
                      Pss:                 479 kB\n\
                      Private_Clean:        64 kB\n\
                      Private_Dirty:       232 kB\n";
        let memory = Memory::parse(rollup).unwrap();
        assert_eq!(memory.unique, 296 * 1024);
        assert_eq!(memory.proportional, 479 * 1024);
        assert_eq!(Memory::parse("Pss: 1 kB\n"), None);
    }
}
