//! The schema of topology files, for editors and validators.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Lab;

impl Lab {
    /// A JSON schema of topology files, draft 7, with a description of each key.
    pub fn schema() -> Value {
        let generator = SchemaSettings::draft07().into_generator();
        let mut schema = generator.into_root_schema_for::<Lab>().to_value();
        tidy(&mut schema);
        schema
    }
}

/// Takes out what is not for readers of TOML: nulls, which it does not have, and links of Rust's documentation.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            // Of what is left out, the descriptions say what that means.
            object.remove("default");
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(variants)) = object.get_mut("anyOf") {
                variants.retain(|variant| variant["type"] != "null");
                // Beside a reference nothing counts in draft 7, so it stays in a list of its own.
                if variants.len() == 1
                    && let Some(only) = object.remove("anyOf")
                {
                    object.insert("allOf".to_owned(), only);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
