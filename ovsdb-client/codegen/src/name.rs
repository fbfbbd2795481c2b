//! Rust names for what a schema names.

use std::collections::BTreeSet;

/// Names that generated code uses for other things than tables and enumerations.
const RESERVED_TYPES: [&str; 33] = [
    "AnyRow",
    "Assignment",
    "Atom",
    "AtomShape",
    "AtomType",
    "AtomValue",
    "BTreeMap",
    "BTreeSet",
    "Box",
    "Column",
    "ColumnSpec",
    "DecodeError",
    "Err",
    "From",
    "None",
    "Ok",
    "Option",
    "Real",
    "Ref",
    "Result",
    "Row",
    "RowReader",
    "SchemaView",
    "Self",
    "Some",
    "String",
    "Table",
    "TableSpec",
    "Transaction",
    "Unknown",
    "Uuid",
    "Vec",
    "Display",
];

/// Name of the struct of a table.
pub(crate) fn table(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut rust = camel_case(name);
    if RESERVED_TYPES.contains(&rust.as_str()) {
        rust.push_str("Row");
    }
    free(rust, taken)
}

/// Name of an enumeration.
pub(crate) fn enumeration(
    table: &str,
    column: &str,
    part: &str,
    taken: &mut BTreeSet<String>,
) -> String {
    free(format!("{table}{}{part}", camel_case(column)), taken)
}

/// Name of a variant for a string.
pub(crate) fn variant(value: &str, taken: &mut BTreeSet<String>) -> String {
    let rust = match camel_case(value) {
        empty if empty.is_empty() && value.is_empty() => "Empty".to_owned(),
        empty if empty.is_empty() => "Value".to_owned(),
        rust if rust.starts_with(|first: char| first.is_ascii_digit()) => format!("V{rust}"),
        rust => rust,
    };
    free(rust, taken)
}

/// Name of a variant for a number.
pub(crate) fn number_variant(value: &str, taken: &mut BTreeSet<String>) -> String {
    let rust = match value.strip_prefix('-') {
        Some(positive) => format!("Minus{}", camel_case(positive)),
        None => format!("V{}", camel_case(value)),
    };
    free(rust, taken)
}

/// Name of a field.
pub(crate) fn field(column: &str, taken: &mut BTreeSet<String>) -> String {
    free(column.to_lowercase(), taken)
}

/// Name of a column's token.
pub(crate) fn token(column: &str, taken: &mut BTreeSet<String>) -> String {
    free(column.to_uppercase(), taken)
}

/// Adds `_` until the name is neither a keyword nor taken, and takes it.
fn free(mut name: String, taken: &mut BTreeSet<String>) -> String {
    while syn::parse_str::<syn::Ident>(&name).is_err() || taken.contains(&name) {
        name.push('_');
    }
    taken.insert(name.clone());
    name
}

/// Words put together, each with a capital first letter; a word in capitals keeps only that one.
/// Where two digits would meet, a `_` keeps them apart.
fn camel_case(name: &str) -> String {
    let mut rust = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut letters = word.chars();
        let Some(first) = letters.next() else {
            continue;
        };
        if first.is_ascii_digit() && rust.ends_with(|last: char| last.is_ascii_digit()) {
            rust.push('_');
        }
        rust.push(first.to_ascii_uppercase());
        if word.chars().any(|c| c.is_ascii_lowercase()) {
            rust.extend(letters);
        } else {
            rust.extend(letters.map(|letter| letter.to_ascii_lowercase()));
        }
    }
    rust
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_get_the_names_of_rust_types() {
        let cases = [
            ("Logical_Switch", "LogicalSwitch"),
            ("ACL", "Acl"),
            ("NB_Global", "NbGlobal"),
            ("Open_vSwitch", "OpenVSwitch"),
            ("QoS", "QoS"),
            ("Option", "OptionRow"),
            ("Self", "SelfRow"),
        ];
        for (table_name, rust) in cases {
            assert_eq!(table(table_name, &mut BTreeSet::new()), rust);
        }
    }

    #[test]
    fn values_get_the_names_of_variants() {
        let cases = [
            ("allow-related", "AllowRelated"),
            ("TCP", "Tcp"),
            ("", "Empty"),
            ("+", "Value"),
            ("802.1ad", "V802_1ad"),
            ("OpenFlow10", "OpenFlow10"),
            ("self", "Self_"),
        ];
        for (value, rust) in cases {
            assert_eq!(variant(value, &mut BTreeSet::new()), rust);
        }
        for (value, rust) in [("7", "V7"), ("-1", "Minus1"), ("0.5", "V0_5")] {
            assert_eq!(number_variant(value, &mut BTreeSet::new()), rust);
        }
    }

    #[test]
    fn names_that_meet_are_told_apart() {
        let mut taken = BTreeSet::new();
        assert_eq!(variant("a-b", &mut taken), "AB");
        assert_eq!(variant("a_b", &mut taken), "AB_");
        assert_eq!(field("type", &mut taken), "type_");
        assert_eq!(field("Type_", &mut taken), "type__");
        assert_eq!(token("type", &mut taken), "TYPE");
    }
}
