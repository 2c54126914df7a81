//! `POST /agent/invoke`: one turn of an agent, with its tools, approvals and delegations (contract, sections 6 and 8).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agents::{self, Thread};
use crate::approvals::{Pending, Question};
use crate::call::Call;
use crate::chat::{self, answer, ended, failed, usage};
use crate::delegations::{self, Work};
use crate::deployment::{Deployment, DeploymentKind, Policy, Tool};
use crate::reply::{Reply, json_reply, refusal};
use crate::run::{Run, run_id};
use crate::service::Service;
use crate::workflow::{checked, refuse_override};

pub(crate) async fn invoke(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let (service, mut body) = (call.service, call.body.clone());
    if body.get("decided_tool_approvals").is_some() {
        let error = "decided_tool_approvals is not for callers with an API key.";
        return Err(Box::new(refusal(403, "validation_error", error)));
    }
    refuse_override(call)?;
    refuse_references(&body)?;
    let name = body["agent"].as_str().unwrap_or_default().to_owned();
    let mut deployment = service.deployment(DeploymentKind::Agent, &name);
    body["inputs"] = checked(&deployment, &body)?;
    let made = agents::of_name(&service.store, &name).map(|(_, agent)| agent);
    if let (None, Some(agent)) = (&deployment.model, &made) {
        deployment.model = agent["llm_model"].as_str().map(str::to_owned);
    }
    let automatic = body["tool_approval"] == "auto_approve"
        || body["tool_approval"].is_null() && made.is_some_and(|agent| agent["tool_approval_mode"] == "auto_approve");

    let streaming = body["streaming"] == true;
    let run = Run::start(call, "agent", &name, &body, "running");
    if !streaming {
        tokio::time::sleep(deployment.delay()).await;
    }
    let turn = Turn::take(service, run, deployment, body, automatic);
    if streaming { Ok(turn.stream(service)) } else { turn.whole(service) }
}

/// At most five of what is attached; what is referred to has to be known.
fn refuse_references(body: &Value) -> Result<(), Box<Reply>> {
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let refused = |error| Err(Box::new(refusal(400, "validation_error", error)));
    let (references, known) = (list("artifact_refs"), list("known_artifact_refs"));
    if list("attachments").len() + references.len() > 5 {
        return refused("attachments and artifact_refs together may be 5 at the most.");
    }
    if !references.iter().all(|reference| known.contains(reference)) {
        return refused("artifact_refs must be among known_artifact_refs.");
    }
    Ok(())
}

/// How a message to an agent ends that came by a trigger: nobody is there to be asked.
pub(crate) async fn unattended(service: &Arc<Service>, run: Run, deployment: Deployment, body: Value) -> Run {
    tokio::time::sleep(deployment.delay()).await;
    Turn::take(service, run, deployment, body, true).run
}

struct Turn {
    run: Run,
    deployment: Deployment,
    body: Value,
    answer: Result<String, String>,
    used: Vec<(String, Tool)>,
    /// What the reply and the last event tell beyond the answer.
    told: Value,
    awaiting: bool,
}

