//! One malformed field never affects another field.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use fetch_hive_core::lenient;
use fetch_hive_core::types::{
    CallbackEvent, ErrorBody, InvokeAgentResponse, InvokePromptResponse, InvokeWorkflowResponse, KnowledgeBaseItem,
    Model, RequestRecord, ToolActionApproval,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A sample body, and the function that reads it leniently and writes it again.
type Sample = (Value, fn(&[u8]) -> Option<(Value, Vec<String>)>);

fn read<T: DeserializeOwned + Serialize>(body: &[u8]) -> Option<(Value, Vec<String>)> {
    let parsed = lenient::from_slice::<T>(body).ok()?;
    let paths = parsed.unreadable.iter().map(|field| field.path.clone()).collect();
    Some((serde_json::to_value(parsed.value).unwrap(), paths))
}

fn samples() -> Vec<Sample> {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": {"total": 4}, "total_tokens": 7});
    vec![
        (
            json!({"request_id": "req_1", "run_status": "completed", "output": {"a": [1]}, "run_id": "run_1",
                   "webhook_secret": "whsec_1", "error": "e", "region": "eu"}),
            read::<InvokeWorkflowResponse>,
        ),
        (
            json!({"request_id": "req_1", "response": "text", "model": "m", "usage": usage, "new": [1, 2]}),
            read::<InvokePromptResponse>,
        ),
        (
            json!({"request_id": "req_1", "response": "text", "thread_id": "t", "usage": usage, "status": "completed",
                   "pending_tool_approvals": [{"id": "a", "tool_name": "t"}, {"id": "b", "arguments": {"x": 1}}]}),
            read::<InvokeAgentResponse>,
        ),
        (
            json!({"request_id": "req_1", "status": "completed", "requestable_type": "workflow", "message": "m",
                   "created_at": "2026-01-01T00:00:00Z", "data": {"output": "x", "n": 1}}),
            read::<RequestRecord>,
        ),
        (
            json!({"error": "e", "error_code": "validation_error", "message": "m", "limit": 5, "current": 6,
                   "errors": ["x"], "upgrade_url": "https://h/p", "request_id": "req_1"}),
            read::<ErrorBody>,
        ),
        (
            json!({"event_type": "workflow.completed", "request_id": "req_1",
                   "data": {"run_status": "completed", "output": "x", "user_metadata": {"order": 1}}, "created_at": "t"}),
            read::<CallbackEvent>,
        ),
        (
            json!([{"id": "m1", "name": "M", "context_limit": 5}, {"id": "m2", "provider": "p", "context_limit": 6}]),
            read::<Vec<Model>>,
        ),
        (
            json!({"id": "i", "name": "n", "type": "hosted", "status": "ready", "content": "c"}),
            read::<KnowledgeBaseItem>,
        ),
        (json!({"id": "a", "status": "pending", "tool_name": "t", "arguments": {"x": 1}}), read::<ToolActionApproval>),
    ]
}

/// Returns the pointers to all values in the JSON, without the root.
fn pointers(value: &Value, prefix: &str, found: &mut Vec<String>) {
    let mut child = |key: &str, value: &Value| {
        let pointer = format!("{prefix}/{key}");
        found.push(pointer.clone());
        pointers(value, &pointer, found);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| child(key, value)),
        Value::Array(elements) => elements.iter().enumerate().for_each(|(n, value)| child(&n.to_string(), value)),
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        "[ -~]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,9}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_malformed_field_affects_no_other(sample in 0..9_usize, at in any::<prop::sample::Index>(), odd in any_json()) {
        let (body, read) = &samples()[sample];
        let mut found = Vec::new();
        pointers(body, "", &mut found);
        let pointer = at.get(&found);
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).unwrap() = odd.clone();

        let (mut intact, unreadable) = read(body.to_string().as_bytes()).unwrap();
        prop_assert!(unreadable.is_empty(), "{unreadable:?}");
        let (mut value, unreadable) = read(changed.to_string().as_bytes()).unwrap();
        prop_assert!(unreadable.len() <= 4, "{unreadable:?}");
        // Everything outside of the changed field is the same.
        for value in [&mut intact, &mut value] {
            remove(value, pointer);
        }
        prop_assert_eq!(value, intact, "{} = {}: {:?}", pointer, odd, unreadable);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), sample in 0..9_usize) {
        let _ = samples()[sample].1(&bytes);
        let text = format!("{{\"request_id\":\"req_1\",\"output\":\"{}\"}}", String::from_utf8_lossy(&bytes));
        let _ = samples()[sample].1(text.as_bytes());
    }
}

/// Removes a field, or the fields of a list element.
fn remove(value: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(key)),
        Some(Value::Array(elements)) => elements[key.parse::<usize>().unwrap()] = Value::Null,
        _ => {}
    }
}
