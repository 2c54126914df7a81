use serde_json::Number;

use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AgentId, MissingField, NumberOrString, ToolApproval, WorkspaceId};

request! {
    /// Lists the agents of a workspace: `GET …/agents`.
    ListAgents(
        /// The workspace.
        workspace_id: WorkspaceId,
    );
}

request! {
    /// Reads an agent: `GET …/agents/{id}`.
    GetAgent(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        id: AgentId,
    );
}

request! {
    /// Makes an agent: `POST …/agents`.
    CreateAgent(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// Its settings.
        agent: AgentCreate,
    );
}

request! {
    /// Changes an agent: `PATCH …/agents/{id}`. What is not set stays as it is.
    UpdateAgent(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        id: AgentId,
        /// What changes.
        agent: AgentUpdate,
    );
}

request! {
    /// Deletes an agent: `DELETE …/agents/{id}`.
    DeleteAgent(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        id: AgentId,
    );
}

request! {
    /// The settings of a new agent.
    AgentCreate(
        /// Its name.
        name: String,
        /// The id of its model, such as `gpt-4.1-mini`.
        llm_model: String,
        /// How the model is provided, such as `hosted`.
        model_type: String,
    ) {
        /// What it is for.
        description: String,
        /// Its system prompt.
        instruction_prompt: String,
        /// The sampling temperature.
        temperature: f64,
        /// How many tokens it may write. One source declares a UUID here, surely by mistake (contract, section 10).
        max_token: u64,
    }
}

request! {
    /// What changes in an agent.
    AgentUpdate() {
        /// Its name.
        name: String,
        /// The id of its model.
        llm_model: String,
        /// How the model is provided.
        model_type: String,
        /// What it is for.
        description: String,
        /// Its system prompt.
        instruction_prompt: String,
        /// The sampling temperature.
        temperature: f64,
        /// How many tokens it may write.
        max_token: u64,
        /// How many tokens it may think.
        max_thinking_token: u64,
        /// How long an Anthropic model's prompt is cached.
        anthropic_prompt_cache_ttl: PromptCacheTtl,
        /// How hard it reasons.
        reasoning_effort: ReasoningEffort,
        /// Whether it may or must call tools.
        tool_choice: ToolChoice,
        /// How many tools it may call.
        max_tool_calls: u64,
        /// Declared by the service and always refused by it with `tool_approval_mode_requires_dashboard`.
        tool_approval_mode: ToolApproval,
    }
}

open_enum! {
    /// How long an Anthropic model's prompt is cached.
    PromptCacheTtl {
        /// Not at all.
        Disabled = "disabled",
        /// Five minutes.
        FiveMinutes = "5m",
        /// One hour.
        OneHour = "1h",
    }
}

open_enum! {
    /// How hard a model reasons.
    ReasoningEffort {
        /// As little as it can.
        Minimal = "minimal",
        /// A little.
        Low = "low",
        /// Somewhat.
        Medium = "medium",
        /// Much.
        High = "high",
        /// Very much.
        Xhigh = "xhigh",
        /// As much as it can.
        Max = "max",
    }
}

open_enum! {
    /// Whether a model may or must call tools.
    ToolChoice {
        /// It must not.
        None = "none",
        /// It may.
        Auto = "auto",
        /// It must.
        Required = "required",
    }
}

record! {
    /// An agent. The sources declare no fields of it (contract, section 10): those that can be set are typed, the others are in `extra`.
    Agent {
        /// The agent.
        id: Option<AgentId>,
        /// Its name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The id of its model.
        llm_model: Option<String>,
        /// How the model is provided.
        model_type: Option<String>,
        /// Its system prompt.
        instruction_prompt: Option<String>,
        /// The sampling temperature.
        temperature: Option<NumberOrString>,
        /// How many tokens it may write.
        max_token: Option<NumberOrString>,
        /// How many tokens it may think.
        max_thinking_token: Option<Number>,
        /// How long an Anthropic model's prompt is cached.
        anthropic_prompt_cache_ttl: Option<PromptCacheTtl>,
        /// How hard it reasons.
        reasoning_effort: Option<ReasoningEffort>,
        /// Whether it may or must call tools.
        tool_choice: Option<ToolChoice>,
        /// How many tools it may call.
        max_tool_calls: Option<Number>,
        /// How tool actions that need approval are treated.
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
    /// An agent after a change, with what the service says about it.
    AgentChangeResponse {
        /// What the service says.
        message: Option<String>,
        /// The agent.
        agent: Option<Agent>,
    }
}

impl AgentChangeResponse {
    /// Returns the id of the created or changed agent.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `agent` with an id.
    pub fn id(&self) -> Result<&AgentId, MissingField> {
        MissingField::check(self.agent.as_ref().and_then(|agent| agent.id.as_ref()), "agent.id")
    }
}
