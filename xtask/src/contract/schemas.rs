//! Which type stands for which schema.

#[allow(clippy::wildcard_imports, reason = "every type of the contract stands here")]
use fetch_hive_core::types::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compare;
use super::sample::{Style, UNKNOWN};

/// The fields that sources name differently: the type, the name that is read too, and the documented
/// name, which is written.
pub(crate) const ALIASES: [(&str, &str, &str); 2] =
    [("ErrorBody", "code", "error_code"), ("InvokeWorkflowResponse", "status", "run_status")];

/// Takes a sample through a type and says what was lost.
type Through = fn(&Value, Style) -> Result<(), String>;

pub(crate) enum Mapped {
    Type(Through),
    /// It has no type of its own, for this reason.
    Reason(#[allow(dead_code, reason = "for the reader of the table")] &'static str),
}

/// Fields that are written by the layer above, and so are no fields of the type.
const WRITTEN_ABOVE: [(&str, &str); 2] = [("InvokePrompt", "streaming"), ("InvokeAgent", "streaming")];

/// An object: it comes back whole, and nothing that the contract declares is unknown to its type.
fn object<T: DeserializeOwned + Serialize>(
    name: &str,
    value: &Value,
    style: Style,
    extra: fn(&T) -> &Extra,
) -> Result<(), String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|error| format!("{error} in {value}"))?;
    let unknown = extra(&read).keys().filter(|key| {
        let declared_unknown = style == Style::Unknown && *key == UNKNOWN;
        // What stands under a free-form `additionalProperties` has no declared name.
        !declared_unknown
            && *key != "key"
            && !WRITTEN_ABOVE.contains(&(name, key.as_str()))
            && !is_second_name(name, key, value)
    });
    if let Some(key) = unknown.into_iter().next() {
        return Err(format!("`{key}` is not known to {name}"));
    }
    let mut want = value.clone();
    if let Value::Object(want) = &mut want {
        for (_, alias, documented) in ALIASES.iter().filter(|row| row.0 == name) {
            if !want.contains_key(*documented) {
                if let Some(value) = want.remove(*alias) {
                    want.insert((*documented).to_owned(), value);
                }
            }
        }
    }
    compare(&want, &serde_json::to_value(&read).map_err(|error| error.to_string())?)
}

/// Whether a key is another name of a field that the sample has too, so that it is kept beside it.
fn is_second_name(name: &str, key: &str, value: &Value) -> bool {
    ALIASES.iter().any(|(owner, alias, documented)| *owner == name && *alias == key && value.get(documented).is_some())
}

/// An agent shows what can be set in it, and the id that its path has.
fn agent(value: &Value, style: Style) -> Result<(), String> {
    let mut value = value.clone();
    value["id"] = "agt_1".into();
    object::<Agent>("Agent", &value, style, |read| &read.extra)
}

/// A value that is no object of fields.
fn plain<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|error| format!("{error} in {value}"))?;
    compare(value, &serde_json::to_value(&read).map_err(|error| error.to_string())?)
}

