//! What was measured, for people and for programs.

use serde::Serialize;

use crate::cost::Cost;
use crate::lookup::Figures;

/// The figures so far.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    load_average: [String; 2],
    costs: Vec<Costs>,
    look_ups: Vec<LookUps>,
}

/// The rounds of one client in one experiment.
#[derive(Serialize)]
struct Costs {
    experiment: &'static str,
    client: &'static str,
    rounds: Vec<Cost>,
}

/// The rounds of one client's look-ups.
#[derive(Serialize)]
struct LookUps {
    client: &'static str,
    rounds: Vec<Figures>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            load_average: [load_average(), String::new()],
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, experiment: &'static str, client: &'static str, cost: Cost) {
        complain(&format!(
            "{experiment}: {client}: {:.3} s, client {:.3} s, server {:.2} s, {:.0} MB",
            cost.wall, cost.cpu, cost.server, cost.peak
        ));
        let same = |costs: &&mut Costs| costs.experiment == experiment && costs.client == client;
        match self.costs.iter_mut().find(same) {
            Some(costs) => costs.rounds.push(cost),
            None => self.costs.push(Costs {
                experiment,
                client,
                rounds: vec![cost],
            }),
        }
    }

    pub(crate) fn add_look_ups(&mut self, client: &'static str, figures: Figures) {
        let same = |look_ups: &&mut LookUps| look_ups.client == client;
        match self.look_ups.iter_mut().find(same) {
            Some(look_ups) => look_ups.rounds.push(figures),
            None => self.look_ups.push(LookUps {
                client,
                rounds: vec![figures],
            }),
        }
    }

    pub(crate) fn print(mut self, json: bool) -> anyhow::Result<()> {
        self.load_average[1] = load_average();
        if json {
            say(&serde_json::to_string_pretty(&self)?);
            return Ok(());
        }
        let [before, after] = &self.load_average;
        say(&format!("load average {before} before, {after} after"));
        let mut experiments = Vec::new();
        for Costs { experiment, .. } in &self.costs {
            if !experiments.contains(experiment) {
                experiments.push(experiment);
            }
        }
        for experiment in experiments {
            say(&format!(
                "\n{experiment:<42} {:>21} {:>21} {:>8} {:>7}",
                "wall, s", "client CPU, s", "server", "MB"
            ));
            let costs = self.costs.iter();
            for costs in costs.filter(|costs| *costs.experiment == *experiment) {
                say(&costs.line());
            }
        }
        for LookUps { client, rounds } in &self.look_ups {
            say(&format!(
                "\nLook-ups in 50,000 rows, {client:<17} {:>21}",
                "ns"
            ));
            for name in rounds.iter().take(1).flat_map(Figures::keys) {
                let values = rounds.iter().filter_map(|round| round.get(name).copied());
                say(&format!("{name:<42} {:>21}", spread(values, 0)));
            }
        }
        Ok(())
    }
}

impl Costs {
    fn line(&self) -> String {
        let values = |part: fn(&Cost) -> f64| self.rounds.iter().map(part);
        format!(
            "{:<42} {:>21} {:>21} {:>8.2} {:>7.0}",
            self.client,
            spread(values(|cost| cost.wall), 3),
            spread(values(|cost| cost.cpu), 3),
            median(values(|cost| cost.server)),
            median(values(|cost| cost.peak)),
        )
    }
}

/// The median, and the range in brackets.
fn spread(values: impl Iterator<Item = f64> + Clone, digits: usize) -> String {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.clone().fold(0.0, f64::max);
    let median = median(values);
    format!("{median:.digits$} [{least:.digits$}-{most:.digits$}]")
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn load_average() -> String {
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    average.split(' ').next().unwrap_or_default().to_owned()
}

/// Prints a line of data.
#[expect(clippy::print_stdout, reason = "what a benchmark prints is its result")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints a line of progress.
#[expect(clippy::print_stderr, reason = "progress is no data")]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}
