use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::types::{ApiKey, InvalidSecret};
use fetch_hive_core::{Api, BaseUrl, InvalidInput, KeyHeader};

use super::client::Client;
use super::options::CallOptions;
use crate::clock::Clock;
use crate::credentials::{CredentialProvider, Credentials};
use crate::error::Error;
use crate::execute::{
    AttemptHook, AttemptReport, CallHook, CallReport, MemoryRunLimiter, Server, Shared, UsageHook, UsageReport,
};
use crate::transport::Transport;

/// The environment variable that an API key is taken from when none is given.
pub const API_KEY_VARIABLE: &str = "FETCH_HIVE_API_KEY";

/// The configuration of a [`Client`]. Whatever is wrong with it is reported by [`build`](ClientBuilder::build).
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder<C = Client> {
    api_key: Option<Result<ApiKey, InvalidSecret>>,
    provider: Option<Arc<dyn CredentialProvider>>,
    base_url: Option<String>,
    allow_plain_http: bool,
    user_agent: Option<String>,
    pub(super) options: CallOptions,
    max_response_bytes: usize,
    max_event_bytes: usize,
    max_error_bytes: usize,
    max_concurrent_runs: Option<usize>,
    unresolved_run_hold: Duration,
    on_usage: Option<UsageHook>,
    on_attempt: Option<AttemptHook>,
    on_call: Option<CallHook>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    kind: PhantomData<fn() -> C>,
}

impl<C> ClientBuilder<C> {
    pub(crate) fn new() -> Self {
        Self {
            options: CallOptions::default(),
            max_response_bytes: 64 << 20,
            max_event_bytes: 16 << 20,
            max_error_bytes: 1 << 20,
            unresolved_run_hold: Duration::from_secs(60),
            api_key: None,
            provider: None,
            base_url: None,
            allow_plain_http: false,
            user_agent: None,
            max_concurrent_runs: None,
            on_usage: None,
            on_attempt: None,
            on_call: None,
            transport: None,
            clock: None,
            kind: PhantomData,
        }
    }

