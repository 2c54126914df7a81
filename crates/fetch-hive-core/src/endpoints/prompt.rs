use fetch_hive_types::{InvokePrompt, InvokePromptResponse, StreamEvent, TokenUsage};

use super::endpoint;
use crate::checks::{inputs, metadata, not_blank};
use crate::stream::StreamingEndpoint;
use crate::{Body, InvalidInput};

endpoint! {
    request: InvokePrompt {},
    name: "invokePrompt",
    method: POST, path: "/prompt/invoke",
    retry: OnlyIfNotSent,
    occupies_run_slot: true,
    response: InvokePromptResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("deployment", &self.deployment)?;
        inputs(&self.inputs)?;
        metadata(&self.metadata)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, Some(&self.inputs), false)
    }

    fn target(&self) -> Option<&str> {
        Some(&self.deployment)
    }

    fn usage(response: &InvokePromptResponse) -> Option<&TokenUsage> {
        response.usage.as_ref()
    }

    /// The response of a prompt states no status. A prompt that failed has no answer.
    fn run_status(response: &InvokePromptResponse) -> Option<&str> {
        response.response.is_some().then_some("completed")
    }
}

impl StreamingEndpoint for InvokePrompt {
    fn streaming_body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, Some(&self.inputs), true)
    }

    fn apply_event(response: &mut InvokePromptResponse, event: StreamEvent) {
        match event {
            StreamEvent::Response(chunk) => {
                response.response.get_or_insert_default().push_str(&chunk.response);
                response.model = chunk.model.map(String::from).or(response.model.take());
                response.request_id = chunk.request_id.or(response.request_id.take());
            }
            StreamEvent::Usage(usage) => {
                response.request_id = usage.request_id.or(response.request_id.take());
                response.usage = usage.usage.or(response.usage.take());
            }
            _ => {}
        }
    }
}
