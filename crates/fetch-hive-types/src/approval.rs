use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AgentId, ApprovalId, Extra, MissingField, RequestId, RunId, Timestamp, WorkspaceId};

request! {
    /// Lists one page of tool actions that wait, or waited, for a decision: `GET …/tool_action_approvals` (contract, section 8).
    ListToolActionApprovals(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// Which of them.
        filter: ApprovalFilter,
    );
}

request! {
    /// Reads one: `GET …/tool_action_approvals/{id}`.
    GetToolActionApproval(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The approval.
        id: ApprovalId,
    );
}

request! {
    /// Decides one: `POST …/tool_action_approvals/{id}/decide`. The run goes on by itself afterwards: do not invoke it again. A second
    /// decision is refused with a 409.
    DecideToolActionApproval(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The approval.
        id: ApprovalId,
        /// The decision.
        decision: ApprovalDecision,
    );
}

request! {
    /// Which approvals to list.
    ApprovalFilter() {
        /// In this state; the service takes `pending` without one.
        status: ApprovalStatus,
        /// Of this agent.
        agent_id: AgentId,
        /// Of this run.
        run_id: RunId,
        /// Of this run, by its public id.
        request_id: RequestId,
        /// After this one. No source says where to take it from; ours is the id of the last approval seen (contract, section 8).
        cursor: String,
        /// How many at the most, up to 50.
        limit: u32,
    }
}

impl Default for ApprovalFilter {
    fn default() -> Self {
        Self::new()
    }
}

open_enum! {
    /// Where an approval stands. The sources name `pending` alone.
    ApprovalStatus {
        /// It waits for a decision.
        Pending = "pending",
    }
}

open_enum! {
    /// What was decided.
    ApprovalDecision {
        /// The action may run this once.
        AllowOnce = "allow_once",
        /// It may not.
        Deny = "deny",
    }
}

record! {
    /// One page of approvals.
    ToolActionApprovalList {
        /// The approvals.
        approvals: Vec<ToolActionApproval>,
    }
}

record! {
    /// A tool action that waits, or waited, for a decision (contract, section 8).
    ToolActionApproval {
        /// The approval.
        id: Option<ApprovalId>,
        /// Where it stands.
        status: Option<ApprovalStatus>,
        /// What was decided.
        decision: Option<ApprovalDecision>,
        /// What the action would do, for people.
        summary: Option<String>,
        /// The integration that it belongs to.
        provider_type: Option<String>,
        /// The action's key.
        action_slug: Option<String>,
        /// The action's name.
        action_label: Option<String>,
        /// How it is to be confirmed.
        confirmation: Option<String>,
        /// How many votes it needs.
        approvals_required: Option<u64>,
        /// The votes so far.
        approval_votes: Vec<ApprovalVote>,
        /// The account at the integration.
        provider_login: Option<String>,
        /// The gateway in use.
        gateway_name: Option<String>,
        /// The token in use, by name.
        token_name: Option<String>,
        /// The action's arguments, after any edit.
        arguments: Option<Extra>,
        /// What it gave, once it ran.
        result: Option<Extra>,
        /// Why it failed.
        error: Option<String>,
        /// How risky it is.
        risk_level: Option<String>,
        /// What kind of requester asked.
        requested_by_kind: Option<String>,
        /// Who asked.
        requested_by: Option<ApprovalRequester>,
        /// The workflow run behind it.
        prompt_workflow_run_id: Option<RunId>,
        /// The agent's run behind it.
        agent_run_id: Option<RunId>,
        /// The short-lived execution behind it.
        ephemeral_execution_id: Option<String>,
        /// The copilot session behind it.
        copilot_session_id: Option<String>,
        /// How many connections there are.
        integration_connection_count: Option<u64>,
        /// When it was asked for.
        created_at: Option<Timestamp>,
        /// When it can no longer be decided.
        expires_at: Option<Timestamp>,
        /// When it was decided.
        decided_at: Option<Timestamp>,
        /// Who decided.
        decided_by: Option<String>,
        /// Over which channel.
        decided_via: Option<String>,
        /// With which API key, by name.
        decided_by_api_key_name: Option<String>,
        /// Who decided; for administrators only.
        decided_by_user: Option<ApprovalDecider>,
        /// The kind of rule that allowed it.
        auto_allowed_by: Option<String>,
        /// The rule that allowed it.
        auto_allowed_source_id: Option<String>,
        /// That rule's name.
        auto_allowed_source_name: Option<String>,
        /// Its workspace.
        workspace_id: Option<WorkspaceId>,
        /// The arguments before any edit.
        original_arguments: Option<Extra>,
        /// When they were edited.
        arguments_edited_at: Option<Timestamp>,
        /// By whom.
        arguments_edited_by: Option<ApprovalPerson>,
        /// Which of them.
        changed_fields: Vec<String>,
        /// The policy that applied.
        resolved_policy_id: Option<String>,
        /// Whose policy it is.
        resolved_policy_user: Option<ApprovalPerson>,
        /// What a locked rule did.
        locked_rule_effect: Option<String>,
        /// Who may see it.
        audience_role: Option<AudienceRole>,
        /// The authorisation in use.
        integration_authorization_id: Option<String>,
        /// The batch that it belongs to.
        batch_key: Option<String>,
        /// How many of that batch wait.
        batch_pending_count: Option<u64>,
        /// The others of that batch.
        batch_items: Vec<ApprovalBatchItem>,
        /// What the caller may do with it.
        capabilities: Option<ApprovalCapabilities>,
    }
}

impl ToolActionApproval {
    /// Returns the id of the approval.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&ApprovalId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }
}

open_enum! {
    /// Who may see an approval.
    AudienceRole {
        /// Administrators.
        Admin = "admin",
        /// Members.
        Member = "member",
        /// Nobody.
        None = "none",
    }
}

record! {
    /// Another approval of the same batch.
    ApprovalBatchItem {
        /// The approval.
        id: Option<ApprovalId>,
        /// What the action would do.
        summary: Option<String>,
    }
}

record! {
    /// What the caller may do with an approval.
    ApprovalCapabilities {
        /// Allow such actions from now on.
        can_always_allow: Option<bool>,
        /// Decide for the whole run.
        can_run_decision: Option<bool>,
    }
}

record! {
    /// Who decided; for administrators only.
    ApprovalDecider {
        /// The user.
        id: Option<String>,
        /// The e-mail address.
        email: Option<String>,
        /// The full name.
        full_name: Option<String>,
        /// The user name.
        username: Option<String>,
        /// The initial.
        name_initial: Option<String>,
    }
}

record! {
    /// A user.
    ApprovalPerson {
        /// The user.
        id: Option<String>,
        /// The name.
        name: Option<String>,
    }
}

record! {
    /// Who, or what, asked for an action.
    ApprovalRequester {
        /// What kind of requester it is.
        kind: Option<String>,
        /// The name.
        name: Option<String>,
        /// The workflow behind it.
        workflow_name: Option<String>,
        /// The agent behind it.
        agent_name: Option<String>,
    }
}

record! {
    /// A vote on an action that needs several.
    ApprovalVote {
        /// Who voted.
        user_id: Option<String>,
        /// What for.
        decision: Option<ApprovalDecision>,
    }
}
