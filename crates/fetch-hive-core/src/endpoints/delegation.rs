use fetch_hive_types::AgentDelegation;

use super::endpoint;
use crate::{Body, InvalidInput};

endpoint! {
    GetAgentDelegation(id): "getAgentDelegation", GET "/agent/delegations/{id}", Idempotent => AgentDelegation;
}

endpoint! {
    CancelAgentDelegation(id): "cancelAgentDelegation", POST "/agent/delegations/{id}/cancel", Idempotent => AgentDelegation;

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}

endpoint! {
    ListThreadDelegations(thread_id): "listThreadDelegations", GET "/agent/threads/{thread_id}/delegations", Idempotent,
        envelope "delegations" => Vec<AgentDelegation>;
}
