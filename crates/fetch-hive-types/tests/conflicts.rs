//! Tests that nothing fails and nothing is lost where the sources of the contract disagree, or know
//! less than the service.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and reads files"
)]

use std::fmt::Debug;

#[allow(clippy::wildcard_imports, reason = "the tests use nearly every type")]
use fetch_hive_types::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"));
    serde_json::to_value(read).unwrap()
}

fn open<T>(known: &'static [&'static str])
where
    T: DeserializeOwned + Serialize + From<&'static str> + Debug + PartialEq,
{
    for text in known.iter().chain(&["brand_new", "", "Completed", "ünïcode"]) {
        let read: T = serde_json::from_value(json!(text)).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json!(text));
        assert_eq!(read, T::from(text), "{text} has one form");
        assert_eq!(format!("{read:?}").starts_with("Other("), !known.contains(text), "{read:?}");
    }
    // An unknown value does not make the surrounding list unreadable.
    let list: Vec<T> = serde_json::from_value(json!([known[0], "brand_new", known[0]])).unwrap();
    assert_eq!(list.len(), 3);
}

#[test]
fn open_enums_keep_unknown_values() {
    open::<AgentRunStatus>(AgentRunStatus::KNOWN);
    open::<ApprovalDecision>(ApprovalDecision::KNOWN);
    open::<ApprovalStatus>(ApprovalStatus::KNOWN);
    open::<AudienceRole>(AudienceRole::KNOWN);
    open::<BudgetPolicy>(BudgetPolicy::KNOWN);
    open::<CallbackEventType>(CallbackEventType::KNOWN);
    open::<ChatStatus>(ChatStatus::KNOWN);
    open::<CountryValueFormat>(CountryValueFormat::KNOWN);
    open::<DelegationKind>(DelegationKind::KNOWN);
    open::<DelegationStatus>(DelegationStatus::KNOWN);
    open::<DenialReason>(DenialReason::KNOWN);
    open::<ErrorCode>(ErrorCode::KNOWN);
    open::<HiveAgentStatus>(HiveAgentStatus::KNOWN);
    open::<ItemType>(ItemType::KNOWN);
    open::<ModelType>(ModelType::KNOWN);
    open::<PromptCacheTtl>(PromptCacheTtl::KNOWN);
    open::<ReasoningEffort>(ReasoningEffort::KNOWN);
    open::<Role>(Role::KNOWN);
    open::<RunStatus>(RunStatus::KNOWN);
    open::<SearchType>(SearchType::KNOWN);
    open::<Toggle>(Toggle::KNOWN);
    open::<ToolApproval>(ToolApproval::KNOWN);
    open::<ToolChoice>(ToolChoice::KNOWN);
    open::<TranscriptionStatus>(TranscriptionStatus::KNOWN);
}

#[test]
fn every_open_enum_is_tested() {
    fn declared(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let count = |path: std::path::PathBuf| {
            if path.is_dir() {
                return declared(&path);
            }
            std::fs::read_to_string(path).unwrap().lines().filter(|line| line.trim() == "open_enum! {").count()
        };
        entries.map(count).sum()
    }
    assert_eq!(declared(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))), 24);
}

