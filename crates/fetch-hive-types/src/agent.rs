use serde_json::Number;

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AgentId, MissingField, NumberOrString, ToolApproval, WorkspaceId};

request! {
    /// A request to list the agents of a workspace.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/agents`.
    ListAgents(
        /// The id of the workspace whose agents are listed.
        workspace_id: WorkspaceId,
    );
}

request! {
    /// A request to get one agent of a workspace.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/agents/{id}`.
    GetAgent(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent to get.
        id: AgentId,
    );
}

request! {
    /// A request to create an agent in a workspace.
    ///
    /// The request is `POST /public/workspaces/{workspace_id}/agents`.
    CreateAgent(
        /// The id of the workspace that the agent is created in.
        workspace_id: WorkspaceId,
        /// The settings of the new agent.
        agent: AgentCreate,
    );
}

request! {
    /// A request to change the settings of an agent.
    ///
    /// The request is `PATCH /public/workspaces/{workspace_id}/agents/{id}`. Settings that are not
    /// set in the request keep their values.
    UpdateAgent(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent to change.
        id: AgentId,
        /// The settings to change; all others keep their values.
        agent: AgentUpdate,
    );
}

request! {
    /// A request to delete an agent.
    ///
    /// The request is `DELETE /public/workspaces/{workspace_id}/agents/{id}`.
    DeleteAgent(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent to delete.
        id: AgentId,
    );
}

request! {
    /// The settings of a new agent.
    AgentCreate(
        /// The name of the agent, as shown in the dashboard.
        name: String,
        /// The id of the language model that the agent uses, such as `gpt-4.1-mini`.
        llm_model: String,
        /// The way in which the model is provided, such as `hosted`.
        model_type: String,
    ) {
        /// A short description of the agent's purpose.
        description: String,
        /// The system prompt that instructs the model.
        instruction_prompt: String,
        /// The sampling temperature of the model.
        temperature: f64,
        /// The maximum number of tokens that the model may generate.
        ///
        /// One source declares a UUID for this field, which is presumably a mistake. See the
        /// [contract](crate::contract#resources).
        max_token: u64,
    }
}

request! {
    /// The settings to change in an existing agent.
    AgentUpdate() {
        /// The new name of the agent, as shown in the dashboard.
        name: String,
        /// The id of the language model that the agent uses, such as `gpt-4.1-mini`.
        llm_model: String,
        /// The way in which the model is provided, such as `hosted`.
        model_type: String,
        /// A short description of the agent's purpose.
        description: String,
        /// The system prompt that instructs the model.
        instruction_prompt: String,
        /// The sampling temperature of the model.
        temperature: f64,
        /// The maximum number of tokens that the model may generate.
        max_token: u64,
        /// The maximum number of tokens that the model may spend on thinking.
        max_thinking_token: u64,
        /// The time for which an Anthropic model caches the prompt.
        anthropic_prompt_cache_ttl: PromptCacheTtl,
        /// The amount of reasoning that the model performs before it answers.
        reasoning_effort: ReasoningEffort,
        /// Whether the model may call tools, must call one, or must not call any.
        tool_choice: ToolChoice,
        /// The maximum number of tool calls in one run.
        max_tool_calls: u64,
        /// The mode for tool actions that need approval.
        ///
        /// The service declares this field but always rejects it with the error code
        /// `tool_approval_mode_requires_dashboard`.
        tool_approval_mode: ToolApproval,
    }
}

open_enum! {
    /// The time for which an Anthropic model caches a prompt.
    PromptCacheTtl {
        /// The prompt is not cached at all.
        Disabled = "disabled",
        /// The prompt is cached for five minutes.
        FiveMinutes = "5m",
        /// The prompt is cached for one hour.
        OneHour = "1h",
    }
}

open_enum! {
    /// The amount of reasoning that a model performs before it answers.
    ReasoningEffort {
        /// The smallest amount of reasoning that the model supports.
        Minimal = "minimal",
        /// A small amount of reasoning, for simple tasks.
        Low = "low",
        /// A moderate amount of reasoning, for most tasks.
        Medium = "medium",
        /// A large amount of reasoning, for difficult tasks.
        High = "high",
        /// A very large amount of reasoning, above [`High`](Self::High).
        Xhigh = "xhigh",
        /// The largest amount of reasoning that the model supports.
        Max = "max",
    }
}

open_enum! {
    /// Whether a model may call tools, must call one, or must not call any.
    ToolChoice {
        /// The model must not call tools.
        None = "none",
        /// The model decides whether to call tools.
        Auto = "auto",
        /// The model must call at least one tool.
        Required = "required",
    }
}

record! {
    /// An agent of a workspace, with its settings.
    ///
    /// The sources declare no fields for it. The settings that a request can change are typed here;
    /// all other fields are in [`extra`](Self::extra). See the
    /// [contract](crate::contract#resources).
    Agent {
        /// The id of the agent, by which it is invoked and changed.
        id: Option<AgentId>,
        /// The name of the agent, as shown in the dashboard.
        name: Option<String>,
        /// A short description of the agent's purpose.
        description: Option<String>,
        /// The id of the language model that the agent uses, such as `gpt-4.1-mini`.
        llm_model: Option<String>,
        /// The way in which the model is provided, such as `hosted`.
        model_type: Option<String>,
        /// The system prompt that instructs the model.
        instruction_prompt: Option<String>,
        /// The sampling temperature of the model.
        temperature: Option<NumberOrString>,
        /// The maximum number of tokens that the model may generate.
        max_token: Option<NumberOrString>,
        /// The maximum number of tokens that the model may spend on thinking.
        max_thinking_token: Option<Number>,
        /// The time for which an Anthropic model caches the prompt.
        anthropic_prompt_cache_ttl: Option<PromptCacheTtl>,
        /// The amount of reasoning that the model performs before it answers.
        reasoning_effort: Option<ReasoningEffort>,
        /// Whether the model may call tools, must call one, or must not call any.
        tool_choice: Option<ToolChoice>,
        /// The maximum number of tool calls in one run.
        max_tool_calls: Option<Number>,
        /// The mode for tool actions that need approval.
        tool_approval_mode: Option<ToolApproval>,
    }
}

impl Agent {
    /// Returns the id of the agent.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&AgentId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }
}

record! {
    /// The response to a request that created or changed an agent.
    AgentChangeResponse {
        /// A confirmation for people, in the language of the account.
        message: Option<String>,
        /// The agent with the settings that it has after the change.
        agent: Option<Agent>,
    }
}

impl AgentChangeResponse {
    /// Returns the id of the agent that was created or changed.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `agent` with an id.
    pub fn id(&self) -> Result<&AgentId, MissingField> {
        MissingField::check(self.agent.as_ref().and_then(|agent| agent.id.as_ref()), "agent.id")
    }
}
