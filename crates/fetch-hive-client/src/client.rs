use std::fmt;
use std::sync::Arc;

use fetch_hive_core::engine::RetryPolicy;
use fetch_hive_core::types::{
    AgentId, EndpointId, InvokeAgent, InvokeHiveAgent, InvokePrompt, InvokeWorkflow, ListErrorCodes, ListModels,
    TriggerAgent, TriggerPrompt, TriggerWorkflow, VariantId, WebhookSecret, WorkspaceId,
};
use fetch_hive_core::{Api, Endpoint, Timeouts};

#[cfg(feature = "hyper")]
use crate::Error;
use crate::credentials::Credentials;
use crate::report::{AttemptHook, CallHook};
use crate::resources::{Delegations, Requests, SearchServices, SendRequest, Workspace};
use crate::run_limit::MemoryRunLimiter;
use crate::trace::Server;
use crate::usage::UsageHook;
use crate::{Call, ClientBuilder, Clock, Transport};

/// The Fetch Hive client.
///
/// A clone is cheap and shares connections and configuration. Building one needs no runtime and opens no connection.
///
/// ```no_run
/// # #[cfg(feature = "hyper")]
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = fetch_hive_client::Client::from_env()?;
/// let run = client.invoke_workflow("weekly-report").variant("default").input("topic", "enterprise AI").await?;
/// println!("{}", run.into_output()?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a client have in common.
pub(crate) struct Shared {
    pub(crate) api: Api,
    pub(crate) credentials: Credentials,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timeouts: Timeouts,
    pub(crate) policy: RetryPolicy,
    pub(crate) max_response_bytes: usize,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_error_bytes: usize,
    pub(crate) places: Option<Arc<MemoryRunLimiter>>,
    pub(crate) server: Server,
    pub(crate) usage: Option<UsageHook>,
    pub(crate) on_attempt: Option<AttemptHook>,
    pub(crate) on_call: Option<CallHook>,
}

impl Client {
    /// A client with an API key and the defaults.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    #[cfg(feature = "hyper")]
    pub fn new(api_key: impl Into<String>) -> Result<Self, Error> {
        Self::builder().api_key(api_key).build()
    }

    /// A client with the API key of the environment variable `FETCH_HIVE_API_KEY`, and the defaults.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    #[cfg(feature = "hyper")]
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A client with a configuration of its own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Sends any request of [`fetch_hive_core::types`], or an [`Endpoint`] of your own.
    pub fn call<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Call::new(self.clone(), request)
    }
}

crate::call_sites::call_sites!(Client);

impl SendRequest for Client {
    type Call<E: Endpoint + 'static> = Call<E>;

    fn call<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Self::call(self, request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { api, credentials, timeouts, policy, max_response_bytes, places, .. } = &*self.shared;
        f.debug_struct("Client")
            .field("base_url", &api.base_url().as_str())
            .field("credentials", credentials)
            .field("timeout", &timeouts.deadline)
            .field("connect_timeout", &timeouts.connect)
            .field("headers_timeout", &timeouts.headers)
            .field("idle_timeout", &timeouts.idle)
            .field("retry", policy)
            .field("max_response_bytes", max_response_bytes)
            .field("places", places)
            .finish_non_exhaustive()
    }
}
