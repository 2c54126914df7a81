use fetch_hive_types::AgentDelegation;

use super::endpoint;
use crate::{Body, InvalidInput};

endpoint! {
    request: GetAgentDelegation { id },
    name: "getAgentDelegation",
    method: GET, path: "/agent/delegations/{id}",
    retry: Idempotent,
    response: AgentDelegation,
}

endpoint! {
    request: CancelAgentDelegation { id },
    name: "cancelAgentDelegation",
    method: POST, path: "/agent/delegations/{id}/cancel",
    retry: Idempotent,
    response: AgentDelegation,

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}

endpoint! {
    request: ListThreadDelegations { thread_id },
    name: "listThreadDelegations",
    method: GET, path: "/agent/threads/{thread_id}/delegations",
    retry: Idempotent,
    envelope: "delegations",
    response: Vec<AgentDelegation>,
}
