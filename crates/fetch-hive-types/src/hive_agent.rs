use crate::model::{record, request, with_metadata};
use crate::open_enum::open_enum;
use crate::{AgentId, AssetId, KnowledgeBaseId, KnowledgeBaseItemId, Metadata, RequestId, RunId, WebhookSecret};

request! {
    /// Gives a hive agent an objective: `POST /hive-agent/invoke` (contract, section 6). The outcome always comes by callback.
    InvokeHiveAgent(
        /// The hive agent.
        hive_agent: AgentId,
        /// What it is to reach.
        objective: String,
        /// Where the outcome goes: an https URL.
        #[serde(rename = "async")]
        async_mode: HiveAgentAsyncOptions,
    ) {
        /// What it may draw on.
        sources: HiveAgentSources,
        /// Flat facts that come back with the run.
        metadata => Metadata,
        /// Whether it goes on without asking anybody.
        unattended: bool,
        /// What happens when the budget is reached.
        budget_policy: BudgetPolicy,
    }
}

with_metadata!(InvokeHiveAgent);

request! {
    /// The `async` block of a hive agent: always enabled.
    HiveAgentAsyncOptions(
        /// Always true.
        enabled: bool,
        /// Where the outcome goes.
        callback_url: String,
    ) {}
}

impl<T: Into<String>> From<T> for HiveAgentAsyncOptions {
    fn from(url: T) -> Self {
        Self::new(true, url)
    }
}

request! {
    /// What a hive agent may draw on.
    HiveAgentSources() {
        /// Web pages.
        website_urls: [String],
        /// Uploaded files.
        asset_ids: [AssetId],
        /// Knowledge bases.
        knowledge_base_ids: [KnowledgeBaseId],
        /// Single items of them.
        knowledge_base_item_ids: [KnowledgeBaseItemId],
    }
}

open_enum! {
    /// What a hive agent does when its budget is reached.
    BudgetPolicy {
        /// It stops.
        Stop = "stop",
        /// It goes on up to the account's cap.
        ProceedToCap = "proceed_to_cap",
    }
}

open_enum! {
    /// Where the run of a hive agent stands.
    HiveAgentStatus {
        /// It was accepted.
        Pending = "pending",
    }
}

record! {
    /// The reply to a hive agent's invocation (contract, section 6).
    InvokeHiveAgentResponse {
        /// The id of the run.
        run_id: Option<RunId>,
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// Where it stands.
        status: Option<HiveAgentStatus>,
        /// The secret that signs its callback.
        webhook_secret: Option<WebhookSecret>,
    }
}
