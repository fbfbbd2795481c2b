//! `ovsdb-codegen`: typed tables for `ovsdb-client` from the command line.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgGroup, Parser};
use ovsdb_client::Schema;
use ovsdb_codegen::{Options, generate, module_name};

/// Generates typed tables for ovsdb-client from OVSDB schemas.
///
/// Exits with 1 when --check finds a difference, and with 2 when something fails.
#[derive(Parser)]
#[command(version, group(ArgGroup::new("target").required(true)))]
struct Cli {
    /// File for the module of one schema.
    #[arg(long, value_name = "FILE", group = "target")]
    out: Option<PathBuf>,
    /// Directory for a module of each schema, named after its database.
    #[arg(long, value_name = "DIR", group = "target")]
    out_dir: Option<PathBuf>,
    /// Write nothing; say which files differ from what would be written.
    #[arg(long)]
    check: bool,
    /// Only these tables; a reference to another one is a plain UUID.
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    tables: Vec<String>,
    /// Schemas, as .ovsschema files.
    #[arg(required = true, value_name = "SCHEMA")]
    schemas: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

impl Cli {
    /// Whether all files are as they should be.
    fn run(self) -> anyhow::Result<bool> {
        if self.out.is_some() && self.schemas.len() > 1 {
            bail!("--out takes one schema; use --out-dir for several");
        }
        let mut options = Options::default();
        if !self.tables.is_empty() {
            options = options.tables(self.tables.iter().cloned());
        }
        let mut all_equal = true;
        for path in &self.schemas {
            let schema = read(path)?;
            let code = generate(&schema, &options);
            let file = match (&self.out, &self.out_dir) {
                (Some(file), _) => file.clone(),
                (None, directory) => {
                    let directory = directory.as_deref().unwrap_or(Path::new("."));
                    directory.join(module_name(&schema)).with_extension("rs")
                }
            };
            if self.check {
                all_equal &= is_equal(&file, path, &code)?;
            } else {
                fs::write(&file, code)
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        Ok(all_equal)
    }
}

fn read(path: &Path) -> anyhow::Result<Schema> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Schema::parse(&text).with_context(|| format!("{} is not a schema", path.display()))
}

/// Compares a file with what it should hold, and says where they part.
fn is_equal(file: &Path, schema: &Path, code: &str) -> anyhow::Result<bool> {
    let found = match fs::read_to_string(file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say(&format!("{} is missing", file.display()));
            return Ok(false);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", file.display()));
        }
    };
    if found == code {
        return Ok(true);
    }
    let equal_lines = found.lines().zip(code.lines()).take_while(|(a, b)| a == b);
    let line = equal_lines.count() + 1;
    let (file, schema) = (file.display(), schema.display());
    say(&format!(
        "{file}:{line}: differs from what {schema} gives\nhint: run ovsdb-codegen without --check"
    ));
    Ok(false)
}

/// Tells the user; a closed standard error is none of our business.
fn say(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
