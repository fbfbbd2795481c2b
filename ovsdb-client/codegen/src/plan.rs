//! What will be generated, decided before a line of it is written.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb_client::Schema;
use ovsdb_client::schema::{self, BaseType, ColumnType};
use ovsdb_client::value::{Atom, AtomType};

use crate::{Options, name};

/// The module of a database.
pub(crate) struct Plan<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) tables: Vec<TablePlan<'a>>,
    pub(crate) enumerations: Vec<Enumeration>,
}

/// The struct of a table.
pub(crate) struct TablePlan<'a> {
    pub(crate) name: &'a str,
    pub(crate) rust: String,
    pub(crate) table: &'a schema::Table,
    pub(crate) columns: Vec<ColumnPlan<'a>>,
}

/// The field and the token of a column.
pub(crate) struct ColumnPlan<'a> {
    pub(crate) name: &'a str,
    pub(crate) field: String,
    pub(crate) token: String,
    pub(crate) column: &'a schema::Column,
    pub(crate) ty: RustType,
}

/// The type of a field.
pub(crate) enum RustType {
    One(RustAtom),
    Optional(RustAtom),
    Set(RustAtom),
    Map(RustAtom, RustAtom),
}

/// The type of an atom.
pub(crate) enum RustAtom {
    Plain(AtomType),
    /// A real in a set or in the keys of a map, where `f64` lacks the order.
    OrderedReal,
    /// The struct of the table that is referred to.
    Ref(String),
    /// Name of the enumeration, and whether its values can be copied.
    Enumeration(String, bool),
}

/// The enum of a column with a list of values.
pub(crate) struct Enumeration {
    pub(crate) rust: String,
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) atom_type: AtomType,
    pub(crate) variants: Vec<(String, Atom)>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(schema: &'a Schema, options: &Options) -> Self {
        let mut taken = BTreeSet::new();
        let structs: BTreeMap<&str, String> = schema
            .tables()
            .filter(|(name, _)| options.includes(name))
            .map(|(name, _)| (name, name::table(name, &mut taken)))
            .collect();
        let mut types = Types {
            structs: &structs,
            taken,
            enumerations: Vec::new(),
        };
        let tables = schema
            .tables()
            .filter_map(|(name, table)| Some(types.table(name, structs.get(name)?, table)))
            .collect();
        Self {
            schema,
            tables,
            enumerations: types.enumerations,
        }
    }
}

/// The types that there are so far.
struct Types<'s> {
    structs: &'s BTreeMap<&'s str, String>,
    taken: BTreeSet<String>,
    enumerations: Vec<Enumeration>,
}

impl Types<'_> {
    fn table<'a>(&mut self, name: &'a str, rust: &str, table: &'a schema::Table) -> TablePlan<'a> {
        let mut fields = BTreeSet::from(["uuid".to_owned()]);
        let mut tokens = BTreeSet::from(["UUID".to_owned()]);
        let columns = table.columns().map(|(column_name, column)| ColumnPlan {
            name: column_name,
            field: name::field(column_name, &mut fields),
            token: name::token(column_name, &mut tokens),
            column,
            ty: self.column(name, rust, column_name, column.column_type()),
        });
        TablePlan {
            name,
            rust: rust.to_owned(),
            table,
            columns: columns.collect(),
        }
    }

    fn column(&mut self, table: &str, rust: &str, column: &str, ty: &ColumnType) -> RustType {
        let mut atom = |base, part, ordered| self.atom((table, rust, column, part), base, ordered);
        match &ty.value {
            Some(value) => RustType::Map(atom(&ty.key, "Key", true), atom(value, "Value", false)),
            None if ty.is_scalar() => RustType::One(atom(&ty.key, "", false)),
            None if ty.is_optional() => RustType::Optional(atom(&ty.key, "", false)),
            None => RustType::Set(atom(&ty.key, "", true)),
        }
    }

    /// The type of an atom, which is `ordered` if it is an element of a set or a key of a map.
    fn atom(
        &mut self,
        (table, rust, column, part): (&str, &str, &str, &str),
        base: &BaseType,
        ordered: bool,
    ) -> RustAtom {
        let reference = base.reference.as_ref();
        if let Some(target) = reference.and_then(|to| self.structs.get(to.table.as_str())) {
            return RustAtom::Ref(target.clone());
        }
        // There is no third boolean that a newer schema could bring.
        let Some(allowed) = base
            .allowed
            .as_ref()
            .filter(|_| base.atom_type != AtomType::Boolean)
        else {
            return match base.atom_type {
                AtomType::Real if ordered => RustAtom::OrderedReal,
                atom_type => RustAtom::Plain(atom_type),
            };
        };
        let mut variants = BTreeSet::from(["Unknown".to_owned()]);
        let enumeration = Enumeration {
            rust: name::enumeration(rust, column, part, &mut self.taken),
            table: table.to_owned(),
            column: column.to_owned(),
            atom_type: base.atom_type,
            variants: allowed
                .iter()
                .map(|atom| (variant(atom, &mut variants), atom.clone()))
                .collect(),
        };
        let rust = enumeration.rust.clone();
        self.enumerations.push(enumeration);
        RustAtom::Enumeration(rust, base.atom_type != AtomType::String)
    }
}

fn variant(atom: &Atom, taken: &mut BTreeSet<String>) -> String {
    match atom {
        Atom::String(value) => name::variant(value, taken),
        Atom::Uuid(uuid) => name::variant(&format!("v{}", uuid.simple()), taken),
        number => name::number_variant(&number.to_string(), taken),
    }
}