/// Every type of event is read as its own, and keeps the fields that the contract gives it.
fn stream_event(value: &Value, style: Style) -> Result<(), String> {
    const COMMON: [&str; 1] = ["request_id"];
    let fields: [(&str, &[&str]); 8] = [
        ("reasoning", &["response", "model", "done"]),
        ("response", &["response", "model", "done"]),
        ("tool", &["tool_id", "tool", "tool_type", "tool_input", "observation"]),
        ("artifact", &["artifact"]),
        ("tool_approval", &["approval"]),
        ("summary", &["summary_text", "original_token_count", "context_limit", "model", "provider"]),
        (
            "usage",
            &[
                "usage",
                "stop_reason",
                "run_id",
                "status",
                "thread_id",
                "tool_approval",
                "pending_tool_approvals",
                "denied_tool_calls",
                "auto_approved_tool_calls",
            ],
        ),
        ("error", &["error", "error_code"]),
    ];
    if style == Style::Minimal {
        return Ok(());
    }
    let all = value.as_object().ok_or("a stream event is an object")?;
    let known = |key: &str| fields.iter().any(|(_, names)| names.contains(&key)) || COMMON.contains(&key);
    if let Some(key) = all.keys().find(|key| !known(key) && *key != "type" && *key != UNKNOWN) {
        return Err(format!("`{key}` belongs to no type of event"));
    }
    for (tag, names) in fields {
        let chosen = all.iter().filter(|(key, _)| names.contains(&key.as_str()) || COMMON.contains(&key.as_str()));
        let want: serde_json::Map<_, _> = chosen.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut sent = want.clone();
        sent.insert("type".to_owned(), tag.into());
        let text = serde_json::to_vec(&sent).map_err(|error| error.to_string())?;
        let event = StreamEvent::from_slice(&text).map_err(|error| format!("{tag}: {error}"))?;
        if event.event_type() != tag {
            return Err(format!("{tag} was read as {}", event.event_type()));
        }
        let got = match &event {
            StreamEvent::Reasoning(event) | StreamEvent::Response(event) => serde_json::to_value(event),
            StreamEvent::Tool(event) => serde_json::to_value(event),
            StreamEvent::Artifact(event) => serde_json::to_value(event),
            StreamEvent::ToolApproval(event) => serde_json::to_value(event),
            StreamEvent::Summary(event) => serde_json::to_value(event),
            StreamEvent::Usage(event) => serde_json::to_value(event),
            StreamEvent::Error(event) => serde_json::to_value(event),
            _ => return Err(format!("{tag} was not read as an event of its own")),
        };
        compare(&Value::Object(want), &got.map_err(|error| error.to_string())?)
            .map_err(|why| format!("{tag}: {why}"))?;
    }
    Ok(())
}

macro_rules! objects {
    ($($schema:literal => $type:ident,)+) => {
        vec![$((
            $schema,
            Mapped::Type(|value, style| object::<$type>(stringify!($type), value, style, |read| &read.extra)),
        )),+]
    };
}

const REPLY: &str = "an envelope that carries nothing: unwrapped by the endpoint, and checked with its operation";
const REQUEST: &str = "an envelope that carries nothing: written by the endpoint, and checked with its operation";

