//! Starts the clients, each in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;

use crate::cost::{self, Cost};
use crate::job::Job;
use crate::lookup::Figures;
use crate::report;
use crate::server::Server;

const TOOL: &str = "/usr/bin/ovsdb-client";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare/idl.py");

/// How often the memory of a program that does not tell it is looked at.
const SAMPLING: Duration = Duration::from_millis(2);

/// The clients that there are, and the server that they work on.
pub(crate) struct Programs<'a> {
    server: &'a Server,
    tool: Option<&'static str>,
    python: Option<PathBuf>,
}

impl<'a> Programs<'a> {
    /// Looks for the clients, and says which are missing.
    pub(crate) fn find(server: &'a Server) -> anyhow::Result<Self> {
        let tool = Path::new(TOOL).exists().then_some(TOOL);
        if tool.is_none() {
            report::complain("left out: ovsdb-client(1) is not installed");
        }
        let python = match install_python(server.directory.path()) {
            Ok(python) => Some(python),
            Err(error) => {
                report::complain(&format!("left out: the Python IDL: {error:#}"));
                None
            }
        };
        Ok(Self {
            server,
            tool,
            python,
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.server.socket()
    }

    /// A command that does a job in another process of this program.
    pub(crate) fn own(&self, job: Job) -> anyhow::Result<Command> {
        let program = std::env::current_exe()?;
        let mut command = command(&program);
        command.args(job.arguments(&self.socket())?);
        Ok(command)
    }

    /// Does a job in another process of this program.
    pub(crate) fn job(&self, job: Job) -> anyhow::Result<Cost> {
        self.measured(self.own(job)?)
    }

    /// Measures look-ups in another process of this program.
    pub(crate) fn look_ups(&self, job: Job) -> anyhow::Result<Figures> {
        output(self.own(job)?.spawn()?)
    }

    /// A command for the Python client, if there is one.
    pub(crate) fn python_command(&self, arguments: &[&str]) -> anyhow::Result<Option<Command>> {
        let Some(python) = &self.python else {
            return Ok(None);
        };
        let mut command = command(python);
        command.arg(SCRIPT).arg(self.socket()).args(arguments);
        Ok(Some(command))
    }

    /// Does something with the Python client.
    pub(crate) fn python(&self, arguments: &[&str]) -> anyhow::Result<Option<Cost>> {
        let command = self.python_command(arguments)?;
        command.map(|command| self.measured(command)).transpose()
    }

    /// Measures look-ups with the Python client.
    pub(crate) fn python_look_ups(&self, arguments: &[&str]) -> anyhow::Result<Option<Figures>> {
        let command = self.python_command(arguments)?;
        command
            .map(|mut command| output(command.spawn()?))
            .transpose()
    }

    /// Runs a program that prints its cost.
    fn measured(&self, mut command: Command) -> anyhow::Result<Cost> {
        let server = self.server.cpu()?;
        let cost: Cost = output(command.spawn()?)?;
        let server = self.server.cpu()? - server;
        Ok(Cost { server, ..cost })
    }

    /// Runs a program that says when it is ready and prints its cost at the end, and the job
    /// between.
    pub(crate) fn while_written(&self, mut command: Command, job: Job) -> anyhow::Result<Cost> {
        let mut follower = command.spawn()?;
        let mut lines = BufReader::new(follower.stdout.take().context("its output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        ensure!(line == "ready\n", "the follower says {line:?}");
        let server = self.server.cpu()?;
        self.job(job)?;
        line.clear();
        lines.read_line(&mut line)?;
        ensure!(follower.wait()?.success(), "the follower failed");
        let server = self.server.cpu()? - server;
        let cost = serde_json::from_str(&line).context("the follower's cost")?;
        Ok(Cost { server, ..cost })
    }

    /// Runs ovsdb-client(1) to its end: the command, the server, and what follows.
    pub(crate) fn tool(&self, before: &[&str], after: &[&str]) -> anyhow::Result<Option<Cost>> {
        self.tool_command(before, after)
            .map(|mut command| {
                command.stdout(Stdio::null());
                let process = Watched::start(self.server, command)?;
                process.end(|child, peak| {
                    let id = child.id().to_string();
                    let status = std::thread::scope(|scope| {
                        let (ended, running) = mpsc::channel::<()>();
                        let sampling = scope.spawn(|| sample(&id, running));
                        let status = child.wait();
                        drop(ended);
                        *peak = sampling.join().unwrap_or_default();
                        status
                    })?;
                    ensure!(status.success(), "{TOOL} failed");
                    Ok(())
                })
            })
            .transpose()
    }

    /// Runs ovsdb-client(1) until it has printed that many lines.
    pub(crate) fn tool_until(
        &self,
        before: &[&str],
        after: &[&str],
        lines: usize,
    ) -> anyhow::Result<Option<Cost>> {
        self.tool_command(before, after)
            .map(|command| {
                let process = Watched::start(self.server, command)?;
                process.end(|child, peak| {
                    let output = child.stdout.take().context("its output")?;
                    let count = BufReader::new(output).lines().take(lines).count();
                    ensure!(count == lines, "{TOOL} printed {count} lines");
                    *peak = cost::peak(&child.id().to_string()).unwrap_or(0.0);
                    child.kill()?;
                    child.wait()?;
                    Ok(())
                })
            })
            .transpose()
    }

    fn tool_command(&self, before: &[&str], after: &[&str]) -> Option<Command> {
        let mut command = command(Path::new(self.tool?));
        command
            .args(before)
            .arg(format!("unix:{}", self.socket().display()))
            .args(after);
        Some(command)
    }
}

/// A program whose cost is seen from outside.
struct Watched<'a> {
    server: &'a Server,
    child: Child,
    began: Instant,
    server_cpu: f64,
    children_cpu: f64,
}

impl<'a> Watched<'a> {
    fn start(server: &'a Server, mut command: Command) -> anyhow::Result<Self> {
        let server_cpu = server.cpu()?;
        let (_, children_cpu) = cost::cpu("self")?;
        let began = Instant::now();
        Ok(Self {
            server,
            child: command.spawn().context(TOOL)?,
            began,
            server_cpu,
            children_cpu,
        })
    }

    /// Waits for it, with the peak of its memory to be filled in.
    fn end(
        mut self,
        wait: impl FnOnce(&mut Child, &mut f64) -> anyhow::Result<()>,
    ) -> anyhow::Result<Cost> {
        let mut peak = 0.0;
        wait(&mut self.child, &mut peak)?;
        Ok(Cost {
            wall: self.began.elapsed().as_secs_f64(),
            cpu: cost::cpu("self")?.1 - self.children_cpu,
            peak,
            server: self.server.cpu()? - self.server_cpu,
        })
    }
}

/// Looks at the memory of a process now and then until it has ended.
fn sample(process: &str, running: mpsc::Receiver<()>) -> f64 {
    let mut peak = 0.0;
    while running.recv_timeout(SAMPLING) == Err(mpsc::RecvTimeoutError::Timeout) {
        peak = cost::peak(process).unwrap_or(peak);
    }
    peak
}

/// Waits for a program that prints one line of JSON.
fn output<T: DeserializeOwned>(child: Child) -> anyhow::Result<T> {
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "a client failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The Python that has the package `ovs`, in an environment of its own.
fn install_python(directory: &Path) -> anyhow::Result<PathBuf> {
    let environment = directory.join("python");
    let run = |program: &Path, arguments: &[&str]| {
        let status = command(program).args(arguments).arg(&environment).status();
        let status = status.with_context(|| program.display().to_string())?;
        ensure!(
            status.success(),
            "{} {arguments:?} failed",
            program.display()
        );
        Ok(())
    };
    run(Path::new("python3"), &["-m", "venv"])?;
    let python = environment.join("bin/python");
    let mut pip = command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "ovs"]);
    ensure!(
        pip.status()?.success(),
        "pip cannot install the package ovs"
    );
    Ok(python)
}

fn command(program: &Path) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where this benchmark starts clients"
    )]
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}
