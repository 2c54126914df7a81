use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::callback::Delivery;
use fetch_hive_core::types::{RequestId, RunStatus, WebhookSecret};
use fetch_hive_core::{ApiResponse, InvalidInput};
use serde::{Deserialize, Serialize};

use super::pending_runs::{AcceptedRun, PendingRunState, PendingRuns, TakeResult};
use super::receiver::Receiver;
use super::renewal::with_renewal;
use super::run_token::RunToken;
use crate::clock::{Stopwatch, completes_within};
use crate::execute::{RunEnd, RunPermit, RunTelemetry};
use crate::poll_run::{DEFAULT_TIMEOUT, WAIT};
use crate::{BoxError, Client, Error, ErrorKind, WaitError};

/// A run that the service has accepted, with the response to its invocation and a handle for
/// waiting for its callback.
#[derive(Debug)]
#[non_exhaustive]
pub struct StartedRun<R, C = Client> {
    /// The response to the invocation.
    pub response: ApiResponse<R>,
    /// The run whose callback is pending. Dropping it stops waiting, but does not stop the run.
    pub pending: PendingRun<C>,
}

impl<R, C> StartedRun<R, C> {
    /// Returns the request id of the run, if the response contains one.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.pending.request_id()
    }

    /// Returns the secret that signs the run's callback. It comes from the response or from the
    /// request for a webhook trigger.
    pub fn webhook_secret(&self) -> Option<&WebhookSecret> {
        self.pending.webhook_secret()
    }
}

/// A token for resuming a pending run, in this process or after a restart.
///
/// Serialize the token to store it. The serialized form contains the webhook secret in plain text,
/// and anyone who can read the secret can sign callbacks for the deployment. If you store the
/// secret elsewhere, set [`webhook_secret`](Self::webhook_secret) to `None` first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResumeToken {
    /// The request id of the run, if the response contained one. Use it to look up the run with
    /// [`Requests::get`](crate::resources::Requests::get).
    pub request_id: Option<RequestId>,
    /// The random last segment of the run's callback URL. A sender who has the token but not the
    /// secret can only cause deliveries to be held in memory.
    pub token: String,
    /// The secret that signs the run's callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<WebhookSecret>,
}

impl From<RunToken> for ResumeToken {
    /// Resumes a run whose response was not read, such as one from
    /// [`start_with_token`](crate::Call::start_with_token).
    fn from(token: RunToken) -> Self {
        Self { request_id: None, token: token.as_str().to_owned(), webhook_secret: None }
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeToken").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// A run whose callback has not been handled yet. Dropping it stops waiting, but does not stop the
/// run.
pub struct PendingRun<C = Client> {
    client: Client,
    kind: PhantomData<fn() -> C>,
    receiver: Receiver,
    run_token: RunToken,
    resume_token: ResumeToken,
    timeout: Option<Duration>,
    /// The permit for the run, until the run is known to have ended.
    permit: Option<RunPermit>,
    /// The report of the run, until its result is received.
    pub(super) run: Option<Box<RunTelemetry>>,
    /// The number of the event that was taken but has not been acknowledged.
    taken: Option<u64>,
}

impl<C> PendingRun<C> {
    /// Opens the run in the store, so that its callbacks are held or verified.
    pub(super) async fn open(client: Client, receiver: Receiver, run_token: RunToken) -> Result<Self, BoxError> {
        receiver.pending_runs.open(&run_token).await?;
        let resume_token = ResumeToken::from(run_token.clone());
        let kind = PhantomData;
        let timeout = Some(DEFAULT_TIMEOUT);
        Ok(Self { client, kind, receiver, run_token, resume_token, timeout, permit: None, run: None, taken: None })
    }

    /// Removes a run that was certainly not started. Errors of the store are ignored.
    pub(super) async fn cancel(self) {
        let _ = self.pending_runs().cancel(&self.run_token).await;
    }

    /// Records the request id, the secret and the permit of the run.
    pub(super) async fn set_started(
        &mut self,
        operation: &'static str,
        request_id: Option<RequestId>,
        webhook_secret: Option<WebhookSecret>,
        permit: Option<RunPermit>,
    ) -> Result<(), Error> {
        self.resume_token.request_id.clone_from(&request_id);
        self.resume_token.webhook_secret.clone_from(&webhook_secret);
        self.permit = permit;
        if let Some(permit) = &mut self.permit {
            if let Some(request_id) = &request_id {
                permit.run_started(request_id);
            }
            permit.set_end(RunEnd::MayBeRunning { request_id: request_id.clone() });
        }
        let started = self.receiver.run_started(&self.run_token, AcceptedRun::new(request_id.clone(), webhook_secret));
        match started.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(wait_error(operation, WaitError::NoSecret { request_id })),
            Err(source) => Err(wait_error(operation, WaitError::Store { request_id, source })),
        }
    }

    pub(crate) async fn resume(client: Client, receiver: &Receiver, token: ResumeToken) -> Result<Self, Error> {
        let Some(run_token) = RunToken::parse(&token.token) else {
            let invalid = InvalidInput::new("token", "is not the token of a pending run");
            return Err(Error::new(WAIT, ErrorKind::Invalid(invalid)));
        };
        let request_id = token.request_id.clone();
        let mut pending = Self::open(client, receiver.clone(), run_token)
            .await
            .map_err(|source| wait_error(WAIT, WaitError::Store { request_id, source }))?;
        let (mut request_id, mut webhook_secret) = (token.request_id, token.webhook_secret);
        if let Ok(Some(PendingRunState::Started(known))) = pending.pending_runs().find(&pending.run_token).await {
            request_id = request_id.or(known.request_id);
            webhook_secret = webhook_secret.or(known.webhook_secret);
        }
        pending.set_started(WAIT, request_id, webhook_secret, None).await?;
        Ok(pending)
    }

    fn pending_runs(&self) -> Arc<dyn PendingRuns> {
        Arc::clone(&self.receiver.pending_runs)
    }

    /// Returns the token for resuming this run with [`Client::resume`].
    pub fn resume_token(&self) -> &ResumeToken {
        &self.resume_token
    }

    /// Returns the request id of the run, if the response to its invocation contained one.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.resume_token.request_id.as_ref()
    }

