use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AgentId, ApprovalId, Extra, MissingField, RequestId, RunId, Timestamp, WorkspaceId};

request! {
    /// A request to list one page of the tool-action approvals of a workspace.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/tool_action_approvals`. See the
    /// [contract](crate::contract#approvals).
    ListToolActionApprovals(
        /// The id of the workspace whose approvals are listed.
        workspace_id: WorkspaceId,
        /// The filter that selects the approvals and the page.
        filter: ApprovalFilter,
    );
}

request! {
    /// A request to get one tool-action approval.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/tool_action_approvals/{id}`.
    GetToolActionApproval(
        /// The id of the workspace that the approval belongs to.
        workspace_id: WorkspaceId,
        /// The id of the approval to get.
        id: ApprovalId,
    );
}

request! {
    /// A request to allow or deny a tool action.
    ///
    /// The request is `POST /public/workspaces/{workspace_id}/tool_action_approvals/{id}/decide`.
    /// The run resumes on the server after the decision, so it must not be invoked again. The
    /// service rejects a second decision with status 409.
    DecideToolActionApproval(
        /// The id of the workspace that the approval belongs to.
        workspace_id: WorkspaceId,
        /// The id of the approval to decide.
        id: ApprovalId,
        /// The decision to record for the approval.
        decision: ApprovalDecision,
    );
}

request! {
    /// A filter for a list of tool-action approvals.
    ///
    /// Filters are combined: an approval is listed only if it matches all of them.
    ApprovalFilter() {
        /// The status of the approvals to list. The service lists pending approvals by default.
        status: ApprovalStatus,
        /// The id of the agent that requested the actions.
        agent_id: AgentId,
        /// The id of the run that requested the actions.
        run_id: RunId,
        /// The public id of the run that requested the actions.
        request_id: RequestId,
        /// The position in the list after which the page starts.
        ///
        /// The sources do not define its value. Passing the id of the last approval of the previous
        /// page is our decision, and unconfirmed. See the [contract](crate::contract#approvals).
        cursor: String,
        /// The maximum number of approvals in the page, at most 50.
        limit: u32,
    }
}

impl Default for ApprovalFilter {
    fn default() -> Self {
        Self::new()
    }
}

open_enum! {
    /// The status of a tool-action approval.
    ///
    /// The sources name only the status `pending`.
    ApprovalStatus {
        /// The tool action has not been decided yet.
        Pending = "pending",
    }
}

open_enum! {
    /// A decision on a tool action.
    ApprovalDecision {
        /// The action is allowed to run once.
        AllowOnce = "allow_once",
        /// The action is not allowed to run.
        Deny = "deny",
    }
}

record! {
    /// A page of the tool-action approvals of a workspace.
    ToolActionApprovalList {
        /// The approvals in the page, which may be empty.
        approvals: Vec<ToolActionApproval>,
    }
}

