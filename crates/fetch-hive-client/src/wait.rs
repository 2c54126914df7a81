use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use fetch_hive_core::types::{EscapedLine, RequestId, RequestRecord, RunStatus};
use fetch_hive_core::{RateLimit, ApiResponse};

use crate::execute::random_bits;
use crate::resources::Requests;
use crate::{Client, Error, ErrorKind};

/// The name of a wait in errors.
pub(crate) const WAIT: &str = "wait";

/// Why a wait for a run ended without its outcome. The run itself goes on, or has ended: look it up by its request id, and do not start it
/// again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time ran out.
    #[error(
        "{} has not ended within {waited:?}{}; it may go on: wait for it again or look it up by this id, and do not start it again",
        Run(request_id),
        Seen(last_status)
    )]
    Deadline {
        /// The run.
        request_id: Option<RequestId>,
        /// How long was waited.
        waited: Duration,
        /// Where the run stood when it was last looked up: `awaiting_approval`, for example.
        last_status: Option<RunStatus>,
        /// Why the last attempt to look it up failed, if it did.
        #[source]
        last_error: Option<Box<Error>>,
    },
    /// No secret is known that the callback could be verified with: the reply held none, and the receiver has none.
    #[error(
        "there is no webhook secret to verify the callback of {} with; it was started: look it up by this id",
        Run(request_id)
    )]
    NoSecret {
        /// The run.
        request_id: Option<RequestId>,
    },
    /// The event was handed over before.
    #[error("the event that ended {} was handed over before; look it up by this id", Run(request_id))]
    Taken {
        /// The run.
        request_id: Option<RequestId>,
    },
}

impl WaitError {
    /// The run that was waited for.
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Deadline { request_id, .. } | Self::NoSecret { request_id } | Self::Taken { request_id } => {
                request_id.as_ref()
            }
        }
    }
}

struct Run<'a>(&'a Option<RequestId>);

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "the run {}", EscapedLine(id)),
            None => f.write_str("a run whose request id the reply did not name"),
        }
    }
}

struct Seen<'a>(&'a Option<RunStatus>);

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |status| write!(f, " (it was last seen {})", EscapedLine(status)))
    }
}

impl Requests<Client> {
    /// Waits until a run has ended, by looking it up at growing intervals. It needs no callback and no receiver; all it knows is the request
    /// id, so it can be dropped and taken up again anywhere.
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let record = client.requests().wait("req_1").timeout(Duration::from_secs(600)).await?;
    /// println!("{}", record.to_run().into_output()?);
    /// # Ok(()) }
    /// ```
    ///
    /// A run that stops for the decision on a tool action is seen with [`until_approval`](PollRun::until_approval). Decide, and wait on;
    /// the run goes on by itself, and must not be invoked again (contract, section 8).
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), Box<dyn std::error::Error>> {
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
    ///         approvals.decide(approval?.id.unwrap_or_default(), ApprovalDecision::AllowOnce).await?;
    ///     }
    /// };
    /// println!("{}", record.to_run().into_output()?);
    /// # Ok(()) }
    /// ```
    pub fn wait(&self, id: impl Into<RequestId>) -> PollRun {
        PollRun::new(self.client.clone(), id.into())
    }
}

/// The wait for the end of a run by looking it up. Nothing is sent until it is awaited; dropping the awaited future ends the wait, and not
/// the run.
#[must_use = "a wait does nothing until it is awaited"]
pub struct PollRun<C = Client> {
    client: Client,
    kind: PhantomData<fn() -> C>,
    id: RequestId,
    timeout: Option<Duration>,
    interval: Duration,
    longest: Duration,
    until_approval: bool,
    progress: Option<Box<Progress>>,
}

/// No look comes sooner after another.
const SHORTEST: Duration = Duration::from_millis(1);

type Progress = dyn FnMut(&RequestRecord) + Send;