/// Every schema, with its type or the reason why it has none.
#[allow(clippy::too_many_lines, reason = "one line for each schema")]
pub(crate) fn table() -> Vec<(&'static str, Mapped)> {
    let mut table = objects! {
        "AgentAsyncOptions" => AgentAsyncOptions,
        "AgentChangeResponse" => AgentChangeResponse,
        "AgentChat" => AgentChat,
        "AgentChatChangeResponse" => AgentChatChangeResponse,
        "AgentChatCreate" => AgentChatCreate,
        "AgentChatUpdate" => AgentChatUpdate,
        "AgentCreate" => AgentCreate,
        "AgentDelegation" => AgentDelegation,
        "AgentMessage" => AgentMessage,
        "AgentUpdate" => AgentUpdate,
        "ApprovalBatchItem" => ApprovalBatchItem,
        "ApprovalCapabilities" => ApprovalCapabilities,
        "ApprovalDecider" => ApprovalDecider,
        "ApprovalPerson" => ApprovalPerson,
        "ApprovalRequester" => ApprovalRequester,
        "ApprovalVote" => ApprovalVote,
        "Asset" => Asset,
        "AssetTranscription" => AssetTranscription,
        "AssetUploadError" => ErrorBody,
        "AssetUploadResponse" => AssetUploadResponse,
        "AttachmentDescriptor" => AttachmentDescriptor,
        "AutoApprovedToolCall" => AutoApprovedToolCall,
        "CallbackEvent" => CallbackEvent,
        "ChatMessage" => ChatMessage,
        "ChatValidationError" => ErrorBody,
        "DecidedToolApproval" => DecidedToolApproval,
        "DeniedToolCall" => DeniedToolCall,
        "Error" => ErrorBody,
        "ErrorCodeCatalog" => ErrorCodeCatalog,
        "ErrorCodeEntry" => ErrorCodeEntry,
        "GeneratedArtifact" => GeneratedArtifact,
        "HiveAgentAsyncOptions" => HiveAgentAsyncOptions,
        "HiveAgentSources" => HiveAgentSources,
        "InvokeAgentRequest" => InvokeAgent,
        "InvokeAgentResponse" => InvokeAgentResponse,
        "InvokeHiveAgentRequest" => InvokeHiveAgent,
        "InvokeHiveAgentResponse" => InvokeHiveAgentResponse,
        "InvokePromptRequest" => InvokePrompt,
        "InvokePromptResponse" => InvokePromptResponse,
        "InvokeWorkflowAsyncResponse" => InvokeWorkflowResponse,
        "InvokeWorkflowRequest" => InvokeWorkflow,
        "InvokeWorkflowResponse" => InvokeWorkflowResponse,
        "KnowledgeBase" => KnowledgeBase,
        "KnowledgeBaseChangeResponse" => KnowledgeBaseChangeResponse,
        "KnowledgeBaseCreate" => KnowledgeBaseCreate,
        "KnowledgeBaseDetail" => KnowledgeBase,
        "KnowledgeBaseItem" => KnowledgeBaseItem,
        "KnowledgeBaseItemChangeResponse" => KnowledgeBaseItemChangeResponse,
        "KnowledgeBaseItemCreate" => KnowledgeBaseItemCreate,
        "KnowledgeBaseItemDetail" => KnowledgeBaseItem,
        "KnowledgeBaseItemUpdate" => KnowledgeBaseItemUpdate,
        "KnowledgeBaseItemValidationError" => ErrorBody,
        "KnowledgeBaseUpdate" => KnowledgeBaseUpdate,
        "MessageResponse" => MessageResponse,
        "Model" => Model,
        "PendingDelegation" => PendingDelegation,
        "PendingToolApproval" => PendingToolApproval,
        "RegenerateKnowledgeBaseItemResponse" => RegenerateKnowledgeBaseItemResponse,
        "RequestRecord" => RequestRecord,
        "SearchKnowledgeBaseRequest" => KnowledgeBaseSearch,
        "SearchKnowledgeBaseResponse" => SearchKnowledgeBaseResponse,
        "SearchServiceCountries" => SearchServiceCountries,
        "SearchServiceCountry" => SearchServiceCountry,
        "StreamAutoApprovedToolCall" => AutoApprovedToolCall,
        "TokenCount" => TokenCount,
        "TokenUsage" => TokenUsage,
        "ToolActionApproval" => ToolActionApproval,
        "ToolActionApprovalList" => ToolActionApprovalList,
        "ToolInvocation" => ToolInvocation,
        "TriggerAgentRequest" => TriggerAgentRequest,
        "TriggerDeploymentRequest" => TriggerDeploymentRequest,
        "UnsupportedSearchServiceError" => ErrorBody,
        "WebhookAsyncOptions" => WebhookAsyncOptions,
        "WebhookTriggerResponse" => WebhookTriggerResponse,
        "WorkflowAsyncOptions" => WorkflowAsyncOptions,
    };
    table.extend([
        ("Agent", Mapped::Type(agent)),
        ("AgentAttachment", Mapped::Type(|value, _| plain::<AgentAttachment>(value))),
        ("DelegationTarget", Mapped::Type(|value, _| plain::<Extra>(value))),
        ("KnowledgeBaseSearchResult", Mapped::Type(|value, _| plain::<Extra>(value))),
        ("MetadataValue", Mapped::Type(|value, _| plain::<MetadataValue>(value))),
        ("StreamEvent", Mapped::Type(stream_event)),
    ]);
    let reasons = [
        (
            REPLY,
            &[
                "AgentDelegationList",
                "AgentList",
                "AgentChatResponse",
                "AgentResponse",
                "AssetList",
                "ChatMessageList",
                "KnowledgeBaseItemList",
                "KnowledgeBaseItemResponse",
                "KnowledgeBaseList",
                "KnowledgeBaseResponse",
                "SearchServiceCountriesList",
                "ToolActionApprovalResponse",
            ][..],
        ),
        (
            REQUEST,
            &[
                "CreateAgentChatRequest",
                "CreateAgentRequest",
                "CreateKnowledgeBaseItemRequest",
                "CreateKnowledgeBaseRequest",
                "DecideToolActionApprovalRequest",
                "UpdateAgentChatRequest",
                "UpdateAgentRequest",
                "UpdateKnowledgeBaseItemRequest",
                "UpdateKnowledgeBaseRequest",
                "AssetUploadRequest",
            ],
        ),
    ];
    for (reason, names) in reasons {
        table.extend(names.iter().map(|name| (*name, Mapped::Reason(reason))));
    }
    table
}
