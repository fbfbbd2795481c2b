//! Go templates, in which `--format` is given to engines.

use anyhow::anyhow;
use gtmpl_ng::{Context, Func, FuncError, Template, Value as TemplateValue};
use serde_json::Value;

/// A parsed template.
pub(super) struct Format(Template);

impl Format {
    /// Parses it. A tab may be written as `\t`, and a newline as `\n`, as engines have it.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut template = Template::default();
        template.add_func("json", json as Func);
        let parsed = template.parse(&text);
        parsed.map_err(|e| anyhow!("the format {text:?} is no Go template: {e}"))?;
        Ok(Self(template))
    }

    /// Fills it in. A field that there is not is an error.
    pub(super) fn fill(&self, value: &Value) -> anyhow::Result<String> {
        let filled = self.0.render(&Context::from(to_template(value)));
        filled.map_err(|e| {
            let fields = value.as_object().into_iter().flatten();
            let fields: Vec<_> = fields.map(|(name, _)| name.as_str()).collect();
            anyhow!(
                "the format cannot be filled in: {e}; there are {}",
                fields.join(", ")
            )
        })
    }
}

/// The function `json` of engines.
fn json(arguments: &[TemplateValue]) -> Result<TemplateValue, FuncError> {
    let [value] = arguments else {
        return Err(FuncError::ExactlyXArgs("json".to_owned(), 1));
    };
    Ok(from_template(value).to_string().into())
}

fn to_template(value: &Value) -> TemplateValue {
    match value {
        Value::Null => TemplateValue::Nil,
        Value::Bool(bool) => (*bool).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, float) => float.unwrap_or_default().into(),
        },
        Value::String(text) => text.clone().into(),
        Value::Array(items) => TemplateValue::Array(items.iter().map(to_template).collect()),
        Value::Object(map) => {
            let map = map
                .iter()
                .map(|(key, value)| (key.clone(), to_template(value)));
            // Not a map, whose missing keys are no error.
            TemplateValue::Object(map.collect())
        }
    }
}

fn from_template(value: &TemplateValue) -> Value {
    match value {
        TemplateValue::Bool(bool) => (*bool).into(),
        TemplateValue::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, float) => float.into(),
        },
        TemplateValue::String(text) => text.as_str().into(),
        TemplateValue::Array(items) => items.iter().map(from_template).collect(),
        TemplateValue::Object(map) | TemplateValue::Map(map) => {
            let mut map: Vec<_> = map.iter().collect();
            map.sort_by_key(|(key, _)| key.as_str());
            let map = map
                .into_iter()
                .map(|(key, value)| (key.clone(), from_template(value)));
            Value::Object(map.collect())
        }
        TemplateValue::NoValue | TemplateValue::Nil | TemplateValue::Function(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(format: &str) -> anyhow::Result<String> {
        let value = json!({
            "Name": "n",
            "State": {"Pid": 7, "Running": true},
            "Networks": {"eth1": {"IPAddress": "10.0.0.1"}, "eth2": {"IPAddress": ""}},
        });
        Format::parse(format)?.fill(&value)
    }

    #[test]
    fn fields_are_filled_in() {
        let is = |format: &str, text: &str| assert_eq!(filled(format).unwrap(), text);
        is("{{.State.Pid}}", "7");
        is("{{ .Name }}\\t{{.State.Running}}", "n\ttrue");
        is("{{json .State}}", r#"{"Pid":7,"Running":true}"#);
        is("{{range .Networks}}{{.IPAddress}}{{end}}", "10.0.0.1");
        is("{{(index .Networks \"eth1\").IPAddress}}", "10.0.0.1");
        is("{{if .State.Running}}up{{end}}", "up");
    }

    #[test]
    fn what_there_is_not_is_an_error() {
        let error = |format: &str| filled(format).unwrap_err().to_string();
        assert!(error("{{.State.Foo}}").contains("Foo"));
        assert!(error("{{.Nome}}").contains("there are"));
        assert!(error("{{.Name").contains("no Go template"));
    }
}
