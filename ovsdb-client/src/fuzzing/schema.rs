use super::texts;
use crate::schema::{Column, ColumnType, Schema};
use crate::value::Datum;

/// A schema keeps its text, and a value's canonical form is one: it is its own, it fits where the
/// value fits, and it is equal to that of every other spelling.
///
/// A schema and a datum with a zero byte between.
pub fn schema(data: &[u8]) {
    let Some([schema, datum]) = texts(data) else {
        return;
    };
    let Ok(schema) = Schema::parse(schema) else {
        return;
    };
    let again = Schema::parse(schema.json()).expect("the text of a schema is one");
    assert_eq!(again.json(), schema.json());
    let datum = serde_json::from_str::<Datum>(datum).ok();
    for (table_name, table) in schema.tables() {
        assert_eq!(schema.is_root(table_name), again.is_root(table_name));
        for (name, column) in table.columns() {
            let ty = column.column_type();
            let twin = again.table(table_name).and_then(|table| table.column(name));
            assert_eq!(twin.map(Column::column_type), Some(ty));
            canonical(ty, ty.default_datum());
            if let Some(datum) = &datum {
                canonical(ty, datum.clone());
            }
        }
    }
}

fn canonical(ty: &ColumnType, datum: Datum) {
    let form = ty.canonical(datum.clone());
    assert_eq!(ty.canonical(form.clone()), form);
    if ty.check(&datum).is_ok() {
        assert_eq!(ty.check(&form), Ok(()), "{datum}");
    }
    if let Datum::Atom(atom) = &datum {
        assert_eq!(ty.canonical(Datum::Set(vec![atom.clone()])), form);
    }
    if let Datum::Set(mut atoms) = datum {
        atoms.reverse();
        assert_eq!(ty.canonical(Datum::Set(atoms)), form);
    }
}