impl Turn {
    fn take(service: &Arc<Service>, run: Run, deployment: Deployment, mut body: Value, automatic: bool) -> Self {
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        let thread_id = body["thread_id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        let thread = thread_id.as_ref().map(|id| Thread::find_or_make(service, &deployment.name, id));
        if let Some(thread) = &thread {
            body["history"] = thread.history(service).into();
            thread.say(service, "user", &message);
        }

        let (mut used, mut denied, mut approved, mut asked, mut delegated) = (vec![], vec![], vec![], vec![], vec![]);
        for tool in &deployment.tools {
            let summary = tool.summary.clone().unwrap_or_else(|| format!("Use {}", tool.name));
            match tool.approval {
                Policy::Deny => {
                    denied.push(json!({"tool_name": tool.name, "reason": "policy_deny"}));
                    continue;
                }
                Policy::Ask if automatic => approved.push(json!({"tool_name": tool.name, "summary": summary})),
                Policy::Ask => {
                    asked.push(Pending::ask(service, question(&deployment, &run, tool)));
                    continue;
                }
                Policy::Allow => {}
            }
            let call_id = format!("call_{}", run_id());
            if let Some(ms) = tool.background_ms {
                let url = body["async"]["callback_url"].as_str().filter(|url| !url.is_empty());
                let work = Work {
                    run: run.clone(),
                    thread_id: thread_id.clone(),
                    tool: tool.name.clone(),
                    tool_call_id: call_id,
                    takes: Duration::from_millis(ms),
                    result: tool.observation.clone(),
                    callback: url.map(|url| (url.to_owned(), service.secret(&deployment))),
                };
                delegated.push(delegations::start(service, work));
            } else {
                used.push((call_id, tool.clone()));
            }
        }

        let awaiting = !asked.is_empty();
        let otherwise = format!("{} heard: {message}", deployment.name);
        let full = answer(&run, &deployment, &body, otherwise);
        let mut told = json!({
            "request_id": run.id,
            "run_id": run.id,
            "status": if awaiting { "awaiting_approval" } else { "completed" },
            "thread_id": body.get("thread_id").filter(|id| *id != ""),
        });
        for (member, list) in [
            ("denied_tool_calls", denied),
            ("auto_approved_tool_calls", approved),
            ("pending_delegations", delegated),
            ("pending_tool_approvals", asked.iter().map(|pending| pending.told.clone()).collect()),
        ] {
            if !list.is_empty() {
                told[member] = list.into();
            }
        }
        if let Some(mode) = body.get("tool_approval") {
            told["tool_approval"] = mode.clone();
        }
        let answer = if awaiting { Ok(String::new()) } else { full.clone() };
        told["usage"] = usage(&message, answer.as_deref().unwrap_or_default());
        let turn = Self { run, deployment, body, answer, used, told, awaiting };
        if awaiting {
            turn.run.stands("awaiting_approval");
            turn.resume(service, asked, full, thread);
        } else {
            turn.run.end(&turn.outcome());
            if let (Some(thread), Ok(said)) = (&thread, &turn.answer) {
                thread.say(service, "assistant", said);
            }
        }
        turn
    }

    /// Goes on when someone has decided; the caller does not invoke again.
    fn resume(
        &self,
        service: &Arc<Service>,
        asked: Vec<Pending>,
        full: Result<String, String>,
        thread: Option<Thread>,
    ) {
        let (working, run, body) = (Arc::clone(service), self.run.clone(), &self.body);
        if let Some(url) = body["async"]["callback_url"].as_str().filter(|url| !url.is_empty()) {
            run.owes(url, &service.secret(&self.deployment), body);
        }
        service.spawn(async move {
            let mut denied = Vec::new();
            for pending in &asked {
                if let Err(reason) = pending.decided(&working).await {
                    denied.push(format!("{}: {reason}", pending.told["tool_name"].as_str().unwrap_or_default()));
                }
            }
            let full = full
                .map(|said| if denied.is_empty() { said } else { format!("{said} (without {})", denied.join(", ")) });
            if let (Some(thread), Ok(said)) = (&thread, &full) {
                thread.say(&working, "assistant", said);
            }
            let mut outcome = ended(&full);
            outcome["run_id"] = run.id.as_str().into();
            run.end(&outcome);
            run.report().await;
        });
    }

    fn outcome(&self) -> Value {
        let mut outcome = ended(&self.answer);
        outcome["usage"] = self.told["usage"].clone();
        outcome["tool_calls"] = self.calls();
        outcome
    }

    fn calls(&self) -> Value {
        let call = |(_, tool): &(String, Tool)| {
            json!({
                "tool_name": tool.name,
                "tool_input": json!(tool.input).to_string(),
                "observation": text(&tool.observation),
            })
        };
        self.used.iter().map(call).collect()
    }

    fn whole(self, service: &Service) -> Result<Reply, Box<Reply>> {
        let calls = self.calls();
        let mut reply = self.told;
        match self.answer {
            Err(reason) => return Err(Box::new(failed(service, &self.deployment, &reason))),
            Ok(response) => reply["response"] = response.into(),
        }
        reply["model"] = chat::model(&self.deployment).into();
        if !self.used.is_empty() {
            reply["tool_calls"] = calls;
        }
        Ok(json_reply(200, &reply))
    }

    fn stream(self, service: &Arc<Service>) -> Reply {
        let mut before: Vec<Value> = Vec::new();
        for (id, tool) in &self.used {
            before.push(json!({
                "type": "tool",
                "tool_id": id,
                "tool": tool.name,
                "tool_type": tool.kind.as_deref().unwrap_or("function"),
                "tool_input": tool.input,
                "observation": text(&tool.observation),
            }));
        }
        let asked = self.told["pending_tool_approvals"].as_array().into_iter().flatten();
        before.extend(asked.map(|approval| json!({"type": "tool_approval", "approval": approval})));
        let mut end = self.told;
        end["type"] = "usage".into();
        end["stop_reason"] = if self.awaiting { "awaiting_approval" } else { "completed" }.into();
        let response = self.answer.clone().unwrap_or_default();
        let piece = |text: &str| json!({"type": "response", "response": text, "done": response.ends_with(text)});
        chat::stream(service, &self.deployment, &before, self.answer, piece, &end)
    }
}

fn question<'a>(deployment: &'a Deployment, run: &'a Run, tool: &'a Tool) -> Question<'a> {
    Question {
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

/// JSON as text; a text as it is.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "{}".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
