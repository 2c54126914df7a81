//! `POST /prompt/invoke` and `POST /agent/invoke`, answered whole (contract, sections 5 and 6).

use serde_json::{Value, json};

use crate::reply::{Reply, json_reply, refusal};
use crate::workflow::describe;

/// The model that answers.
const MODEL: &str = "emulated-1";

pub(crate) fn invoke_prompt(body: &Value) -> Reply {
    let response = describe(body);
    json_reply(
        200,
        &json!({
            "request_id": format!("req_{}", crate::random_hex()),
            "model": MODEL,
            "usage": usage(&body["inputs"].to_string(), &response),
            "response": response,
        }),
    )
}

pub(crate) fn invoke_agent(body: &Value) -> Reply {
    if body.get("decided_tool_approvals").is_some() {
        return refusal(403, "validation_error", "decided_tool_approvals is not for callers with an API key.");
    }
    let message = body["message"].as_str().unwrap_or_default();
    let response = format!("{} heard: {message}", body["agent"].as_str().unwrap_or_default());
    let request_id = format!("req_{}", crate::random_hex());
    json_reply(
        200,
        &json!({
            "request_id": request_id,
            "run_id": request_id,
            "status": "completed",
            "thread_id": body.get("thread_id"),
            "model": MODEL,
            "usage": usage(message, &response),
            "response": response,
        }),
    )
}

/// Tokens of about four characters each, in the documented form.
fn usage(read: &str, written: &str) -> Value {
    let tokens = |text: &str| text.len().div_ceil(4);
    json!({
        "duration": 0.01,
        "prompt_tokens": {"total_tokens": tokens(read), "cached_tokens": 0},
        "completion_tokens": {"total_tokens": tokens(written), "reasoning_tokens": 0},
        "total_tokens": tokens(read) + tokens(written),
    })
}
