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
    /// A request to send a message to an agent.
    ///
    /// The request is `POST /agent/invoke`. The answer can be streamed. See the
    /// [contract](crate::contract#agents).
    InvokeAgent(
        /// The slug or the id of the agent.
        agent: AgentId,
        /// The message to the agent. It must not be empty.
        message: String,
    ) {
        /// The thread that the message continues or starts.
        ///
        /// Without a thread, the agent does not remember the conversation.
        thread_id = Option<ThreadId>,
        /// The earlier messages of the conversation. They take precedence over the thread's
        /// history.
        messages = Vec<AgentMessage>,
        /// The files that are sent with the message.
        ///
        /// Their URLs must be `https`. At most five files are allowed, counting
        /// [`artifact_refs`](Self#structfield.artifact_refs).
        attachments = Vec<AgentAttachment>,
        /// The URLs of images that are sent with the message.
        ///
        /// The documentation recommends this field for a message with images only, especially when
        /// their URLs have no file extension. The newest SDK sends images as
        /// [`attachments`](Self#structfield.attachments). See the
        /// [contract](crate::contract#agents).
        image_urls = Vec<String>,
        /// The artifacts of earlier messages that the agent may use, at most 50.
        known_artifact_refs = Vec<ArtifactRef>,
        /// The known artifacts that are sent with the message.
        ///
        /// At most five are allowed, counting [`attachments`](Self#structfield.attachments).
        artifact_refs = Vec<ArtifactRef>,
        /// The settings for workflow tools that run in the background, sent as `async`.
        #[serde(rename = "async")]
        async_mode: AgentAsyncOptions,
        /// The mode for tool actions of this run that need approval.
        tool_approval: ToolApproval,
        /// The caller's own id of the user that the run belongs to.
        user: String,
        /// The metadata that comes back with the outcome of the run.
        metadata = Metadata,
        /// The approval decisions. Only first-party applications of the service may send them.
        ///
        /// Callers with an API key must not send them. A request that has them fails before it is
        /// sent.
        decided_tool_approvals = Vec<DecidedToolApproval>,
    }
}

impl InvokeAgent {
    /// Sets the thread that the message continues or starts. An empty id is not sent.
    pub fn thread_id(mut self, thread: impl Into<ThreadId>) -> Self {
        self.thread_id = Some(thread.into()).filter(|thread| !thread.as_str().is_empty());
        self
    }

    /// Adds earlier messages of the conversation, which take precedence over the thread's history.
    pub fn messages(mut self, messages: impl IntoIterator<Item: Into<AgentMessage>>) -> Self {
        self.messages.extend(messages.into_iter().map(Into::into));
        self
    }

    /// Adds files that are sent with the message.
    pub fn attachments(mut self, attachments: impl IntoIterator<Item: Into<AgentAttachment>>) -> Self {
        self.attachments.extend(attachments.into_iter().map(Into::into));
        self
    }

    /// Adds the URLs of images that are sent with the message.
    ///
    /// See [`image_urls`](Self#structfield.image_urls) for the difference to
    /// [`attachments`](Self::attachments).
    pub fn image_urls(mut self, urls: impl IntoIterator<Item: Into<String>>) -> Self {
        self.image_urls.extend(urls.into_iter().map(Into::into));
        self
    }

    /// Sets whether workflow tools may continue after the agent has answered.
    ///
    /// See [`AgentAsyncOptions::allow_background`].
    pub fn allow_background(mut self, allow_background: bool) -> Self {
        self.async_mode =
            Some(self.async_mode.unwrap_or_else(AgentAsyncOptions::new).allow_background(allow_background));
        self
    }

    /// Adds artifacts of earlier messages that the agent may use.
    pub fn known_artifact_refs(mut self, known_artifact_refs: impl IntoIterator<Item: Into<ArtifactRef>>) -> Self {
        self.known_artifact_refs.extend(known_artifact_refs.into_iter().map(Into::into));
        self
    }

