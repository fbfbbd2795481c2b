//! A script that starts a cluster by hand, as somebody who knows Open vSwitch and OVN would write one.
//!
//! `by-hand.sh` is one. Another one is called in the same way: `start N` starts a central and N chassis, returns when they
//! are ready, and leaves nothing when it fails or is told to end (SIGTERM); `stop` ends them; `add` adds a chassis, and may
//! be missing, which it says by exit status 2. `start` and `add` print `wall SECONDS`, and `start` also
//! `daemons_cpu SECONDS`.

use std::path::{Path, PathBuf};

/// The script that belongs to the benches.
pub fn own_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("by-hand.sh")
}

/// The exit status of a script that does not know what it is asked for.
pub const USAGE: i32 = 2;

/// What a script says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// Seconds until all was ready.
    pub wall: f64,
    /// Processor seconds of the daemons until then.
    pub daemons_cpu: Option<f64>,
}

impl Said {
    /// Finds it in what a script printed; `None` without a wall time.
    pub fn parse(output: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = output.lines();
            lines.find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(' ')?
                    .trim()
                    .parse()
                    .ok()
            })
        };
        Some(Self {
            wall: value("wall")?,
            daemons_cpu: value("daemons_cpu"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_daemons_print_is_passed_over() {
        let output = "2024-01-01|00001|vlog|INFO|opened\nwall 9.08\nwallpaper 3\ndaemons_cpu .52\n";
        let said = Said::parse(output).unwrap();
        assert_eq!(said.wall, 9.08);
        assert_eq!(said.daemons_cpu, Some(0.52));
        assert_eq!(Said::parse("wall much\n"), None);
        assert_eq!(Said::parse("wall 1\n").unwrap().daemons_cpu, None);
    }
}
