//! How a cluster grows: time, processor time of its daemons and memory at several sizes, and what each chassis and each
//! tunnel end adds to them.
//!
//! `cargo bench -p ofm-benches --bench growth -- --chassis 10,50,100,200,500 --plot growth.svg`
#![expect(clippy::print_stdout, reason = "a bench shows what it measured")]

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use ofm_benches::cluster::Kind;
use ofm_benches::fit::Fit;
use ofm_benches::ofm_cli::Ofm;
use ofm_benches::plot::{self, Chart, Series};
use ofm_benches::processes::Processes;
use ofm_benches::program::measure;
use ofm_benches::table::{Markdown, figure, known, median, megabytes};

/// Measures clusters of several sizes
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p ofm-benches --bench growth --")]
struct Options {
    /// How many chassis, several numbers with commas between them
    #[arg(long, value_name = "N,..", default_value = "10,50,100,200,500", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    chassis: Vec<u32>,
    /// How often each size is measured
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What is in a cluster: nothing but a central and chassis, or what `ofm start` makes by default
    #[arg(long, value_enum, default_value_t = Cluster::Default)]
    cluster: Cluster,
    /// A file for a plot, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// The program ofm; the one beside this bench unless told otherwise
    #[arg(long, value_name = "PROGRAM")]
    ofm: Option<PathBuf>,
    /// Said by Cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cluster {
    Plain,
    Default,
}

/// What one cluster took.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Chassis and gateways.
    chassis: f64,
    /// Seconds until it was ready.
    wall: f64,
    /// Processor seconds of its daemons until then.
    cpu: f64,
    /// MB of all its processes.
    memory: f64,
    /// MB that are ofm's own, for each node.
    own_memory: f64,
    /// Seconds until it had ended.
    stop: f64,
}

fn main() -> anyhow::Result<()> {
    if !ofm_benches::is_measuring() {
        return Ok(());
    }
    measure(grow(Options::parse()))
}

/// The path of a plot, below the root of the workspace if it is relative: cargo runs a bench in the folder of its package. Its
/// folder is made, so that no measurement is lost.
fn place_for(plot: &Path) -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(plot);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| anyhow::anyhow!("making {}: {error}", folder.display()))?;
    }
    Ok(path)
}

async fn grow(options: Options) -> anyhow::Result<()> {
    let ofm = Ofm::find(options.ofm)?;
    let plot = options.plot.as_deref().map(place_for).transpose()?;
    let kind = match options.cluster {
        Cluster::Plain => Kind::Plain,
        Cluster::Default => Kind::Default,
    };
    let (mut samples, mut failures) = (Vec::new(), Vec::new());
    for &chassis in &options.chassis {
        for round in 1..=options.rounds {
            match sample(&ofm, kind, chassis).await {
                Ok(sample) => {
                    println!(
                        "{chassis} chassis, round {round}: ready after {:.2} s",
                        sample.wall
                    );
                    samples.push(sample);
                }
                Err(error) => {
                    println!("{chassis} chassis are left out: {error:#}");
                    failures.push(chassis.to_string());
                    break;
                }
            }
        }
    }
    if !samples.is_empty() {
        println!("\n{}\n\n{}", sizes(&samples), growth(&samples));
    }
    if let Some(path) = &plot {
        plot::write(path, &charts(&samples))
            .map_err(|error| anyhow::anyhow!("writing {}: {error}", path.display()))?;
    }
    anyhow::ensure!(
        failures.is_empty(),
        "not measured: {} chassis",
        failures.join(", ")
    );
    Ok(())
}

async fn sample(ofm: &Ofm, kind: Kind, chassis: u32) -> anyhow::Result<Sample> {
    ofm.doctor(chassis).await?;
    let (take_back, started) = ofm.start(kind, chassis).await?;
    let processes = Processes::of(ofm.cluster())?;
    let cpu = processes.cpu_of_daemons()?;
    let (all, own) = (processes.memory()?, processes.own_memory()?);
    // All of ofm's own processes but the keeper are nodes.
    let nodes = processes.own.len() - 1;
    let stopped = ofm.stop(take_back).await?;
    Ok(Sample {
        chassis: kind.all_chassis(chassis).into(),
        wall: started.wall.as_secs_f64(),
        cpu: cpu.as_secs_f64(),
        memory: megabytes(all.proportional),
        own_memory: megabytes(own.unique) / nodes as f64,
        stop: stopped.wall.as_secs_f64(),
    })
}

/// What there is to know of each size: the median of its rounds.
fn sizes(samples: &[Sample]) -> Markdown {
    let mut table = Markdown::new(&[
        "chassis and gateways",
        "ready (s)",
        "CPU of daemons (s)",
        "stop (s)",
        "memory (MB)",
        "for each chassis (MB)",
        "ofm's own for each node (MB)",
    ]);
    let mut sizes: Vec<_> = samples.iter().map(|sample| sample.chassis).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    for size in sizes {
        let of: [fn(&Sample) -> f64; 6] = [
            |sample| sample.wall,
            |sample| sample.cpu,
            |sample| sample.stop,
            |sample| sample.memory,
            |sample| sample.memory / sample.chassis,
            |sample| sample.own_memory,
        ];
        let of_size = || samples.iter().filter(|sample| sample.chassis == size);
        let medians = of.map(|of| median(of_size().map(of)).map(figure).unwrap_or_default());
        table.row(size, medians);
    }
    table
}

/// What grows: its name, its unit, and a thousandth of that.
struct Growing {
    name: &'static str,
    unit: &'static str,
    thousandth: &'static str,
    of: fn(&Sample) -> f64,
}

const GROWING: [Growing; 3] = [
    Growing {
        name: "time until ready",
        unit: "s",
        thousandth: "ms",
        of: |sample| sample.wall,
    },
    Growing {
        name: "CPU of daemons",
        unit: "s",
        thousandth: "ms",
        of: |sample| sample.cpu,
    },
    Growing {
        name: "memory",
        unit: "MB",
        thousandth: "kB",
        of: |sample| sample.memory,
    },
];

fn fitted(samples: &[Sample], of: fn(&Sample) -> f64) -> (Vec<(f64, f64)>, Option<Fit>) {
    let points: Vec<_> = samples
        .iter()
        .map(|sample| (sample.chassis, of(sample)))
        .collect();
    let fit = Fit::of(&points);
    (points, fit)
}

/// What chassis and tunnel ends add.
fn growth(samples: &[Sample]) -> Markdown {
    let mut table = Markdown::new(&[
        "least squares",
        "a cluster",
        "each chassis, of N",
        "each tunnel end, of N·(N−1)",
    ]);
    for growing in GROWING {
        let figures = match fitted(samples, growing.of).1 {
            Some(fit) => [fit.base, fit.chassis, fit.tunnel_end].map(|value| figure(value * 1e3)),
            None => [None; 3].map(known),
        };
        table.row(
            format!("{} ({})", growing.name, growing.thousandth),
            figures,
        );
    }
    table
}

fn charts(samples: &[Sample]) -> [Chart<'static>; 2] {
    let [wall, cpu, memory] = GROWING.map(|growing| {
        let (points, fit) = fitted(samples, growing.of);
        let name = growing.name;
        Series { name, points, fit }
    });
    let [seconds, _, megabytes] = GROWING.map(|growing| growing.unit);
    let chart = |axis, series| Chart { axis, series };
    [
        chart(seconds, vec![wall, cpu]),
        chart(megabytes, vec![memory]),
    ]
}
