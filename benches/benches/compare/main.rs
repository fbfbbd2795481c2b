//! ofm beside what it is to be faster than, in alternation on the same machine:
//!
//! - `by hand`: a script with iproute2 and ovs-vsctl, four chassis at a time (benches/by-hand.sh, or another one);
//! - `ofm, plain`: as much as that starts, a central and its chassis;
//! - `ofm, default`: with TLS, ovn-ic, a gateway, the demo and its leases;
//! - `ovn-fake-multinode`, where it is given: its start, and a wait until its chassis are registered, which it leaves out.
//!
//! `cargo bench -p ofm-benches --bench compare -- --chassis 50 --rounds 3`
#![expect(clippy::print_stdout, reason = "a bench shows what it measured")]

mod contestant;
mod figures;

use std::path::PathBuf;

use clap::Parser;
use ofm_benches::by_hand;
use ofm_benches::cluster::Kind;
use ofm_benches::ofm_cli::Ofm;
use ofm_benches::program::measure;

use contestant::Contestant;
use figures::{Figures, report};

/// Measures ofm in alternation with a script written by hand, and with ovn-fake-multinode
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p ofm-benches --bench compare --")]
struct Options {
    /// How many chassis
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    chassis: u32,
    /// How often each has its turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Another script than benches/by-hand.sh, that takes the same arguments and prints the same
    #[arg(long, value_name = "SCRIPT")]
    by_hand: Option<PathBuf>,
    /// The folder of ovn-fake-multinode, to measure its ovn_cluster.sh too; the environment says what else it takes
    #[arg(long, value_name = "FOLDER")]
    ovn_fake_multinode: Option<PathBuf>,
    /// The program ofm; the one beside this bench unless told otherwise
    #[arg(long, value_name = "PROGRAM")]
    ofm: Option<PathBuf>,
    /// Said by Cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    if !ofm_benches::is_measuring() {
        return Ok(());
    }
    measure(compare(Options::parse()))
}

async fn compare(options: Options) -> anyhow::Result<()> {
    let ofm = Ofm::find(options.ofm)?;
    let script = options.by_hand.unwrap_or_else(by_hand::own_script);
    let mut contestants = vec![Contestant::by_hand(&script)?];
    contestants.extend(Kind::ALL.map(|kind| Contestant::ofm(ofm.clone(), kind)));
    if let Some(folder) = &options.ovn_fake_multinode {
        contestants.push(Contestant::ovn_fake_multinode(folder).await?);
    }
    println!(
        "{} chassis, userspace datapath, {} processors\n",
        options.chassis,
        figures::processors()
    );
    let mut rounds: Vec<Vec<Figures>> = vec![Vec::new(); contestants.len()];
    for round in 1..=options.rounds {
        for (contestant, rounds) in contestants.iter().zip(&mut rounds) {
            rounds.push(contestant.measure(options.chassis).await?);
        }
        let this = rounds.iter().map(|rounds| rounds[rounds.len() - 1]);
        println!("round {round}\n{}\n", report(&contestants, this));
    }
    let medians = rounds.iter().map(|rounds| Figures::median(rounds));
    println!("median\n{}", report(&contestants, medians));
    Ok(())
}
