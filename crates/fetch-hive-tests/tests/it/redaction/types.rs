use fetch_hive_client::types::{
    AgentChatCreate, AgentChatUpdate, AgentCreate, AgentUpdate, ApprovalDecision, ApprovalFilter,
    InvokeWorkflowResponse, KnowledgeBaseCreate, KnowledgeBaseItemCreate, KnowledgeBaseItemUpdate, KnowledgeBaseSearch,
    KnowledgeBaseUpdate, WebhookSecret,
};
use serde_json::json;

use super::{BODY, KEY, Printed, SECRET, fields, with};

/// Returns inputs with one text.
fn invoke_inputs() -> fetch_hive_types::Inputs {
    let mut inputs = fetch_hive_types::Inputs::new();
    inputs.insert("text", BODY);
    inputs
}

pub(crate) fn types(printed: &mut Printed) {
    // Types with unknown fields.
    print_json!(printed, fields(), Agent AgentAsyncOptions AgentChangeResponse AgentChat AgentChatChangeResponse AgentChatCreate AgentChatUpdate
        AgentCreate AgentDelegation AgentMessage AgentUpdate ApprovalBatchItem ApprovalCapabilities ApprovalDecider
        ApprovalFilter ApprovalPerson ApprovalRequester ApprovalVote ArtifactEvent Asset AssetUploadResponse AssetTranscription
        AttachmentDescriptor AutoApprovedToolCall CallbackEvent ChatMessage DeniedToolCall ErrorBody ErrorCodeCatalog
        ErrorCodeEntry ErrorEvent GeneratedArtifact HiveAgentAsyncOptions InvokeHiveAgentResponse HiveAgentSources Inputs InvokePrompt
        InvokeWorkflow KnowledgeBase KnowledgeBaseChangeResponse KnowledgeBaseItem KnowledgeBaseItemChangeResponse
        KnowledgeBaseItemCreate KnowledgeBaseItemUpdate SearchKnowledgeBaseResponse KnowledgeBaseUpdate MessageResponse
        Model PendingDelegation PendingToolApproval InvokePromptResponse RegenerateKnowledgeBaseItemResponse RequestRecord SearchServiceCountries
        SearchServiceCountry SummaryEvent TextEvent TokenCount TokenUsage ToolActionApproval
        ToolActionApprovalList ToolApprovalEvent ToolEvent ToolInvocation WebhookTriggerResponse UsageEvent WebhookAsyncOptions
        WorkflowAsyncOptions InvokeWorkflowResponse InvokeAgentResponse Extra);
    print_json!(printed, with(json!({"async": fields(), "inputs": fields()})), TriggerAgentRequest TriggerDeploymentRequest);
    print_json!(printed, with(json!({"agent": "a"})), InvokeAgent);
    print_json!(printed, with(json!({"hive_agent": "a", "async": fields()})), InvokeHiveAgent);
    print_json!(printed, with(json!({"assets": [fields()]})), ImageOutput);
    print_json!(printed, with(json!({"name": "n"})), KnowledgeBaseCreate);
    print_json!(
        printed,
        with(json!({"search_type": "text", "search_chunk_limit": 1, "search_score_threshold": 0.5})),
        KnowledgeBaseSearch
    );
    print_json!(printed, with(json!({"tool_approval_id": "a", "id": "a", "approval_id": "a"})), DecidedToolApproval);
    print_json!(printed, json!({"name": "n"}), Metadata);
    // Texts, numbers and open enums.
    print_json!(printed, json!("x"), AgentAttachment AgentId AgentRunStatus ApprovalDecision ApprovalId ApprovalStatus ArtifactRef AssetId
        AudienceRole BudgetPolicy CallbackEventType ChatId ChatStatus CountryValueFormat DelegationId DelegationKind
        DelegationStatus DenialReason EndpointId ErrorCode HiveAgentStatus ItemType KnowledgeBaseId KnowledgeBaseItemId
        MetadataValue ModelType NumberOrString TextChunk PromptCacheTtl ReasoningEffort RequestId Role RunId RunStatus SearchType
        Toggle ThreadId Timestamp ToolApproval ToolChoice TranscriptionStatus VariantId WorkspaceId);
    print_json!(printed, json!(1), NumberOrTokenCount);
    print! { printed, debug:
        fetch_hive_types::ApiKey = fetch_hive_types::ApiKey::new(KEY).unwrap();
        fetch_hive_types::WebhookSecret = WebhookSecret::new(SECRET);
        fetch_hive_types::FileContent = fetch_hive_types::AssetFile::new("a.txt", "text/plain", BODY).content;
        fetch_hive_types::JsonText = invoke_inputs().iter().next().unwrap().1.clone();
        fetch_hive_types::FileOnDisk = fetch_hive_types::FileOnDisk::new("a.txt", 1, None);
        fetch_hive_types::AssetFile = fetch_hive_types::AssetFile::new("a.txt", "text/plain", BODY);
        fetch_hive_types::EscapedLine<&str> = fetch_hive_types::EscapedLine("x");
        fetch_hive_types::InvalidField = fetch_hive_types::Inputs::new().invalid().cloned().unwrap_or_else(|| {
            let mut inputs = fetch_hive_types::Inputs::new();
            inputs.extend([BODY]);
            inputs.invalid().unwrap().clone()
        });
        fetch_hive_types::StreamEvent = {
            let other = with(json!({"type": "tomorrow"})).to_string();
            fetch_hive_types::StreamEvent::from_slice(other.as_bytes()).unwrap()
        };
    }
    let run = |more| serde_json::from_value::<InvokeWorkflowResponse>(with(more)).unwrap();
    let failed = run(json!({"run_status": "failed", "error": "no\n\u{1b}[31m", "request_id": "req\r1"}));
    let running = run(json!({"run_status": "odd\u{2028}", "request_id": "req\u{9b}"}));
    let text = run(json!({"run_status": "completed", "output": BODY}));
    let mismatch = |run: &InvokeWorkflowResponse| run.output_as::<u8>().unwrap_err();
    print! { printed, error:
        fetch_hive_types::InvalidSecret = fetch_hive_types::ApiKey::new(format!("{KEY}\n{KEY}")).unwrap_err();
        fetch_hive_types::MissingField = fetch_hive_types::WebhookTriggerResponse::default().request_id().unwrap_err();
        fetch_hive_types::NotFinite = fetch_hive_types::MetadataValue::try_from(f64::NAN).unwrap_err();
        fetch_hive_types::OutputError = mismatch(&failed);
        fetch_hive_types::OutputError = mismatch(&running);
        fetch_hive_types::OutputError = mismatch(&text);
    }
    let fetch_hive_types::OutputError::Failed(failed) = mismatch(&failed) else { panic!("it failed") };
    printed.error("fetch_hive_types::RunFailed", &failed);
    assert!(failed.reason.unwrap().contains('\n'), "the text is kept as it came");
    let fetch_hive_types::OutputError::Mismatch(mismatch) = mismatch(&text) else { panic!("it is a text") };
    printed.debug("fetch_hive_types::OutputMismatch", &mismatch);
}

