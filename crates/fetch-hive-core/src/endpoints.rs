//! The operations of the API, one file per resource.
//!
//! The guide page `adding-an-endpoint` of `fetch-hive-client` shows how to add one.

mod agent;
mod agent_invoke;
mod approval;
mod asset;
mod catalog;
mod chat;
mod delegation;
mod hive_agent;
mod knowledge_base;
mod knowledge_base_item;
mod prompt;
mod request_record;
mod trigger;
mod workflow;

/// Implements [`Endpoint`](crate::Endpoint) for a request type of `fetch-hive-types`.
///
/// The labelled fields correspond to the items of the trait. The fields in the braces after the
/// request type fill the placeholders of `path`, in order. `starts_run`, `envelope`,
/// `allows_empty_body` and `occupies_run_slot` are optional. After the fields, write the methods
/// that differ from the defaults of the trait.
///
/// ```text
/// endpoint! {
///     request: CreateAgentChat { workspace_id, agent_id },
///     name: "createAgentChat",
///     method: POST, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats",
///     retry: OnlyIfNotSent,
///     envelope: "chat",
///     response: AgentChat,
///
///     fn body(&self) -> Result<Body, InvalidInput> {
///         Body::json(&self.chat)
///     }
/// }
/// ```
macro_rules! endpoint {
    (
        request: $request:ident { $($id:ident),* },
        name: $name:literal,
        method: $method:ident, path: $path:literal,
        retry: $retry:ident,
        $(starts_run: $starts_run:literal,)?
        $(envelope: $envelope:literal,)?
        $(allows_empty_body: $allows_empty_body:literal,)?
        $(occupies_run_slot: $occupies_run_slot:literal,)?
        response: $response:ty,
        $($methods:tt)*
    ) => {
        impl $crate::Endpoint for fetch_hive_types::$request {
            type Response = $response;
            const NAME: &'static str = $name;
            const METHOD: http::Method = http::Method::$method;
            const PATH: &'static str = $path;
            const RETRY: $crate::Retry = $crate::Retry::$retry;
            $(const ENVELOPE: Option<&'static str> = Some($envelope);)?
            $(const ALLOWS_EMPTY_BODY: bool = $allows_empty_body;)?
            $(const STARTS_RUN: bool = $starts_run;)?
            $(const OCCUPIES_RUN_SLOT: bool = $occupies_run_slot;)?

            fn path(&self, path: &mut $crate::PathWriter) {
                let _ = path$(.id(&self.$id))*;
            }

            $($methods)*
        }
    };
}

use endpoint;
