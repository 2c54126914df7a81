//! Agent invocations, with tools, approvals and delegations.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::deployment::{Deployment, DeploymentKind, Tool, ToolPolicy};
use crate::http::response::{Response, error_response, json_response};
use crate::operations::agents::find_agent;
use crate::operations::answer::{
    StreamEvents, answer, failure_response, model, outcome, stream_response, usage, validated_inputs,
};
use crate::operations::approvals::{PendingApproval, ToolAction};
use crate::operations::chats::Thread;
use crate::operations::delegations::{self, BackgroundWork};
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::runs::Run;
use crate::operations::workflows::check_auto_approve;
use crate::state::State;
use crate::state::ids::new_id;

pub(crate) async fn invoke(request: &OperationRequest<'_>) -> OperationResult {
    let (state, mut body) = (request.state, request.body.clone());
    if body.get("decided_tool_approvals").is_some() {
        let error = "API keys cannot send decided_tool_approvals.";
        return Err(Box::new(error_response(403, "validation_error", error)));
    }
    check_auto_approve(request)?;
    check_references(&body)?;
    let name = body["agent"].as_str().unwrap_or_default().to_owned();
    let mut deployment = state.deployment(DeploymentKind::Agent, &name);
    body["inputs"] = validated_inputs(&deployment, &body)?;
    let agent = find_agent(&state.store, &name).map(|(_, agent)| agent);
    if let (None, Some(agent)) = (&deployment.model, &agent) {
        deployment.model = agent["llm_model"].as_str().map(str::to_owned);
    }
    let auto_approve = body["tool_approval"] == "auto_approve"
        || body["tool_approval"].is_null() && agent.is_some_and(|agent| agent["tool_approval_mode"] == "auto_approve");

    let streaming = body["streaming"] == true;
    let run = Run::start(request, "agent", &name, &body, "running");
    if !streaming {
        tokio::time::sleep(deployment.delay()).await;
    }
    let result = AgentResult::execute(state, run, deployment, body, auto_approve);
    if streaming { Ok(result.into_stream(state)) } else { result.into_response(state) }
}

/// Checks the limits for attachments and artifact references.
fn check_references(body: &Value) -> Result<(), Box<Response>> {
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let rejected = |error| Err(Box::new(error_response(400, "validation_error", error)));
    let (references, known) = (list("artifact_refs"), list("known_artifact_refs"));
    if list("attachments").len() + references.len() > 5 {
        return rejected("attachments and artifact_refs may have at most 5 entries together.");
    }
    if !references.iter().all(|reference| known.contains(reference)) {
        return rejected("artifact_refs must be a subset of known_artifact_refs.");
    }
    Ok(())
}

/// Runs an agent for a webhook trigger. Tools are approved automatically.
pub(crate) async fn run_unattended(state: &Arc<State>, run: Run, deployment: Deployment, body: Value) -> Run {
    tokio::time::sleep(deployment.delay()).await;
    AgentResult::execute(state, run, deployment, body, true).run
}

/// The result of an agent's invocation.
struct AgentResult {
    run: Run,
    deployment: Deployment,
    body: Value,
    answer: Result<String, String>,
    /// The tools that were used, with the ids of their calls.
    used: Vec<(String, Tool)>,
    /// The fields of the response without the answer.
    fields: Value,
    awaiting_approval: bool,
}

/// The tools of an agent, sorted by what happens to them.
#[derive(Default)]
struct ToolCalls {
    used: Vec<(String, Tool)>,
    denied: Vec<Value>,
    auto_approved: Vec<Value>,
    pending: Vec<PendingApproval>,
    delegated: Vec<Value>,
}

impl ToolCalls {
    fn start(
        state: &Arc<State>,
        run: &Run,
        deployment: &Deployment,
        body: &Value,
        thread_id: Option<&str>,
        auto_approve: bool,
    ) -> Self {
        let mut calls = Self::default();
        for tool in &deployment.tools {
            let summary = tool.summary.clone().unwrap_or_else(|| format!("Use {}", tool.name));
            match tool.approval {
                ToolPolicy::Deny => {
                    calls.denied.push(json!({"tool_name": tool.name, "reason": "policy_deny"}));
                    continue;
                }
                ToolPolicy::Ask if auto_approve => {
                    calls.auto_approved.push(json!({"tool_name": tool.name, "summary": summary}));
                }
                ToolPolicy::Ask => {
                    calls.pending.push(PendingApproval::create(state, tool_action(deployment, run, tool)));
                    continue;
                }
                ToolPolicy::Allow => {}
            }
            let call_id = format!("call_{}", new_id());
            if let Some(ms) = tool.background_ms {
                let url = callback_url(body);
                let work = BackgroundWork {
                    run: run.clone(),
                    thread_id: thread_id.map(str::to_owned),
                    tool: tool.name.clone(),
                    tool_call_id: call_id,
                    duration: Duration::from_millis(ms),
                    result: tool.observation.clone(),
                    callback: url.map(|url| (url.to_owned(), state.webhook_secret(deployment))),
                };
                calls.delegated.push(delegations::start(state, work));
            } else {
                calls.used.push((call_id, tool.clone()));
            }
        }
        calls
    }
}

