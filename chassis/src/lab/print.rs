//! A topology file as a person would write it.

use toml::{Table, Value};
use toml_writer::{ToTomlKey, TomlKeyBuilder};

use super::Lab;

/// What a line may have before a list of tables is given a line for each.
const WIDTH: usize = 100;

impl Lab {
    /// Writes it as TOML that [`Lab::parse`] reads.
    ///
    /// # Panics
    /// When a path in it is no UTF-8.
    pub fn to_toml(&self) -> String {
        let table = Table::try_from(self).expect("everything but a path is text or a number");
        let (mut values, mut tables) = (String::new(), String::new());
        for (key, value) in &table {
            match value {
                Value::Table(table) if !table.is_empty() => {
                    tables += &format!("\n[{key}]\n");
                    add_pairs(&mut tables, table);
                }
                Value::Table(_) => {}
                Value::Array(items) if items.iter().all(Value::is_table) => {
                    for item in items.iter().filter_map(Value::as_table) {
                        tables += &format!("\n[[{key}]]\n");
                        add_pairs(&mut tables, item);
                    }
                }
                value => values += &format!("{key} = {value}\n"),
            }
        }
        let text = values + &tables;
        text.trim_start().to_owned()
    }
}

/// Writes the pairs of a table, each on a line.
fn add_pairs(text: &mut String, table: &Table) {
    for (key, value) in table {
        // Names of variables may need quotes.
        let key = TomlKeyBuilder::new(key).as_default().to_toml_key();
        let line = format!("{key} = {value}\n");
        match value {
            Value::Array(items) if line.len() > WIDTH && items.iter().all(Value::is_table) => {
                *text += &format!("{key} = [\n");
                for item in items {
                    *text += &format!("    {item},\n");
                }
                *text += "]\n";
            }
            _ => *text += &line,
        }
    }
}
