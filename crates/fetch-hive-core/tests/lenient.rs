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

#[test]
fn repeated_fields_keep_the_last_value_that_is_not_null() {
    use fetch_hive_core::lenient;
    use fetch_hive_core::types::InvokeWorkflowResponse;

    let body = br#"{"request_id":"req_1","output":"paid","run_status":"completed","output":null}"#;
    let parsed = lenient::from_slice::<InvokeWorkflowResponse>(body).unwrap();
    assert_eq!(parsed.value.output_text(), Some("paid"));
    let paths: Vec<_> = parsed.unreadable.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["output"]);
    for marks in ["\u{feff}\u{feff}".to_owned(), "\r\n\u{feff}".to_owned(), " \u{feff}".repeat(100_000)] {
        let body = format!("{marks}{}", r#"{"request_id":"req_1","output":"paid"}"#);
        let parsed = lenient::from_slice::<InvokeWorkflowResponse>(body.as_bytes()).unwrap();
        assert_eq!(parsed.value.output_text(), Some("paid"));
    }
}

#[test]
fn error_codes_survive_repeated_empty_and_nested_fields() {
    use fetch_hive_core::types::InvokeWorkflow;
    use fetch_hive_core::{ApiError, Operation, RateLimit};

    for body in [
        r#"{"error":"E","error_code":"api_rate_limit_exceeded","error_code":null}"#,
        r#"{"error":"E","error_code":"","code":"api_rate_limit_exceeded"}"#,
        r#"{"error":{"message":"M","code":"api_rate_limit_exceeded"}}"#,
        "\u{feff}\u{feff}{\"error\":\"E\",\"error_code\":\"api_rate_limit_exceeded\"}",
    ] {
        let response = http::Response::builder().status(429).body(bytes::Bytes::from(body)).unwrap();
        let error = ApiError::new(&Operation::of::<InvokeWorkflow>(), response);
        assert!(matches!(error.rate_limit(), Some(RateLimit::DailyCap { .. })), "{body}");
    }
}

#[test]
fn stream_events_survive_repeated_fields_and_numbers_out_of_range() {
    use fetch_hive_core::stream::{EventReader, StreamError};
    use fetch_hive_core::types::{ErrorCode, StreamEvent};

    let read = |text: &str| {
        let mut reader = EventReader::new(1 << 16);
        reader.push(bytes::Bytes::from(text.to_owned()));
        reader.next_event().unwrap()
    };
    for text in [
        "data: {\"type\":\"response\",\"type\":\"response\",\"response\":\"Hello\"}\n\n",
        "data: {\"type\":\"response\",\"response\":\"Hello\",\"response\":null}\n\n",
        "\u{feff}\u{feff}data: {\"type\":\"response\",\"response\":\"Hello\"}\n\n",
    ] {
        let event = read(text).unwrap();
        assert!(matches!(&event.event, StreamEvent::Response(text) if &*text.response == "Hello"), "{event:?}");
    }
    for odd in ["1e999".to_owned(), "[".repeat(200) + &"]".repeat(200)] {
        let text = format!("data: {{\"type\":\"error\",\"error_code\":\"model_deprecated\",\"n\":{odd}}}\n\n");
        let Err(StreamError::Failed { event, .. }) = read(&text) else { panic!("the run failed") };
        assert_eq!(event.error_code, Some(ErrorCode::ModelDeprecated));
    }
}

#[test]
fn signed_event_survives_a_number_out_of_range_before_other_data() {
    use fetch_hive_core::callback::{Verifier, signed_request};

    let body = r#"{"event_type":"workflow.completed","request_id":"req_1","n":1e999} trailing"#;
    let (parts, body) = signed_request("whsec_1", body).into_parts();
    let delivery = Verifier::new(["whsec_1"]).verify(&parts.headers, body).unwrap();
    assert_eq!(delivery.event.request_id.unwrap(), "req_1");
    assert_eq!(delivery.unreadable.len(), 2);
}

#[test]
fn events_without_a_field_name_before_the_end_marker_are_reported() {
    use fetch_hive_core::stream::{EventReader, StreamError};

    let read = |line: &str| {
        let mut reader = EventReader::new(1 << 16);
        let text = format!("data: {{\"type\":\"response\",\"response\":\"a\"}}\n\ndata:\n\n{line}\n\ndata: [DONE]\n\n");
        reader.push(bytes::Bytes::from(text));
        let mut items = Vec::new();
        while let Some(item) = reader.next_event() {
            items.push(item);
        }
        assert!(reader.is_done() && items.remove(0).is_ok());
        items
    };
    let failed = read(r#"{"error":"E","error_code":"model_deprecated"}"#);
    assert!(matches!(&failed[..], [Err(StreamError::Failed { .. })]), "{failed:?}");
    let lost = read(r#"{"type":"response","response":"b"}"#);
    assert!(matches!(&lost[..], [Err(StreamError::Malformed { raw, .. })] if raw.starts_with(b"{")), "{lost:?}");
    // An unknown field, and an empty event that keeps the connection alive.
    assert!(read("trace: 7").is_empty());
}

#[test]
fn error_within_a_text_or_usage_event_is_the_error_of_the_run() {
    use fetch_hive_core::stream::{EventReader, StreamError};

    for event in [
        r#"{"type":"usage","status":"failed","error":"E","error_code":"model_deprecated"}"#,
        r#"{"type":"response","response":"","error":"E","error_code":"model_deprecated"}"#,
    ] {
        let mut reader = EventReader::new(1 << 16);
        reader.push(bytes::Bytes::from(format!("data: {event}\n\ndata: [DONE]\n\n")));
        let Some(Err(StreamError::Failed { event: error, raw })) = reader.next_event() else { panic!("{event}") };
        assert_eq!((error.error_code.unwrap().as_str(), &raw[..]), ("model_deprecated", event.as_bytes()));
    }
    for event in [r#"{"type":"usage","error":null}"#, r#"{"type":"response","response":"a","error":""}"#] {
        let mut reader = EventReader::new(1 << 16);
        reader.push(bytes::Bytes::from(format!("data: {event}\n\n")));
        assert!(reader.next_event().unwrap().is_ok(), "{event}");
    }
}
