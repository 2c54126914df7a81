use std::fmt;
use std::sync::Arc;

use fetch_hive_core::engine::RepeatPolicy;
use fetch_hive_core::types::InvokeWorkflow;
use fetch_hive_core::{Api, Endpoint, Limits};

#[cfg(feature = "hyper")]
use crate::Error;
use crate::credentials::Credentials;
use crate::{Call, ClientBuilder, Clock, Transport};

/// The Fetch Hive client.
///
/// A clone is cheap and shares connections and configuration. Building one needs no runtime and opens no connection.
///
/// ```no_run
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
    pub(crate) limits: Limits,
    pub(crate) policy: RepeatPolicy,
    pub(crate) max_reply_bytes: usize,
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
    pub fn send<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Call::new(self.clone(), request)
    }

    /// Runs a workflow deployment: see [`InvokeWorkflow`]. The reply is a [`WorkflowRun`](crate::types::WorkflowRun).
    ///
    /// A direct run is answered when it has ended, which takes seconds to minutes. If its reply is lost on the way, it cannot be looked
    /// up: see [`Error::may_have_run`].
    pub fn invoke_workflow(&self, deployment: impl Into<String>) -> Call<InvokeWorkflow> {
        self.send(InvokeWorkflow::new(deployment))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { api, credentials, limits, policy, max_reply_bytes, .. } = &*self.shared;
        f.debug_struct("Client")
            .field("base_url", &api.base_url().as_str())
            .field("credentials", credentials)
            .field("timeout", &limits.deadline)
            .field("connect_timeout", &limits.connect)
            .field("headers_timeout", &limits.headers)
            .field("idle_timeout", &limits.idle)
            .field("repeat", policy)
            .field("max_reply_bytes", max_reply_bytes)
            .finish_non_exhaustive()
    }
}
