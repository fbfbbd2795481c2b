//! `ofm` under the name `podman` or `docker`: the verbs of an engine that test suites and scripts use, for the nodes of a
//! cluster.

mod cp;
mod exec;
mod inspect;
mod life;
mod logs;
mod ps;
mod template;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use ofm_netns::SpawnError;

use crate::commands::Global;
use crate::output;

/// The status of an engine's client that could not do what it was told to; whatever a program in a node ends with is
/// passed on.
const FAILED: u8 = 125;
/// The status for a program that is there and cannot be run.
const NOT_RUN: u8 = 126;
/// The status for a program that is not there.
const NOT_FOUND: u8 = 127;

/// The engine that a call is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Podman,
    Docker,
}

impl Engine {
    pub(crate) const ALL: [Engine; 2] = [Engine::Podman, Engine::Docker];

    /// The name of its program.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Engine::Podman => "podman",
            Engine::Docker => "docker",
        }
    }

    /// The engine as which this program was called, if it was.
    pub(crate) fn called_as(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name()?;
        Self::ALL.into_iter().find(|engine| name == engine.as_str())
    }
}

/// Nodes of a cluster of ofm, as containers.
///
/// This is ofm, which answers here in the place of a container engine. Each node of the cluster that OFM_CLUSTER names is a
/// container that has the node's name, also as its id.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
#[command(
    after_help = "What an engine can do besides, ofm does not answer for. `ofm --help` shows what it does by its own name."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Exec(exec::Exec),
    Cp(cp::Cp),
    Inspect(inspect::Inspect),
    Ps(ps::Ps),
    Logs(logs::Logs),
    Top(exec::Top),
    Start(life::Start),
    Stop(life::Stop),
    Restart(life::Restart),
    Kill(life::Kill),
    Rm(life::Rm),
    Version(inspect::Version),
}

/// Does what an engine's client was called for.
pub(crate) fn main(engine: Engine) -> ExitCode {
    let parsed = Cli::command()
        .name(engine.as_str())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(problem) => {
            let _closed = problem.print();
            let failed = problem.use_stderr();
            return if failed {
                FAILED.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(engine, cli) {
        Ok(code) => code,
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            status_of(&error).into()
        }
    }
}

/// One thread is enough for one call, and sooner there than several.
fn run(engine: Engine, cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(cli.verb.run(engine, &cli.global));
    // Nothing that is still reading a terminal may hold up the end.
    runtime.shutdown_background();
    result
}

impl Verb {
    async fn run(self, engine: Engine, global: &Global) -> anyhow::Result<ExitCode> {
        match self {
            Verb::Exec(exec) => exec.run(global).await,
            Verb::Cp(cp) => cp.run(global).await,
            Verb::Inspect(inspect) => inspect.run(engine, global),
            Verb::Ps(ps) => ps.run(global),
            Verb::Logs(logs) => logs.run(global),
            Verb::Top(top) => top.run(global).await,
            Verb::Start(start) => start.run(global).await,
            Verb::Stop(stop) => stop.run(global).await,
            Verb::Restart(restart) => restart.run(global).await,
            Verb::Kill(kill) => kill.run(global),
            Verb::Rm(rm) => rm.run(global).await,
            Verb::Version(version) => version.run(),
        }
    }
}

/// The exit status that an engine's client has for an error.
fn status_of(error: &anyhow::Error) -> u8 {
    let spawn = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(ofm::Error::Spawn(spawn)) => Some(spawn),
        _ => cause.downcast_ref::<SpawnError>(),
    });
    match spawn {
        Some(SpawnError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            NOT_FOUND
        }
        Some(SpawnError::Start { .. } | SpawnError::Folder { .. }) => NOT_RUN,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_name_of_the_program_decides() {
        let called = |program: &str| Engine::called_as(program.as_ref());
        assert_eq!(called("/opt/shim/podman"), Some(Engine::Podman));
        assert_eq!(called("docker"), Some(Engine::Docker));
        assert_eq!(called("/usr/bin/ofm"), None);
        assert_eq!(called("podman-compose"), None);
    }

    #[test]
    fn errors_have_the_status_of_an_engine() {
        let start = |kind: io::ErrorKind| SpawnError::Start {
            program: "x".to_owned(),
            source: kind.into(),
        };
        let status = |error: SpawnError| status_of(&error.into());
        assert_eq!(status(start(io::ErrorKind::NotFound)), NOT_FOUND);
        assert_eq!(status(start(io::ErrorKind::PermissionDenied)), NOT_RUN);
        assert_eq!(status_of(&ofm::Error::NotRoot.into()), FAILED);
        let wrapped = ofm::Error::Spawn(start(io::ErrorKind::NotFound));
        assert_eq!(status_of(&wrapped.into()), NOT_FOUND);
    }
}