    /// Adds known artifacts that are sent with the message.
    pub fn artifact_refs(mut self, artifact_refs: impl IntoIterator<Item: Into<ArtifactRef>>) -> Self {
        self.artifact_refs.extend(artifact_refs.into_iter().map(Into::into));
        self
    }

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
    /// The settings for workflow tools that an agent runs in the background, sent as `async`.
    AgentAsyncOptions() {
        /// The `https` URL to which the service posts signed `agent.delegation.completed` events.
        callback_url: String,
        /// Whether workflow tools may continue after the agent has answered.
        ///
        /// By default, the service allows it if the request has a thread or a callback URL. If it
        /// is not allowed, a long workflow tool, or one that needs a person, returns an error to
        /// the agent.
        allow_background: bool,
    }
}

request! {
    /// An earlier message of a conversation with an agent.
    AgentMessage(
        /// The role of the message's author.
        role: Role,
        /// The text of the message, as its author wrote it.
        content: String,
    ) {
        /// The files that were sent with the message.
        attachments = Vec<AgentAttachment>,
        /// The URLs of images that were sent with the message.
        image_urls = Vec<String>,
    }
}

impl AgentMessage {
    /// Creates a message that the user sent.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// Creates a message that the agent sent.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// Creates an instruction to the agent.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// Adds files that are sent with the message.
    pub fn attachments(mut self, attachments: impl IntoIterator<Item: Into<AgentAttachment>>) -> Self {
        self.attachments.extend(attachments.into_iter().map(Into::into));
        self
    }

    /// Adds the URLs of images that are sent with the message.
    pub fn image_urls(mut self, urls: impl IntoIterator<Item: Into<String>>) -> Self {
        self.image_urls.extend(urls.into_iter().map(Into::into));
        self
    }
}

open_enum! {
    /// The role of a message's author.
    Role {
        /// The message was written by the user.
        User = "user",
        /// The message was written by the agent.
        Assistant = "assistant",
        /// The message is an instruction to the agent.
        System = "system",
    }
}

/// A file for an agent, given by its URL or by a description.
///
/// Use a description for a URL without a file extension, because its `file_type` tells the service
/// what the file is. See the [contract](crate::contract#agents).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AgentAttachment {
    /// The `https` URL of the file.
    Url(String),
    /// The description of the file, which includes its URL.
    File(AttachmentDescriptor),
}

impl AgentAttachment {
    /// Returns the URL from which the service downloads the file.
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
    /// The description of a file for an agent.
    AttachmentDescriptor(
        /// The `https` URL from which the service downloads the file.
        file_url: String,
    ) {
        /// The id of the asset, if the file was uploaded before.
        id: AssetId,
        /// The name of the file, including its extension.
        file_name: String,
        /// The media type of the file, such as `image/png`.
        file_type: String,
    }
}

request! {
    /// A decision on a tool action, which only first-party applications of the service may send.
    DecidedToolApproval(
        /// The id of the approval that was decided.
        approval_id: ApprovalId,
    ) {}
}

open_enum! {
    /// The status of an agent's run.
    AgentRunStatus {
        /// The agent has answered, and its run has ended.
        Completed = "completed",
        /// The run waits for decisions on its tool actions.
        ///
        /// It resumes on the server after the decisions, so the agent must not be invoked again.
        AwaitingApproval = "awaiting_approval",
    }
}

record! {
    /// The response to an agent invocation.
    ///
    /// See the [contract](crate::contract#agents).
    InvokeAgentResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The public id of the run under its second name.
        run_id: Option<RunId>,
        /// The text of the agent's answer.
        response: Option<String>,
        /// The id of the thread that the message belongs to.
        thread_id: Option<ThreadId>,
        /// The status of the run, such as `completed`.
        status: Option<AgentRunStatus>,
        /// The id of the model that generated the answer.
        model: Option<String>,
        /// The number of tokens that the run used.
        usage: Option<TokenUsage>,
        /// The tools that the agent called, with their results.
        tool_calls: Vec<ToolInvocation>,
        /// The files that the run generated.
        artifacts: Vec<GeneratedArtifact>,
        /// The tool actions that wait for a decision.
        pending_tool_approvals: Vec<PendingToolApproval>,
        /// The tool calls that were denied.
        denied_tool_calls: Vec<DeniedToolCall>,
        /// The mode that applied to tool actions that need approval.
        tool_approval: Option<ToolApproval>,
        /// The tool calls that needed approval and were approved automatically.
        auto_approved_tool_calls: Vec<AutoApprovedToolCall>,
        /// The work that was delegated and is still in progress.
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
