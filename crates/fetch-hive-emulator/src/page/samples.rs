//! A sample request for each operation, which the page offers for editing and sending.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::operations::table::OPENAPI;

/// The depth at which nested schemas are no longer sampled.
const MAX_DEPTH: usize = 8;

/// Returns the operations with their id, method, path and a sample body.
pub(super) fn operations() -> &'static Value {
    static OPERATIONS: OnceLock<Value> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let contract: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
        let paths = contract["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            let contract = &contract;
            methods.filter_map(move |(method, operation)| describe(contract, path, method, operation))
        });
        operations.collect()
    })
}

fn describe(contract: &Value, path: &str, method: &str, operation: &Value) -> Option<Value> {
    let content = &operation["requestBody"]["content"];
    let schema = content.get("application/json").map(|json| &json["schema"]);
    Some(json!({
        "id": operation["operationId"].as_str()?,
        "method": method.to_uppercase(),
        "path": path,
        "is_upload": content.get("multipart/form-data").is_some(),
        "body": schema.map(|schema| sample(contract, schema, 0)),
    }))
}

/// Returns a value that matches a schema: its example, or the required fields of an object.
fn sample(contract: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = contract.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return if depth < MAX_DEPTH { sample(contract, target, depth + 1) } else { Value::Null };
    }
    let given = ["example", "default", "const"].iter().find_map(|name| schema.get(*name));
    if let Some(value) = given.or_else(|| schema["enum"].get(0)).or_else(|| schema["examples"].get(0)) {
        return value.clone();
    }
    for name in ["oneOf", "anyOf"] {
        if let Some(first) = schema[name].get(0) {
            return sample(contract, first, depth + 1);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => sample_object(contract, schema, depth),
        Some("array") if schema["minItems"].as_u64().unwrap_or(0) > 0 => {
            json!([sample(contract, &schema["items"], depth + 1)])
        }
        Some("array") => json!([]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("string") => match schema["format"].as_str() {
            Some("uri") => json!("https://example.com/file"),
            _ => json!("text"),
        },
        _ => json!({}),
    }
}

fn sample_object(contract: &Value, schema: &Value, depth: usize) -> Value {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut fields = Map::new();
    for name in required {
        let value = match name {
            "callback_url" => json!("http://127.0.0.1:4000/callbacks"),
            name if name.ends_with("url") => json!("https://example.com/file"),
            name => sample(contract, &schema["properties"][name], depth + 1),
        };
        fields.insert(name.to_owned(), value);
    }
    // The optional field that most requests have.
    if let Some(inputs) = schema["properties"].get("inputs").filter(|_| !fields.contains_key("inputs")) {
        let inputs = sample(contract, inputs, depth + 1);
        fields.insert("inputs".to_owned(), if inputs.is_object() { json!({"topic": "AI"}) } else { inputs });
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::operations::table::{Route, route};

    #[test]
    fn every_sample_is_valid() {
        let operations = operations().as_array().unwrap();
        assert_eq!(operations.len(), 43);
        for operation in operations {
            let id = operation["id"].as_str().unwrap();
            let method: Method = operation["method"].as_str().unwrap().parse().unwrap();
            let path = operation["path"].as_str().unwrap().replace(['{', '}'], "");
            let Route::Operation(found) = route(&method, &path) else { panic!("{id}: {method} {path}") };
            assert_eq!(found.id, id);
            assert_eq!(found.body.is_some(), !operation["body"].is_null(), "{id}");
            if let Some(validator) = &found.body {
                let error = validator.validate(&operation["body"]).err().map(|error| error.to_string());
                assert_eq!(error, None, "{id}: {}", operation["body"]);
            }
        }
    }
}
