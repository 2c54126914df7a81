use fetch_hive_types::{AgentRunStatus, InvokeAgent, InvokeAgentResponse, StreamEvent, TokenUsage, ToolInvocation};

use super::endpoint;
use crate::checks::{attachments, metadata, not_blank, reject_if};
use crate::stream::StreamingEndpoint;
use crate::{Body, InvalidInput};

endpoint! {
    request: InvokeAgent {},
    name: "invokeAgent",
    method: POST, path: "/agent/invoke",
    retry: OnlyIfNotSent,
    occupies_run_slot: true,
    response: InvokeAgentResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("agent", &self.agent)?;
        not_blank("message", &self.message)?;
        metadata(&self.metadata)?;
        attachments("attachments", &self.attachments)?;
        for message in &self.messages {
            attachments("messages.attachments", &message.attachments)?;
        }
        let attached = self.attachments.len() + self.artifact_refs.len();
        reject_if(attached > 5, "attachments", "must not be more than 5, including artifact_refs")?;
        reject_if(self.known_artifact_refs.len() > 50, "known_artifact_refs", "must not be more than 50")?;
        let known = self.artifact_refs.iter().all(|artifact| self.known_artifact_refs.contains(artifact));
        reject_if(!known, "artifact_refs", "must be contained in known_artifact_refs")?;
        let decided = !self.decided_tool_approvals.is_empty();
        reject_if(decided, "decided_tool_approvals", "cannot be sent with an API key; decide the approval instead")
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, None, false)
    }

    fn callback_url(&self) -> Option<&str> {
        self.async_mode.as_ref()?.callback_url.as_deref()
    }

    fn target(&self) -> Option<&str> {
        Some(self.agent.as_str())
    }

    fn usage(response: &InvokeAgentResponse) -> Option<&TokenUsage> {
        response.usage.as_ref()
    }

    fn run_status(response: &InvokeAgentResponse) -> Option<&str> {
        response.status.as_ref().map(AgentRunStatus::as_str)
    }
}

impl StreamingEndpoint for InvokeAgent {
    fn streaming_body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, None, true)
    }

    fn apply_event(response: &mut InvokeAgentResponse, event: StreamEvent) {
        match event {
            StreamEvent::Response(chunk) => {
                response.response.get_or_insert_default().push_str(&chunk.response);
                response.model = chunk.model.map(String::from).or(response.model.take());
                response.request_id = chunk.request_id.or(response.request_id.take());
            }
            StreamEvent::Tool(tool) => {
                let mut call = ToolInvocation::default();
                (call.tool_name, call.tool_input, call.observation) = (tool.tool, tool.tool_input, tool.observation);
                response.tool_calls.push(call);
            }
            StreamEvent::Artifact(event) => {
                if let Some(artifact) = event.artifact {
                    response.artifacts.push(artifact);
                }
            }
            StreamEvent::Usage(usage) => {
                response.request_id = usage.request_id.or(response.request_id.take());
                response.run_id = usage.run_id.or(response.run_id.take());
                response.thread_id = usage.thread_id.or(response.thread_id.take());
                response.status = usage.status.or(response.status.take());
                response.usage = usage.usage.or(response.usage.take());
                response.tool_approval = usage.tool_approval.or(response.tool_approval.take());
                response.pending_tool_approvals.extend(usage.pending_tool_approvals);
                response.denied_tool_calls.extend(usage.denied_tool_calls);
                response.auto_approved_tool_calls.extend(usage.auto_approved_tool_calls);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_form_the_response_without_streaming() {
        let event = |json: &str| StreamEvent::from_slice(json.as_bytes()).unwrap();
        let mut response = InvokeAgentResponse::default();
        for json in [
            r#"{"type":"reasoning","response":"hm"}"#,
            r#"{"type":"response","response":"Hel","done":false}"#,
            r#"{"type":"tool","tool_id":"1","tool":"search","tool_input":{"q":1},"observation":"{\"n\":2}"}"#,
            r#"{"type":"artifact","artifact":{"file_url":"https://x/1.png"}}"#,
            r#"{"type":"response","response":"lo","done":true}"#,
            r#"{"type":"usage","usage":{"total_tokens":9},"run_id":"req_1","request_id":"req_1","status":"awaiting_approval","thread_id":"t","pending_tool_approvals":[{"approval_id":"a"}]}"#,
            r#"{"type":"usage"}"#,
        ] {
            InvokeAgent::apply_event(&mut response, event(json));
        }
        let want: InvokeAgentResponse = serde_json::from_str(
            r#"{"request_id":"req_1","run_id":"req_1","response":"Hello","thread_id":"t","status":"awaiting_approval","usage":{"total_tokens":9},
                "tool_calls":[{"tool_name":"search","tool_input":{"q":1},"observation":"{\"n\":2}"}],"artifacts":[{"file_url":"https://x/1.png"}],
                "pending_tool_approvals":[{"approval_id":"a"}]}"#,
        )
        .unwrap();
        assert_eq!(response, want);
    }
}
