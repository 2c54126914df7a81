use serde_json::{Map, Value, json};

/// How much of a schema a sample shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Every property.
    Filled,
    /// The required ones.
    Minimal,
    /// Every property, unknown ones beside them, and unknown values in every enum.
    Unknown,
}

impl Style {
    pub(crate) const ALL: [Self; 3] = [Self::Filled, Self::Minimal, Self::Unknown];
}

/// A property that no schema has.
pub(crate) const UNKNOWN: &str = "x_unknown_field";

/// Makes values that fit the schemas of a contract.
pub(crate) struct Samples<'a> {
    schemas: &'a Value,
}

impl<'a> Samples<'a> {
    pub(crate) fn new(contract: &'a Value) -> Self {
        Self { schemas: &contract["components"]["schemas"] }
    }

    /// Samples of a schema by its name: one for each way through its alternatives.
    pub(crate) fn of_schema(&self, name: &str, style: Style) -> Vec<Value> {
        self.of(&self.schemas[name], style)
    }

    /// Samples of a schema.
    pub(crate) fn of(&self, schema: &Value, style: Style) -> Vec<Value> {
        (0..4).map(|way| self.make("", schema, style, way)).collect()
    }

    fn make(&self, name: &str, schema: &Value, style: Style, way: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = reference.rsplit('/').next().unwrap_or_default();
            return self.make(name, &self.schemas[target], style, way);
        }
        if let Some(alternatives) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            let suspect = schema["x-suspect"] == true;
            let sensible: Vec<_> = alternatives
                .iter()
                // Null is the same as absent, and one form is surely a slip of a source.
                .filter(|form| {
                    (alternatives.len() > 2 || form["type"] != "null") && !(suspect && form["format"] == "uuid")
                })
                .collect();
            return self.make(name, sensible[way % sensible.len()], style, way);
        }
        if let Some(values) = schema["enum"].as_array() {
            return if style == Style::Unknown { json!("brand_new_value") } else { values[way % values.len()].clone() };
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"].as_array()?.first()?.as_str());
        match kind {
            Some("object") => self.object(schema, style, way),
            Some("array") if style == Style::Minimal => json!([]),
            Some("array") => json!([self.make(name, &schema["items"], style, way)]),
            Some("string") => text(name, schema),
            Some("integer") => json!(7),
            Some("number") => json!(0.25),
            Some("boolean") => json!(true),
            Some("null") => Value::Null,
            // Any JSON.
            _ => [json!("text"), json!({"a": [1, null]}), json!([{"b": true}]), json!(5)][way % 4].clone(),
        }
    }

    fn object(&self, schema: &Value, style: Style, way: usize) -> Value {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if style != Style::Minimal || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.make(name, property, style, way));
            }
        }
        let open = &schema["additionalProperties"];
        if style != Style::Minimal && (open.is_object() || *open == true) {
            // A free-form value has no schema, and is made like any JSON.
            object.insert("key".to_owned(), self.make("key", open, style, way));
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
