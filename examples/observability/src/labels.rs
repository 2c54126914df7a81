//! Label values from bounded sets.
//!
//! The service and proxies decide about statuses, event types and run statuses. A value that is not
//! known becomes [`OTHER`], so that no response can add series.

use fetch_hive_client::types::{CallbackEventType, RunStatus};
use http::{Method, StatusCode};
use opentelemetry::{KeyValue, StringValue};

/// The value of OpenTelemetry's conventions for everything that is not known.
pub(crate) const OTHER: &str = "_OTHER";

/// The names that the client uses as error types, besides statuses.
const ERROR_TYPES: [&str; 19] = [
    "cancelled",
    "credentials",
    "decode",
    "invalid",
    "may_have_run",
    "not_a_stream",
    "not_sent",
    "repeated_cursor",
    "store",
    "stream",
    "stream_cut",
    "stream_failed",
    "timeout_connect",
    "timeout_deadline",
    "timeout_headers",
    "timeout_idle",
    "timeout_queue",
    "too_large",
    "wait",
];

/// The statuses of a run that only some responses state.
const MORE_RUN_STATUSES: [&str; 4] = ["awaiting_approval", "cancelled", "expired", "pending"];

fn find(known: &[&'static str], text: &str) -> Option<&'static str> {
    known.iter().copied().find(|known| *known == text)
}

/// Returns the code of a registered status, and otherwise the first code of its class.
pub(crate) fn status_code(status: StatusCode) -> u16 {
    let code = status.as_u16();
    if status.canonical_reason().is_some() { code } else { code / 100 * 100 }
}

/// Returns the `error.type` of an error, unless there is none.
pub(crate) fn error_type(error_type: Option<&str>) -> Option<KeyValue> {
    let text = error_type?;
    let status = || Some(StringValue::from(status_code(text.parse().ok()?).to_string()));
    let value = find(&ERROR_TYPES, text).map(StringValue::from).or_else(status);
    Some(KeyValue::new("error.type", value.unwrap_or(OTHER.into())))
}

/// Returns the name of a method of the HTTP standards.
pub(crate) fn method(method: &Method) -> &'static str {
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    find(&known, method.as_str()).unwrap_or(OTHER)
}

/// Returns the name of an event type.
pub(crate) fn event_type(event_type: &CallbackEventType) -> &'static str {
    find(CallbackEventType::KNOWN, event_type.as_str()).unwrap_or(OTHER)
}

/// Returns the status of a run.
pub(crate) fn run_status(status: &str) -> &'static str {
    find(RunStatus::KNOWN, status).or_else(|| find(&MORE_RUN_STATUSES, status)).unwrap_or(OTHER)
}

/// Returns the name of an operation that starts a run in OpenTelemetry's conventions for generative
/// AI.
pub(crate) fn gen_ai_operation(operation: &str) -> Option<&'static str> {
    match operation {
        "invokeWorkflow" | "triggerWorkflow" => Some("invoke_workflow"),
        "invokePrompt" | "triggerPrompt" => Some("chat"),
        "invokeAgent" | "invokeHiveAgent" | "triggerAgent" => Some("invoke_agent"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_become_one_value() {
        let error = |text| error_type(Some(text)).unwrap().value.to_string();
        assert_eq!((error("timeout_queue").as_str(), error("429").as_str()), ("timeout_queue", "429"));
        // The status 599 is not registered.
        assert_eq!((error("599").as_str(), error("req_1").as_str()), ("500", OTHER));
        assert!(error_type(None).is_none());
        assert_eq!((method(&Method::PATCH), method(&Method::from_bytes(b"PURGE").unwrap())), ("PATCH", OTHER));
        assert_eq!(event_type(&"workflow.completed".into()), "workflow.completed");
        assert_eq!(event_type(&"workflow.req_1".into()), OTHER);
        assert_eq!(["failed", "awaiting_approval", "req_1"].map(run_status), ["failed", "awaiting_approval", OTHER]);
        let codes: std::collections::BTreeSet<u16> =
            (100..1000).map(|code| status_code(StatusCode::from_u16(code).unwrap())).collect();
        assert!(codes.len() < 75, "{codes:?}");
    }
}