impl AgentResult {
    fn execute(state: &Arc<State>, run: Run, deployment: Deployment, mut body: Value, auto_approve: bool) -> Self {
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        let thread_id = body["thread_id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        let thread = thread_id.as_ref().map(|id| Thread::find_or_create(state, &deployment.name, id));
        if let Some(thread) = &thread {
            body["history"] = thread.messages(state).into();
            thread.add_message(state, "user", &message);
        }
        let calls = ToolCalls::start(state, &run, &deployment, &body, thread_id.as_deref(), auto_approve);
        let awaiting_approval = !calls.pending.is_empty();
        let default = format!("{} heard: {message}", deployment.name);
        let final_answer = answer(&run, &deployment, &body, default);
        let answer = if awaiting_approval { Ok(String::new()) } else { final_answer.clone() };

        let mut fields = json!({
            "request_id": run.id,
            "run_id": run.id,
            "status": if awaiting_approval { "awaiting_approval" } else { "completed" },
            "thread_id": body.get("thread_id").filter(|id| *id != ""),
        });
        for (field, list) in [
            ("denied_tool_calls", calls.denied),
            ("auto_approved_tool_calls", calls.auto_approved),
            ("pending_delegations", calls.delegated),
            ("pending_tool_approvals", calls.pending.iter().map(|pending| pending.summary.clone()).collect()),
        ] {
            if !list.is_empty() {
                fields[field] = list.into();
            }
        }
        if let Some(mode) = body.get("tool_approval") {
            fields["tool_approval"] = mode.clone();
        }
        fields["usage"] = usage(&message, answer.as_deref().unwrap_or_default());

        let result = Self { run, deployment, body, answer, used: calls.used, fields, awaiting_approval };
        if awaiting_approval {
            result.run.set_status("awaiting_approval");
            result.resume_after_decisions(state, calls.pending, final_answer, thread);
        } else {
            result.run.end(&result.outcome());
            if let (Some(thread), Ok(text)) = (&thread, &result.answer) {
                thread.add_message(state, "assistant", text);
            }
        }
        result
    }

    /// Spawns a task that ends the run after all approvals are decided.
    fn resume_after_decisions(
        &self,
        state: &Arc<State>,
        approvals: Vec<PendingApproval>,
        answer: Result<String, String>,
        thread: Option<Thread>,
    ) {
        let (task_state, run) = (Arc::clone(state), self.run.clone());
        if let Some(url) = callback_url(&self.body) {
            run.store_pending_callback(url, &state.webhook_secret(&self.deployment), &self.body);
        }
        state.spawn(async move {
            let mut denied = Vec::new();
            for pending in &approvals {
                if let Err(reason) = pending.decision(&task_state).await {
                    denied.push(format!("{}: {reason}", pending.summary["tool_name"].as_str().unwrap_or_default()));
                }
            }
            let answer = answer
                .map(|text| if denied.is_empty() { text } else { format!("{text} (without {})", denied.join(", ")) });
            if let (Some(thread), Ok(text)) = (&thread, &answer) {
                thread.add_message(&task_state, "assistant", text);
            }
            let mut outcome = outcome(&answer);
            outcome["run_id"] = run.id.as_str().into();
            run.end(&outcome);
            run.deliver_callback().await;
        });
    }

    fn outcome(&self) -> Value {
        let mut outcome = outcome(&self.answer);
        outcome["usage"] = self.fields["usage"].clone();
        outcome["tool_calls"] = self.tool_calls();
        outcome
    }

    fn tool_calls(&self) -> Value {
        let to_json = |(_, tool): &(String, Tool)| {
            json!({
                "tool_name": tool.name,
                "tool_input": json!(tool.input).to_string(),
                "observation": observation_text(&tool.observation),
            })
        };
        self.used.iter().map(to_json).collect()
    }

    fn into_response(self, state: &State) -> OperationResult {
        let tool_calls = self.tool_calls();
        let mut body = self.fields;
        match self.answer {
            Err(reason) => return Err(Box::new(failure_response(state, &self.deployment, &reason))),
            Ok(response) => body["response"] = response.into(),
        }
        body["model"] = model(&self.deployment).into();
        if !self.used.is_empty() {
            body["tool_calls"] = tool_calls;
        }
        Ok(json_response(200, &body))
    }

    fn into_stream(self, state: &State) -> Response {
        let mut before: Vec<Value> = Vec::new();
        for (id, tool) in &self.used {
            before.push(json!({
                "type": "tool",
                "tool_id": id,
                "tool": tool.name,
                "tool_type": tool.kind.as_deref().unwrap_or("function"),
                "tool_input": tool.input,
                "observation": observation_text(&tool.observation),
            }));
        }
        let pending = self.fields["pending_tool_approvals"].as_array().into_iter().flatten();
        before.extend(pending.map(|approval| json!({"type": "tool_approval", "approval": approval})));
        let mut last = self.fields;
        last["type"] = "usage".into();
        last["stop_reason"] = if self.awaiting_approval { "awaiting_approval" } else { "completed" }.into();
        let response = self.answer.clone().unwrap_or_default();
        let text_event = |text: &str| json!({"type": "response", "response": text, "done": response.ends_with(text)});
        let events = StreamEvents { before: &before, answer: self.answer, text_event, last: &last };
        stream_response(state, &self.deployment, events)
    }
}

fn callback_url(body: &Value) -> Option<&str> {
    body["async"]["callback_url"].as_str().filter(|url| !url.is_empty())
}

fn tool_action<'a>(deployment: &'a Deployment, run: &'a Run, tool: &'a Tool) -> ToolAction<'a> {
    ToolAction {
        workspace: deployment.workspace(),
        request_id: &run.id,
        agent_id: Some(&deployment.name),
        requested_by: "agent",
        tool: &tool.name,
        summary: tool.summary.as_deref(),
        arguments: tool.input.clone(),
        destructive: tool.destructive,
        expires_ms: tool.expires_ms,
    }
}

/// Returns the observation of a tool as text. A string is not changed. Other values become JSON.
fn observation_text(value: &Value) -> String {
    match value {
        Value::Null => "{}".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
