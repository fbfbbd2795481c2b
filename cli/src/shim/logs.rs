//! `podman logs`

use std::process::ExitCode;

use clap::Args;

use crate::commands::Global;
use crate::output;

/// Show what the daemons of a node have logged
///
/// The lines of all its daemons are in the order of their times, each behind the daemon's name.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Show only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<usize>,
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
}

impl Logs {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let cluster = global.open()?;
        let Some(plan) = cluster.plan().node_named(&self.node) else {
            // It says which there are.
            cluster.node(&self.node)?;
            return Ok(ExitCode::FAILURE);
        };
        let mut logs = Vec::new();
        for daemon in &plan.daemons {
            let Some(path) = plan.log_of(daemon) else {
                continue;
            };
            match std::fs::read(&path) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    logs.push((daemon.name.as_str(), text));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error).context(path.display().to_string()));
                }
            }
        }
        let lines = merged(&logs);
        let first = lines.len() - self.tail.unwrap_or(lines.len()).min(lines.len());
        for line in &lines[first..] {
            output::print(line)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The lines of several logs in the order of their times. A line without a time follows the one before it.
fn merged(logs: &[(&str, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (daemon, text) in logs {
        let mut time = "";
        for line in text.lines() {
            // ovs-appctl(8): time, sequence number, module, level and message are separated by bars.
            if let Some((stamp, _)) = line.split_once('|') {
                time = stamp;
            }
            lines.push((time, format!("{daemon}: {line}")));
        }
    }
    lines.sort_by_key(|(time, _)| *time);
    lines.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_order_of_their_times() {
        let logs = [
            ("a", "2026-01-01T00:00:01.000Z|1|x|INFO|one\n  more of it\n2026-01-01T00:00:03.000Z|2|x|INFO|three\n".to_owned()),
            ("b", "2026-01-01T00:00:02.000Z|1|x|INFO|two\n".to_owned()),
        ];
        let lines = merged(&logs);
        let ends: Vec<_> = lines
            .iter()
            .filter_map(|line| line.rsplit(['|', ' ']).next())
            .collect();
        assert_eq!(ends, ["one", "it", "two", "three"]);
        assert!(lines[1].starts_with("a: "), "{lines:?}");
    }
}
