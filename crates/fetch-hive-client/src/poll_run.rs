use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use fetch_hive_core::types::{GetRequest, RequestId, RequestRecord};
use fetch_hive_core::{ApiResponse, RateLimit};
use http::StatusCode;

use crate::clock::Stopwatch;
use crate::execute::random_bits;
use crate::resources::Requests;
use crate::{Client, Error, ErrorKind, WaitError};

/// The operation name in errors from waiting.
pub(crate) const WAIT: &str = "wait";

/// The default timeout of a wait. The service's documentation suggests 600 s for workflow runs.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// How long after the start of a wait an unknown run may not have been recorded yet.
const UNKNOWN_RUN_GRACE: Duration = Duration::from_secs(30);

impl Requests<Client> {
    /// Waits until a run has ended by looking it up repeatedly, without a callback.
    ///
    /// It needs only the request id, so any process can wait for any run in the workspace.
    ///
    /// ```no_run
    /// # use fetch_hive_client::Client;
    /// # async fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let record = client.requests().wait("req_1").await?;
    /// println!("{}", record.to_run().into_output()?);
    /// # Ok(()) }
    /// ```
    ///
    /// The first look-up is made after 5 s, and the interval then doubles up to 60 s, because
    /// look-ups may count towards the plan's daily cap on API calls (unconfirmed). Set another
    /// [interval](PollRun::interval) for runs that are short or have already ended.
    ///
    /// A 404 response within the first 30 s means that the run may not have been recorded yet.
    /// After that, it is returned as an error.
    ///
    /// # Approvals
    ///
    /// Use [`until_approval`](PollRun::until_approval) to also return when the run needs a decision
    /// on a tool action. After the decision, wait again. The run continues on the server, so do not
    /// invoke it again (see the [contract](crate::types::contract#approvals)).
    ///
    /// ```no_run
    /// # use fetch_hive_client::Client;
    /// # async fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use fetch_hive_client::types::{ApprovalDecision, ApprovalFilter};
    ///
    /// let approvals = client.workspace("ws_1").approvals();
    /// let record = loop {
    ///     let record = client.requests().wait("req_1").until_approval().await?;
    ///     if !record.is_awaiting_approval() {
    ///         break record;
    ///     }
    ///     let mut pending = approvals.all(ApprovalFilter::new().request_id("req_1"));
    ///     while let Some(approval) = pending.next().await {
    ///         let id = approval?.id.unwrap_or_default();
    ///         approvals.decide(id, ApprovalDecision::AllowOnce).await?;
    ///     }
    /// };
    /// println!("{}", record.to_run().into_output()?);
    /// # Ok(()) }
    /// ```
    pub fn wait(&self, id: impl Into<RequestId>) -> PollRun {
        PollRun::new(self.client.clone(), id.into())
    }
}

/// A call that looks up a run repeatedly until it has ended.
///
/// Nothing is sent until the call is awaited, or until its method `send` is called in the blocking
/// client. Dropping the future stops the look-ups, but does not stop the run.
#[must_use = "nothing is sent until it is awaited or sent"]
pub struct PollRun<C = Client> {
    client: Client,
    kind: PhantomData<fn() -> C>,
    id: RequestId,
    timeout: Option<Duration>,
    interval: Duration,
    max_interval: Duration,
    until_approval: bool,
    on_progress: Option<Box<ProgressHook>>,
}

type ProgressHook = dyn FnMut(&RequestRecord) + Send;

impl<C> PollRun<C> {
    pub(crate) fn new(client: Client, id: RequestId) -> Self {
        Self {
            client,
            kind: PhantomData,
            id,
            timeout: Some(DEFAULT_TIMEOUT),
            interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(60),
            until_approval: false,
            on_progress: None,
        }
    }

    /// Sets how long to wait for the run to end. Defaults to 600 s. With `None`, there is no
    /// timeout.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the delay before the first look-up, and the maximum interval between two look-ups.
    /// Defaults to 5 s and 60 s.
    ///
    /// Each interval is twice as long as the previous one, with a random variation of up to 10 % so
    /// that concurrent waits do not send their look-ups at the same time. The interval is never
    /// shorter than 1 ms or than the time in a `Retry-After` header.
    pub fn interval(mut self, first: Duration, longest: Duration) -> Self {
        self.interval = first;
        self.max_interval = longest;
        self
    }

