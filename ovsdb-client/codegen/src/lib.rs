//! Generates typed tables for [`ovsdb_client`] from a schema.
//!
//! For the databases of Open vSwitch and OVN the package `ovsdb-models` has the result at hand. For
//! another database, or another version of one of these, either run the program and check its
//! output in, and run it with `--check` in CI:
//!
//! ```sh
//! ovsdb-codegen --out src/hardware_vtep.rs vtep.ovsschema
//! ovsdb-codegen --check --out src/hardware_vtep.rs vtep.ovsschema
//! ```
//!
//! or call the library from a build script and `include!` the file that it writes:
//!
//! ```
//! use ovsdb_client::Schema;
//! use ovsdb_codegen::{Options, generate};
//!
//! let schema = Schema::parse(r#"{"name": "Pets", "version": "1.0.0", "tables":
//!     {"Cat": {"columns": {"name": {"type": "string"}}}}}"#)?;
//! let code = generate(&schema, &Options::default());
//! assert!(code.contains("pub struct Cat {"));
//! assert!(code.contains(r#"pub const NAME: Column<Self, String> = Column::new("name");"#));
//! # Ok::<(), ovsdb_client::SchemaError>(())
//! ```
//!
//! The result holds no inner attribute, so that it can be included, and stands alone in its module.
//! Declare that as `#[rustfmt::skip] mod …`: the code is laid out already, a little unlike rustfmt.
//!
//! # Names
//!
//! | in the schema | in Rust |
//! |---|---|
//! | table `Logical_Switch`, `ACL`, `NB_Global` | `LogicalSwitch`, `Acl`, `NbGlobal` |
//! | column `other_config` | field `other_config`, token `OTHER_CONFIG` |
//! | column `type` | field `type_`, token `TYPE` |
//! | enumeration of column `action` | `AclAction`; in a map `…Key` and `…Value` |
//! | its values `allow-related`, the empty one, `802.1ad`, -1 | `AllowRelated`, `Empty`, `V802_1ad`, `Minus1` |
//! | any other value | `Unknown` |
//! | table `Option`, whose name Rust needs | `OptionRow` |
//!
//! A name that is a keyword, or taken, gets a `_` after it: `type_` reads in a struct as it does in
//! a pattern and in a message, which `r#type` does not.

#![forbid(unsafe_code)]

mod enumeration;
mod module;
mod name;
mod plan;
mod row;

use std::collections::BTreeSet;

use ovsdb_client::Schema;

use crate::plan::Plan;

/// What to generate; by default, everything.
#[derive(Debug, Clone, Default)]
pub struct Options {
    tables: Option<BTreeSet<String>>,
}

impl Options {
    /// Generates only these tables. A reference to a table that is left out is a plain
    /// [`Uuid`](https://docs.rs/uuid); a name that the schema lacks has no effect.
    #[must_use]
    pub fn tables<T: Into<String>>(mut self, tables: impl IntoIterator<Item = T>) -> Self {
        self.tables = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    fn includes(&self, table: &str) -> bool {
        self.tables
            .as_ref()
            .is_none_or(|tables| tables.contains(table))
    }
}

/// Generates the types for a schema, as the text of a Rust module.
///
/// Equal input makes equal output; tables and columns come in order of their names.
pub fn generate(schema: &Schema, options: &Options) -> String {
    module::text(&Plan::new(schema, options))
}

/// Name of a module for a database: `open_vswitch` for `Open_vSwitch`, `server` for `_Server`.
pub fn module_name(schema: &Schema) -> String {
    name::field(schema.name().trim_matches('_'), &mut BTreeSet::new())
}
