//! `POST /prompt/invoke` and `POST /agent/invoke`, whole and streamed (contract, sections 5 to 7).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::reply::{Reply, json_reply, refusal};
use crate::script::Script;
use crate::service::Service;
use crate::workflow::describe;

/// The model that answers.
const MODEL: &str = "emulated-1";

/// A prompt's answer: whole, or as the stream that is scripted for it or made from the answer.
pub(crate) fn invoke_prompt(service: &Arc<Service>, body: &Value) -> Reply {
    let response = describe(body);
    let request_id = format!("req_{}", crate::random_hex());
    let usage = usage(&body["inputs"].to_string(), &response);
    if body["streaming"] == true {
        let end = json!({"type": "usage", "request_id": request_id, "usage": usage, "stop_reason": "completed"});
        let piece =
            |text: &str| json!({"type": "response", "response": text, "model": MODEL, "request_id": request_id});
        return stream(service, &body["deployment"], &response, piece, &end);
    }
    json_reply(200, &json!({"request_id": request_id, "model": MODEL, "usage": usage, "response": response}))
}

/// An agent's answer: whole, or as a stream.
pub(crate) fn invoke_agent(service: &Arc<Service>, body: &Value) -> Reply {
    if body.get("decided_tool_approvals").is_some() {
        return refusal(403, "validation_error", "decided_tool_approvals is not for callers with an API key.");
    }
    let message = body["message"].as_str().unwrap_or_default();
    let response = format!("{} heard: {message}", body["agent"].as_str().unwrap_or_default());
    let request_id = format!("req_{}", crate::random_hex());
    let mut end = json!({
        "request_id": request_id,
        "run_id": request_id,
        "status": "completed",
        "thread_id": body.get("thread_id"),
        "usage": usage(message, &response),
    });
    if body["streaming"] == true {
        end["type"] = "usage".into();
        end["stop_reason"] = "completed".into();
        let piece = |text: &str| json!({"type": "response", "response": text, "done": response.ends_with(text)});
        return stream(service, &body["agent"], &response, piece, &end);
    }
    end["model"] = MODEL.into();
    end["response"] = response.into();
    json_reply(200, &end)
}

/// The stream that is scripted for a deployment or an agent, else the answer word by word.
fn stream(service: &Arc<Service>, name: &Value, response: &str, piece: impl Fn(&str) -> Value, end: &Value) -> Reply {
    let scripted = service.scripts.get(name.as_str().unwrap_or_default());
    let script = scripted.cloned().unwrap_or_else(|| {
        let words = response.split_inclusive(' ').fold(Script::new(), |script, word| script.event(&piece(word)));
        words.event(end).done()
    });
    script.reply(service)
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
