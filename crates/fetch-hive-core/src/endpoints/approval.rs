use fetch_hive_types::{ApprovalDecided, ToolActionApproval, ToolActionApprovalList};
use serde_json::json;

use super::endpoint;
use crate::checks::{Checked, refuse_if};
use crate::{Body, InvalidInput, QueryWriter};

endpoint! {
    ListToolActionApprovals(workspace_id): "listToolActionApprovals",
        GET "/public/workspaces/{workspace_id}/tool_action_approvals", Safe => ToolActionApprovalList;

    fn validate(&self) -> Checked {
        let fits = self.filter.limit.is_none_or(|limit| (1..=50).contains(&limit));
        refuse_if(!fits, "limit", "must be from 1 to 50")
    }

    fn query(&self, query: &mut QueryWriter) {
        let filter = &self.filter;
        query
            .pair("status", filter.status.as_ref())
            .pair("agent_id", filter.agent_id.as_ref())
            .pair("run_id", filter.run_id.as_ref())
            .pair("request_id", filter.request_id.as_ref())
            .pair("cursor", filter.cursor.as_ref())
            .pair("limit", filter.limit);
        for (name, value) in &filter.extra {
            query.pair(name, Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
}

endpoint! {
    GetToolActionApproval(workspace_id, id): "getToolActionApproval",
        GET "/public/workspaces/{workspace_id}/tool_action_approvals/{id}", Safe, envelope "approval" => ToolActionApproval;
}

endpoint! {
    DecideToolActionApproval(workspace_id, id): "decideToolActionApproval",
        POST "/public/workspaces/{workspace_id}/tool_action_approvals/{id}/decide", OnlyIfUnsent => ApprovalDecided;

    const MAY_BE_EMPTY: bool = true;

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json(&json!({"decision": self.decision}))
    }
}