impl<C> PollRun<C> {
    pub(crate) fn new(client: Client, id: RequestId) -> Self {
        Self {
            client,
            kind: PhantomData,
            id,
            timeout: Some(Duration::from_secs(600)),
            interval: Duration::from_secs(1),
            longest: Duration::from_secs(15),
            until_approval: false,
            progress: None,
        }
    }

    /// How long to wait: 600 s by default; `None` for as long as it takes.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The first interval between two looks, and the longest: 1 s and 15 s by default. Each is half as long again as the one before,
    /// and up to a tenth shorter or longer at random, so that many waits do not ask at once. None is shorter than a millisecond, or than a
    /// refused look was asked to wait.
    pub fn interval(mut self, first: Duration, longest: Duration) -> Self {
        self.interval = first;
        self.longest = longest;
        self
    }

    /// Ends too when the run waits for the decision on a tool action: see
    /// [`is_awaiting_approval`](RequestRecord::is_awaiting_approval).
    pub fn until_approval(mut self) -> Self {
        self.until_approval = true;
        self
    }

    /// Calls a function with the record at each look.
    pub fn on_progress(mut self, progress: impl FnMut(&RequestRecord) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Looks until the run has ended, for whichever kind of client.
    pub(crate) async fn ended(mut self) -> Result<ApiResponse<RequestRecord>, Error> {
        let clock = std::sync::Arc::clone(&self.client.shared.clock);
        let began = clock.now();
        let (mut interval, mut last_status) = (self.interval, None);
        loop {
            let left = |timeout: Duration| timeout.saturating_sub(clock.now().saturating_duration_since(began));
            let mut look = self.client.requests().get(&self.id);
            if let Some(timeout) = self.timeout {
                look = look.with_max_timeout(left(timeout));
            }
            let last_error = match look.await {
                Ok(record) => {
                    if let Some(progress) = &mut self.progress {
                        progress(&record);
                    }
                    if record.has_ended() || self.until_approval && record.is_awaiting_approval() {
                        return Ok(record);
                    }
                    last_status.clone_from(&record.status);
                    None
                }
                Err(error) if passes(&error) => Some(Box::new(error)),
                Err(error) => return Err(error),
            };
            let asked = last_error.as_ref().and_then(|error| error.retry_after()).unwrap_or_default();
            let pause = spread(interval, random_bits()).max(asked).max(SHORTEST);
            interval = interval.saturating_mul(3).checked_div(2).unwrap_or(interval).min(self.longest);
            match self.timeout {
                None => clock.sleep(pause).await,
                Some(timeout) if left(timeout) > pause => clock.sleep(pause).await,
                Some(timeout) => {
                    // One more look would come too late.
                    clock.sleep(left(timeout)).await;
                    let request_id = Some(self.id);
                    let error = WaitError::Deadline { request_id, waited: timeout, last_status, last_error };
                    return Err(Error::new(WAIT, ErrorKind::Wait(Box::new(error))));
                }
            }
        }
    }
}

impl IntoFuture for PollRun {
    /// The record of the run that has ended, well or badly.
    ///
    /// The error is [`WaitError::Deadline`] when the time ran out, or that of a look that cannot succeed later: an id that the service does
    /// not know, a key that it refuses, the daily cap. Faults that pass are waited out.
    type Output = Result<ApiResponse<RequestRecord>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ended())
    }
}

/// Whether a look that failed may succeed later.
fn passes(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Transport(_) | ErrorKind::Credentials(_) => true,
        ErrorKind::Api(api) => {
            let may_pass = api.status.is_server_error() || matches!(api.status.as_u16(), 408 | 429);
            may_pass && !matches!(api.rate_limit(), Some(RateLimit::DailyCap { .. }))
        }
        _ => false,
    }
}

/// An interval, a tenth shorter or longer at the most.
fn spread(interval: Duration, random: u64) -> Duration {
    // Of the random bits, 32 are plenty.
    let share = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
    interval.mul_f64(0.9 + 0.2 * share)
}

impl<C> fmt::Debug for PollRun<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollRun").field("id", &self.id).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
