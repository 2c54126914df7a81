use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{DelegationId, Extra, RequestId, RunId, ThreadId, Timestamp};

request! {
    /// Reads one delegation: `GET /agent/delegations/{id}` (contract, section 6).
    GetAgentDelegation(
        /// The delegation.
        id: DelegationId,
    );
}

request! {
    /// Cancels a delegation: `POST /agent/delegations/{id}/cancel`. On a finished one it changes nothing.
    CancelAgentDelegation(
        /// The delegation.
        id: DelegationId,
    );
}

request! {
    /// Lists the open delegations of a thread, pending and running: `GET /agent/threads/{thread_id}/delegations`.
    ListThreadDelegations(
        /// The thread.
        thread_id: ThreadId,
    );
}

open_enum! {
    /// Where a delegation stands.
    DelegationStatus {
        /// It waits.
        Pending = "pending",
        /// It is under way.
        Running = "running",
        /// It ended well.
        Completed = "completed",
        /// It ended badly.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// It took too long.
        Expired = "expired",
    }
}

open_enum! {
    /// What was handed off.
    DelegationKind {
        /// A workflow.
        Workflow = "workflow",
        /// Another agent.
        SubAgent = "sub_agent",
        /// A run of a hive agent.
        HiveAgentRun = "hive_agent_run",
    }
}

record! {
    /// Work that an agent handed off (contract, section 6).
    AgentDelegation {
        /// The delegation.
        id: Option<DelegationId>,
        /// Where it stands.
        status: Option<DelegationStatus>,
        /// What was handed off.
        kind: Option<DelegationKind>,
        /// What was started.
        target: Option<Extra>,
        /// Its outcome.
        result: Option<Extra>,
        /// When it should be done.
        expected_by: Option<Timestamp>,
        /// When its outcome was delivered.
        delivered_at: Option<Timestamp>,
        /// Why it could not be delivered.
        delivery_error: Option<String>,
        /// The run that handed it off.
        parent_request_id: Option<RequestId>,
        /// The tool call that handed it off.
        tool_call_id: Option<String>,
        /// The workflow run behind it.
        workflow_run_id: Option<RunId>,
        /// When it began.
        created_at: Option<Timestamp>,
    }
}

record! {
    /// A delegation that is open when an agent has answered.
    PendingDelegation {
        /// The delegation.
        id: Option<DelegationId>,
        /// What was handed off.
        kind: Option<DelegationKind>,
        /// What was started.
        target: Option<Extra>,
        /// When it should be done.
        expected_by: Option<Timestamp>,
    }
}
