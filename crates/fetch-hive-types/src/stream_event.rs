use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::extra::Masked;
use crate::{
    AgentRunStatus, AutoApprovedToolCall, DeniedToolCall, ErrorCode, Extra, GeneratedArtifact, PendingToolApproval,
    RequestId, RunId, TextChunk, ThreadId, TokenUsage, ToolApproval,
};

/// One event of a prompt's or an agent's stream (contract, section 7).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// A piece of the model's reasoning.
    Reasoning(TextEvent),
    /// A piece of the answer.
    Response(TextEvent),
    /// A tool was called.
    Tool(Box<ToolEvent>),
    /// A file was made.
    Artifact(Box<ArtifactEvent>),
    /// A tool action waits for a decision.
    ToolApproval(ToolApprovalEvent),
    /// The conversation so far was condensed.
    Summary(Box<SummaryEvent>),
    /// The last event of a run: what it spent, and how it ended.
    Usage(Box<UsageEvent>),
    /// The run failed.
    Error(Box<ErrorEvent>),
    /// An event of a type that this version does not know, or JSON that is no event, as it came.
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
            // As the fields that no version knows are.
            Self::Other(value) => f.debug_tuple("Other").field(&Masked(value)).finish(),
        }
    }
}

/// A piece of text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TextEvent {
    /// The text.
    #[serde(deserialize_with = "crate::macros::null_as_default")]
    pub response: TextChunk,
    /// The model; in prompt streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<TextChunk>,
    /// Said of each piece in agent streams. It is no end mark.
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

/// A tool was called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolEvent {
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_id: Option<String>,
    /// The tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The kind of tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_type: Option<String>,
    /// Its arguments: parsed here, JSON in a text in a reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_input: Option<Value>,
    /// Its result: JSON in a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Value>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// A file was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ArtifactEvent {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<GeneratedArtifact>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// A tool action waits for a decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolApprovalEvent {
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Extra>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// The conversation so far was condensed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SummaryEvent {
    /// What is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_text: Option<String>,
    /// How many tokens it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_token_count: Option<u64>,
    /// How many the model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_limit: Option<u64>,
    /// The model that condensed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who provides that model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// What a run spent, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsageEvent {
    /// Tokens spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// Why the stream ended, such as `completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The same id, under its other name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Where the run stands; of agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AgentRunStatus>,
    /// The thread, if there is one; of agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// The approval mode in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_approval: Option<ToolApproval>,
    /// Tool actions that wait for a decision.
    #[serde(deserialize_with = "crate::macros::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub pending_tool_approvals: Vec<PendingToolApproval>,
    /// Tool calls that were denied.
    #[serde(deserialize_with = "crate::macros::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub denied_tool_calls: Vec<DeniedToolCall>,
    /// Tool calls that ran only because the mode allowed them.
    #[serde(deserialize_with = "crate::macros::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub auto_approved_tool_calls: Vec<AutoApprovedToolCall>,
}

/// The run failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ErrorEvent {
    /// What went wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// A longer text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What went wrong, for programs. Inferred from the replies (contract, section 7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCode>,
    /// The public id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl ErrorEvent {
    /// Takes what fits, for a failure must never pass for anything else. The code may be named `code`, and code and message may stand in an
    /// object `error`.
    fn of_any_shape(json: &Value) -> Self {
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

impl StreamEvent {
    /// Reads one event from its JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or an event of a known type does not have the shape of that type. An unknown type is
    /// [`Other`](StreamEvent::Other). An `error` event is read in whatever shape.
    pub fn from_slice(json: &[u8]) -> Result<Self, serde_json::Error> {
        Self::from_slice_named(json, "")
    }

    /// The same, with the type that holds where the JSON has none: the frame's `event` field.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice).
    pub fn from_slice_named(json: &[u8], name: &str) -> Result<Self, serde_json::Error> {
        let tag = Self::type_of(json);
        Ok(match if tag.is_empty() { name } else { &tag } {
            "response" => Self::Response(serde_json::from_slice(json)?),
            "reasoning" => Self::Reasoning(serde_json::from_slice(json)?),
            "tool" => Self::Tool(serde_json::from_slice(json)?),
            "artifact" => Self::Artifact(serde_json::from_slice(json)?),
            "tool_approval" => Self::ToolApproval(serde_json::from_slice(json)?),
            "summary" => Self::Summary(serde_json::from_slice(json)?),
            "usage" => Self::Usage(serde_json::from_slice(json)?),
            "error" => Self::Error(Box::new(ErrorEvent::of_any_shape(&serde_json::from_slice(json)?))),
            _ => Self::Other(serde_json::from_slice(json)?),
        })
    }

    /// The type that stands in an event's JSON; empty where there is none.
    pub fn type_of(json: &[u8]) -> Cow<'_, str> {
        #[derive(Deserialize)]
        struct Tag<'a> {
            #[serde(borrow, default, rename = "type")]
            tag: Cow<'a, str>,
        }

        // What is no object at all has no type.
        serde_json::from_slice::<Tag<'_>>(json).map(|tag| tag.tag).unwrap_or_default()
    }

    /// The public id of the run, where the event names it.
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

    /// The type, as it stands on the wire; empty where there is none.
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
