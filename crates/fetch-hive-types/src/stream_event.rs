use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::extra::Masked;
use crate::{
    AgentRunStatus, AutoApprovedToolCall, DeniedToolCall, ErrorCode, Extra, GeneratedArtifact, PendingToolApproval,
    RequestId, RunId, TextChunk, ThreadId, TokenUsage, ToolApproval,
};

/// An event of a prompt's or an agent's stream.
///
/// See the [contract](crate::contract#streams).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// A part of the text in which the model reasons.
    Reasoning(TextEvent),
    /// A part of the text of the answer.
    Response(TextEvent),
    /// A tool call of an agent, with its result.
    Tool(Box<ToolEvent>),
    /// A file that the run generated.
    Artifact(Box<ArtifactEvent>),
    /// A tool action that waits for a decision.
    ToolApproval(ToolApprovalEvent),
    /// A summary that replaces the earlier part of the conversation.
    Summary(Box<SummaryEvent>),
    /// The last event of a run, with its token usage and its final status.
    Usage(Box<UsageEvent>),
    /// An error that ended the run.
    Error(Box<ErrorEvent>),
    /// An event of an unknown type, or JSON that is not an event.
    Other(Value),
}

impl fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reasoning(event) => f.debug_tuple("Reasoning").field(event).finish(),
            Self::Response(event) => f.debug_tuple("Response").field(event).finish(),
            Self::Tool(event) => f.debug_tuple("Tool").field(event).finish(),
            Self::Artifact(event) => f.debug_tuple("Artifact").field(event).finish(),
            Self::ToolApproval(event) => f.debug_tuple("ToolApproval").field(event).finish(),
            Self::Summary(event) => f.debug_tuple("Summary").field(event).finish(),
            Self::Usage(event) => f.debug_tuple("Usage").field(event).finish(),
            Self::Error(event) => f.debug_tuple("Error").field(event).finish(),
            Self::Other(value) => f.debug_tuple("Other").field(&Masked(value)).finish(),
        }
    }
}

/// A part of a streamed text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TextEvent {
    /// The text, which is appended to the text of earlier events.
    #[serde(deserialize_with = "crate::macros::null_as_default")]
    pub response: TextChunk,
    /// The id of the model that generates the text, sent in prompt streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<TextChunk>,
    /// A flag of each text in agent streams. It does not mark the end of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl TextEvent {
    /// Returns the text of the event.
    pub fn text(&self) -> &str {
        &self.response
    }
}

/// A tool call of an agent, with its result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolEvent {
    /// The id of the tool call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_id: Option<String>,
    /// The name of the tool that the agent called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The type of the tool, as used internally by the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_type: Option<String>,
    /// The arguments of the tool call.
    ///
    /// A stream sends them as an object, and a response as a string with JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_input: Option<Value>,
    /// The result of the tool call, which is a string with JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Value>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// A file that the run generated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ArtifactEvent {
    /// The description of the file, which includes its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<GeneratedArtifact>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// A tool action that waits for a decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolApprovalEvent {
    /// The action that waits. The sources do not declare its fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Extra>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// A summary that replaces the earlier part of the conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SummaryEvent {
    /// The text of the summary of the earlier conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_text: Option<String>,
    /// The number of tokens that the conversation had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_token_count: Option<u64>,
    /// The size of the model's context window in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_limit: Option<u64>,
    /// The id of the model that wrote the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider of the model that wrote the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// The usage and the final status of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsageEvent {
    /// The number of tokens that the run used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// The reason why the stream ended, such as `completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The public id of the run under its second name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The status of the run, sent in agent streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AgentRunStatus>,
    /// The id of the thread that the message belongs to, sent in agent streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// The mode that applied to tool actions that need approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_approval: Option<ToolApproval>,
    /// The tool actions that wait for a decision.
    #[serde(deserialize_with = "crate::macros::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub pending_tool_approvals: Vec<PendingToolApproval>,
    /// The tool calls that were denied.
    #[serde(deserialize_with = "crate::macros::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub denied_tool_calls: Vec<DeniedToolCall>,
    /// The tool calls that needed approval and were approved automatically.
    #[serde(deserialize_with = "crate::macros::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub auto_approved_tool_calls: Vec<AutoApprovedToolCall>,
}

/// An error that ended the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ErrorEvent {
    /// The reason for people, in the language of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// A longer message for people, in the language of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The machine-readable reason for the error.
    ///
    /// It is inferred from error responses, and unconfirmed for streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCode>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl ErrorEvent {
    /// Reads an error event of any shape.
    ///
    /// A failure must not be lost because of an odd field. The code is also read from `code`, and
    /// the code and the message are also read from an object in `error`.
    fn lenient(json: &Value) -> Self {
        let text = |name: &str| {
            let mut found = [json.get(name), json.get("error").and_then(|error| error.get(name))].into_iter().flatten();
            found.find_map(Value::as_str).map(str::to_owned)
        };
        Self {
            error: json.get("error").filter(|error| !error.is_null()).cloned(),
            message: text("message"),
            error_code: text("error_code").or_else(|| text("code")).map(ErrorCode::from),
            request_id: text("request_id").map(RequestId::from),
        }
    }
}

