use fetch_hive_types::{ToolActionApproval, ToolActionApprovalList};
use serde_json::json;

use super::endpoint;
use crate::checks::{Checked, refuse_if};
use crate::{Body, InvalidInput, QueryWriter};

endpoint! {
    ListToolActionApprovals(workspace_id): "listToolActionApprovals",
        GET "/public/workspaces/{workspace_id}/tool_action_approvals", Idempotent => ToolActionApprovalList;

    fn validate(&self) -> Checked {
        let fits = self.filter.limit.is_none_or(|limit| (1..=50).contains(&limit));
        refuse_if(!fits, "limit", "must be from 1 to 50")
    }

    fn query(&self, query: &mut QueryWriter) {
        query.fields(&self.filter);
    }
}

endpoint! {
    GetToolActionApproval(workspace_id, id): "getToolActionApproval",
        GET "/public/workspaces/{workspace_id}/tool_action_approvals/{id}", Idempotent, envelope "approval" => ToolActionApproval;
}

endpoint! {
    DecideToolActionApproval(workspace_id, id): "decideToolActionApproval",
        POST "/public/workspaces/{workspace_id}/tool_action_approvals/{id}/decide", OnlyIfNotSent,
        envelope "approval" => ToolActionApproval;

    // The sources declare no body of this reply.
    const ALLOWS_EMPTY_BODY: bool = true;

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json(&json!({"decision": self.decision}))
    }
}
