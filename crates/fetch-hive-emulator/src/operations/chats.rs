//! Chats of an agent, and their messages.

use serde_json::{Map, Value, json};

use crate::config::deployment::DEFAULT_WORKSPACE;
use crate::http::response::{Response, json_response};
use crate::operations::agents::{AGENT, find_agent};
use crate::operations::request::{OperationRequest, OperationResult, scope};
use crate::operations::resource::{Resource, without_internal_fields};
use crate::state::State;
use crate::state::clock;
use crate::state::ids::new_id;

/// The kind of a message's record.
const MESSAGE: &str = "message";

pub(crate) static CHAT: Resource = Resource {
    kind: "chat",
    field: "chat",
    list_field: "chats",
    scope: &["workspace_id", "agent_id"],
    parent: Some((&AGENT, "agent_id")),
    child_kinds: &[MESSAGE],
    missing_status: 404,
    noun: "Chat",
    on_create: Some(on_create),
    on_update: None,
    view,
};

fn on_create(_: &OperationRequest<'_>, chat: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    let name = chat.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        let errors = json!({"error": "Name can't be blank", "errors": ["Name can't be blank"]});
        return Err(Box::new(json_response(422, &errors)));
    }
    chat.insert("status".to_owned(), "active".into());
    Ok(())
}

/// Adds the agent and a summary of the messages to a chat.
fn view(request: &OperationRequest<'_>, chat_scope: &str, chat: Value) -> Value {
    let store = &request.state.store;
    let mut chat = without_internal_fields(chat);
    let messages = store.list(MESSAGE, &message_scope(chat_scope, chat["id"].as_str().unwrap_or_default()));
    let last = messages.last();
    chat["message_count"] = messages.len().into();
    chat["last_message_content"] = last.map_or(Value::Null, |last| last["content"].clone());
    chat["last_message_sent_at"] = last.map_or(Value::Null, |last| last["sent_at"].clone());
    if let Ok(agent) = AGENT.find(request, request.id("agent_id")) {
        chat["agent"] = without_internal_fields(agent);
    }
    chat
}

fn message_scope(chat_scope: &str, chat: &str) -> String {
    format!("{chat_scope}/{}", scope([chat]))
}

pub(crate) fn list_messages(request: &OperationRequest<'_>) -> OperationResult {
    CHAT.check_parent(request)?;
    CHAT.find(request, request.id("chat_id"))?;
    let messages = request.state.store.list(MESSAGE, &message_scope(&CHAT.scope(request), request.id("chat_id")));
    let messages: Vec<_> = messages.into_iter().map(without_internal_fields).collect();
    Ok(json_response(200, &json!({"messages": messages})))
}

pub(crate) fn clear_messages(request: &OperationRequest<'_>) -> OperationResult {
    let chat = CHAT.find(request, request.id("id"))?;
    let chat_scope = CHAT.scope(request);
    request.state.store.remove_below(MESSAGE, &message_scope(&chat_scope, request.id("id")));
    let chat = view(request, &chat_scope, chat);
    Ok(json_response(200, &json!({"message": "Chat messages cleared successfully.", "chat": chat})))
}

/// A chat that a caller addresses by its thread id.
pub(crate) struct Thread {
    message_scope: String,
    chat_id: String,
}

impl Thread {
    /// Finds the chat with a thread id, or creates it.
    pub(crate) fn find_or_create(state: &State, agent: &str, thread_id: &str) -> Self {
        let agent = find_agent(&state.store, agent);
        // An agent without a record has no workspace.
        let chat_scope = agent.map_or_else(
            || scope([DEFAULT_WORKSPACE, ""]),
            |(workspace, agent)| format!("{workspace}/{}", scope([agent["id"].as_str().unwrap_or_default()])),
        );
        let chats = state.store.list(CHAT.kind, &chat_scope);
        let found = chats.iter().find(|chat| chat["id"] == thread_id || chat["thread_id"] == thread_id);
        let chat_id = found.and_then(|chat| chat["id"].as_str()).map_or_else(
            || {
                let id = if uuid::Uuid::try_parse(thread_id).is_ok() { thread_id.to_owned() } else { new_id() };
                let chat = json!({
                    "id": id, "thread_id": thread_id, "name": null, "status": "active", "generated_at": clock::now(),
                });
                state.store.put(CHAT.kind, &chat_scope, &id, chat);
                id
            },
            str::to_owned,
        );
        Self { message_scope: message_scope(&chat_scope, &chat_id), chat_id }
    }

    /// Returns the messages, oldest first.
    pub(crate) fn messages(&self, state: &State) -> Vec<Value> {
        state.store.list(MESSAGE, &self.message_scope)
    }

    pub(crate) fn add_message(&self, state: &State, role: &str, content: &str) {
        let id = new_id();
        let message =
            json!({"id": id, "content": content, "role": role, "sent_at": clock::now(), "chat_id": self.chat_id});
        state.store.put(MESSAGE, &self.message_scope, &id, message);
    }
}
