//! Whether the endpoints and the types say the same as the contract for machines.

mod mutate;
mod operations;
mod sample;
mod schemas;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::sample::{Samples, Style};
use crate::run::root;

pub(crate) fn contract(arguments: &[String]) -> Result<(), String> {
    if arguments.first().is_some_and(|argument| argument == "--mutate") {
        return mutate::mutate(&arguments[1..]);
    }
    if arguments.first().is_some_and(|argument| argument == "--live") {
        return crate::live::live();
    }
    println!("\n== contract: endpoints and types against openapi.json");
    let file = root().join("crates/fetch-hive-emulator/contract/openapi.json");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
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

/// Records that the contract does not type: they show what can be set in them, and what their lists show.
const BORROWED: [(&str, &[&str]); 3] = [
    ("Agent", &["AgentCreate", "AgentUpdate"]),
    ("KnowledgeBaseDetail", &["KnowledgeBase"]),
    ("KnowledgeBaseItemDetail", &["KnowledgeBaseItemCreate", "KnowledgeBaseItem"]),
];

/// Every schema goes through its type, or is listed with a reason; gives how many hold.
fn check_schemas(contract: &Value, samples: &Samples<'_>, failures: &mut Vec<String>) -> usize {
    let names: BTreeSet<&str> =
        contract["components"]["schemas"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let table = schemas::table();
    for (name, _) in &table {
        if !names.contains(name) {
            failures.push(format!("{name}: no schema of the contract"));
        }
    }
    let mut held = 0;
    for name in names {
        let Some((_, mapped)) = table.iter().find(|row| row.0 == name) else {
            failures.push(format!("{name}: neither a type nor a reason"));
            continue;
        };
        let before = failures.len();
        let borrowed = BORROWED.iter().find(|row| row.0 == name).map_or(&[][..], |row| row.1);
        if let schemas::Mapped::Type(through) = mapped {
            for style in Style::ALL {
                let mut given = samples.of_schema(name, style);
                given.extend(borrowed.iter().flat_map(|other| samples.of_schema(other, style)));
                if let Err(difference) = given.iter().try_for_each(|value| through(value, style)) {
                    failures.push(format!("{name} ({style:?}): {difference}"));
                }
            }
        }
        held += usize::from(failures.len() == before);
    }
    held
}

/// A value without what is the same as absent: null, the empty list and the empty object.
pub(crate) fn bare(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept =
                object.iter().filter(|(_, value)| !value.is_null() && **value != json!([]) && **value != json!({}));
            Value::Object(kept.map(|(key, value)| (key.clone(), bare(value))).collect())
        }
        Value::Array(array) => Value::Array(array.iter().map(bare).collect()),
        other => other.clone(),
    }
}

/// Says where two values differ, if they do.
pub(crate) fn compare(want: &Value, got: &Value) -> Result<(), String> {
    let (want, got) = (bare(want), bare(got));
    if want == got { Ok(()) } else { Err(format!("went in as {want} and came out as {got}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openapi() -> Value {
        let file = root().join("crates/fetch-hive-emulator/contract/openapi.json");
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
    fn a_missing_endpoint_is_reported() {
        let mut contract = openapi();
        contract["paths"]["/public/new"] = json!({"get": {"operationId": "getNew"}});
        assert_eq!(failures(&contract), ["getNew: no endpoint"]);
    }

    #[test]
    fn an_endpoint_outside_the_contract_is_reported() {
        let mut contract = openapi();
        contract["paths"].as_object_mut().unwrap().remove("/public/models");
        assert_eq!(failures(&contract), ["listModels: no operation of the contract"]);
    }

    /// Finds an endpoint that is missing from the list in `operations.rs`.
    #[test]
    fn every_endpoint_is_an_operation() {
        let mut endpoints = BTreeSet::new();
        for file in std::fs::read_dir(root().join("crates/fetch-hive-core/src/endpoints")).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names = source.lines().filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
            endpoints.extend(names.map(str::to_owned));
        }
        let operations: BTreeSet<String> = operations::declared(&openapi()).into_iter().map(|row| row.0).collect();
        assert_eq!(endpoints, operations);
    }
}
