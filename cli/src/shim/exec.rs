//! `podman exec` and `podman top`

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::commands::Global;
use crate::commands::exec::Manner;

/// Run a program in a node
///
/// The exit status is the program's, or 128 and the number of the signal that ended it; 125 if something was wrong before,
/// 126 if it cannot be run and 127 if there is no such program.
#[derive(Debug, Args)]
pub(super) struct Exec {
    #[command(flatten)]
    manner: Manner,
    /// Taken and without a meaning here: all programs have the rights of their node
    #[arg(long)]
    privileged: bool,
    /// The node, the program, and its arguments
    #[arg(
        value_names = ["NODE", "CMD"],
        num_args = 2..,
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

impl Exec {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut words = self.words;
        let program = words.split_off(1);
        let name = words.pop().unwrap_or_default().into_string();
        let name = name.map_err(|name| anyhow::anyhow!("{name:?} is no name of a node"))?;
        let node = global.open()?.node(&name)?;
        self.manner.run(&node, program).await
    }
}

/// Show the processes of a node
#[derive(Debug, Args)]
pub(super) struct Top {
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
    /// Options of ps(1) [default: -ef]
    #[arg(
        value_name = "OPTION",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    options: Vec<OsString>,
}

impl Top {
    pub(super) async fn run(mut self, global: &Global) -> anyhow::Result<ExitCode> {
        let node = global.open()?.node(&self.node)?;
        if self.options.is_empty() {
            self.options.push("-ef".into());
        }
        self.options.insert(0, "ps".into());
        let shown = Manner::default().run(&node, self.options).await;
        shown.context("its processes are shown by ps, of the package procps")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        exec: Exec,
    }

    fn words(line: &str) -> Vec<OsString> {
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        line.exec.words
    }

    #[test]
    fn options_after_the_node_are_the_programs() {
        assert_eq!(words("exec n ls -t -i"), ["n", "ls", "-t", "-i"]);
        assert_eq!(words("exec n -i"), ["n", "-i"]);
        assert_eq!(words("exec n ip -d -- x"), ["n", "ip", "-d", "--", "x"]);
        let line = "exec -it -e A=1 --env B -w /tmp -u root:adm --privileged n sh -c x";
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        let manner = line.exec.manner;
        assert!(manner.interactive && manner.tty && !manner.detach);
        assert_eq!(manner.env, ["A=1", "B"]);
        assert_eq!(manner.user.as_deref(), Some("root:adm"));
        assert_eq!(line.exec.words, ["n", "sh", "-c", "x"]);
    }

    #[test]
    fn a_program_is_needed() {
        assert!(Line::try_parse_from(["exec", "n"]).is_err());
    }
}
