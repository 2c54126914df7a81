use fetch_hive_types::{InvokeAgentResponse, InvokeHiveAgentResponse, InvokePromptResponse, TokenUsage, InvokeWorkflowResponse};

use super::endpoint;
use crate::checks::{Checked, attachments, inputs, metadata, not_blank, refuse_if};
use crate::url::check_callback_url;
use crate::{Body, InvalidInput};

endpoint! {
    InvokeWorkflow(): "invokeWorkflow", POST "/workflow/invoke", OnlyIfNotSent => InvokeWorkflowResponse;

    const OCCUPIES_RUN_SLOT: bool = true;

    fn validate(&self) -> Checked {
        not_blank("deployment", &self.deployment)?;
        inputs(&self.inputs)?;
        metadata(&self.metadata)?;
        match &self.async_mode {
            Some(mode) if mode.enabled => check_callback_url("async.callback_url", mode.callback_url.as_deref()),
            _ => Ok(()),
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(self, &self.extra)
    }

    fn target(&self) -> Option<&str> {
        Some(&self.deployment)
    }
}

endpoint! {
    InvokePrompt(): "invokePrompt", POST "/prompt/invoke", OnlyIfNotSent => InvokePromptResponse;

    const OCCUPIES_RUN_SLOT: bool = true;

    fn validate(&self) -> Checked {
        not_blank("deployment", &self.deployment)?;
        inputs(&self.inputs)?;
        metadata(&self.metadata)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, false)
    }

    fn target(&self) -> Option<&str> {
        Some(&self.deployment)
    }

    fn usage(response: &InvokePromptResponse) -> Option<&TokenUsage> {
        response.usage.as_ref()
    }
}

endpoint! {
    InvokeAgent(): "invokeAgent", POST "/agent/invoke", OnlyIfNotSent => InvokeAgentResponse;

    const OCCUPIES_RUN_SLOT: bool = true;

    fn validate(&self) -> Checked {
        not_blank("agent", &self.agent)?;
        not_blank("message", &self.message)?;
        metadata(&self.metadata)?;
        attachments("attachments", &self.attachments)?;
        for message in &self.messages {
            attachments("messages.attachments", &message.attachments)?;
        }
        let together = self.attachments.len() + self.artifact_refs.len();
        refuse_if(together > 5, "attachments", "are more than 5, artifact refs included")?;
        refuse_if(self.known_artifact_refs.len() > 50, "known_artifact_refs", "are more than 50")?;
        let known = self.artifact_refs.iter().all(|artifact| self.known_artifact_refs.contains(artifact));
        refuse_if(!known, "artifact_refs", "must all be among the known_artifact_refs")?;
        let decided = !self.decided_tool_approvals.is_empty();
        refuse_if(decided, "decided_tool_approvals", "is not for callers with an API key: decide the approval instead")?;
        match self.async_mode.as_ref().and_then(|mode| mode.callback_url.as_deref()) {
            Some(url) => check_callback_url("async.callback_url", Some(url)),
            None => Ok(()),
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, false)
    }

    fn target(&self) -> Option<&str> {
        Some(self.agent.as_str())
    }

    fn usage(response: &InvokeAgentResponse) -> Option<&TokenUsage> {
        response.usage.as_ref()
    }
}

endpoint! {
    InvokeHiveAgent(): "invokeHiveAgent", POST "/hive-agent/invoke", OnlyIfNotSent => InvokeHiveAgentResponse;

    fn validate(&self) -> Checked {
        not_blank("hive_agent", &self.hive_agent)?;
        not_blank("objective", &self.objective)?;
        metadata(&self.metadata)?;
        refuse_if(!self.async_mode.enabled, "async.enabled", "must be true: a hive agent's outcome comes by callback")?;
        check_callback_url("async.callback_url", Some(&self.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(self, &self.extra)
    }

    fn target(&self) -> Option<&str> {
        Some(self.hive_agent.as_str())
    }
}
