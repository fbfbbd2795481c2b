//! `podman cp`

use std::io;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use ofm::Cluster;
use ofm::copy::{self, CopyOptions, End};

use crate::commands::Global;
use crate::output;

/// Copy files and folders into nodes, out of them, and between them
///
/// A folder as the target takes what is copied into it; a folder that ends in /. stands for what is in it. The path - is a
/// tar stream: from standard input into a folder of a node, or to standard output. Modes, times and links are kept. Sockets,
/// devices and pipes are left out, with a warning.
#[derive(Debug, Args)]
pub(super) struct Cp {
    /// Keep the numbers of users and groups, too; otherwise all that arrives belongs to root
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link leads to that is named as the source, instead of the link
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// What is copied: NODE:PATH, a path of the host, or -
    #[arg(value_name = "[NODE:]SOURCE")]
    source: String,
    /// Where it goes: NODE:PATH, a path of the host, or -
    #[arg(value_name = "[NODE:]TARGET")]
    target: String,
}

impl Cp {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let options = CopyOptions {
            owners: self.archive,
            follow: self.follow_link,
        };
        let cluster = global.open()?;
        let source = find(&cluster, &self.source)?;
        let target = find(&cluster, &self.target)?;
        let mut ends = source.iter().chain(&target);
        if !ends.any(End::is_in_node) {
            bail!("neither {} nor {} is in a node", self.source, self.target);
        }
        let left_out = match (source, target) {
            (Some(from), Some(to)) => copy::copy(&from, &to, options).await?,
            (Some(from), None) => copy::copy_out(&from, io::stdout(), options).await?,
            (None, Some(to)) => {
                copy::copy_in(io::stdin(), &to, options).await?;
                Vec::new()
            }
            (None, None) => Vec::new(),
        };
        for path in left_out.iter().filter(|_| !self.quiet) {
            let path = path.display();
            output::warn(&format!(
                "{path} is left out: it is no file, folder or link"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The end that an argument names, or none for a stream.
fn find(cluster: &Cluster, text: &str) -> anyhow::Result<Option<End>> {
    Ok(match split(text) {
        _ if text == "-" => None,
        Some((node, path)) => Some(End::node(cluster.node(node)?, path)),
        None => Some(End::host(text)),
    })
}

/// Node and path, unless it is a path of the host: those may have a colon behind a slash.
fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(':')
        .filter(|(node, _)| !node.is_empty() && !node.contains('/') && !node.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_any_slash_ends_the_name_of_a_node() {
        assert_eq!(split("n:/a:b"), Some(("n", "/a:b")));
        assert_eq!(split("n:a"), Some(("n", "a")));
        assert_eq!(split("n:"), Some(("n", "")));
        for host in ["/a:b", "./a:b", "a/b:c", "plain", ":x", ".:x"] {
            assert_eq!(split(host), None, "{host}");
        }
    }
}
