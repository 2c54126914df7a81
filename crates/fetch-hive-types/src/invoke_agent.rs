use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{
    AgentId, ApprovalId, ArtifactRef, AssetId, AutoApprovedToolCall, DeniedToolCall, GeneratedArtifact, Metadata,
    MetadataValue, MissingField, PendingDelegation, PendingToolApproval, RequestId, RunId, ThreadId, TokenUsage,
    ToolApproval, ToolInvocation,
};

request! {
    /// Sends a message to an agent: `POST /agent/invoke` (contract, section 6).
    InvokeAgent(
        /// The agent: its slug or its id.
        agent: AgentId,
        /// The message. Must not be empty.
        message: String,
    ) {
        /// The thread to go on with, or to begin; without one, or with an empty one, nothing is remembered.
        thread_id = Option<ThreadId>,
        /// Earlier turns. They win over what the thread remembers.
        messages = Vec<AgentMessage>,
        /// Files that come with the message: https URLs. At most five, artifact refs included.
        attachments = Vec<AgentAttachment>,
        /// Artifacts of earlier turns that the agent may use. At most 50.
        known_artifact_refs = Vec<ArtifactRef>,
        /// Those of the known ones that come with this message. At most five, attachments included.
        artifact_refs = Vec<ArtifactRef>,
        /// Whether workflow tools may go on in the background.
        #[serde(rename = "async")]
        async_mode: AgentAsyncOptions,
        /// How tool actions that need approval are treated in this run.
        tool_approval: ToolApproval,
        /// An opaque id of the caller's own user.
        user: String,
        /// Flat facts that come back with the run.
        metadata = Metadata,
        /// For the service's own clients. A caller with an API key must not send it, and is refused before sending.
        decided_tool_approvals = Vec<DecidedToolApproval>,
    }
}

impl InvokeAgent {
    /// Sets the thread; an empty one is left out.
    pub fn thread_id(mut self, thread: impl Into<ThreadId>) -> Self {
        self.thread_id = Some(thread.into()).filter(|thread| !thread.as_str().is_empty());
        self
    }

    /// Adds to [`messages`](Self#structfield.messages).
    pub fn messages(mut self, messages: impl IntoIterator<Item: Into<AgentMessage>>) -> Self {
        self.messages.extend(messages.into_iter().map(Into::into));
        self
    }

    /// Adds to [`attachments`](Self#structfield.attachments).
    pub fn attachments(mut self, attachments: impl IntoIterator<Item: Into<AgentAttachment>>) -> Self {
        self.attachments.extend(attachments.into_iter().map(Into::into));
        self
    }

    /// Adds to [`known_artifact_refs`](Self#structfield.known_artifact_refs).
    pub fn known_artifact_refs(mut self, known_artifact_refs: impl IntoIterator<Item: Into<ArtifactRef>>) -> Self {
        self.known_artifact_refs.extend(known_artifact_refs.into_iter().map(Into::into));
        self
    }

    /// Adds to [`artifact_refs`](Self#structfield.artifact_refs).
    pub fn artifact_refs(mut self, artifact_refs: impl IntoIterator<Item: Into<ArtifactRef>>) -> Self {
        self.artifact_refs.extend(artifact_refs.into_iter().map(Into::into));
        self
    }

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
    /// The `async` block of an agent request: for background workflow tools only (contract, section 6).
    AgentAsyncOptions() {
        /// Where the signed `agent.delegation.completed` events go: an https URL.
        callback_url: String,
        /// Whether tools may go on after the reply. The service's default: yes where there is a thread or a callback URL.
        allow_background: bool,
    }
}

request! {
    /// One earlier turn, given by the caller.
    AgentMessage(
        /// Who said it.
        role: Role,
        /// What was said.
        content: String,
    ) {
        /// Files that came with it.
        attachments = Vec<AgentAttachment>,
    }
}

impl AgentMessage {
    /// A turn of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// A turn of the agent.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// An instruction.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// Adds to [`attachments`](Self#structfield.attachments).
    pub fn attachments(mut self, attachments: impl IntoIterator<Item: Into<AgentAttachment>>) -> Self {
        self.attachments.extend(attachments.into_iter().map(Into::into));
        self
    }
}

open_enum! {
    /// Who speaks in a turn.
    Role {
        /// The user.
        User = "user",
        /// The agent.
        Assistant = "assistant",
        /// An instruction.
        System = "system",
    }
}

/// A file for an agent: an https URL, or a description with one (contract, section 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AgentAttachment {
    /// Where it can be fetched.
    Url(String),
    /// Where it can be fetched, and what it is.
    File(AttachmentDescriptor),
}

impl AgentAttachment {
    /// Where it can be fetched.
    pub fn url(&self) -> &str {
        match self {
            Self::Url(url) => url,
            Self::File(file) => &file.file_url,
        }
    }
}

impl From<&str> for AgentAttachment {
    fn from(url: &str) -> Self {
        Self::Url(url.to_owned())
    }
}

impl From<String> for AgentAttachment {
    fn from(url: String) -> Self {
        Self::Url(url)
    }
}

impl From<AttachmentDescriptor> for AgentAttachment {
    fn from(file: AttachmentDescriptor) -> Self {
        Self::File(file)
    }
}

request! {
    /// A file for an agent, described.
    AttachmentDescriptor(
        /// Where it can be fetched: an https URL.
        file_url: String,
    ) {
        /// The asset, where it was uploaded before.
        id: AssetId,
        /// Its name.
        file_name: String,
        /// Its media type.
        file_type: String,
    }
}

request! {
    /// A decision that the service's own clients send along.
    DecidedToolApproval(
        /// The approval that was decided.
        approval_id: ApprovalId,
    ) {}
}

open_enum! {
    /// Where an agent's run stands (contract, section 6).
    AgentRunStatus {
        /// It answered.
        Completed = "completed",
        /// It waits for decisions on its tool actions, and goes on by itself after them: do not invoke it again.
        AwaitingApproval = "awaiting_approval",
    }
}

record! {
    /// The reply of an agent (contract, section 6).
    InvokeAgentResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The same id, under its other name.
        run_id: Option<RunId>,
        /// What the agent answered.
        response: Option<String>,
        /// The thread, if there is one.
        thread_id: Option<ThreadId>,
        /// Where the run stands.
        status: Option<AgentRunStatus>,
        /// The model that answered.
        model: Option<String>,
        /// Tokens spent.
        usage: Option<TokenUsage>,
        /// Tools that were called.
        tool_calls: Vec<ToolInvocation>,
        /// Files that were made.
        artifacts: Vec<GeneratedArtifact>,
        /// Tool actions that wait for a decision, while the run awaits approval.
        pending_tool_approvals: Vec<PendingToolApproval>,
        /// Tool calls that were denied.
        denied_tool_calls: Vec<DeniedToolCall>,
        /// The approval mode in effect.
        tool_approval: Option<ToolApproval>,
        /// Tool calls that ran only because the mode allowed them.
        auto_approved_tool_calls: Vec<AutoApprovedToolCall>,
        /// Work that goes on in the background.
        pending_delegations: Vec<PendingDelegation>,
    }
}

impl InvokeAgentResponse {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }

    /// Returns the text of the answer, which is empty if the response has none.
    pub fn text(&self) -> &str {
        self.response.as_deref().unwrap_or_default()
    }
}
