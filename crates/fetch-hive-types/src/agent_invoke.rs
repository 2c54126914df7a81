use serde::{Deserialize, Serialize};

use crate::model::{record, request, with_metadata};
use crate::open_enum::open_enum;
use crate::{
    AgentId, ApprovalId, ArtifactRef, AssetId, AutoApprovedToolCall, DeniedToolCall, GeneratedArtifact, Metadata,
    PendingDelegation, PendingToolApproval, RequestId, RunId, ThreadId, TokenUsage, ToolApproval, ToolInvocation,
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
        thread_id => Option<ThreadId>,
        /// Earlier turns. They win over what the thread remembers.
        messages: [AgentMessage],
        /// Files that come with the message: https URLs. At most five, artifact refs included.
        attachments: [AgentAttachment],
        /// Artifacts of earlier turns that the agent may use. At most 50.
        known_artifact_refs: [ArtifactRef],
        /// Those of the known ones that come with this message. At most five, attachments included.
        artifact_refs: [ArtifactRef],
        /// Whether workflow tools may go on in the background.
        #[serde(rename = "async")]
        async_mode: AgentAsyncOptions,
        /// How tool actions that need approval are treated in this run.
        tool_approval: ToolApproval,
        /// An opaque id of the caller's own user.
        user: String,
        /// Flat facts that come back with the run.
        metadata => Metadata,
        /// For the service's own clients. A caller with an API key must not send it, and is refused before sending.
        decided_tool_approvals: [DecidedToolApproval],
    }
}

with_metadata!(InvokeAgent);

impl InvokeAgent {
    /// Sets the thread; an empty one is left out.
    pub fn thread_id(mut self, thread: impl Into<ThreadId>) -> Self {
        self.thread_id = Some(thread.into()).filter(|thread| !thread.as_str().is_empty());
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
        attachments: [AgentAttachment],
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
