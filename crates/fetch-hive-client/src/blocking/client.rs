use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fetch_hive_core::types::{
    AgentId, EndpointId, InvokeAgent, InvokeHiveAgent, InvokePrompt, InvokeWorkflow, ListErrorCodes, ListModels,
    TriggerAgent, TriggerPrompt, TriggerWorkflow, VariantId, WebhookSecret, WorkspaceId,
};
use fetch_hive_core::{ApiResponse, Endpoint, Retry};
#[cfg(not(feature = "ureq"))]
use fetch_hive_core::{InvalidInput, RequestBody};

use super::block_on::{ThreadClock, block_on};
use super::{Call, ClientBuilder, EventStream};
use crate::StreamingEndpoint;
use crate::client::RawRequest;
use crate::client::resources::{Delegations, Requests, SearchServices, SendRequest, Workspace};
use crate::error::Error;
use crate::transport::blocking::{BlockingTransport, Blocks};

/// The blocking client of the service.
///
/// A clone is cheap, and shares connections and configuration.
#[derive(Clone)]
pub struct Client {
    pub(crate) client: crate::Client,
}

impl Client {
    /// Creates a client with an API key and the default configuration.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`build`](ClientBuilder::build) of the builder.
    #[cfg(feature = "ureq")]
    pub fn new(api_key: impl Into<String>) -> Result<Self, Error> {
        Self::builder().api_key(api_key).build()
    }

    /// Creates a client with the API key in the environment variable `FETCH_HIVE_API_KEY`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`build`](ClientBuilder::build) of the builder.
    #[cfg(feature = "ureq")]
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
        Call::new(self.client.clone(), request)
    }

    /// Creates a call of a request that was built by hand. See
    /// [`call_raw`](crate::Client::call_raw) of the async client.
    pub fn call_raw(&self, request: http::Request<Bytes>, retry: Retry) -> Call<RawRequest> {
        Call::new(self.client.clone(), RawRequest::new(request, retry))
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
        f.debug_tuple("blocking::Client").field(&self.client).finish()
    }
}

impl<E: Endpoint + 'static> Call<E> {
    /// Sends the call, and blocks until its response is received.
    ///
    /// # Errors
    ///
    /// Returns the same errors as any call. Returns
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `client` on a thread that must not
    /// block: see [`blocking`](crate::blocking).
    pub fn send(self) -> Result<ApiResponse<E::Response>, Error> {
        block_on(self.response())?
    }
}

impl Call<RawRequest> {
    /// Sends the request, and blocks until its response is received.
    ///
    /// # Errors
    ///
    /// Returns the same errors as any call. Returns
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `client` on a thread that must not
    /// block: see [`blocking`](crate::blocking).
    pub fn send(self) -> Result<ApiResponse<Bytes>, Error> {
        block_on(self.raw_response())?
    }
}

impl<E: StreamingEndpoint + Clone + 'static> Call<E> {
    /// Sends the call, and returns its event stream when the head of the response is received.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`stream`](crate::Call::stream) of the async client, and as
    /// [`send`](Self::send).
    pub fn stream(self) -> Result<EventStream<E>, Error> {
        block_on(self.event_stream())?.map(EventStream::new)
    }
}

impl ClientBuilder {
    /// Sets the HTTP stack that sends the requests, instead of ureq.
    pub fn transport(mut self, transport: impl BlockingTransport) -> Self {
        self.transport = Some(Arc::new(Blocks(transport)));
        self
    }

    /// Sets an async transport that needs no runtime, whose futures run on the calling thread. It
    /// is useful in tests.
    pub fn async_transport(mut self, transport: impl crate::Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Checks the configuration and builds the client. No connection is opened.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`build`](crate::ClientBuilder::build) of the async client.
    /// Returns an error for `transport` if none is set and the feature `ureq` is disabled.
    pub fn build(mut self) -> Result<Client, Error> {
        if self.transport.is_none() {
            self.transport = Some(Arc::new(Blocks(default_transport()?)));
        }
        self.clock.get_or_insert_with(|| Arc::new(ThreadClock));
        Ok(Client { client: self.finish()? })
    }
}

#[cfg(feature = "ureq")]
fn default_transport() -> Result<crate::transport::UreqTransport, Error> {
    crate::transport::UreqTransport::builder().build()
}

/// The default transport without the feature `ureq`, which cannot be constructed.
#[cfg(not(feature = "ureq"))]
enum NoTransport {}

#[cfg(not(feature = "ureq"))]
impl BlockingTransport for NoTransport {
    fn send(
        &self,
        _: http::Request<RequestBody>,
    ) -> Result<http::Response<Box<dyn std::io::Read + Send>>, crate::TransportError> {
        match *self {}
    }
}

#[cfg(not(feature = "ureq"))]
fn default_transport() -> Result<NoTransport, Error> {
    Err(InvalidInput::new("transport", "is required: set one, or enable the feature `ureq`").into())
}
