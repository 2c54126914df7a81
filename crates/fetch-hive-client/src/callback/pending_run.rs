use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use fetch_hive_core::callback::{Delivery, Verifier};
use fetch_hive_core::types::{RequestId, WebhookSecret};
use fetch_hive_core::{ApiResponse, InvalidInput};
use serde::{Deserialize, Serialize};

use super::receiver::Receiver;
use super::run_token::RunToken;
use crate::poll_run::{DEFAULT_TIMEOUT, WAIT};
use crate::{Client, Error, ErrorKind, WaitError};

/// A run that the service has accepted, with the response to its invocation and a way to wait for
/// its callback.
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

    /// Returns the secret that signs the callback of the run, from the response or from the request
    /// of a trigger.
    pub fn webhook_secret(&self) -> Option<&WebhookSecret> {
        self.pending.webhook_secret()
    }
}

/// A token for resuming a pending run, in this process or after a restart.
///
/// Serialize it to store it. The serialized form contains the webhook secret as plain text, and
/// anyone who can read the secret can sign callbacks of the deployment. If you store the secret
/// elsewhere, set [`webhook_secret`](Self::webhook_secret) to `None` first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResumeToken {
    /// The request id of the run, if the response contained one. Use it to look up the run with
    /// [`Requests::get`](crate::resources::Requests::get).
    pub request_id: Option<RequestId>,
    /// The random last segment of the run's callback URL. Without the secret, it only lets a sender
    /// have deliveries held in memory.
    pub token: String,
    /// The secret that signs the callback of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<WebhookSecret>,
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeToken").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// A run whose callback has not been received yet. Dropping it stops waiting, but does not stop the
/// run.
pub struct PendingRun<C = Client> {
    client: Client,
    kind: PhantomData<fn() -> C>,
    receiver: Receiver,
    run_token: RunToken,
    resume_token: ResumeToken,
    timeout: Option<Duration>,
}

impl<C> PendingRun<C> {
    /// Registers the run with the receiver, so that its callbacks are held or verified.
    pub(super) fn open(client: Client, receiver: Receiver, run_token: RunToken) -> Self {
        receiver.pending_runs.open(&run_token);
        let resume_token = ResumeToken { request_id: None, token: run_token.as_str().to_owned(), webhook_secret: None };
        Self { client, kind: PhantomData, receiver, run_token, resume_token, timeout: Some(DEFAULT_TIMEOUT) }
    }

    /// Records the request id and the secret of the run.
    pub(super) fn set_started(
        &mut self,
        operation: &'static str,
        request_id: Option<RequestId>,
        webhook_secret: Option<WebhookSecret>,
    ) -> Result<(), Error> {
        let verifier: Verifier = match &webhook_secret {
            Some(secret) => self.receiver.verifier.with_secret(secret.clone()),
            None => self.receiver.verifier.clone(),
        };
        if verifier.is_empty() {
            return Err(Error::new(operation, ErrorKind::Wait(Box::new(WaitError::NoSecret { request_id }))));
        }
        self.receiver.pending_runs.started(&self.run_token, &verifier, request_id.as_ref());
        self.resume_token.request_id = request_id;
        self.resume_token.webhook_secret = webhook_secret;
        Ok(())
    }

    pub(crate) fn resume(client: Client, receiver: &Receiver, token: ResumeToken) -> Result<Self, Error> {
        let Some(run_token) = RunToken::parse(&token.token) else {
            let invalid = InvalidInput::new("token", "is not the token of a pending run");
            return Err(Error::new(WAIT, ErrorKind::Invalid(invalid)));
        };
        let mut pending = Self::open(client, receiver.clone(), run_token);
        pending.set_started(WAIT, token.request_id, token.webhook_secret)?;
        Ok(pending)
    }

    /// Returns the token for resuming this run with [`Client::resume`].
    pub fn resume_token(&self) -> &ResumeToken {
        &self.resume_token
    }

    /// Returns the request id of the run, if the response to its invocation contained one.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.resume_token.request_id.as_ref()
    }

    /// Returns the secret that signs the callback of the run, if it is known separately from the
    /// receiver's secrets.
    pub fn webhook_secret(&self) -> Option<&WebhookSecret> {
        self.resume_token.webhook_secret.as_ref()
    }

    /// Sets how long each call of `event` waits. Defaults to 600 s; `None` waits without a limit.
    pub fn timeout(&mut self, timeout: impl Into<Option<Duration>>) -> &mut Self {
        self.timeout = timeout.into();
        self
    }

    /// Waits for the event that ends the run, for the configured timeout.
    pub(crate) async fn wait(&mut self) -> Result<Delivery, Error> {
        self.wait_for(self.timeout).await
    }

    /// Waits for the event that ends the run. `remaining` is the unused part of the timeout.
    pub(super) async fn wait_for(&mut self, remaining: Option<Duration>) -> Result<Delivery, Error> {
        let clock = &self.client.shared.clock;
        let mut sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        let request_id = || self.resume_token.request_id.clone();
        let error = |error| Err(Error::new(WAIT, ErrorKind::Wait(Box::new(error))));
        poll_fn(|cx| {
            match self.receiver.pending_runs.poll_take(&self.run_token, cx.waker()) {
                Poll::Ready(Some(delivery)) => return Poll::Ready(Ok(delivery)),
                Poll::Ready(None) => return Poll::Ready(error(WaitError::AlreadyTaken { request_id: request_id() })),
                Poll::Pending => {}
            }
            let Some(remaining) = remaining else { return Poll::Pending };
            let sleep = sleep.get_or_insert_with(|| clock.sleep(remaining));
            sleep.as_mut().poll(cx).map(|()| {
                let timeout = self.timeout.unwrap_or(remaining);
                error(WaitError::Timeout { request_id: request_id(), timeout, last_status: None, last_error: None })
            })
        })
        .await
    }
}

impl PendingRun {
    /// Waits for the event that ends the run. It may be called again after a timeout.
    ///
    /// Events that do not end the run, such as those of its delegations, are passed to the handler
    /// of [`Receiver::receive`] instead.
    ///
    /// # Errors
    ///
    /// - [`WaitError::Timeout`] if the event does not arrive within the [timeout](Self::timeout)
    /// - [`WaitError::AlreadyTaken`] if an earlier call already returned the event
    pub async fn event(&mut self) -> Result<Delivery, Error> {
        self.wait().await
    }
}

impl Client {
    /// Resumes waiting for the callback of a run, in this process or after a restart.
    ///
    /// The receiver must have the same callback URL as before. An event that arrived in this
    /// process within the last hour, while nothing waited for it, is returned at once. An event
    /// that arrived before a restart was answered with 503, and is returned when the service
    /// redelivers it. If the service has stopped redelivering, use
    /// [`Requests::wait`](crate::resources::Requests::wait) instead.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`] if the token does not belong to a pending run
    /// - [`WaitError::NoSecret`] if neither the token nor the receiver has a secret
    pub fn resume(&self, receiver: &Receiver, token: ResumeToken) -> Result<PendingRun, Error> {
        PendingRun::resume(self.clone(), receiver, token)
    }
}

impl<C> Drop for PendingRun<C> {
    fn drop(&mut self) {
        self.receiver.pending_runs.close(&self.run_token);
    }
}

impl<C> fmt::Debug for PendingRun<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRun").field("request_id", &self.resume_token.request_id).finish_non_exhaustive()
    }
}
