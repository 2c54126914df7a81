//! Compares a request with a recorded one.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::format::RecordedRequest;
use super::redact::{REDACTED, redact_path, redact_value};

/// Compares the method, the path and the JSON body, and returns the first difference as an error.
pub(super) fn compare(recorded: &RecordedRequest, request: &Request<Bytes>) -> Result<(), String> {
    let RecordedRequest { method, path, body, .. } = recorded;
    let got_path = request.uri().path_and_query().map_or("", |path| path.as_str());
    if request.method().as_str() != method || !matches(path, got_path) {
        return Err(format!("expected {method} {path}, got {} {}", request.method(), redact_path(got_path)));
    }
    let Some(want) = body.json() else { return Ok(()) };
    let got: Value = serde_json::from_slice(request.body())
        .map_err(|error| format!("expected the body {want}, got invalid JSON: {error}"))?;
    let Some(pointer) = difference(String::new(), &want, &got) else { return Ok(()) };
    let at = |value: &Value| value.pointer(&pointer).map_or("no value".to_owned(), Value::to_string);
    Err(format!("different body at `{pointer}`: expected {}, got {}", at(&want), at(&redact_value(got))))
}

/// Returns whether a text matches the recorded one. A redacted part matches any text.
fn matches(recorded: &str, text: &str) -> bool {
    let Some((start, last)) = recorded.rsplit_once(REDACTED) else { return recorded == text };
    let mut parts = start.split(REDACTED);
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Returns the JSON pointer of the first difference between two bodies.
fn difference(pointer: String, recorded: &Value, got: &Value) -> Option<String> {
    match (recorded, got) {
        (Value::String(recorded), Value::String(got)) if matches(recorded, got) => None,
        (Value::Array(recorded), Value::Array(got)) if recorded.len() == got.len() => {
            let mut pairs = recorded.iter().zip(got).enumerate();
            pairs.find_map(|(index, (recorded, got))| difference(format!("{pointer}/{index}"), recorded, got))
        }
        (Value::Object(recorded), Value::Object(got)) => {
            let member = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let unexpected = got.keys().find(|name| !recorded.contains_key(*name)).map(|name| member(name));
            let different = recorded.iter().find_map(|(name, recorded)| match got.get(name) {
                Some(got) => difference(member(name), recorded, got),
                None => Some(member(name)),
            });
            different.or(unexpected)
        }
        _ => (recorded != got).then_some(pointer),
    }
}
