//! Who has given each argument: the command line, a variable, or nobody.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use ofm::ClusterSpec;
use ofm::name::ClusterName;

use super::Arguments;

/// The arguments that say what a cluster shall be.
#[derive(Debug)]
pub(crate) struct Selection {
    arguments: Arguments,
    /// By the name of the argument's field.
    sources: BTreeMap<String, ValueSource>,
}

impl Selection {
    /// What is asked for by arguments, by the file that they name, and by variables; the first of these that says something
    /// counts. `name` is the argument that names the cluster.
    pub(crate) fn spec(&self, name: &ClusterName) -> anyhow::Result<ClusterSpec> {
        let lab = |source| {
            let sources = &self.sources;
            self.arguments.lab(Layer { sources, source }, name)
        };
        let lab = lab(ValueSource::CommandLine)?
            .or(self.arguments.file()?)
            .or(lab(ValueSource::EnvVariable)?);
        Ok(lab.spec()?)
    }
}

/// What was given in one place.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct Layer<'a> {
    sources: &'a BTreeMap<String, ValueSource>,
    source: ValueSource,
}

impl Layer<'_> {
    /// Whether an argument was given here.
    pub(super) fn has(self, id: &str) -> bool {
        self.sources.get(id) == Some(&self.source)
    }

    /// The value of an argument that was given here.
    pub(super) fn value<T: Clone>(self, id: &str, value: &T) -> Option<T> {
        self.has(id).then(|| value.clone())
    }

    /// The same of one that has no default.
    pub(in crate::commands) fn option<T: Clone>(self, id: &str, value: &Option<T>) -> Option<T> {
        value.clone().filter(|_| self.has(id))
    }

    /// No, if a flag that says so was given here.
    pub(super) fn no(self, id: &str) -> Option<bool> {
        self.has(id).then_some(false)
    }
}

impl FromArgMatches for Selection {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let source = |id: &clap::Id| Some((id.to_string(), matches.value_source(id.as_str())?));
        Ok(Self {
            // First, because what is taken out is no longer known to have been given.
            sources: matches.ids().filter_map(source).collect(),
            arguments: Arguments::from_arg_matches_mut(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Selection {
    fn augment_args(command: Command) -> Command {
        Arguments::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Arguments::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;
    use ofm::Lab;
    use ofm::spec::Workload;

    use super::*;

    /// A command of its own, without the variables of whoever runs the tests.
    fn command() -> Command {
        Selection::augment_args(Command::new("test")).mut_args(|arg| arg.env(None::<&str>))
    }

    fn select(args: &[&str]) -> Result<Selection, clap::Error> {
        let matches = command().try_get_matches_from([&["test"], args].concat())?;
        Selection::from_arg_matches(&matches)
    }

    fn spec(args: &[&str]) -> anyhow::Result<ClusterSpec> {
        select(args)?.spec(&ClusterName::default())
    }

    #[test]
    fn without_arguments_it_is_the_default_cluster() {
        assert_eq!(spec(&[]).unwrap(), ClusterSpec::default());
    }

    #[test]
    fn every_argument_says_something() {
        for arg in command().get_arguments() {
            let Some(long) = arg
                .get_long()
                .filter(|long| !["file", "help"].contains(long))
            else {
                continue;
            };
            let flag = format!("--{long}");
            let samples = [
                "=7",
                "=yes",
                "=netdev",
                "=docker",
                "=raft",
                "=vxlan",
                "=10.0.0.0/8",
                "=10.0.0.0",
                "=A=b",
                "=777",
            ];
            let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            let samples: &[&str] = if takes_value { &samples } else { &[""] };
            let said = samples.iter().find_map(|sample| {
                let selection = select(&[&format!("{flag}{sample}")]).ok()?;
                let layer = Layer {
                    sources: &selection.sources,
                    source: ValueSource::CommandLine,
                };
                selection.arguments.lab(layer, &ClusterName::default()).ok()
            });
            let said = said.unwrap_or_else(|| panic!("{flag} takes none of the samples"));
            assert_ne!(said, Lab::default(), "{flag}");
        }
    }

    #[test]
    fn a_flag_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.toml");
        std::fs::write(&file, "name = \"mine\"\nchassis = 3\nmtu = 9000\ntls = false\ndb = \"raft\"\n[[switch]]\nname = \"a\"").unwrap();
        let file = file.to_str().unwrap();
        let from_file = spec(&["-f", file]).unwrap();
        assert_eq!(
            (from_file.name.as_str(), from_file.chassis(), from_file.tls),
            ("mine", 3, false)
        );
        assert!(matches!(from_file.workload, Workload::Custom(_)));
        let both = spec(&[
            "-f",
            file,
            "--chassis=5",
            "--tls=yes",
            "--no-fake-vms",
            "--mtu=1500",
        ])
        .unwrap();
        assert_eq!((both.chassis(), both.tls, both.mtu), (5, true, 1500));
        assert_eq!(
            (both.workload, both.database),
            (Workload::None, from_file.database)
        );
    }

    #[test]
    fn the_last_of_two_flags_that_say_opposites_counts() {
        assert!(!spec(&["--tls=yes", "--no-tls"]).unwrap().tls);
        assert!(spec(&["--no-tls", "--tls=yes"]).unwrap().tls);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.toml");
        std::fs::write(&file, "[[vm]]\nname = \"a\"\nswitch = \"b\"\nchassis = 1").unwrap();
        let error = spec(&["-f", file.to_str().unwrap()]).unwrap_err();
        let place = format!("{}:3:10: VM \"a\": there is no switch", file.display());
        assert!(error.to_string().contains(&place), "{error}");
    }
}
