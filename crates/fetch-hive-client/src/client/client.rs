use std::fmt;

use bytes::Bytes;
use fetch_hive_core::types::{
    AgentId, EndpointId, InvokeAgent, InvokeHiveAgent, InvokePrompt, InvokeWorkflow, ListErrorCodes, ListModels,
    TriggerAgent, TriggerPrompt, TriggerWorkflow, VariantId, WebhookSecret, WorkspaceId,
};
use fetch_hive_core::{Endpoint, Retry};

use super::builder::ClientBuilder;
use super::options::CallOptions;
use super::raw::RawRequest;
use super::resources::{Delegations, Requests, SearchServices, SendRequest, Workspace};
use super::{Call, Client};
#[cfg(feature = "hyper")]
use crate::error::Error;
use crate::execute::Shared;

impl Client {
    /// Creates a client with an API key and the default configuration.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`ClientBuilder::build`].
    #[cfg(feature = "hyper")]
    pub fn new(api_key: impl Into<String>) -> Result<Self, Error> {
        Self::builder().api_key(api_key).build()
    }

    /// Creates a client with the API key in the environment variable `FETCH_HIVE_API_KEY`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`ClientBuilder::build`].
    #[cfg(feature = "hyper")]
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Returns a builder for a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Creates a call of any request in [`types`](crate::types), or of an [`Endpoint`] that you
    /// define.
    pub fn call<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Call::new(self.clone(), request)
    }

    /// Creates a call of a request that was built by hand, for an operation that this version of
    /// the crate does not know.
    ///
    /// Its path is appended to the base URL. It is sent with the key, the user agent, the timeouts
    /// and the retries of any other call. A request that invokes a workflow, a prompt or an agent
    /// counts as one of the [`max_concurrent_runs`](ClientBuilder::max_concurrent_runs).
    ///
    /// Awaiting the call fails like any other call. It also fails if the URL is absolute and is not
    /// below the base URL, because the key must not be sent there.
    ///
    /// ```no_run
    /// # use fetch_hive_client::{BoxError, Client};
    /// # async fn run(client: Client) -> Result<(), BoxError> {
    /// use fetch_hive_client::Retry;
    ///
    /// let request = http::Request::get("/public/something/new").body(bytes::Bytes::new())?;
    /// let response = client.call_raw(request, Retry::Idempotent).await?;
    /// println!("{} bytes", response.len());
    /// # Ok(()) }
    /// ```
    pub fn call_raw(&self, request: http::Request<Bytes>, retry: Retry) -> Call<RawRequest> {
        Call::new(self.clone(), RawRequest::new(request, retry))
    }

    /// Runs a workflow deployment. See [`InvokeWorkflow`].
    ///
    /// The response to a direct run arrives when the run has ended, which takes seconds to minutes.
    /// If the response is lost, the run cannot be looked up: see
    /// [`Error::may_have_run`](crate::Error::may_have_run).
    pub fn invoke_workflow(&self, deployment: impl Into<String>) -> Call<InvokeWorkflow> {
        self.call(InvokeWorkflow::new(deployment))
    }

    /// Runs a prompt deployment. See [`InvokePrompt`].
    pub fn invoke_prompt(&self, deployment: impl Into<String>) -> Call<InvokePrompt> {
        self.call(InvokePrompt::new(deployment))
    }

    /// Sends a message to an agent. See [`InvokeAgent`].
    pub fn invoke_agent(&self, agent: impl Into<AgentId>, message: impl Into<String>) -> Call<InvokeAgent> {
        self.call(InvokeAgent::new(agent, message))
    }

    /// Gives an objective to a hive agent, whose outcome is delivered to a callback URL. See
    /// [`InvokeHiveAgent`].
    pub fn invoke_hive_agent(
        &self,
        hive_agent: impl Into<AgentId>,
        objective: impl Into<String>,
        callback_url: impl Into<String>,
    ) -> Call<InvokeHiveAgent> {
        self.call(InvokeHiveAgent::new(hive_agent, objective, callback_url.into()))
    }

    /// Starts a workflow with its webhook secret, without the API key. See [`TriggerWorkflow`].
    pub fn trigger_workflow(
        &self,
        endpoint: impl Into<EndpointId>,
        variant: impl Into<VariantId>,
        secret: impl Into<WebhookSecret>,
        callback_url: impl Into<String>,
    ) -> Call<TriggerWorkflow> {
        self.call(TriggerWorkflow::new(endpoint, variant, secret, callback_url))
    }

    /// Starts a prompt with its webhook secret, without the API key. See [`TriggerPrompt`].
    pub fn trigger_prompt(
        &self,
        endpoint: impl Into<EndpointId>,
        variant: impl Into<VariantId>,
        secret: impl Into<WebhookSecret>,
        callback_url: impl Into<String>,
    ) -> Call<TriggerPrompt> {
        self.call(TriggerPrompt::new(endpoint, variant, secret, callback_url))
    }

    /// Sends a message to an agent with its webhook secret, without the API key. See
    /// [`TriggerAgent`].
    pub fn trigger_agent(
        &self,
        agent: impl Into<AgentId>,
        secret: impl Into<WebhookSecret>,
        message: impl Into<String>,
        callback_url: impl Into<String>,
    ) -> Call<TriggerAgent> {
        self.call(TriggerAgent::new(agent, secret, message, callback_url))
    }

    /// Returns the operations of a workspace: agents, chats, knowledge bases, assets and approvals.
    pub fn workspace(&self, id: impl Into<WorkspaceId>) -> Workspace<Self> {
        Workspace { client: self.clone(), workspace_id: id.into() }
    }

    /// Returns the operations that look up and poll runs by their request id.
    pub fn requests(&self) -> Requests<Self> {
        Requests { client: self.clone() }
    }

    /// Returns the operations for work that agents have delegated.
    pub fn delegations(&self) -> Delegations<Self> {
        Delegations { client: self.clone() }
    }

    /// Returns the operations for the search services that workflows use.
    pub fn search_services(&self) -> SearchServices<Self> {
        SearchServices { client: self.clone() }
    }

    /// Lists the available models. See [`ListModels`].
    pub fn models(&self) -> Call<ListModels> {
        self.call(ListModels::new())
    }

    /// Lists the error codes of the service, with messages in a language such as `es`. See
    /// [`ListErrorCodes`].
    pub fn error_codes(&self, locale: Option<&str>) -> Call<ListErrorCodes> {
        self.call(ListErrorCodes::new(locale.map(str::to_owned)))
    }
}

impl SendRequest for Client {
    type Call<E: Endpoint + 'static> = Call<E>;

    fn call<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Self::call(self, request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { api, credentials, max_response_bytes, run_limiter, .. } = &*self.shared;
        let CallOptions { timeouts, retry, .. } = &*self.defaults;
        f.debug_struct("Client")
            .field("base_url", &api.base_url().as_str())
            .field("credentials", credentials)
            .field("timeout", &timeouts.deadline)
            .field("connect_timeout", &timeouts.connect)
            .field("headers_timeout", &timeouts.headers)
            .field("idle_timeout", &timeouts.idle)
            .field("retry", retry)
            .field("max_response_bytes", max_response_bytes)
            .field("has_run_limiter", &run_limiter.is_some())
            .finish_non_exhaustive()
    }
}