pub(crate) fn operations(printed: &mut Printed) {
    let callback = "https://example.com/cb";
    let search = || KnowledgeBaseSearch::new("q", "text", 1, 0.5).extra("api_key", KEY);
    print! { printed, debug:
        fetch_hive_types::TriggerWorkflow = fetch_hive_types::TriggerWorkflow::new("e", "v", SECRET, callback).extra("webhook_secret", SECRET);
        fetch_hive_types::TriggerPrompt = fetch_hive_types::TriggerPrompt::new("e", "v", SECRET, callback).extra("webhook_secret", SECRET);
        fetch_hive_types::TriggerAgent = fetch_hive_types::TriggerAgent::new("a", SECRET, "hi", callback).extra("webhook_secret", SECRET);
        fetch_hive_types::UploadAsset = fetch_hive_types::UploadAsset::new(
            "w", fetch_hive_types::AssetFile::new("a.txt", "text/plain", BODY));
        fetch_hive_types::CreateAgent = fetch_hive_types::CreateAgent::new(
            "w", AgentCreate::new("n", "m", "hosted").extra("api_key", KEY));
        fetch_hive_types::UpdateAgent = fetch_hive_types::UpdateAgent::new("w", "a", AgentUpdate::new().extra("secret", SECRET));
        fetch_hive_types::CreateAgentChat = fetch_hive_types::CreateAgentChat::new(
            "w", "a", AgentChatCreate::new("n").extra("api_key", KEY));
        fetch_hive_types::UpdateAgentChat = fetch_hive_types::UpdateAgentChat::new(
            "w", "a", "c", AgentChatUpdate::new().extra("api_key", KEY));
        fetch_hive_types::CreateKnowledgeBase = fetch_hive_types::CreateKnowledgeBase::new(
            "w", KnowledgeBaseCreate::new("n").extra("api_key", KEY));
        fetch_hive_types::UpdateKnowledgeBase = fetch_hive_types::UpdateKnowledgeBase::new(
            "w", "k", KnowledgeBaseUpdate::new().extra("api_key", KEY));
        fetch_hive_types::SearchKnowledgeBase = fetch_hive_types::SearchKnowledgeBase::new("w", "k", search());
        fetch_hive_types::CreateKnowledgeBaseItem = fetch_hive_types::CreateKnowledgeBaseItem::new(
            "w", "k", KnowledgeBaseItemCreate::new("file").extra("api_key", KEY));
        fetch_hive_types::UpdateKnowledgeBaseItem = fetch_hive_types::UpdateKnowledgeBaseItem::new(
            "w", "k", "i", KnowledgeBaseItemUpdate::new().extra("api_key", KEY));
        fetch_hive_types::ListToolActionApprovals = fetch_hive_types::ListToolActionApprovals::new(
            "w", ApprovalFilter::new().extra("api_key", KEY));
        // Requests that contain only ids.
        fetch_hive_types::CancelAgentDelegation = fetch_hive_types::CancelAgentDelegation::new("d");
        fetch_hive_types::ClearAgentChatMessages = fetch_hive_types::ClearAgentChatMessages::new("w", "a", "c");
        fetch_hive_types::DecideToolActionApproval =
            fetch_hive_types::DecideToolActionApproval::new("w", "a", ApprovalDecision::Deny);
        fetch_hive_types::DeleteAgent = fetch_hive_types::DeleteAgent::new("w", "a");
        fetch_hive_types::DeleteAgentChat = fetch_hive_types::DeleteAgentChat::new("w", "a", "c");
        fetch_hive_types::DeleteKnowledgeBase = fetch_hive_types::DeleteKnowledgeBase::new("w", "k");
        fetch_hive_types::DeleteKnowledgeBaseItem = fetch_hive_types::DeleteKnowledgeBaseItem::new("w", "k", "i");
        fetch_hive_types::GetAgent = fetch_hive_types::GetAgent::new("w", "a");
        fetch_hive_types::GetAgentChat = fetch_hive_types::GetAgentChat::new("w", "a", "c");
        fetch_hive_types::GetAgentDelegation = fetch_hive_types::GetAgentDelegation::new("d");
        fetch_hive_types::GetKnowledgeBase = fetch_hive_types::GetKnowledgeBase::new("w", "k");
        fetch_hive_types::GetKnowledgeBaseItem = fetch_hive_types::GetKnowledgeBaseItem::new("w", "k", "i");
        fetch_hive_types::GetRequest = fetch_hive_types::GetRequest::new("req_1");
        fetch_hive_types::GetSearchServiceCountries = fetch_hive_types::GetSearchServiceCountries::new("s");
        fetch_hive_types::GetToolActionApproval = fetch_hive_types::GetToolActionApproval::new("w", "a");
        fetch_hive_types::ListAgentChatMessages = fetch_hive_types::ListAgentChatMessages::new("w", "a", "c");
        fetch_hive_types::ListAgents = fetch_hive_types::ListAgents::new("w");
        fetch_hive_types::ListAssets = fetch_hive_types::ListAssets::new("w");
        fetch_hive_types::ListErrorCodes = fetch_hive_types::ListErrorCodes::new(None);
        fetch_hive_types::ListKnowledgeBaseItems = fetch_hive_types::ListKnowledgeBaseItems::new("w", "k");
        fetch_hive_types::ListKnowledgeBases = fetch_hive_types::ListKnowledgeBases::new("w");
        fetch_hive_types::ListModels = fetch_hive_types::ListModels::new();
        fetch_hive_types::ListSearchServiceCountries = fetch_hive_types::ListSearchServiceCountries::new();
        fetch_hive_types::ListThreadDelegations = fetch_hive_types::ListThreadDelegations::new("t");
        fetch_hive_types::RegenerateKnowledgeBaseItem = fetch_hive_types::RegenerateKnowledgeBaseItem::new("w", "k", "i");
    }
}
