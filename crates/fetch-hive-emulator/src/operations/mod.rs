//! The operations of the API, with one file for each resource.

pub(crate) mod agent_invoke;
pub(crate) mod agents;
pub(crate) mod answer;
pub(crate) mod approvals;
pub(crate) mod assets;
pub(crate) mod catalog;
pub(crate) mod chats;
pub(crate) mod delegations;
pub(crate) mod dispatch;
pub(crate) mod hive_agents;
pub(crate) mod knowledge_bases;
pub(crate) mod prompts;
pub(crate) mod request;
pub(crate) mod resource;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod table;
pub(crate) mod webhooks;
pub(crate) mod workflows;
