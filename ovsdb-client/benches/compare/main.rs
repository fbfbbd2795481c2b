//! Measures this library beside the other clients of OVSDB, on the same server and in one run:
//! small transactions, loading 50,000 rows, following 100,000 updates, and look-ups.
//!
//! `cargo bench -p ovsdb-client --bench compare -- [--json] [--rounds N] [EXPERIMENT..]`
//!
//! Each client runs in a process of its own, so that processor time and peak memory are its own, and
//! the clients take turns, so that what else the machine does meets all alike. Reported are the
//! median of the rounds and the range. A client that is not installed is named and left out.

mod cost;
mod job;
mod load;
mod lookup;
mod peer;
mod programs;
mod report;
mod rows;
mod server;
mod transactions;
mod updates;

use anyhow::{Context, bail};

use job::Job;
use programs::Programs;
use report::Report;
use server::Server;

/// What can be asked for, in the order in which it is done.
const EXPERIMENTS: [&str; 4] = ["transactions", "load", "updates", "lookup"];

struct Options {
    json: bool,
    rounds: usize,
    experiments: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [flag, job] = &arguments[..]
        && flag == Job::FLAG
    {
        return Job::parse(job)?.run();
    }
    let benching = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    if !benching {
        report::say("not measured: this is for `cargo bench`");
        return Ok(());
    }
    let options = Options::parse(arguments)?;
    let server = Server::start()?;
    let programs = Programs::find(&server)?;
    let mut report = Report::new();
    for experiment in &options.experiments {
        match experiment.as_str() {
            "transactions" => transactions::measure(&programs, options.rounds, &mut report)?,
            "load" => load::measure(&programs, options.rounds, &mut report)?,
            "updates" => updates::measure(&programs, options.rounds, &mut report)?,
            _ => lookup::measure(&programs, options.rounds, &mut report)?,
        }
    }
    report.print(options.json)
}

impl Options {
    fn parse(arguments: Vec<String>) -> anyhow::Result<Self> {
        let mut options = Self {
            json: false,
            rounds: 5,
            experiments: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => options.json = true,
                "--rounds" => {
                    let rounds = arguments.next().context("--rounds needs a number")?;
                    options.rounds = rounds.parse().context("--rounds needs a number")?;
                }
                known if EXPERIMENTS.contains(&known) => options.experiments.push(argument),
                _ => bail!("{argument} is none of {EXPERIMENTS:?}, --json and --rounds N"),
            }
        }
        if options.experiments.is_empty() {
            options.experiments = EXPERIMENTS.map(str::to_owned).into();
        }
        Ok(options)
    }
}
