use std::borrow::{Borrow, Cow};
use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::RowResult;

/// Returns the keys of the JSON objects among the outputs, including those in text outputs.
///
/// The keys are in the order of their first occurrence. Pass them to
/// [`Export::flatten`](crate::Export::flatten).
pub fn output_keys(results: impl IntoIterator<Item: Borrow<RowResult>>) -> Vec<String> {
    let mut keys = Vec::new();
    let mut known = HashSet::new();
    for result in results {
        let Some(object) = object(result.borrow().output.as_ref()) else { continue };
        for key in object.keys() {
            if !known.contains(key) {
                known.insert(key.clone());
                keys.push(key.clone());
            }
        }
    }
    keys
}

/// Returns the values of the given keys in an output.
pub(super) fn flatten(output: Option<&Value>, keys: &[String]) -> Vec<Option<Value>> {
    if keys.is_empty() {
        return Vec::new();
    }
    let object = object(output);
    keys.iter().map(|key| object.as_ref()?.get(key).cloned()).collect()
}

/// Returns an output as an object. Many deployments return a model's JSON as text.
fn object(output: Option<&Value>) -> Option<Cow<'_, Map<String, Value>>> {
    match output? {
        Value::Object(object) => Some(Cow::Borrowed(object)),
        Value::String(text) if text.trim_start().starts_with('{') => serde_json::from_str(text).ok().map(Cow::Owned),
        _ => None,
    }
}
