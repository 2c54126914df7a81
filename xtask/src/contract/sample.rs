use serde_json::{Map, Value, json};

/// The choice of properties in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// All declared properties.
    Filled,
    /// Only the required properties.
    Minimal,
    /// All declared properties, an undeclared one, and unknown values of enums.
    Unknown,
}

impl Style {
    pub(crate) const ALL: [Self; 3] = [Self::Filled, Self::Minimal, Self::Unknown];
}

/// A property that no schema declares.
pub(crate) const UNKNOWN: &str = "x_unknown_field";

/// A generator of values that match the schemas of a contract.
pub(crate) struct Samples<'a> {
    schemas: &'a Value,
}

impl<'a> Samples<'a> {
    pub(crate) fn new(contract: &'a Value) -> Self {
        Self { schemas: &contract["components"]["schemas"] }
    }

    /// Returns samples of a named schema with different alternatives.
    pub(crate) fn of_schema(&self, name: &str, style: Style) -> Vec<Value> {
        self.of(&self.schemas[name], style)
    }

    /// Returns samples of a schema with different alternatives.
    pub(crate) fn of(&self, schema: &Value, style: Style) -> Vec<Value> {
        (0..4).map(|variant| self.generate("", schema, style, variant)).collect()
    }

    fn generate(&self, name: &str, schema: &Value, style: Style, variant: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = reference.rsplit('/').next().unwrap_or_default();
            return self.generate(name, &self.schemas[target], style, variant);
        }
        if let Some(alternatives) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            let suspect = schema["x-suspect"] == true;
            let sensible: Vec<_> = alternatives
                .iter()
                // Null is equivalent to absent. `x-suspect` marks a format that is probably an
                // error of the SDK.
                .filter(|form| {
                    (alternatives.len() > 2 || form["type"] != "null") && !(suspect && form["format"] == "uuid")
                })
                .collect();
            return self.generate(name, sensible[variant % sensible.len()], style, variant);
        }
        if let Some(values) = schema["enum"].as_array() {
            return if style == Style::Unknown {
                json!("brand_new_value")
            } else {
                values[variant % values.len()].clone()
            };
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"].as_array()?.first()?.as_str());
        match kind {
            Some("object") => self.object(schema, style, variant),
            Some("array") if style == Style::Minimal => json!([]),
            Some("array") => json!([self.generate(name, &schema["items"], style, variant)]),
            Some("string") => text(name, schema),
            Some("integer") => json!(7),
            Some("number") => json!(0.25),
            Some("boolean") => json!(true),
            Some("null") => Value::Null,
            // Any JSON.
            _ => [json!("text"), json!({"a": [1, null]}), json!([{"b": true}]), json!(5)][variant % 4].clone(),
        }
    }

    fn object(&self, schema: &Value, style: Style, variant: usize) -> Value {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if style != Style::Minimal || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.generate(name, property, style, variant));
            }
        }
        let open = &schema["additionalProperties"];
        if style != Style::Minimal && (open.is_object() || *open == true) {
            // A free-form value has no schema, so it can be any JSON.
            object.insert("key".to_owned(), self.generate("key", open, style, variant));
        } else if style == Style::Unknown {
            object.insert(UNKNOWN.to_owned(), json!({"a": [1, null, "x"]}));
        }
        Value::Object(object)
    }
}

fn text(name: &str, schema: &Value) -> Value {
    if let Some(example) = schema["examples"].as_array().and_then(|examples| examples.first()) {
        return example.clone();
    }
    match schema["format"].as_str() {
        Some("uuid") => json!("11111111-1111-4111-8111-111111111111"),
        Some("date-time") => json!("2026-05-26T09:30:00Z"),
        _ if name.contains("url") || name == "attachments" => json!("https://example.com/x"),
        _ => json!(format!("some {name}")),
    }
}
