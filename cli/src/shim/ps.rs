//! `podman ps`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use ofm::plan::NodePlan;
use ofm::{Cluster, NodeHandle};
use regex::Regex;
use serde_json::{Value, json};

use super::template::Format;
use crate::commands::Global;
use crate::output::{self, table};

/// List the nodes of the cluster that run
#[derive(Debug, Args)]
#[command(visible_alias = "list", alias = "ls")]
pub(super) struct Ps {
    /// List those that have ended, too
    #[arg(short, long)]
    all: bool,
    /// Print ids only, which are the names
    #[arg(short, long)]
    quiet: bool,
    /// Print no header
    #[arg(short = 'n', long, alias = "noheading")]
    no_heading: bool,
    /// Taken and without a meaning here: nothing is cut short
    #[arg(long)]
    no_trunc: bool,
    /// List only some: name=REGEX, id=NAME, status=running or status=exited
    ///
    /// Of several with the same key one has to hold, and of each key one.
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
    /// What to print of each, as a Go template; or json
    ///
    /// The fields are ID, Names, Image, Status, State, Pid and Networks.
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
}

impl Ps {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let cluster = global.open()?;
        let listed: Vec<Listed<'_>> = cluster
            .plan()
            .nodes
            .iter()
            .map(|plan| Listed::look(&cluster, plan))
            .filter(|node| self.all || node.is_running() || self.asks_for_status())
            .filter(|node| accepts(&self.filter, node))
            .collect();
        if self.quiet {
            return lines(listed.iter().map(|node| node.plan.name.to_string()));
        }
        match self.format.as_deref() {
            None => {
                let rows = listed.iter().map(Listed::row);
                let shown = table::containers(rows);
                let shown = match self.no_heading {
                    true => shown.split_once('\n').map_or("", |(_, rows)| rows),
                    false => &shown,
                };
                lines(shown.lines().map(str::to_owned))
            }
            Some("json") => {
                let all: Vec<Value> = listed.iter().map(Listed::fields).collect();
                output::print_json(&all)?;
                Ok(ExitCode::SUCCESS)
            }
            Some(format) => {
                let format = format.strip_prefix("table ").unwrap_or(format);
                let format = Format::parse(format)?;
                let filled = listed.iter().map(|node| format.fill(&node.fields()));
                lines(filled.collect::<anyhow::Result<Vec<_>>>()?)
            }
        }
    }

    fn asks_for_status(&self) -> bool {
        self.filter
            .iter()
            .any(|filter| matches!(filter, Filter::Status(_)))
    }
}

fn lines(lines: impl IntoIterator<Item = String>) -> anyhow::Result<ExitCode> {
    for line in lines {
        output::print(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A node, as a container that is listed.
struct Listed<'a> {
    plan: &'a NodePlan,
    /// How long it has been running, unless it has ended.
    running: Option<Duration>,
    pid: i32,
}

impl<'a> Listed<'a> {
    fn look(cluster: &Cluster, plan: &'a NodePlan) -> Self {
        let handle = cluster.node(plan.name.as_str()).ok();
        let process = handle
            .as_ref()
            .map(NodeHandle::node)
            .map(|node| node.process());
        Self {
            plan,
            running: process.map(|process| process.age().unwrap_or_default()),
            pid: process.map_or(0, |process| process.pid()),
        }
    }

    fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn state(&self) -> &'static str {
        state(self.is_running())
    }

    fn status(&self) -> String {
        match self.running {
            Some(time) => format!("Up {}", roughly(time)),
            None => "Exited".to_owned(),
        }
    }

    fn fields(&self) -> Value {
        let networks: Vec<&str> = self
            .plan
            .links
            .iter()
            .map(|link| link.node_name.as_str())
            .collect();
        json!({
            "ID": self.plan.name,
            "Names": self.plan.name,
            "Image": image(self.plan),
            "Status": self.status(),
            "State": self.state(),
            "Pid": self.pid,
            "Networks": networks.join(","),
        })
    }

    fn row(&self) -> [String; 4] {
        let name = self.plan.name.to_string();
        [
            name.clone(),
            image(self.plan).to_owned(),
            self.status(),
            name,
        ]
    }
}

/// The state of a container, in the word that engines have for it.
pub(super) const fn state(running: bool) -> &'static str {
    if running { "running" } else { "exited" }
}

/// The image of a node, or what it has instead of one.
pub(super) fn image(plan: &NodePlan) -> &str {
    match (&plan.container, &plan.root) {
        (Some(container), _) => &container.image,
        (None, Some(root)) => root.to_str().unwrap_or("native"),
        (None, None) => "native",
    }
}

/// A duration as engines tell it: one number and one unit.
fn roughly(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [
        (86400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    let (length, unit) = unit.unwrap_or((1, "second"));
    let number = seconds / length;
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// What a listed node has to be.
#[derive(Debug, Clone)]
enum Filter {
    Name(Regex),
    Id(String),
    /// Whether it runs.
    Status(bool),
}

impl std::str::FromStr for Filter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once('=') {
            Some(("name", name)) => Ok(Self::Name(Regex::new(name)?)),
            Some(("id", id)) => Ok(Self::Id(id.to_owned())),
            Some(("status", "running")) => Ok(Self::Status(true)),
            Some(("status", "exited")) => Ok(Self::Status(false)),
            Some(("status", other)) => {
                bail!("no node is ever {other}; running and exited there are")
            }
            _ => bail!("only name=, id= and status= can be asked for"),
        }
    }
}

impl Filter {
    fn accepts(&self, node: &Listed<'_>) -> bool {
        match self {
            Filter::Name(name) => name.is_match(node.plan.name.as_str()),
            Filter::Id(id) => node.plan.name.as_str().starts_with(id.as_str()),
            Filter::Status(running) => node.is_running() == *running,
        }
    }

    fn same_key(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn accepts(filters: &[Filter], node: &Listed<'_>) -> bool {
    filters.iter().all(|filter| {
        let mut same = filters.iter().filter(|other| other.same_key(filter));
        same.any(|filter| filter.accepts(node))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_one_unit() {
        let is = |seconds, text: &str| assert_eq!(roughly(Duration::from_secs(seconds)), text);
        is(0, "0 seconds");
        is(1, "1 second");
        is(119, "1 minute");
        is(7200, "2 hours");
        is(200_000, "2 days");
    }

    #[test]
    fn filters_are_checked() {
        let parse = |text: &str| text.parse::<Filter>();
        assert!(parse("name=ovn-").is_ok());
        assert!(parse("status=exited").is_ok());
        for wrong in ["name=(", "status=paused", "label=x", "name"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