record! {
    /// The full record of a tool action that needs, or needed, a human decision.
    ///
    /// See the [contract](crate::contract#approvals).
    ToolActionApproval {
        /// The id of the approval, which is required to approve or reject it.
        id: Option<ApprovalId>,
        /// The status of the approval, such as `pending`.
        status: Option<ApprovalStatus>,
        /// The decision that was made, or `None` while the approval is pending.
        decision: Option<ApprovalDecision>,
        /// A summary of the action for people.
        summary: Option<String>,
        /// The type of the integration that performs the action.
        provider_type: Option<String>,
        /// The key that identifies the action within its integration.
        action_slug: Option<String>,
        /// The display name of the action.
        action_label: Option<String>,
        /// The wording or the mode of the confirmation that the action requires.
        confirmation: Option<String>,
        /// The number of votes that the action needs before it is allowed.
        approvals_required: Option<u64>,
        /// The votes that were cast so far.
        approval_votes: Vec<ApprovalVote>,
        /// The account name at the integration that the action uses.
        provider_login: Option<String>,
        /// The name of the gateway that the action uses.
        gateway_name: Option<String>,
        /// The name of the access token that the action uses.
        token_name: Option<String>,
        /// The arguments of the action, including any edits.
        arguments: Option<Extra>,
        /// The result of the action after it ran.
        result: Option<Extra>,
        /// The reason why the action failed.
        error: Option<String>,
        /// The risk class of the action.
        risk_level: Option<String>,
        /// The kind of requester that asked for the action.
        requested_by_kind: Option<String>,
        /// The person, workflow or agent that asked for the action.
        requested_by: Option<ApprovalRequester>,
        /// The id of the workflow run that asked for the action.
        prompt_workflow_run_id: Option<RunId>,
        /// The id of the agent run that asked for the action.
        agent_run_id: Option<RunId>,
        /// The id of the short-lived execution that asked for the action.
        ephemeral_execution_id: Option<String>,
        /// The id of the copilot session that asked for the action.
        copilot_session_id: Option<String>,
        /// The number of connections that are available for the integration.
        integration_connection_count: Option<u64>,
        /// The time at which the approval was requested.
        created_at: Option<Timestamp>,
        /// The time after which the approval can no longer be decided.
        expires_at: Option<Timestamp>,
        /// The time at which the decision was made.
        decided_at: Option<Timestamp>,
        /// The person who made the decision, as text.
        decided_by: Option<String>,
        /// The channel through which the decision was made.
        decided_via: Option<String>,
        /// The name of the API key that was used to make the decision.
        decided_by_api_key_name: Option<String>,
        /// The user who made the decision. Only administrators receive this field.
        decided_by_user: Option<ApprovalDecider>,
        /// The kind of rule that allowed the action automatically.
        auto_allowed_by: Option<String>,
        /// The id of the rule that allowed the action automatically.
        auto_allowed_source_id: Option<String>,
        /// The name of the rule that allowed the action automatically.
        auto_allowed_source_name: Option<String>,
        /// The id of the workspace that the approval belongs to.
        workspace_id: Option<WorkspaceId>,
        /// The arguments of the action before any edit.
        original_arguments: Option<Extra>,
        /// The time at which the arguments were last edited.
        arguments_edited_at: Option<Timestamp>,
        /// The user who last edited the arguments.
        arguments_edited_by: Option<ApprovalPerson>,
        /// The names of the arguments that were edited.
        changed_fields: Vec<String>,
        /// The id of the policy that applied to the action.
        resolved_policy_id: Option<String>,
        /// The user whose policy applied to the action.
        resolved_policy_user: Option<ApprovalPerson>,
        /// The effect that a locked rule had on the action.
        locked_rule_effect: Option<String>,
        /// The role that users need to see the approval.
        audience_role: Option<AudienceRole>,
        /// The id of the integration authorization that the action uses.
        integration_authorization_id: Option<String>,
        /// The key of the batch that the approval belongs to.
        batch_key: Option<String>,
        /// The number of pending approvals in the same batch.
        batch_pending_count: Option<u64>,
        /// The other approvals in the same batch.
        batch_items: Vec<ApprovalBatchItem>,
        /// The operations that the caller may perform on the approval.
        capabilities: Option<ApprovalCapabilities>,
    }
}

impl ToolActionApproval {
    /// Returns the id of the approval, which is required to approve or reject it.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&ApprovalId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }
}

open_enum! {
    /// The role that a user needs to see an approval.
    AudienceRole {
        /// Only administrators of the workspace see the approval.
        Admin = "admin",
        /// All members of the workspace see the approval.
        Member = "member",
        /// No user of the workspace sees the approval.
        None = "none",
    }
}

record! {
    /// Another approval in the same batch.
    ApprovalBatchItem {
        /// The id of the other approval.
        id: Option<ApprovalId>,
        /// A summary of the other action for people.
        summary: Option<String>,
    }
}

record! {
    /// The operations that the caller may perform on an approval.
    ApprovalCapabilities {
        /// Whether the caller may allow all future actions of this kind.
        can_always_allow: Option<bool>,
        /// Whether the caller may decide all actions of the run at once.
        can_run_decision: Option<bool>,
    }
}

record! {
    /// The user who decided an approval. Only administrators receive it.
    ApprovalDecider {
        /// The id of the user in the account.
        id: Option<String>,
        /// The e-mail address of the user.
        email: Option<String>,
        /// The first and last name of the user.
        full_name: Option<String>,
        /// The login name of the user.
        username: Option<String>,
        /// The initial of the user's name, as shown in place of a picture.
        name_initial: Option<String>,
    }
}

record! {
    /// A user who is named in an approval.
    ApprovalPerson {
        /// The id of the user in the account.
        id: Option<String>,
        /// The display name of the user.
        name: Option<String>,
    }
}

record! {
    /// The person, workflow or agent that asked for a tool action.
    ApprovalRequester {
        /// The kind of requester, such as a workflow or an agent.
        kind: Option<String>,
        /// The display name of the requester.
        name: Option<String>,
        /// The name of the workflow that the action belongs to.
        workflow_name: Option<String>,
        /// The name of the agent that the action belongs to.
        agent_name: Option<String>,
    }
}

record! {
    /// One vote on a tool action that needs several votes.
    ApprovalVote {
        /// The id of the user who voted.
        user_id: Option<String>,
        /// The decision that the user voted for.
        decision: Option<ApprovalDecision>,
    }
}