    /// Also returns when the run needs a decision on a tool action, as reported by
    /// [`is_awaiting_approval`](RequestRecord::is_awaiting_approval).
    pub fn until_approval(mut self) -> Self {
        self.until_approval = true;
        self
    }

    /// Sets a function that is called with the record after each look-up.
    pub fn on_progress(mut self, hook: impl FnMut(&RequestRecord) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(hook));
        self
    }

    /// Looks up the run until it has ended, for the async and the blocking client.
    pub(crate) async fn execute(mut self) -> Result<ApiResponse<RequestRecord>, Error> {
        let clock = std::sync::Arc::clone(&self.client.shared.clock);
        let started = Stopwatch::start(&*clock);
        let remaining = |timeout| started.remaining(&*clock, timeout);
        self.check_id()?;
        let (mut interval, mut last_status, mut last_error) = (self.interval, None, None::<Error>);
        let mut is_known = false;
        loop {
            let retry_after = last_error.as_ref().and_then(Error::retry_after).unwrap_or_default();
            let pause = jitter(interval, random_bits(clock.wall())).max(retry_after).max(MIN_INTERVAL);
            interval = interval.saturating_mul(2).min(self.max_interval);
            match self.timeout {
                Some(timeout) if remaining(timeout) <= pause => {
                    // The next look-up would be made after the timeout.
                    clock.sleep(remaining(timeout)).await;
                    let request_id = Some(self.id);
                    let last_error = last_error.map(Into::into);
                    let error = WaitError::Timeout { request_id, timeout, last_status, last_error };
                    return Err(Error::new(WAIT, ErrorKind::Wait(Box::new(error))));
                }
                _ => clock.sleep(pause).await,
            }
            let mut call = self.client.requests().get(&self.id);
            if let Some(timeout) = self.timeout {
                call = call.with_max_timeout(remaining(timeout));
            }
            last_error = match call.await {
                Ok(record) => {
                    if let Some(hook) = &mut self.on_progress {
                        hook(&record);
                    }
                    if record.has_ended() {
                        self.run_ended();
                    }
                    if record.has_ended() || self.until_approval && record.is_awaiting_approval() {
                        return Ok(record);
                    }
                    is_known = true;
                    last_status.clone_from(&record.status);
                    None
                }
                Err(error) if is_temporary(&error) => Some(error),
                Err(error) if is_not_found(&error) && !is_known && started.elapsed(&*clock) < UNKNOWN_RUN_GRACE => {
                    Some(error)
                }
                Err(error) => return Err(error),
            };
        }
    }

    /// Frees the slot that the run still occupies.
    fn run_ended(&self) {
        if let Some(limiter) = &self.client.shared.run_limiter {
            limiter.run_ended(&self.id);
        }
    }

    /// Rejects an invalid id before the first delay.
    fn check_id(&self) -> Result<(), Error> {
        let request = GetRequest::new(&self.id);
        match self.client.shared.api.request_with(&request, None) {
            // The API key is fetched for each look-up, so an invalid key is not an error yet.
            Err(invalid) if invalid.field != "api_key" => Err(Error::new(WAIT, ErrorKind::Invalid(invalid))),
            _ => Ok(()),
        }
    }
}

impl IntoFuture for PollRun {
    /// The record of a run that has completed or failed.
    ///
    /// The error is [`WaitError::Timeout`] if the run does not end within the timeout, or the error
    /// of a look-up that cannot succeed later, such as an unknown id, an invalid key or the daily
    /// cap. A look-up that fails with a temporary error is retried.
    type Output = Result<ApiResponse<RequestRecord>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}

/// Returns whether a later look-up may succeed.
fn is_temporary(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Transport(_) | ErrorKind::Credentials(_) => true,
        ErrorKind::Api(api) => {
            let status_is_temporary = api.status.is_server_error() || matches!(api.status.as_u16(), 408 | 429);
            status_is_temporary && !matches!(api.rate_limit(), Some(RateLimit::DailyCap { .. }))
        }
        _ => false,
    }
}

fn is_not_found(error: &Error) -> bool {
    error.api().is_some_and(|api| api.status == StatusCode::NOT_FOUND)
}

/// Shortens or lengthens an interval by up to 10 %.
fn jitter(interval: Duration, random: u64) -> Duration {
    let fraction = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
    Duration::try_from_secs_f64(interval.as_secs_f64() * (0.9 + 0.2 * fraction)).unwrap_or(Duration::MAX)
}

impl<C> fmt::Debug for PollRun<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollRun").field("id", &self.id).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
