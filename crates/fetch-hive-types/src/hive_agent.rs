use std::fmt::Display;

use serde::Serialize;

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{
    AgentId, AssetId, KnowledgeBaseId, KnowledgeBaseItemId, Metadata, MetadataValue, MissingField, RequestId, RunId,
    WebhookSecret,
};

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
        metadata = Metadata,
        /// Whether it goes on without asking anybody.
        unattended: bool,
        /// What happens when the budget is reached.
        budget_policy: BudgetPolicy,
    }
}

impl InvokeHiveAgent {
    /// Attaches one metadata value: a string, a number, a boolean, or an `Option` of them for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Attaches every field of a struct or map as metadata.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.metadata.extend(values);
        self
    }
}

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
        website_urls = Vec<String>,
        /// Uploaded files.
        asset_ids = Vec<AssetId>,
        /// Knowledge bases.
        knowledge_base_ids = Vec<KnowledgeBaseId>,
        /// Single items of them.
        knowledge_base_item_ids = Vec<KnowledgeBaseItemId>,
    }
}

impl HiveAgentSources {
    /// Adds to [`website_urls`](Self#structfield.website_urls).
    pub fn website_urls(mut self, website_urls: impl IntoIterator<Item: Into<String>>) -> Self {
        self.website_urls.extend(website_urls.into_iter().map(Into::into));
        self
    }

    /// Adds to [`asset_ids`](Self#structfield.asset_ids).
    pub fn asset_ids(mut self, asset_ids: impl IntoIterator<Item: Into<AssetId>>) -> Self {
        self.asset_ids.extend(asset_ids.into_iter().map(Into::into));
        self
    }

    /// Adds to [`knowledge_base_ids`](Self#structfield.knowledge_base_ids).
    pub fn knowledge_base_ids(mut self, knowledge_base_ids: impl IntoIterator<Item: Into<KnowledgeBaseId>>) -> Self {
        self.knowledge_base_ids.extend(knowledge_base_ids.into_iter().map(Into::into));
        self
    }

    /// Adds to [`knowledge_base_item_ids`](Self#structfield.knowledge_base_item_ids).
    pub fn knowledge_base_item_ids(
        mut self,
        knowledge_base_item_ids: impl IntoIterator<Item: Into<KnowledgeBaseItemId>>,
    ) -> Self {
        self.knowledge_base_item_ids.extend(knowledge_base_item_ids.into_iter().map(Into::into));
        self
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

impl InvokeHiveAgentResponse {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }

    /// Returns the secret that signs the callback of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `webhook_secret`, as after a direct run.
    pub fn webhook_secret(&self) -> Result<&WebhookSecret, MissingField> {
        MissingField::check(self.webhook_secret.as_ref(), "webhook_secret")
    }
}
