use crate::model::record;
use crate::open_enum::open_enum;
use crate::{Extra, RequestId};

open_enum! {
    /// What happened, in a callback (contract, section 4). The first three are documented; the others are named by analogy and
    /// unconfirmed.
    CallbackEventType {
        /// An agent answered.
        AgentCompleted = "agent.completed",
        /// An agent failed.
        AgentFailed = "agent.failed",
        /// Work that an agent handed off has ended; signed with the secret of the agent.
        AgentDelegationCompleted = "agent.delegation.completed",
        /// A workflow completed.
        WorkflowCompleted = "workflow.completed",
        /// A workflow failed.
        WorkflowFailed = "workflow.failed",
        /// A prompt completed.
        PromptCompleted = "prompt.completed",
        /// A prompt failed.
        PromptFailed = "prompt.failed",
        /// A hive agent completed.
        HiveAgentCompleted = "hive_agent.completed",
        /// A hive agent failed.
        HiveAgentFailed = "hive_agent.failed",
        /// A hive agent was cancelled.
        HiveAgentCancelled = "hive_agent.cancelled",
    }
}

record! {
    /// What the service posts to a callback URL (contract, section 4).
    CallbackEvent {
        /// What happened.
        event_type: Option<CallbackEventType>,
        /// The run that it happened to.
        request_id: Option<RequestId>,
        /// The outcome.
        data: Option<Extra>,
    }
}
