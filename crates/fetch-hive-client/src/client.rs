use std::fmt;
use std::sync::Arc;

use fetch_hive_core::engine::RepeatPolicy;
use fetch_hive_core::types::{
    AgentId, AgentTrigger, DeploymentTrigger, EndpointId, InvokeAgent, InvokeHiveAgent, InvokePrompt, InvokeWorkflow,
    ListErrorCodes, ListModels, TriggerAgent, TriggerPrompt, TriggerWorkflow, VariantId, WebhookSecret, WorkspaceId,
};
use fetch_hive_core::{Api, Endpoint, Limits};

#[cfg(feature = "hyper")]
use crate::Error;
use crate::credentials::Credentials;
use crate::places::Places;
use crate::report::{AttemptHook, CallHook};
use crate::resources::{Delegations, Requests, SearchServices, Sends, Workspace};
use crate::trace::Server;
use crate::usage::UsageHook;
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
    pub(crate) max_event_bytes: usize,
    pub(crate) max_error_bytes: usize,
    pub(crate) places: Option<Arc<Places>>,
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

    /// Runs a prompt deployment: see [`InvokePrompt`]. The reply is a [`PromptReply`](crate::types::PromptReply).
    pub fn invoke_prompt(&self, deployment: impl Into<String>) -> Call<InvokePrompt> {
        self.send(InvokePrompt::new(deployment))
    }

    /// Sends a message to an agent: see [`InvokeAgent`]. The reply is an [`AgentReply`](crate::types::AgentReply).
    pub fn invoke_agent(&self, agent: impl Into<AgentId>, message: impl Into<String>) -> Call<InvokeAgent> {
        self.send(InvokeAgent::new(agent, message))
    }

    /// Gives a hive agent an objective; the outcome goes to the callback URL: see [`InvokeHiveAgent`].
    pub fn invoke_hive_agent(
        &self,
        hive_agent: impl Into<AgentId>,
        objective: impl Into<String>,
        callback_url: impl Into<String>,
    ) -> Call<InvokeHiveAgent> {
        self.send(InvokeHiveAgent::new(hive_agent, objective, callback_url.into()))
    }

    /// Starts a workflow with its webhook secret, and without the API key: see [`TriggerWorkflow`].
    pub fn trigger_workflow(
        &self,
        endpoint: impl Into<EndpointId>,
        variant: impl Into<VariantId>,
        secret: impl Into<WebhookSecret>,
        body: DeploymentTrigger,
    ) -> Call<TriggerWorkflow> {
        self.send(TriggerWorkflow::new(endpoint, variant, secret, body))
    }

    /// Starts a prompt with its webhook secret, and without the API key: see [`TriggerPrompt`].
    pub fn trigger_prompt(
        &self,
        endpoint: impl Into<EndpointId>,
        variant: impl Into<VariantId>,
        secret: impl Into<WebhookSecret>,
        body: DeploymentTrigger,
    ) -> Call<TriggerPrompt> {
        self.send(TriggerPrompt::new(endpoint, variant, secret, body))
    }

    /// Sends a message to an agent with its webhook secret, and without the API key: see [`TriggerAgent`].
    pub fn trigger_agent(
        &self,
        agent: impl Into<AgentId>,
        secret: impl Into<WebhookSecret>,
        body: AgentTrigger,
    ) -> Call<TriggerAgent> {
        self.send(TriggerAgent::new(agent, secret, body))
    }

    /// A workspace, and what belongs to it.
    pub fn workspace(&self, id: impl Into<WorkspaceId>) -> Workspace<Self> {
        Workspace { client: self.clone(), workspace_id: id.into() }
    }

    /// What the service remembers of runs.
    pub fn requests(&self) -> Requests<Self> {
        Requests { client: self.clone() }
    }

    /// Work that agents handed off.
    pub fn delegations(&self) -> Delegations<Self> {
        Delegations { client: self.clone() }
    }

    /// The search services that workflows use.
    pub fn search_services(&self) -> SearchServices<Self> {
        SearchServices { client: self.clone() }
    }

    /// Lists the models: see [`ListModels`].
    pub fn models(&self) -> Call<ListModels> {
        self.send(ListModels::new())
    }

    /// Reads the catalogue of error codes, in a language such as `es`, or in the service's default one: see [`ListErrorCodes`].
    pub fn error_codes(&self, locale: Option<&str>) -> Call<ListErrorCodes> {
        self.send(ListErrorCodes::new(locale.map(str::to_owned)))
    }
}

impl Sends for Client {
    type Call<E: Endpoint + 'static> = Call<E>;

    fn send<E: Endpoint + 'static>(&self, request: E) -> Call<E> {
        Self::send(self, request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { api, credentials, limits, policy, max_reply_bytes, places, .. } = &*self.shared;
        f.debug_struct("Client")
            .field("base_url", &api.base_url().as_str())
            .field("credentials", credentials)
            .field("timeout", &limits.deadline)
            .field("connect_timeout", &limits.connect)
            .field("headers_timeout", &limits.headers)
            .field("idle_timeout", &limits.idle)
            .field("repeat", policy)
            .field("max_reply_bytes", max_reply_bytes)
            .field("places", places)
            .finish_non_exhaustive()
    }
}
