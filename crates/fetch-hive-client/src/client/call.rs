use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::stream::{Streaming, StreamingEndpoint};
use fetch_hive_core::{ApiResponse, Auth, Endpoint, Operation, Timeouts};
use http::StatusCode;

use super::options::CallOptions;
use super::{Call, Client};
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, PartialResponse};
use crate::execute::{
    BuildRequest, Executed, PreparedCall, ResponseMode, RunLimiter, RunPermit, RunTelemetry, UsageReport, execute,
};
use crate::stream::EventStream;

/// The response to starting a run that ends by callback, with the run's permit and report.
pub(crate) type Accepted<R> = (ApiResponse<R>, Option<RunPermit>, Option<Box<RunTelemetry>>);

impl<E, C> Call<E, C> {
    pub(crate) fn new(client: Client, request: E) -> Self {
        let options = client.defaults.for_call();
        Self { client, kind: PhantomData, request, options }
    }

    /// Reduces the timeout of the call to this one, unless it is shorter already.
    pub(crate) fn with_max_timeout(self, timeout: Duration) -> Self {
        let current = self.options.timeouts.deadline;
        self.timeout(current.map_or(timeout, |current| current.min(timeout)))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Calls a function with the number of bytes of the request body that were passed to the
    /// connection, and their total number. A retry starts again with small numbers.
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), fetch_hive_client::Error> {
    /// use fetch_hive_client::open_asset_file;
    ///
    /// let file = open_asset_file("video.mp4", "video/mp4")?;
    /// let call = client.workspace("ws_1").assets().upload(file.max_bytes(4 << 30)).timeout(None);
    /// call.on_upload_progress(|sent, total| println!("{sent} of {total} bytes")).await?;
    /// # Ok(()) }
    /// ```
    pub fn on_upload_progress(mut self, hook: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.options.hooks().on_upload_progress = Some(Arc::new(hook));
        self
    }

    /// Sets a limiter for this call, which replaces the client's limiter.
    ///
    /// A batch uses it to send a row for which it has already acquired a permit.
    pub fn run_limiter(mut self, limiter: Arc<dyn RunLimiter>) -> Self {
        self.options.hooks().run_limiter = Some(limiter);
        self
    }

    /// Returns the request as set so far.
    pub fn request(&self) -> &E {
        &self.request
    }

    /// Replaces the request with the result of a function.
    pub fn map(self, change: impl FnOnce(E) -> E) -> Self {
        self.map_into(change)
    }

    pub(super) fn map_into<W>(self, change: impl FnOnce(E) -> W) -> Call<W, C> {
        let Self { client, kind, request, options } = self;
        Call { client, kind, request: change(request), options }
    }

    /// Returns the limiter of this call, or the client's limiter if the call has none.
    fn active_run_limiter(&self) -> Option<&Arc<dyn RunLimiter>> {
        let own = self.options.hooks.as_ref().and_then(|hooks| hooks.run_limiter.as_ref());
        own.or(self.client.shared.run_limiter.as_ref())
    }

    /// Executes an operation with the options of this call, except for the timeouts.
    pub(super) async fn execute(
        &self,
        operation: &Operation,
        target: Option<&str>,
        timeouts: &Timeouts,
        needs_key: bool,
        mode: ResponseMode,
        build: &BuildRequest<'_>,
    ) -> Result<Executed, Error> {
        let CallOptions { retry, headers, invalid, hooks, .. } = &self.options;
        if let Some(invalid) = invalid {
            return Err(Error::new(operation.name, ErrorKind::Invalid(invalid.clone())));
        }
        let on_upload_progress = hooks.as_ref().and_then(|hooks| hooks.on_upload_progress.as_ref());
        let retry = *retry;
        let run_limiter = self.active_run_limiter();
        let call = PreparedCall {
            operation,
            target,
            timeouts,
            retry,
            headers,
            on_upload_progress,
            needs_key,
            mode,
            run_limiter,
            build,
        };
        execute(&self.client.shared, &call).await
    }
}

impl<E: Endpoint, C> Call<E, C> {
    /// Executes an endpoint, which is the request or a wrapper of it.
    async fn execute_endpoint<W: Endpoint>(
        &self,
        endpoint: &W,
        timeouts: &Timeouts,
        mode: ResponseMode,
    ) -> Result<Executed, Error> {
        let shared = &self.client.shared;
        let operation = Operation::of::<W>();
        if operation.occupies_run_slot && self.active_run_limiter().is_some() {
            // Invalid input is reported before the call waits for a run slot.
            shared.validate(endpoint)?;
        }
        let needs_key = matches!(endpoint.auth(), Auth::ApiKey);
        let target = endpoint.target();
        self.execute(&operation, target, timeouts, needs_key, mode, &|key| shared.api.request_with(endpoint, key)).await
    }
}

impl<E: Endpoint + 'static, C> Call<E, C> {
    /// Sends the call, for either kind of client.
    ///
    /// It borrows the call, because a future that owns its argument stores it twice.
    pub(crate) async fn response(&self) -> Result<ApiResponse<E::Response>, Error> {
        let timeouts = self.options.timeouts_of(&Operation::of::<E>());
        let executed = self.execute_endpoint(&self.request, &timeouts, ResponseMode::Complete).await?;
        self.parse(executed)
    }