#[test]
fn both_forms_of_a_conflict_are_read_and_kept() {
    // Token counts: integers in the SDK models, objects in the documentation.
    for (usage, prompt, total) in [
        (json!({"prompt_tokens": 24, "completion_tokens": 170, "total_tokens": 194}), 24, 194),
        (json!({"prompt_tokens": 24, "completion_tokens": 170}), 24, 194),
        (
            json!({"duration": 4.79, "prompt_tokens": {"total_tokens": 24, "cached_tokens": 0},
                "completion_tokens": {"total_tokens": 170, "reasoning_tokens": 64}, "total_tokens": 194}),
            24,
            194,
        ),
        (
            json!({"duration": 4, "prompt_tokens": {"total_tokens": 24, "audio_tokens": 1}, "completion_tokens": 170}),
            24,
            194,
        ),
    ] {
        assert_eq!(through::<TokenUsage>(&usage), usage);
        let read: TokenUsage = serde_json::from_value(usage).unwrap();
        assert_eq!((read.prompt_total(), read.total()), (Some(prompt), Some(total)));
    }
    // The names of the status and the ids of a run.
    for (response, written) in [
        (json!({"request_id": "r", "run_id": "run_1", "status": "completed", "output": "done"}), "run_status"),
        (json!({"request_id": "r", "run_status": "completed", "output": {"a": [1]}}), "run_status"),
        (json!({"run_id": "run_1", "status": "queued"}), "run_status"),
    ] {
        let mut want = response.clone();
        if let Some(status) = want.as_object_mut().unwrap().remove("status") {
            want[written] = status;
        }
        assert_eq!(through::<InvokeWorkflowResponse>(&response), want);
    }
    // A direct call of `deserialize` reads the other name as well.
    let run = InvokeWorkflowResponse::deserialize(json!({"status": "failed"})).unwrap();
    assert_eq!(run.run_status, Some(RunStatus::Failed));
    let both: InvokeWorkflowResponse =
        serde_json::from_value(json!({"run_status": "failed", "status": "completed"})).unwrap();
    assert_eq!((both.run_status, &both.extra["status"]), (Some(RunStatus::Failed), &json!("completed")));
    // The names of the code of an error.
    for body in
        [json!({"error": "E", "error_code": "validation_error"}), json!({"error": "E", "code": "validation_error"})]
    {
        let read: ErrorBody = serde_json::from_value(body).unwrap();
        assert_eq!(read.error_code, Some(ErrorCode::ValidationError));
    }
    let both: ErrorBody = serde_json::from_value(json!({"error_code": "a", "code": "b"})).unwrap();
    assert_eq!((both.error_code.unwrap().as_str(), &both.extra["code"]), ("a", &json!("b")));
    // The threshold of a knowledge base: a string in lists, a number in requests.
    for threshold in [json!("0.1"), json!(0.1)] {
        let base: KnowledgeBase = serde_json::from_value(json!({"search_score_threshold": threshold})).unwrap();
        assert_eq!(base.score_threshold(), Some(0.1));
        assert_eq!(serde_json::to_value(&base).unwrap()["search_score_threshold"], threshold);
    }
    // A limit: a UUID in one source, an integer in another.
    for limit in [json!(1000), json!("11111111-1111-4111-8111-111111111111")] {
        assert_eq!(through::<Agent>(&json!({"max_token": limit})), json!({"max_token": limit}));
        assert_eq!(
            through::<KnowledgeBase>(&json!({"search_chunk_limit": limit})),
            json!({"search_chunk_limit": limit})
        );
    }
    // The arguments of a tool: a string with JSON in responses, an object in streams.
    for input in [json!("{\"q\":1}"), json!({"q": 1})] {
        let tool: ToolInvocation = serde_json::from_value(json!({"tool_name": "t", "tool_input": input})).unwrap();
        assert_eq!(tool.input_as::<Value>().unwrap(), json!({"q": 1}));
        assert_eq!(serde_json::to_value(&tool).unwrap()["tool_input"], input);
    }
    // An attachment: a URL or a description.
    for attachment in [json!("https://x/1.png"), json!({"file_url": "https://x/1.png", "file_name": "1.png", "new": 1})]
    {
        assert_eq!(through::<AgentAttachment>(&attachment), attachment);
    }
    // The output of a workflow: any JSON value.
    for output in [json!("text"), json!(5), json!([1]), json!({"settings": {}, "assets": []}), json!(false)] {
        let response = json!({"run_status": "completed", "output": output});
        assert_eq!(through::<InvokeWorkflowResponse>(&response), response);
    }
    // Fields that are missing or null.
    let sparse = json!({"thread_id": null, "tool_calls": null, "usage": null, "response": "x"});
    assert_eq!(serde_json::from_value::<InvokeAgentResponse>(sparse).unwrap().response.as_deref(), Some("x"));
}

#[test]
fn unknown_fields_and_events_are_kept() {
    let response = json!({"request_id": "r", "brand_new": {"deep": [1, null]}, "usage": {"total_tokens": 1, "cost": "0.1"},
        "tool_calls": [{"tool_name": "t", "latency": 3}], "status": "brand_new"});
    assert_eq!(through::<InvokeAgentResponse>(&response), response);

    let event = StreamEvent::from_slice(br#"{"type":"brand_new","x":1}"#).unwrap();
    assert_eq!(event.event_type(), "brand_new");
    assert!(matches!(event, StreamEvent::Other(value) if value["x"] == 1));
    for odd in [&b"5"[..], b"\"text\"", b"null", b"[1]", b"{}", br#"{"type":7}"#] {
        assert!(matches!(StreamEvent::from_slice(odd), Ok(StreamEvent::Other(_))), "{}", String::from_utf8_lossy(odd));
    }
    assert!(StreamEvent::from_slice(b"{this is not json}").is_err());
    assert!(
        StreamEvent::from_slice(br#"{"type":"response","response":{}}"#).is_err(),
        "a known type with a bad payload"
    );

    let callback = json!({"event_type": "invoice.paid", "request_id": "r", "data": {"x": 1}, "attempt": 2});
    assert_eq!(through::<CallbackEvent>(&callback), callback);
}
