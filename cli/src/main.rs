//! `ofm`: OVN clusters of many nodes on one machine, from the command line.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stderr,
    reason = "a command-line program tells its user what goes on; standard output is for data and written in `output`"
)]

mod commands;
mod output;
mod shim;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::commands::Cli;
use crate::shim::Engine;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("OFM_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    if let Err(error) = ofm_netns::keep_descriptors() {
        output::print_error(&anyhow::Error::new(error).context("reading /proc/self/fd"));
        return ExitCode::FAILURE;
    }
    let program = std::env::args_os().next().unwrap_or_default();
    if let Some(engine) = Engine::called_as(&program) {
        return shim::main(engine);
    }
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(cli.run());
    // Nothing that is still writing to a stopped terminal may hold up the end.
    runtime.shutdown_background();
    result
}