    /// Reports invalid input without sending anything.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.client.shared.validate(&self.request)
    }

    /// Sends the call, and returns the response with the permit and the report of the run, which
    /// ends by callback.
    pub(crate) async fn response_and_permit(&self) -> Result<Accepted<E::Response>, Error> {
        let timeouts = self.options.timeouts_of(&Operation::of::<E>());
        let mut executed = self.execute_endpoint(&self.request, &timeouts, ResponseMode::UntilCallback).await?;
        let (permit, run) = (executed.permit.take(), executed.run.take());
        Ok((self.parse(executed)?, permit, run))
    }

    fn parse(&self, executed: Executed) -> Result<ApiResponse<E::Response>, Error> {
        let (attempts, waited) = (executed.attempts, executed.waited);
        // After 202, the result arrives by callback.
        let run = executed.run.filter(|_| executed.response.status() != StatusCode::ACCEPTED);
        let response = match fetch_hive_core::parse_response::<E>(executed.response) {
            Ok(response) => response,
            Err(error) => {
                let error = Error::from_core(E::NAME, error).with_attempts(attempts, waited);
                if let Some(run) = run {
                    run.end(None, Some(error.error_type()));
                }
                return Err(error.with_operation(&Operation::of::<E>()));
            }
        };
        let hook = self.client.shared.on_usage.as_ref();
        if let (Some(hook), Some(usage), Some(target)) = (hook, E::usage(&response), self.request.target()) {
            hook(UsageReport { operation: E::NAME, target, usage });
        }
        if let Some(run) = run {
            run.end(E::run_status(&response), None);
        }
        Ok(response.with_attempts(attempts, waited))
    }
}

impl<E: Endpoint + 'static> IntoFuture for Call<E> {
    type Output = Result<ApiResponse<E::Response>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.response().await })
    }
}

impl<E: StreamingEndpoint + Clone + 'static> Call<E> {
    /// Sends the call, and returns its event stream when the head of the response is received.
    ///
    /// The call has no timeout unless [`timeout`](Call::timeout) is set, which then limits the
    /// whole stream. Dropping the stream closes its connection (HTTP/1.1) or resets it (HTTP/2).
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), fetch_hive_client::Error> {
    /// use fetch_hive_client::types::StreamEvent;
    ///
    /// let mut events = client.invoke_agent("agent", "hi").stream().await?;
    /// while let Some(event) = events.next().await {
    ///     match &*event? {
    ///         StreamEvent::Response(chunk) => print!("{}", chunk.response),
    ///         StreamEvent::Usage(end) => println!("\n{:?}", end.usage),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the same errors as any call, with the body of an error response. Returns
    /// [`ErrorKind::NotAStream`](crate::ErrorKind::NotAStream) if a success response is not an
    /// event stream.
    pub async fn stream(self) -> Result<EventStream<E>, Error> {
        self.event_stream().await
    }
}

impl<E: StreamingEndpoint + Clone + 'static, C> Call<E, C> {
    /// Sends the call and returns its event stream, for either kind of client.
    pub(crate) async fn event_stream(&self) -> Result<EventStream<E>, Error> {
        let mut timeouts = self.options.timeouts;
        if !self.options.timeout_is_explicit {
            timeouts.deadline = None;
        }
        let clock = &*self.client.shared.clock;
        let started = Stopwatch::start(clock);
        let mut executed =
            self.execute_endpoint(&Streaming(self.request.clone()), &timeouts, ResponseMode::EventStream).await?;
        let Some(body) = executed.stream_body.take() else {
            let (parts, body) = executed.response.into_parts();
            let received = body.len() as u64;
            let partial = PartialResponse { status: parts.status, headers: parts.headers, body, received };
            let error = Error::new(E::NAME, ErrorKind::NotAStream).with_partial(Some(partial));
            if let Some(run) = executed.run {
                run.end(None, Some(error.error_type()));
            }
            return Err(error.with_attempts(executed.attempts, executed.waited));
        };
        timeouts.deadline = timeouts.deadline.map(|deadline| started.remaining(clock, deadline));
        Ok(EventStream::new(Arc::clone(&self.client.shared), &self.request, timeouts, executed, body))
    }
}

impl<E: fmt::Debug, C> fmt::Debug for Call<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &self.request)
            .field("timeouts", &self.options.timeouts)
            .finish_non_exhaustive()
    }
}
