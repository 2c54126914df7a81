use std::fmt::Display;

use serde::Serialize;

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{
    AgentId, AssetId, KnowledgeBaseId, KnowledgeBaseItemId, Metadata, MetadataValue, MissingField, RequestId, RunId,
    WebhookSecret,
};

request! {
    /// A request to start the run of a hive agent.
    ///
    /// The request is `POST /hive-agent/invoke`. The outcome is always delivered to a callback URL.
    /// See the [contract](crate::contract#agents).
    InvokeHiveAgent(
        /// The id of the hive agent, as shown in the dashboard.
        hive_agent: AgentId,
        /// The objective that the run should achieve.
        objective: String,
        /// The callback settings of the run, sent as `async`. An `https` URL is enough.
        #[serde(rename = "async")]
        async_mode: HiveAgentAsyncOptions,
    ) {
        /// The sources of information that the hive agent may use.
        sources: HiveAgentSources,
        /// The metadata that comes back with the outcome of the run.
        metadata = Metadata,
        /// Whether the run continues without pausing for questions or for the budget.
        ///
        /// The service's default is false.
        unattended: bool,
        /// The reaction of an unattended run that reaches its budget.
        budget_policy: BudgetPolicy,
    }
}

impl InvokeHiveAgent {
    /// Sets one metadata value, which comes back with the outcome of the run.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the metadata.
    ///
    /// If a field holds a list or an object, the request fails with the name of that field before
    /// it is sent.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.metadata.extend(values);
        self
    }
}

request! {
    /// The callback settings of a hive agent's run. Callback delivery is always enabled.
    HiveAgentAsyncOptions(
        /// Whether callback delivery is enabled. It must be true.
        enabled: bool,
        /// The `https` URL that the outcome is posted to.
        callback_url: String,
    ) {}
}

impl<T: Into<String>> From<T> for HiveAgentAsyncOptions {
    fn from(url: T) -> Self {
        Self::new(true, url)
    }
}

request! {
    /// The sources of information that a hive agent may use.
    HiveAgentSources() {
        /// The URLs of web pages that the hive agent may read.
        website_urls = Vec<String>,
        /// The ids of uploaded files that the hive agent may read.
        asset_ids = Vec<AssetId>,
        /// The ids of knowledge bases that the hive agent may search.
        knowledge_base_ids = Vec<KnowledgeBaseId>,
        /// The ids of individual knowledge-base items that the hive agent may read.
        knowledge_base_item_ids = Vec<KnowledgeBaseItemId>,
    }
}

impl HiveAgentSources {
    /// Adds URLs of web pages that the hive agent may read.
    pub fn website_urls(mut self, website_urls: impl IntoIterator<Item: Into<String>>) -> Self {
        self.website_urls.extend(website_urls.into_iter().map(Into::into));
        self
    }

    /// Adds ids of uploaded files that the hive agent may read.
    pub fn asset_ids(mut self, asset_ids: impl IntoIterator<Item: Into<AssetId>>) -> Self {
        self.asset_ids.extend(asset_ids.into_iter().map(Into::into));
        self
    }

    /// Adds ids of knowledge bases that the hive agent may search.
    pub fn knowledge_base_ids(mut self, knowledge_base_ids: impl IntoIterator<Item: Into<KnowledgeBaseId>>) -> Self {
        self.knowledge_base_ids.extend(knowledge_base_ids.into_iter().map(Into::into));
        self
    }

    /// Adds the ids of individual knowledge-base items that the hive agent may read.
    pub fn knowledge_base_item_ids(
        mut self,
        knowledge_base_item_ids: impl IntoIterator<Item: Into<KnowledgeBaseItemId>>,
    ) -> Self {
        self.knowledge_base_item_ids.extend(knowledge_base_item_ids.into_iter().map(Into::into));
        self
    }
}

open_enum! {
    /// The reaction of an unattended hive agent that reaches its budget.
    BudgetPolicy {
        /// The run stops when it reaches its budget.
        Stop = "stop",
        /// The run continues until it reaches the hard cap of the account.
        ProceedToCap = "proceed_to_cap",
    }
}

open_enum! {
    /// The status of a hive agent's run.
    HiveAgentStatus {
        /// The run was accepted and has not started yet.
        Pending = "pending",
    }
}

record! {
    /// The response to a request that started the run of a hive agent.
    ///
    /// See the [contract](crate::contract#agents).
    InvokeHiveAgentResponse {
        /// The second id of the run.
        run_id: Option<RunId>,
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The status of the run, which is `pending` at the start.
        status: Option<HiveAgentStatus>,
        /// The secret that signs the callback of the run.
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
