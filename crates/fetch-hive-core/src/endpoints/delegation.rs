use fetch_hive_types::AgentDelegation;

use super::endpoint;
use crate::{Body, InvalidInput};

endpoint! {
    GetAgentDelegation(id): "getAgentDelegation", GET "/agent/delegations/{id}", Safe => AgentDelegation;
}

endpoint! {
    CancelAgentDelegation(id): "cancelAgentDelegation", POST "/agent/delegations/{id}/cancel", Safe => AgentDelegation;

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}

endpoint! {
    ListThreadDelegations(thread_id): "listThreadDelegations", GET "/agent/threads/{thread_id}/delegations", Safe,
        envelope "delegations" => Vec<AgentDelegation>;
}
