//! The type of each schema, and the round trip of its samples.

#[allow(clippy::wildcard_imports, reason = "the table uses nearly every type")]
use fetch_hive_core::types::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compare;
use super::sample::{Style, UNKNOWN};

/// The fields that sources name differently. Each entry has the type, the alternative name, and the
/// documented name.
pub(crate) const ALIASES: [(&str, &str, &str); 2] =
    [("ErrorBody", "code", "error_code"), ("InvokeWorkflowResponse", "status", "run_status")];

/// Parses a sample with a type, writes it again, and compares the two.
type RoundTrip = fn(&Value, Style) -> Result<(), String>;

/// The counterpart of a schema.
pub(crate) enum Mapping {
    Type(RoundTrip),
    /// The reason why the schema has no type.
    NoType(#[allow(dead_code, reason = "documents the table")] &'static str),
}

/// Fields that the endpoint writes, so the type does not have them.
const WRITTEN_BY_ENDPOINT: [(&str, &str); 2] = [("InvokePrompt", "streaming"), ("InvokeAgent", "streaming")];

/// Checks that an object survives the round trip and that its type knows every declared field.
fn object<T: DeserializeOwned + Serialize>(
    name: &str,
    value: &Value,
    style: Style,
    extra: fn(&T) -> &Extra,
) -> Result<(), String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|error| format!("{error} in {value}"))?;
    let unknown = extra(&read).keys().filter(|key| {
        let declared_unknown = style == Style::Unknown && *key == UNKNOWN;
        // The sample of a free-form `additionalProperties` has this key.
        !declared_unknown
            && *key != "key"
            && !WRITTEN_BY_ENDPOINT.contains(&(name, key.as_str()))
            && !is_redundant_alias(name, key, value)
    });
    if let Some(key) = unknown.into_iter().next() {
        return Err(format!("{name} has no field `{key}`"));
    }
    let mut expected = value.clone();
    if let Value::Object(expected) = &mut expected {
        for (_, alias, documented) in ALIASES.iter().filter(|row| row.0 == name) {
            if !expected.contains_key(*documented) {
                if let Some(value) = expected.remove(*alias) {
                    expected.insert((*documented).to_owned(), value);
                }
            }
        }
    }
    compare(&expected, &serde_json::to_value(&read).map_err(|error| error.to_string())?)
}

/// Returns whether a key is an alias of a field that the sample also contains, so that both are
/// kept.
fn is_redundant_alias(name: &str, key: &str, value: &Value) -> bool {
    ALIASES.iter().any(|(owner, alias, documented)| *owner == name && *alias == key && value.get(documented).is_some())
}

/// Checks an agent record, which has the writable fields and an id.
fn agent(value: &Value, style: Style) -> Result<(), String> {
    let mut value = value.clone();
    value["id"] = "agt_1".into();
    object::<Agent>("Agent", &value, style, |read| &read.extra)
}

/// Checks that a value without declared fields survives the round trip.
fn plain<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|error| format!("{error} in {value}"))?;
    compare(value, &serde_json::to_value(&read).map_err(|error| error.to_string())?)
}

/// Checks that every type of event is parsed as its own variant and keeps its declared fields.
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
    let all = value.as_object().ok_or("the sample of a stream event is not an object")?;
    let known = |key: &str| fields.iter().any(|(_, names)| names.contains(&key)) || COMMON.contains(&key);
    if let Some(key) = all.keys().find(|key| !known(key) && *key != "type" && *key != UNKNOWN) {
        return Err(format!("no type of event has the field `{key}`"));
    }
    for (tag, names) in fields {
        let chosen = all.iter().filter(|(key, _)| names.contains(&key.as_str()) || COMMON.contains(&key.as_str()));
        let expected: serde_json::Map<_, _> = chosen.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut sent = expected.clone();
        sent.insert("type".to_owned(), tag.into());
        let text = serde_json::to_vec(&sent).map_err(|error| error.to_string())?;
        let event = StreamEvent::from_slice(&text).map_err(|error| format!("{tag}: {error}"))?;
        if event.event_type() != tag {
            return Err(format!("{tag} was parsed as {}", event.event_type()));
        }
        let actual = match &event {
            StreamEvent::Reasoning(event) | StreamEvent::Response(event) => serde_json::to_value(event),
            StreamEvent::Tool(event) => serde_json::to_value(event),
            StreamEvent::Artifact(event) => serde_json::to_value(event),
            StreamEvent::ToolApproval(event) => serde_json::to_value(event),
            StreamEvent::Summary(event) => serde_json::to_value(event),
            StreamEvent::Usage(event) => serde_json::to_value(event),
            StreamEvent::Error(event) => serde_json::to_value(event),
            _ => return Err(format!("{tag} was parsed as an unknown event")),
        };
        compare(&Value::Object(expected), &actual.map_err(|error| error.to_string())?)
            .map_err(|error| format!("{tag}: {error}"))?;
    }
    Ok(())
}

macro_rules! objects {
    ($($schema:literal => $type:ident,)+) => {
        vec![$((
            $schema,
            Mapping::Type(|value, style| object::<$type>(stringify!($type), value, style, |read| &read.extra)),
        )),+]
    };
}

const RESPONSE_ENVELOPE: &str = "the endpoint unwraps this envelope, so its operation is checked instead";
const REQUEST_ENVELOPE: &str = "the endpoint adds this envelope, so its operation is checked instead";

/// Returns every schema with its type, or with the reason why it has none.
#[allow(clippy::too_many_lines, reason = "one line per schema")]
pub(crate) fn table() -> Vec<(&'static str, Mapping)> {
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
        ("Agent", Mapping::Type(agent)),
        ("AgentAttachment", Mapping::Type(|value, _| plain::<AgentAttachment>(value))),
        ("DelegationTarget", Mapping::Type(|value, _| plain::<Extra>(value))),
        ("KnowledgeBaseSearchResult", Mapping::Type(|value, _| plain::<Extra>(value))),
        ("MetadataValue", Mapping::Type(|value, _| plain::<MetadataValue>(value))),
        ("StreamEvent", Mapping::Type(stream_event)),
    ]);
    let reasons = [
        (
            RESPONSE_ENVELOPE,
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
            REQUEST_ENVELOPE,
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
        table.extend(names.iter().map(|name| (*name, Mapping::NoType(reason))));
    }
    table
}
