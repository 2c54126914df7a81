use fetch_hive_types::{ToolActionApproval, ToolActionApprovalList};
use serde_json::json;

use super::endpoint;
use crate::checks::reject_if;
use crate::{Body, InvalidInput, QueryWriter};

endpoint! {
    request: ListToolActionApprovals { workspace_id },
    name: "listToolActionApprovals",
    method: GET, path: "/public/workspaces/{workspace_id}/tool_action_approvals",
    retry: Idempotent,
    response: ToolActionApprovalList,

    fn validate(&self) -> Result<(), InvalidInput> {
        let fits = self.filter.limit.is_none_or(|limit| (1..=50).contains(&limit));
        reject_if(!fits, "limit", "must be from 1 to 50")
    }

    fn query(&self, query: &mut QueryWriter) {
        query.fields(&self.filter);
    }
}

endpoint! {
    request: GetToolActionApproval { workspace_id, id },
    name: "getToolActionApproval",
    method: GET, path: "/public/workspaces/{workspace_id}/tool_action_approvals/{id}",
    retry: Idempotent,
    envelope: "approval",
    response: ToolActionApproval,
}

endpoint! {
    request: DecideToolActionApproval { workspace_id, id },
    name: "decideToolActionApproval",
    method: POST, path: "/public/workspaces/{workspace_id}/tool_action_approvals/{id}/decide",
    retry: OnlyIfNotSent,
    starts_run: false,
    envelope: "approval",
    // No source documents the response body.
    allows_empty_body: true,
    response: ToolActionApproval,

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json(&json!({"decision": self.decision}))
    }
}