/// Returns whether an event without a type reports a failure.
fn is_error(event: &Value) -> bool {
    ["error", "error_code"].iter().any(|name| event.get(name).is_some_and(|value| !value.is_null()))
}

impl StreamEvent {
    /// Parses an event from its JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if the input is not JSON, or if an event of a known type has a field of the
    /// wrong type. An event of an unknown type is returned as [`Other`](Self::Other), and an
    /// `error` event of any shape as [`Error`](Self::Error).
    pub fn from_slice(json: &[u8]) -> Result<Self, serde_json::Error> {
        Self::from_slice_named(json, "")
    }

    /// Parses an event whose type may be given outside its JSON.
    ///
    /// The `type` field of the JSON takes precedence over `name`, which is the `event` field of the
    /// stream.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`from_slice`](Self::from_slice).
    pub fn from_slice_named(json: &[u8], name: &str) -> Result<Self, serde_json::Error> {
        let tag = Self::type_of(json);
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let event = Self::deserialize_as(if tag.is_empty() { name } else { &tag }, &mut deserializer)?;
        deserializer.end()?;
        Ok(event)
    }

    /// Deserializes an event whose type is known.
    ///
    /// An event of an unknown type is deserialized as [`Other`](Self::Other), and an event without
    /// a type that has an `error` or an `error_code` as [`Error`](Self::Error).
    ///
    /// # Errors
    ///
    /// Returns an error if the deserializer fails, or if a field has the wrong type.
    pub fn deserialize_as<'de, D: Deserializer<'de>>(event_type: &str, deserializer: D) -> Result<Self, D::Error> {
        Ok(match event_type {
            "response" => Self::Response(TextEvent::deserialize(deserializer)?),
            "reasoning" => Self::Reasoning(TextEvent::deserialize(deserializer)?),
            "tool" => Self::Tool(Box::deserialize(deserializer)?),
            "artifact" => Self::Artifact(Box::deserialize(deserializer)?),
            "tool_approval" => Self::ToolApproval(ToolApprovalEvent::deserialize(deserializer)?),
            "summary" => Self::Summary(Box::deserialize(deserializer)?),
            "usage" => Self::Usage(Box::deserialize(deserializer)?),
            "error" => Self::Error(Box::new(ErrorEvent::lenient(&Value::deserialize(deserializer)?))),
            // A failure may be reported without a type.
            "" | "message" => match Value::deserialize(deserializer)? {
                event if is_error(&event) => Self::Error(Box::new(ErrorEvent::lenient(&event))),
                event => Self::Other(event),
            },
            _ => Self::Other(Value::deserialize(deserializer)?),
        })
    }

    /// Returns the `type` field of an event's JSON.
    ///
    /// The type is empty if there is no such field, or if the input is not a JSON object.
    pub fn type_of(json: &[u8]) -> Cow<'_, str> {
        #[derive(Deserialize)]
        struct Tag<'a> {
            #[serde(borrow, default, rename = "type")]
            tag: Cow<'a, str>,
        }

        if let Ok(Tag { tag }) = serde_json::from_slice(json) {
            return tag;
        }
        // The field may occur more than once.
        let event = serde_json::from_slice::<Value>(json).unwrap_or_default();
        event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned().into()
    }

    /// Returns the public id of the run, if the event has it.
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Reasoning(event) | Self::Response(event) => event.request_id.as_ref(),
            Self::Tool(event) => event.request_id.as_ref(),
            Self::Artifact(event) => event.request_id.as_ref(),
            Self::ToolApproval(event) => event.request_id.as_ref(),
            Self::Summary(event) => event.request_id.as_ref(),
            Self::Usage(event) => event.request_id.as_ref(),
            Self::Error(event) => event.request_id.as_ref(),
            Self::Other(_) => None,
        }
    }

    /// Returns the type of the event as the service writes it, or an empty string.
    pub fn event_type(&self) -> &str {
        match self {
            Self::Reasoning(_) => "reasoning",
            Self::Response(_) => "response",
            Self::Tool(_) => "tool",
            Self::Artifact(_) => "artifact",
            Self::ToolApproval(_) => "tool_approval",
            Self::Summary(_) => "summary",
            Self::Usage(_) => "usage",
            Self::Error(_) => "error",
            Self::Other(value) => value.get("type").and_then(Value::as_str).unwrap_or_default(),
        }
    }
}
