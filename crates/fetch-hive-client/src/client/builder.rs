use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::types::{ApiKey, InvalidSecret};
use fetch_hive_core::{Api, BaseUrl, InvalidInput, KeyHeader};

use super::Client;
use super::options::CallOptions;
use crate::clock::Clock;
use crate::credentials::{CredentialProvider, Credentials};
use crate::error::Error;
use crate::execute::{
    AttemptHook, AttemptReport, CallHook, CallReport, MemoryRunLimiter, RunHook, RunLimiter, RunReport, Server, Shared,
    UsageHook, UsageReport,
};
use crate::transport::Transport;

/// The environment variable that contains the API key, if none is set on the builder.
pub const API_KEY_VARIABLE: &str = "FETCH_HIVE_API_KEY";

/// A builder for a [`Client`].
///
/// Invalid settings are reported by [`build`](ClientBuilder::build).
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder<C = Client> {
    api_key: Option<Result<ApiKey, InvalidSecret>>,
    provider: Option<Arc<dyn CredentialProvider>>,
    base_url: Option<String>,
    allow_plain_http: bool,
    allow_plain_http_callbacks: bool,
    user_agent: Option<String>,
    pub(super) options: CallOptions,
    max_response_bytes: usize,
    max_event_bytes: usize,
    max_error_bytes: usize,
    max_concurrent_runs: Option<usize>,
    unresolved_run_hold: Duration,
    run_limiter: Option<Arc<dyn RunLimiter>>,
    on_usage: Option<UsageHook>,
    on_attempt: Option<AttemptHook>,
    on_call: Option<CallHook>,
    on_run: Option<RunHook>,
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
            allow_plain_http_callbacks: false,
            user_agent: None,
            max_concurrent_runs: None,
            run_limiter: None,
            on_usage: None,
            on_attempt: None,
            on_call: None,
            on_run: None,
            transport: None,
            clock: None,
            kind: PhantomData,
        }
    }

    /// Sets the API key. By default, it is read from the environment variable `FETCH_HIVE_API_KEY`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(ApiKey::new(key));
        self
    }

    /// Sets a provider that returns the API key for each attempt. It takes precedence over a fixed
    /// key.
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Sets the base URL. The default is `https://api.fetchhive.com/v1`.
    ///
    /// The scheme is https, or http for a loopback host.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Allows a base URL with plain http for any host. The API key is then sent unencrypted.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// Allows callback URLs with plain http for any host.
    ///
    /// Anyone on the network path can then read the callbacks. Use it in a private network, such as
    /// that of a compose file in which the emulator calls `http://app:3000`.
    pub fn allow_plain_http_callbacks(mut self) -> Self {
        self.allow_plain_http_callbacks = true;
        self
    }

    /// Adds a suffix to the user agent, such as the name and version of your program.
    pub fn user_agent(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent = Some(suffix.into());
        self
    }

    /// Sets the largest response body that is accepted, in bytes after decompression. The default
    /// is 64 MiB.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Sets the largest event of a stream that is accepted, in bytes after decompression. The
    /// default is 16 MiB.
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// Sets the largest part of an error response body that is read, in bytes after decompression.
    /// The default is 1 MiB.
    ///
    /// A larger body is truncated, which does not change the error otherwise.
    pub fn max_error_bytes(mut self, bytes: usize) -> Self {
        self.max_error_bytes = bytes;
        self
    }

    /// Limits the number of concurrent runs of this client and its clones. By default, it is
    /// unlimited.
    ///
    /// Set it to your plan's limit (Lite 1, Starter 3, Pro 5) to avoid 429 responses from the
    /// service.
    ///
    /// If the limit is reached, a call waits in a fair queue until its timeout expires. Dropping
    /// the call leaves the queue. The run of a direct workflow, prompt or agent call counts until
    /// its response or its stream ends. A run that was started with [`start`](crate::Call::start)
    /// or [`run_and_wait`](crate::Call::run_and_wait) counts until its event arrives. A run whose
    /// callback URL you set yourself counts only until the service accepts it, because the client
    /// does not learn when it ends.
    ///
    /// The limit applies to one process. [`run_limiter`](Self::run_limiter) sets a limiter that
    /// several processes share.
    pub fn max_concurrent_runs(mut self, runs: usize) -> Self {
        self.max_concurrent_runs = Some(runs);
        self
    }

    /// Sets how long an unresolved run occupies its slot. The default is 60 s.
    ///
    /// A run is unresolved after a timeout, a lost connection or a gateway error, and after its
    /// call or stream was dropped. This setting applies only to
    /// [`max_concurrent_runs`](Self::max_concurrent_runs).
    pub fn unresolved_run_hold(mut self, hold: Duration) -> Self {
        self.unresolved_run_hold = hold;
        self
    }

    /// Sets a limiter for concurrent runs, which replaces
    /// [`max_concurrent_runs`](Self::max_concurrent_runs).
    pub fn run_limiter(mut self, limiter: Arc<dyn RunLimiter>) -> Self {
        self.run_limiter = Some(limiter);
        self
    }

    /// Sets a function that receives a report of each attempt, for metrics.
    ///
    /// The function runs in the caller's task, and should return quickly.
    pub fn on_attempt(mut self, hook: impl Fn(AttemptReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_attempt = Some(Arc::new(hook));
        self
    }

    /// Sets a function that receives a report of each call, for metrics.
    ///
    /// The function runs in the caller's task, and should return quickly.
    pub fn on_call(mut self, hook: impl Fn(CallReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_call = Some(Arc::new(hook));
        self
    }

    /// Sets a function that receives a report of each run whose result was received, for metrics.
    ///
    /// A direct run is reported when its call returns, and a streamed run when its stream ends or
    /// is dropped. A run that ends by callback is reported when its
    /// [`PendingRun`](crate::callback::PendingRun) receives the event. Runs that were
    /// [resumed](Client::resume), runs whose callback URL you set yourself, and runs that were
    /// started by a raw request are not reported.
    ///
    /// The function runs in the caller's task, and should return quickly.
    pub fn on_run(mut self, hook: impl Fn(RunReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_run = Some(Arc::new(hook));
        self
    }

    /// Sets a function that receives the token usage of each response and stream that reports it.
    ///
    /// The function runs in the caller's task, and should return quickly.
    pub fn on_usage(mut self, hook: impl Fn(UsageReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_usage = Some(Arc::new(hook));
        self
    }

    /// Sets the clock for timeouts and waits. The default is tokio's, which needs the feature
    /// `hyper`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Builds the async client, which the blocking client also uses. The transport and the clock
    /// must be set.
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
        if self.allow_plain_http_callbacks {
            api = api.allow_plain_http_callbacks();
        }
        if let Some(suffix) = self.user_agent {
            api = api.user_agent_suffix(suffix)?;
        }
        for (field, limit) in [
            ("max_concurrent_runs", self.max_concurrent_runs),
            ("max_response_bytes", Some(self.max_response_bytes)),
            ("max_event_bytes", Some(self.max_event_bytes)),
            // Without the body of an error, the daily cap could not be told from other limits.
            ("max_error_bytes", Some(self.max_error_bytes)),
        ] {
            if limit == Some(0) {
                return Err(InvalidInput::new(field, "must be at least 1").into());
            }
        }
        let clock = self.clock.ok_or_else(|| InvalidInput::new("clock", "is required"))?;
        if let Some(invalid) = self.options.invalid {
            return Err(invalid.into());
        }
        let run_limiter = match (self.run_limiter, self.max_concurrent_runs) {
            (Some(_), Some(_)) => {
                let reason = "is set together with `run_limiter`; set the number of runs on the limiter";
                return Err(InvalidInput::new("max_concurrent_runs", reason).into());
            }
            (None, Some(max_runs)) => {
                let limiter = MemoryRunLimiter::new(max_runs, self.unresolved_run_hold, Arc::clone(&clock));
                Some(limiter as Arc<dyn RunLimiter>)
            }
            (limiter, None) => limiter,
        };
        let shared = Shared {
            server: Server::of(api.base_url().as_str()),
            run_limiter,
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
            on_run: self.on_run,
        };
        Ok(Client { shared: Arc::new(shared), defaults: Arc::new(self.options) })
    }
}

impl ClientBuilder {
    /// Sets the HTTP stack that sends the requests. The default is
    /// [`HyperTransport`](crate::HyperTransport).
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Checks the configuration and builds the client. No connection is opened, and no runtime is
    /// needed.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with the name of the field if:
    /// - the API key is missing, blank, in quotes, begins with `Bearer`, or contains bytes that a
    ///   header cannot contain;
    /// - the base URL has no scheme or host, has an invalid port, or uses plain http for a host
    ///   that is not loopback;
    /// - a proxy variable or a certificate variable of the environment is invalid;
    /// - the user agent or a header is invalid;
    /// - a limit is zero;
    /// - there is no transport, clock or cryptography, because the feature that provides it is
    ///   disabled.
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
                    std::env::VarError::NotPresent => {
                        "is required: set it on the builder, or set the variable FETCH_HIVE_API_KEY"
                    }
                    std::env::VarError::NotUnicode(_) => "in the variable FETCH_HIVE_API_KEY is not valid Unicode",
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
    Err(InvalidInput::new("transport", "is required: set one, or enable the feature `hyper`").into())
}

#[cfg(feature = "hyper")]
#[allow(clippy::unnecessary_wraps, reason = "fails if the feature is disabled")]
fn default_clock() -> Result<Arc<dyn Clock>, Error> {
    Ok(Arc::new(crate::clock::TokioClock))
}

#[cfg(not(feature = "hyper"))]
fn default_clock() -> Result<Arc<dyn Clock>, Error> {
    Err(InvalidInput::new("clock", "is required: set one, or enable the feature `hyper`").into())
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