    /// The API key. Without one, the environment variable `FETCH_HIVE_API_KEY` is read.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(ApiKey::new(key));
        self
    }

    /// Asks for the API key at each attempt, instead of holding one.
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// The base URL; `https://api.fetchhive.com/v1` by default. https, or plain http to a loopback host.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Takes a plain http base URL of any host. The API key then crosses the network in the clear.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// Adds your program's name and version to the user agent.
    pub fn user_agent(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent = Some(suffix.into());
        self
    }

    /// The largest body of a reply that is taken, in bytes after decompression: 64 MiB by default.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// The largest event of a stream that is taken, in bytes after decompression: 16 MiB by default.
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// The largest body of a refusal that is kept, in bytes after decompression: 1 MiB by default. What is beyond it is not read; the
    /// refusal stays what it is.
    pub fn max_error_bytes(mut self, bytes: usize) -> Self {
        self.max_error_bytes = bytes;
        self
    }

    /// How many runs this client and its clones have under way at once, at the most; no limit by default. Set to what the plan allows (Lite
    /// 1, Starter 3, Pro 5), it keeps the service from answering 429 for want of a place.
    ///
    /// It counts the calls that are answered when a run has ended: direct workflow runs, prompts and agents, streamed ones until their
    /// stream ends. A call beyond the limit waits in line, first come, first served, within its deadline; one that is dropped leaves the
    /// line. Runs with callback delivery are answered at once and queue at the service, so they are counted only until then.
    pub fn max_concurrent_runs(mut self, runs: usize) -> Self {
        self.max_concurrent_runs = Some(runs);
        self
    }

    /// How long a place stays taken when nobody knows whether its run has ended: after a time limit, a lost connection, a gateway's error, or
    /// when the call or the stream was dropped. 60 s by default. Only with [`max_concurrent_runs`](Self::max_concurrent_runs).
    pub fn unresolved_run_hold(mut self, hold: Duration) -> Self {
        self.unresolved_run_hold = hold;
        self
    }

    /// Calls a function with how each attempt went: for metrics. It runs in the task that made the call, so it should be quick.
    pub fn on_attempt(mut self, hook: impl Fn(AttemptReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_attempt = Some(Arc::new(hook));
        self
    }

    /// Calls a function with how each call went, all attempts together: for metrics. It runs in the task that made the call, so it should be
    /// quick.
    pub fn on_call(mut self, hook: impl Fn(CallReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_call = Some(Arc::new(hook));
        self
    }

    /// Calls a function with the tokens of every reply that names them: to sum them up, for example. It runs in the task that made the call,
    /// so it should be quick.
    pub fn on_usage(mut self, hook: impl Fn(UsageReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_usage = Some(Arc::new(hook));
        self
    }

    /// Another clock than tokio's. Needed with a transport of your own when the feature `hyper` is off.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The async client, which is within each kind of client; transport and clock are there.
    pub(crate) fn finish(self) -> Result<Client, Error> {
        let credentials = match (self.provider, self.api_key) {
            (Some(provider), _) => Credentials::Provider(provider),
            (None, key) => Credentials::Key(KeyHeader::new(&api_key(key)?)?),
        };
        let base_url = match (self.base_url.as_deref(), self.allow_plain_http) {
            (None, _) => BaseUrl::default(),
            (Some(url), false) => BaseUrl::new(url)?,
            (Some(url), true) => BaseUrl::allow_plain_http(url)?,
        };
        let mut api = Api::new(base_url);
        if let Some(suffix) = self.user_agent {
            api = api.user_agent_suffix(suffix)?;
        }
        if self.max_concurrent_runs == Some(0) {
            return Err(InvalidInput::new("max_concurrent_runs", "must be at least 1").into());
        }
        let clock = self.clock.ok_or_else(|| InvalidInput::new("clock", "is required"))?;
        if let Some(invalid) = self.options.invalid {
            return Err(invalid.into());
        }
        let run_limiter = |max_runs| MemoryRunLimiter::new(max_runs, self.unresolved_run_hold, Arc::clone(&clock));
        let shared = Shared {
            server: Server::of(api.base_url().as_str()),
            run_limiter: self.max_concurrent_runs.map(run_limiter),
            api,
            credentials,
            transport: self.transport.ok_or_else(|| InvalidInput::new("transport", "is required"))?,
            clock,
            max_response_bytes: self.max_response_bytes,
            max_event_bytes: self.max_event_bytes,
            max_error_bytes: self.max_error_bytes,
            on_usage: self.on_usage,
            on_attempt: self.on_attempt,
            on_call: self.on_call,
        };
        Ok(Client { shared: Arc::new(shared), defaults: Arc::new(self.options) })
    }
}

impl ClientBuilder {
    /// Another HTTP stack than the one that is included.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Checks the configuration and makes the client. Opens no connection, and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), which names the field: no API key, a blank one, or one that a header cannot carry; a
    /// base URL without scheme or host, or with plain http beyond loopback; a user agent that a header cannot carry; no transport or no
    /// clock, or no cryptography, when the features that bring them are off.
    pub fn build(mut self) -> Result<Client, Error> {
        self.transport = Some(self.transport.map_or_else(default_transport, Ok)?);
        self.clock = Some(self.clock.map_or_else(default_clock, Ok)?);
        self.finish()
    }
}

fn api_key(explicit: Option<Result<ApiKey, InvalidSecret>>) -> Result<ApiKey, InvalidInput> {
    let key = match explicit {
        Some(key) => key,
        None => ApiKey::new(std::env::var(API_KEY_VARIABLE).map_err(|error| {
            InvalidInput::new(
                "api_key",
                match error {
                    std::env::VarError::NotPresent => "is required: pass a key, or set FETCH_HIVE_API_KEY",
                    std::env::VarError::NotUnicode(_) => "in FETCH_HIVE_API_KEY is no ASCII text",
                },
            )
        })?),
    };
    key.map_err(|invalid| InvalidInput::new("api_key", invalid.to_string()))
}

#[cfg(feature = "hyper")]
fn default_transport() -> Result<Arc<dyn Transport>, Error> {
    Ok(Arc::new(crate::transport::HyperTransport::builder().build()?))
}

#[cfg(not(feature = "hyper"))]
fn default_transport() -> Result<Arc<dyn Transport>, Error> {
    Err(InvalidInput::new("transport", "is required: the feature `hyper`, which brings one, is off").into())
}

#[cfg(feature = "hyper")]
#[allow(clippy::unnecessary_wraps, reason = "fails when the feature is off")]
fn default_clock() -> Result<Arc<dyn Clock>, Error> {
    Ok(Arc::new(crate::clock::TokioClock))
}

#[cfg(not(feature = "hyper"))]
fn default_clock() -> Result<Arc<dyn Clock>, Error> {
    Err(InvalidInput::new("clock", "is required: the feature `hyper`, which brings one, is off").into())
}

impl<C> std::fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url)
            .field("timeouts", &self.options.timeouts)
            .field("retry", &self.options.retry)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}
