//! Comparison of endpoints and types with `openapi.json`.

mod mutate;
mod operations;
mod sample;
mod schemas;
mod schemathesis;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::sample::{Samples, Style};
use crate::run::{read_text, workspace_root};

/// Compares every endpoint and every type with `openapi.json`.
pub(crate) fn contract(arguments: &[String]) -> Result<(), String> {
    if arguments.first().is_some_and(|argument| argument == "--mutate") {
        return mutate::mutate(&arguments[1..]);
    }
    if arguments.first().is_some_and(|argument| argument == "--emulator") {
        return schemathesis::schemathesis();
    }
    println!("\n== contract: endpoints and types, compared with openapi.json");
    let file = workspace_root().join("crates/fetch-hive-emulator/contract/openapi.json");
    let text = read_text(&file)?;
    let contract: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let samples = Samples::new(&contract);

    let mut failures = Vec::new();
    let operations = operations::check(&contract, &samples, &mut failures);
    let declared = operations::declared(&contract).len();
    let schemas = check_schemas(&contract, &samples, &mut failures);
    let all = contract["components"]["schemas"].as_object().map_or(0, serde_json::Map::len);
    for failure in &failures {
        println!("   FAILED {failure}");
    }
    println!("   {operations}/{declared} operations, {schemas}/{all} schemas");
    if failures.is_empty() { Ok(()) } else { Err(format!("{} differences", failures.len())) }
}

/// Schemas without properties, and the schemas whose properties their records have instead.
const UNTYPED_RECORDS: [(&str, &[&str]); 3] = [
    ("Agent", &["AgentCreate", "AgentUpdate"]),
    ("KnowledgeBaseDetail", &["KnowledgeBase"]),
    ("KnowledgeBaseItemDetail", &["KnowledgeBaseItemCreate", "KnowledgeBaseItem"]),
];

/// Parses and writes samples of every schema with its type. Returns the number of schemas that
/// match.
fn check_schemas(contract: &Value, samples: &Samples<'_>, failures: &mut Vec<String>) -> usize {
    let names: BTreeSet<&str> =
        contract["components"]["schemas"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let table = schemas::table();
    for (name, _) in &table {
        if !names.contains(name) {
            failures.push(format!("{name}: not a schema of the contract"));
        }
    }
    let mut matching = 0;
    for name in names {
        let Some((_, mapping)) = table.iter().find(|row| row.0 == name) else {
            failures.push(format!("{name}: has neither a type nor a reason in the table"));
            continue;
        };
        let before = failures.len();
        let substitutes = UNTYPED_RECORDS.iter().find(|row| row.0 == name).map_or(&[][..], |row| row.1);
        if let schemas::Mapping::Type(round_trip) = mapping {
            for style in Style::ALL {
                let mut values = samples.of_schema(name, style);
                values.extend(substitutes.iter().flat_map(|other| samples.of_schema(other, style)));
                if let Err(difference) = values.iter().try_for_each(|value| round_trip(value, style)) {
                    failures.push(format!("{name} ({style:?}): {difference}"));
                }
            }
        }
        matching += usize::from(failures.len() == before);
    }
    matching
}

/// Removes nulls, empty arrays and empty objects, which are equivalent to absent fields.
pub(crate) fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields =
                object.iter().filter(|(_, value)| !value.is_null() && **value != json!([]) && **value != json!({}));
            Value::Object(fields.map(|(key, value)| (key.clone(), without_empty(value))).collect())
        }
        Value::Array(array) => Value::Array(array.iter().map(without_empty).collect()),
        other => other.clone(),
    }
}

/// Returns an error if two values differ in more than absent fields.
pub(crate) fn compare(expected: &Value, actual: &Value) -> Result<(), String> {
    let (expected, actual) = (without_empty(expected), without_empty(actual));
    if expected == actual { Ok(()) } else { Err(format!("expected {expected}, got {actual}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openapi() -> Value {
        let file = workspace_root().join("crates/fetch-hive-emulator/contract/openapi.json");
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    fn failures(contract: &Value) -> Vec<String> {
        let mut failures = Vec::new();
        operations::check(contract, &Samples::new(contract), &mut failures);
        failures
    }

    #[test]
    fn every_operation_has_an_endpoint() {
        assert_eq!(failures(&openapi()), Vec::<String>::new());
    }

    #[test]
    fn missing_endpoint_is_reported() {
        let mut contract = openapi();
        contract["paths"]["/public/new"] = json!({"get": {"operationId": "getNew"}});
        assert_eq!(failures(&contract), ["getNew: no endpoint"]);
    }

    #[test]
    fn endpoint_outside_the_contract_is_reported() {
        let mut contract = openapi();
        contract["paths"].as_object_mut().unwrap().remove("/public/models");
        assert_eq!(failures(&contract), ["listModels: not an operation of the contract"]);
    }

    /// Finds an endpoint that is missing from the list in `operations.rs`.
    #[test]
    fn every_endpoint_is_an_operation() {
        let mut endpoints = BTreeSet::new();
        for file in std::fs::read_dir(workspace_root().join("crates/fetch-hive-core/src/endpoints")).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names = source.lines().filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
            endpoints.extend(names.map(str::to_owned));
        }
        let operations: BTreeSet<String> = operations::declared(&openapi()).into_iter().map(|row| row.0).collect();
        assert_eq!(endpoints, operations);
    }
}