    /// Returns the secret that signs the run's callback, if it is known separately from the
    /// receiver's secrets.
    pub fn webhook_secret(&self) -> Option<&WebhookSecret> {
        self.resume_token.webhook_secret.as_ref()
    }

    /// Sets how long each call to `event` or `handle` waits for the event. Defaults to 600 s.
    /// `None` disables the timeout.
    pub fn timeout(&mut self, timeout: impl Into<Option<Duration>>) -> &mut Self {
        self.timeout = timeout.into();
        self
    }

    /// Waits up to the configured timeout for the event that ends the run, and acknowledges the
    /// event.
    pub(crate) async fn wait(&mut self) -> Result<Delivery, Error> {
        self.wait_for(self.timeout).await
    }

    /// Waits for the event that ends the run, and acknowledges the event. `remaining` is the unused
    /// part of the timeout.
    pub(super) async fn wait_for(&mut self, remaining: Option<Duration>) -> Result<Delivery, Error> {
        let delivery = self.take(remaining).await?;
        self.acknowledge().await?;
        Ok(delivery)
    }

    /// Waits for the event that ends the run, runs the handler, and acknowledges the event if the
    /// handler succeeds.
    pub(crate) async fn take_and_handle<T, E, F, H>(&mut self, handler: H) -> Result<T, E>
    where
        H: FnOnce(Delivery) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let delivery = self.take_event().await?;
        let result = self.renewed(handler(delivery)).await;
        self.settle(result.is_ok()).await?;
        result
    }

    /// Waits for the event that ends the run, and takes it for the duration of the lease.
    pub(crate) async fn take_event(&mut self) -> Result<Delivery, Error> {
        self.take(self.timeout).await
    }

    /// Acknowledges the taken event if it was handled, and gives it back otherwise.
    pub(crate) async fn settle(&mut self, handled: bool) -> Result<(), Error> {
        if handled {
            return self.acknowledge().await;
        }
        self.give_back().await;
        Ok(())
    }

    /// Runs a future, and renews the lease of the taken event while it runs.
    async fn renewed<F: Future>(&self, future: F) -> F::Output {
        let Some(number) = self.taken else { return future.await };
        let (runs, token, lease) = (self.pending_runs(), &self.run_token, self.receiver.lease);
        with_renewal(&*self.client.shared.clock, lease, pin!(future), || runs.renew(token, number, lease)).await
    }

    /// Takes the event that ends the run.
    async fn take(&mut self, remaining: Option<Duration>) -> Result<Delivery, Error> {
        self.give_back().await;
        let runs = self.pending_runs();
        let clock = Arc::clone(&self.client.shared.clock);
        let started = Stopwatch::start(&*clock);
        let mut waiting = None;
        loop {
            let taken = runs.take(&self.run_token, self.receiver.lease).await;
            let taken = taken.map_err(|source| self.error(|request_id| WaitError::Store { request_id, source }))?;
            let changed = match taken {
                TakeResult::Event { delivery, taken } => {
                    self.taken = Some(taken);
                    self.run_ended();
                    let delivery = Delivery::from_verified(delivery.body);
                    if let Some(run) = self.run.take() {
                        run.end(delivery.event.run_status().as_ref().map(RunStatus::as_str), None);
                    }
                    return Ok(delivery);
                }
                TakeResult::Acknowledged | TakeResult::UnknownRun => {
                    return Err(self.error(|request_id| WaitError::AlreadyTaken { request_id }));
                }
                // The previous wait ends only now, so the store always knows of a waiter.
                TakeResult::Pending(changed) => waiting.insert(changed),
            };
            let limit = remaining.map(|remaining| (&*clock, started.remaining(&*clock, remaining)));
            if !completes_within(changed, limit).await {
                let timeout = self.timeout.or(remaining).unwrap_or_default();
                let (last_status, last_error) = (None, None);
                return Err(self.error(|request_id| WaitError::Timeout {
                    request_id,
                    timeout,
                    last_status,
                    last_error,
                }));
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<(), Error> {
        let Some(taken) = self.taken.take() else { return Ok(()) };
        let acknowledged = self.pending_runs().acknowledge(&self.run_token, taken).await;
        acknowledged.map_err(|source| self.error(|request_id| WaitError::Store { request_id, source }))
    }

    /// Gives back the taken event. If this fails, the event becomes available when its lease
    /// expires.
    async fn give_back(&mut self) {
        if let Some(taken) = self.taken.take() {
            let _ = self.pending_runs().give_back(&self.run_token, taken).await;
        }
    }

    /// Frees the run's slot. Call this if you have learned in another way that the run has ended.
    ///
    /// If you drop the pending run instead, the limiter holds the slot as for any unresolved run.
    pub fn run_ended(&mut self) {
        match (self.permit.take(), &self.client.shared.run_limiter, &self.resume_token.request_id) {
            (Some(mut permit), ..) => permit.set_end(RunEnd::Ended),
            (None, Some(limiter), Some(request_id)) => limiter.run_ended(request_id),
            _ => {}
        }
    }

    fn error(&self, kind: impl FnOnce(Option<RequestId>) -> WaitError) -> Error {
        wait_error(WAIT, kind(self.resume_token.request_id.clone()))
    }
}

fn wait_error(operation: &'static str, error: WaitError) -> Error {
    Error::new(operation, ErrorKind::Wait(Box::new(error)))
}

impl PendingRun {
    /// Waits for the event that ends the run, and acknowledges the event. You can call it again
    /// after a timeout.
    ///
    /// Once it returns, the service does not redeliver the event. If the process then ends before
    /// your program has used the event, the event is lost. [`handle`](Self::handle) acknowledges
    /// the event only after your handler returns successfully.
    ///
    /// Events that do not end the run, such as those of its delegations, are passed to the handler
    /// of [`Receiver::receive`] instead.
    ///
    /// # Errors
    ///
    /// - [`WaitError::Timeout`] if the event does not arrive within the [timeout](Self::timeout)
    /// - [`WaitError::AlreadyTaken`] if an earlier wait already acknowledged the event
    /// - [`WaitError::Store`] if the store of the pending runs fails
    pub async fn event(&mut self) -> Result<Delivery, Error> {
        self.wait().await
    }

    /// Waits for the event that ends the run, runs a handler, and acknowledges the event when the
    /// handler succeeds.
    ///
    /// If the handler fails or the process ends, the next waiter receives the event. The next
    /// waiter is a later call or a [resumed](Client::resume) run. The event's
    /// [lease](Receiver::lease) is renewed while the handler runs.
    ///
    /// ```no_run
    /// # async fn store(_: &fetch_hive_client::callback::Delivery) {}
    /// use fetch_hive_client::callback::PendingRun;
    /// use fetch_hive_client::{BoxError, Error};
    ///
    /// async fn finish(mut pending: PendingRun) -> Result<(), BoxError> {
    ///     let handled = pending.handle(|delivery| async move {
    ///         store(&delivery).await;
    ///         Ok::<_, Error>(())
    ///     });
    ///     Ok(handled.await?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error from the handler, or an error as described for [`event`](Self::event). If
    /// the lease expired and another waiter took the event, the error is [`WaitError::Store`] with
    /// [`ClaimLost`](super::ClaimLost).
    pub async fn handle<T, E, F, H>(&mut self, handler: H) -> Result<T, E>
    where
        H: FnOnce(Delivery) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        self.take_and_handle(handler).await
    }
}

impl Client {
    /// Resumes waiting for the callback of a run, in this process or after a restart.
    ///
    /// The receiver must have the same callback URL as before. Which events are available depends
    /// on the receiver's [`PendingRuns`]. With the default, an event that arrived in this process
    /// within the last hour while nothing was waiting for it is available immediately. The receiver
    /// responded with 503 to an event that arrived before a restart, so this event becomes
    /// available when the service redelivers it. If the service no longer redelivers it, use
    /// [`Requests::wait`](crate::resources::Requests::wait) instead.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`] if the token does not belong to a pending run
    /// - [`WaitError::NoSecret`] if neither the token, the receiver nor its store contains a secret
    /// - [`WaitError::Store`] if the store of the pending runs fails
    pub async fn resume(&self, receiver: &Receiver, token: ResumeToken) -> Result<PendingRun, Error> {
        PendingRun::resume(self.clone(), receiver, token).await
    }
}

impl<C> Drop for PendingRun<C> {
    fn drop(&mut self) {
        self.receiver.pending_runs.close(&self.run_token, self.taken);
    }
}

impl<C> fmt::Debug for PendingRun<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRun").field("request_id", &self.resume_token.request_id).finish_non_exhaustive()
    }
}
