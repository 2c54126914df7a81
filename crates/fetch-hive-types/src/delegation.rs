use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{DelegationId, Extra, RequestId, RunId, ThreadId, Timestamp};

request! {
    /// A request to get one delegation of an agent.
    ///
    /// The request is `GET /agent/delegations/{id}`. See the [contract](crate::contract#agents).
    GetAgentDelegation(
        /// The id of the delegation to get.
        id: DelegationId,
    );
}

request! {
    /// A request to cancel a delegation of an agent.
    ///
    /// The request is `POST /agent/delegations/{id}/cancel`. It has no effect on a delegation that
    /// has ended.
    CancelAgentDelegation(
        /// The id of the delegation to cancel.
        id: DelegationId,
    );
}

request! {
    /// A request to list the pending and running delegations of a thread.
    ///
    /// The request is `GET /agent/threads/{thread_id}/delegations`.
    ListThreadDelegations(
        /// The id of the thread whose delegations are listed.
        thread_id: ThreadId,
    );
}

open_enum! {
    /// The status of the work that an agent has delegated.
    DelegationStatus {
        /// The delegated work has not started yet.
        Pending = "pending",
        /// The delegated work is in progress.
        Running = "running",
        /// The delegated work has finished successfully.
        Completed = "completed",
        /// The delegated work has ended with an error.
        Failed = "failed",
        /// The delegated work was cancelled before it ended.
        Cancelled = "cancelled",
        /// The delegated work did not finish in time.
        Expired = "expired",
    }
}

open_enum! {
    /// The kind of work that an agent has delegated.
    DelegationKind {
        /// The agent has started a workflow.
        Workflow = "workflow",
        /// The agent has started another agent.
        SubAgent = "sub_agent",
        /// The agent has started the run of a hive agent.
        HiveAgentRun = "hive_agent_run",
    }
}

record! {
    /// A delegation: work that an agent has handed to a workflow or to another agent.
    ///
    /// See the [contract](crate::contract#agents).
    AgentDelegation {
        /// The id of the delegation, by which it is looked up and cancelled.
        id: Option<DelegationId>,
        /// The status of the delegated work.
        status: Option<DelegationStatus>,
        /// The kind of work that was delegated.
        kind: Option<DelegationKind>,
        /// The workflow or agent that was started. The sources declare no fields for it.
        target: Option<Extra>,
        /// The outcome of the delegated work.
        result: Option<Extra>,
        /// The time by which the delegated work should be finished.
        expected_by: Option<Timestamp>,
        /// The time at which the outcome was delivered.
        delivered_at: Option<Timestamp>,
        /// The reason why the outcome could not be delivered.
        delivery_error: Option<String>,
        /// The public id of the run that delegated the work.
        parent_request_id: Option<RequestId>,
        /// The id of the tool call that delegated the work.
        tool_call_id: Option<String>,
        /// The id of the workflow run that performs the work.
        workflow_run_id: Option<RunId>,
        /// The time at which the delegation was created.
        created_at: Option<Timestamp>,
    }
}

record! {
    /// A delegation that is still in progress when an agent answers.
    PendingDelegation {
        /// The id of the delegation, by which it is looked up and cancelled.
        id: Option<DelegationId>,
        /// The kind of work that was delegated.
        kind: Option<DelegationKind>,
        /// The workflow or agent that was started. The sources declare no fields for it.
        target: Option<Extra>,
        /// The time by which the delegated work should be finished.
        expected_by: Option<Timestamp>,
    }
}
