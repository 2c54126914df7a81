use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
#[cfg(not(feature = "ureq"))]
use fetch_hive_core::InvalidInput;
use fetch_hive_core::types::{
    AgentId, EndpointId, InvokeAgent, InvokeHiveAgent, InvokePrompt, InvokeWorkflow, ListErrorCodes, ListModels,
    TriggerAgent, TriggerPrompt, TriggerWorkflow, VariantId, WebhookSecret, WorkspaceId,
};
use fetch_hive_core::{ApiResponse, Endpoint, Retry};

use super::run::{ThreadClock, block_on};
use super::transport::Blocks;
use super::{BlockingTransport, Call, ClientBuilder, EventStream};
use crate::resources::{Delegations, Requests, SearchServices, SendRequest, Workspace};
use crate::{Error, StreamingEndpoint};

/// The blocking client. A clone is cheap and shares connections and configuration.
#[derive(Clone)]
pub struct Client {
    pub(crate) client: crate::Client,
}

impl Client {
    /// A client with an API key and the defaults.
    ///
    /// # Errors
    ///
    /// As `build` of the builder.
    #[cfg(feature = "ureq")]
    pub fn new(api_key: impl Into<String>) -> Result<Self, Error> {
        Self::builder().api_key(api_key).build()
    }

    /// A client with the API key of the environment variable `FETCH_HIVE_API_KEY`, and the defaults.
    ///
    /// # Errors
    ///
    /// As `build` of the builder.
    #[cfg(feature = "ureq")]
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A client with a configuration of its own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Sends any request of [`fetch_hive_core::types`], or an [`Endpoint`] of your own.
    pub fn call<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Call::new(self.client.clone(), request)
    }

    /// Sends a request that was put together by hand: see [`call_raw`](crate::Client::call_raw) of the async client.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn call_raw(&self, request: http::Request<Bytes>, repeat: Retry) -> Result<ApiResponse<Bytes>, Error> {
        block_on(self.client.call_raw(request, repeat))?
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
        f.debug_tuple("blocking::Client").field(&self.client).finish()
    }
}

impl<E: Endpoint + 'static> Call<E> {
    /// Sends the call, and blocks until its reply is in.
    ///
    /// # Errors
    ///
    /// As any call; also [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `client` where this thread must not block: see
    /// [`blocking`](crate::blocking).
    pub fn send(self) -> Result<ApiResponse<E::Response>, Error> {
        block_on(self.reply())?
    }
}

impl<E: StreamingEndpoint + Clone + 'static> Call<E> {
    /// Sends the call and returns when the head of the reply is in: the events are read as they are asked for.
    ///
    /// # Errors
    ///
    /// As [`stream`](crate::Call::stream) of the async client, and as [`send`](Self::send).
    pub fn stream(self) -> Result<EventStream<E>, Error> {
        block_on(self.open())?.map(EventStream::new)
    }
}

impl ClientBuilder {
    /// Another HTTP stack than ureq.
    pub fn transport(mut self, transport: impl BlockingTransport) -> Self {
        self.transport = Some(Arc::new(Blocks(transport)));
        self
    }

    /// An async transport that needs no runtime: it is awaited on the thread that calls. Those of `test_util` are such.
    pub fn async_transport(mut self, transport: impl crate::Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Checks the configuration and makes the client. Opens no connection.
    ///
    /// # Errors
    ///
    /// As [`build`](crate::ClientBuilder::build) of the async client; no transport, when the feature `ureq` is off and none is given.
    pub fn build(mut self) -> Result<Client, Error> {
        if self.transport.is_none() {
            self.transport = Some(Arc::new(Blocks(default_transport()?)));
        }
        self.clock.get_or_insert_with(|| Arc::new(ThreadClock));
        Ok(Client { client: self.finish()? })
    }
}

#[cfg(feature = "ureq")]
fn default_transport() -> Result<super::UreqTransport, Error> {
    super::UreqTransport::builder().build()
}

/// There is none.
#[cfg(not(feature = "ureq"))]
enum Nothing {}

#[cfg(not(feature = "ureq"))]
impl BlockingTransport for Nothing {
    fn send(
        &self,
        _: http::Request<Bytes>,
    ) -> Result<http::Response<Box<dyn std::io::Read + Send>>, crate::TransportError> {
        match *self {}
    }
}

#[cfg(not(feature = "ureq"))]
fn default_transport() -> Result<Nothing, Error> {
    Err(InvalidInput::new("transport", "is required: the feature `ureq`, which brings one, is off").into())
}
