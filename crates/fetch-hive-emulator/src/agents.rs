//! Agents, their chats and messages.

use serde_json::{Map, Value, json};

use crate::call::{Call, scope};
use crate::deployment::{Deployment, DeploymentKind};
use crate::moment;
use crate::reply::{Reply, json_reply, refusal};
use crate::resources::{AGENT, CHAT, new_id, visible};
use crate::service::Service;
use crate::store::Store;

pub(crate) fn made(call: &Call<'_>, agent: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
    changed(call, agent)?;
    let name = agent.get("name").and_then(Value::as_str).unwrap_or_default();
    let slug: String = name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    for (member, value) in [
        ("slug", json!(slug)),
        ("description", Value::Null),
        ("instruction_prompt", Value::Null),
        ("temperature", json!(1.0)),
        ("max_token", json!(4096)),
        ("tool_choice", json!("auto")),
        ("tool_approval_mode", json!("policy")),
        ("status", json!("active")),
    ] {
        agent.entry(member).or_insert(value);
    }
    Ok(())
}

/// A model that the service does not have is refused.
pub(crate) fn changed(call: &Call<'_>, agent: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
    let Some(model) = agent.get("llm_model").and_then(Value::as_str) else { return Ok(()) };
    call.service.catalog.refuse_model(model).map_or(Ok(()), Err)
}

pub(crate) fn chat_made(_: &Call<'_>, chat: &mut Map<String, Value>) -> Result<(), Box<Reply>> {
    let name = chat.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        let errors = json!({"error": "Name can't be blank", "errors": ["Name can't be blank"]});
        return Err(Box::new(json_reply(422, &errors)));
    }
    chat.insert("status".to_owned(), "active".into());
    Ok(())
}

/// A chat with what its messages say of it, and its agent.
pub(crate) fn chat_shown(call: &Call<'_>, within: &str, chat: Value) -> Value {
    let store = &call.service.store;
    let mut chat = visible(chat);
    let messages = store.list("message", &messages_of(within, chat["id"].as_str().unwrap_or_default()));
    let last = messages.last();
    chat["message_count"] = messages.len().into();
    chat["last_message_content"] = last.map_or(Value::Null, |last| last["content"].clone());
    chat["last_message_sent_at"] = last.map_or(Value::Null, |last| last["sent_at"].clone());
    if let Ok(agent) = AGENT.find(call, call.id("agent_id")) {
        chat["agent"] = visible(agent);
    }
    chat
}

/// The scope of the messages of a chat, whose own scope this is.
fn messages_of(within: &str, chat: &str) -> String {
    format!("{within}/{}", scope([chat]))
}

pub(crate) fn messages(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    CHAT.parent_exists(call)?;
    CHAT.find(call, call.id("chat_id"))?;
    let messages = call.service.store.list("message", &messages_of(&CHAT.scope(call), call.id("chat_id")));
    Ok(json_reply(200, &json!({"messages": messages.into_iter().map(visible).collect::<Vec<_>>()})))
}

pub(crate) fn clear(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let chat = CHAT.find(call, call.id("id"))?;
    let within = CHAT.scope(call);
    call.service.store.remove_below("message", &messages_of(&within, call.id("id")));
    let chat = chat_shown(call, &within, chat);
    Ok(json_reply(200, &json!({"message": "Chat messages cleared successfully.", "chat": chat})))
}

/// An agent that a file declares is among those of its workspace.
pub(crate) fn declare(store: &Store, deployment: &Deployment) {
    let name = &deployment.name;
    if deployment.kind != DeploymentKind::Agent || of_name(store, name).is_some() {
        return;
    }
    let id = if uuid::Uuid::try_parse(name).is_ok() { name.clone() } else { new_id() };
    let agent = json!({
        "id": id, "slug": name, "name": name, "llm_model": deployment.model, "model_type": "llm", "status": "active",
        "generated_at": moment::now(),
    });
    store.put(AGENT.name, &scope([deployment.workspace()]), &id, agent);
}

/// The agent of that id, slug or name, in whatever workspace; with the workspace's scope.
pub(crate) fn of_name(store: &Store, name: &str) -> Option<(String, Value)> {
    store.find(AGENT.name, |agent| ["id", "slug", "name"].iter().any(|member| agent[*member] == name))
}

/// A conversation: a chat that the caller's thread id names, found or made.
pub(crate) struct Thread {
    scope: String,
    chat: String,
}

impl Thread {
    pub(crate) fn find_or_make(service: &Service, agent: &str, thread_id: &str) -> Self {
        let agent = of_name(&service.store, agent);
        // An agent that nobody made has no workspace of its own.
        let within = agent.map_or_else(
            || scope([crate::DEFAULT_WORKSPACE, ""]),
            |(workspace, agent)| format!("{workspace}/{}", scope([agent["id"].as_str().unwrap_or_default()])),
        );
        let known = service.store.list(CHAT.name, &within);
        let known = known.iter().find(|chat| chat["id"] == thread_id || chat["thread_id"] == thread_id);
        let chat = known.and_then(|chat| chat["id"].as_str()).map_or_else(
            || {
                let id = if uuid::Uuid::try_parse(thread_id).is_ok() { thread_id.to_owned() } else { new_id() };
                let chat = json!({
                    "id": id, "thread_id": thread_id, "name": null, "status": "active", "generated_at": moment::now(),
                });
                service.store.put(CHAT.name, &within, &id, chat);
                id
            },
            str::to_owned,
        );
        Self { scope: messages_of(&within, &chat), chat }
    }

    /// What was said, oldest first.
    pub(crate) fn history(&self, service: &Service) -> Vec<Value> {
        service.store.list("message", &self.scope)
    }

    pub(crate) fn say(&self, service: &Service, role: &str, content: &str) {
        let id = new_id();
        let message =
            json!({"id": id, "content": content, "role": role, "sent_at": moment::now(), "chat_id": self.chat});
        service.store.put("message", &self.scope, &id, message);
    }
}

/// The reply where a workspace is not among the ones that the emulator has.
pub(crate) fn no_workspace() -> Reply {
    refusal(404, "", "Workspace not found.")
}
