use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use fetch_hive_core::callback::{Callback, Verifier};
use fetch_hive_core::types::{
    InvokeHiveAgent, InvokeWorkflow, RequestId, TriggerAgent, TriggerPrompt, TriggerWorkflow, WebhookSecret,
};
use fetch_hive_core::{Endpoint, InvalidInput, ApiResponse, SecretInQuery};
use serde::{Deserialize, Serialize};

use super::receiver::Receiver;
use super::token::Token;
use super::pending_runs::Found;
use crate::wait::{WAIT, WaitError};
use crate::{Call, Client, Error, ErrorKind};

/// A request whose run delivers its outcome to a callback URL: workflows, hive agents, and all triggers.
///
/// An agent is invoked with a callback URL too, but the reply to the invocation has the answer; to the URL go the events of what it left to the
/// background ([`AgentAsyncOptions`](fetch_hive_core::types::AgentAsyncOptions)), which are for a handler of [`Receiver::receive`]. One that stops for an
/// approval is waited for by [looking it up](crate::resources::Requests::wait). A prompt that is invoked has no callback; one that is triggered
/// has.
pub trait CallbackRun: Endpoint {
    /// The request with that callback URL, in place of its own.
    #[must_use]
    fn deliver_to(self, callback_url: String) -> Self;

    /// The run, as the reply names it.
    fn request_id(response: &Self::Response) -> Option<&RequestId>;

    /// The secret that signs the callback: the reply's, or the request's own.
    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret>;
}

impl CallbackRun for InvokeWorkflow {
    fn deliver_to(self, callback_url: String) -> Self {
        self.callback_url(callback_url)
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret> {
        response.webhook_secret.clone()
    }
}

impl CallbackRun for InvokeHiveAgent {
    fn deliver_to(mut self, callback_url: String) -> Self {
        self.async_mode.callback_url = callback_url;
        self
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret> {
        response.webhook_secret.clone()
    }
}

macro_rules! triggers {
    ($($trigger:ident)+) => {$(
        impl CallbackRun for $trigger {
            fn deliver_to(mut self, callback_url: String) -> Self {
                self.body.async_mode.callback_url = callback_url;
                self
            }

            fn request_id(response: &Self::Response) -> Option<&RequestId> {
                response.request_id.as_ref()
            }

            fn webhook_secret(&self, _: &Self::Response) -> Option<WebhookSecret> {
                Some(self.secret.clone())
            }
        }
    )+};
}

triggers!(TriggerWorkflow TriggerPrompt TriggerAgent);

impl<E: CallbackRun> CallbackRun for SecretInQuery<E> {
    fn deliver_to(self, callback_url: String) -> Self {
        Self(self.0.deliver_to(callback_url))
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        E::request_id(response)
    }

    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret> {
        self.0.webhook_secret(response)
    }
}

impl<E: CallbackRun + Clone + 'static> Call<E> {
    /// Starts a run and waits for its verified callback at a receiver in this process, no longer than `timeout` for both together.
    ///
    /// The callback URL of the run is made from [`Receiver::callback_url`]; one that the request has is replaced. A run that failed is an
    /// event like any other: [`into_output`](crate::types::CallbackEvent::into_output) tells.
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use fetch_hive_client::callback::Receiver;
    ///
    /// // A clone of it is in a server, which gives it what is posted below /callbacks.
    /// let receiver = Receiver::with_callback_url("https://example.com/callbacks");
    /// let call = client.invoke_workflow("weekly-report").input("topic", "enterprise AI");
    /// let event = call.run_and_wait(&receiver, Duration::from_secs(600)).await?;
    /// println!("{}", event.output_as::<String>()?);
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the future ends the wait, and not the run. To take a wait up again later, use [`start`](Call::start), which gives the
    /// [`ResumeToken`] for it.
    ///
    /// # Errors
    ///
    /// As [`start`](Call::start) and [`PendingRun::event`].
    pub async fn run_and_wait(
        self,
        receiver: &Receiver,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Callback, Error> {
        self.event(receiver, timeout.into()).await
    }

    /// Starts a run whose callback goes to a receiver in this process, and returns when the service has accepted it.
    ///
    /// # Errors
    ///
    /// As the call itself, and
    /// - [`ErrorKind::Invalid`] when the receiver has no callback URL; nothing was sent;
    /// - [`WaitError::NoSecret`] when the reply holds no secret and the receiver has none: the run was started, and its callback could not be
    ///   verified. Look it up by its request id.
    pub async fn start(self, receiver: &Receiver) -> Result<StartedRun<E::Response>, Error> {
        self.started(receiver).await
    }
}

impl<E: CallbackRun + Clone + 'static, C> Call<E, C> {
    /// The event that ends the run, for whichever kind of client the call is of.
    pub(crate) async fn event(self, receiver: &Receiver, timeout: Option<Duration>) -> Result<Callback, Error> {
        let clock = std::sync::Arc::clone(&self.client().shared.clock);
        let began = clock.now();
        let call = match timeout {
            Some(timeout) => self.with_max_timeout(timeout),
            None => self,
        };
        let mut started = call.started(receiver).await?;
        let left = timeout.map(|timeout| timeout.saturating_sub(clock.now().saturating_duration_since(began)));
        started.wait.event(left).await
    }

    /// The run that was accepted, for whichever kind of client the call is of.
    pub(crate) async fn started(self, receiver: &Receiver) -> Result<StartedRun<E::Response>, Error> {
        let refused =
            |field, reason: &str| Error::new(E::NAME, ErrorKind::Invalid(InvalidInput::new(field, reason.to_owned())));
        let Some(base) = receiver.base_url() else {
            return Err(refused("callback_url", "of the receiver is required to wait for a run there"));
        };
        let token = Token::random().map_err(|error| refused("callback_url", &error.to_string()))?;
        let url = token.url(base);
        // From here on what is sent there is put aside, or verified.
        let mut wait = PendingRun::open(self.client().clone(), receiver.clone(), token);
        let call = self.map(|request| request.deliver_to(url));
        let request = call.request().clone();
        let reply = call.response().await?;
        wait.handle.request_id = E::request_id(&reply).cloned();
        wait.handle.webhook_secret = request.webhook_secret(&reply);
        wait.know(E::NAME)?;
        Ok(StartedRun { reply, wait })
    }
}

impl Client {
    /// Takes up a wait that was ended, in this process or before a restart, at a receiver with the same callback URL.
    ///
    /// An event that came to this process while nobody waited is handed over, if that is no more than an hour ago. One that came before a
    /// restart was answered so that it comes again, unless it was handed over; what the service has given up does not, and
    /// [`Requests::wait`](crate::resources::Requests::wait) asks the service itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the handle's token is none; [`WaitError::NoSecret`] when neither the handle nor the receiver has a secret.
    pub fn resume(&self, receiver: &Receiver, handle: ResumeToken) -> Result<PendingRun, Error> {
        let Some(token) = Token::read(&handle.token) else {
            let invalid = InvalidInput::new("token", "is not one of a wait");
            return Err(Error::new(WAIT, ErrorKind::Invalid(invalid)));
        };
        let mut wait = PendingRun::open(self.clone(), receiver.clone(), token);
        wait.handle = handle;
        wait.know(WAIT)?;
        Ok(wait)
    }
}

/// A run that the service has accepted, and the wait for its callback.
#[derive(Debug)]
#[non_exhaustive]
pub struct StartedRun<R, W = PendingRun> {
    /// The reply to the invocation.
    pub reply: ApiResponse<R>,
    /// The wait. Dropping it ends the wait, and not the run.
    pub wait: W,
}

/// What a wait is taken up again with. It can be stored: it serialises with the secret as plain text, so whoever can read it can sign
/// callbacks of the deployment. Take the secret out if you have it elsewhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResumeToken {
    /// The run, if the reply named it. It can be looked up by this, whatever becomes of the wait.
    pub request_id: Option<RequestId>,
    /// The last segment of the path of the run's callback URL. Who knows it can have bodies put aside for the run; without the secret, no
    /// more.
    pub token: String,
    /// The secret that signs the callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<WebhookSecret>,
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeToken").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// The wait for the callback of a run. Dropping it ends the wait, and not the run.
pub struct PendingRun {
    client: Client,
    receiver: Receiver,
    token: Token,
    handle: ResumeToken,
}

impl PendingRun {
    fn open(client: Client, receiver: Receiver, token: Token) -> Self {
        receiver.waits.open(&token);
        let handle = ResumeToken { request_id: None, token: token.as_str().to_owned(), webhook_secret: None };
        Self { client, receiver, token, handle }
    }

    /// Tells the receiver what the callbacks of the run verify with.
    fn know(&self, operation: &'static str) -> Result<(), Error> {
        let verifier: Verifier = match &self.handle.webhook_secret {
            Some(secret) => self.receiver.verifier().also(secret.clone()),
            None => self.receiver.verifier().clone(),
        };
        let request_id = self.handle.request_id.clone();
        if verifier.is_empty() {
            return Err(Error::new(operation, ErrorKind::Wait(Box::new(WaitError::NoSecret { request_id }))));
        }
        self.receiver.waits.know(&self.token, &verifier, request_id.as_ref());
        Ok(())
    }

    /// What the wait is taken up again with, by [`Client::resume`].
    pub fn handle(&self) -> &ResumeToken {
        &self.handle
    }

    /// Waits for the event that ends the run, no longer than `timeout`. It may be called again when the time ran out.
    ///
    /// Events that do not end the run, such as those of its delegations, go to the handler of [`Receiver::receive`].
    ///
    /// # Errors
    ///
    /// [`WaitError::Deadline`], which names the run, when the time ran out; [`WaitError::Taken`] when the event was handed over before.
    pub async fn event(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Callback, Error> {
        let timeout = timeout.into();
        let clock = &self.client.shared.clock;
        let mut sleep: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        let request_id = self.handle.request_id.clone();
        let failed = |error| Err(Error::new(WAIT, ErrorKind::Wait(Box::new(error))));
        poll_fn(|cx| {
            match self.receiver.waits.poll(&self.token, cx.waker()) {
                Poll::Ready(Found::Ended(callback)) => return Poll::Ready(Ok(*callback)),
                Poll::Ready(Found::Taken) => {
                    return Poll::Ready(failed(WaitError::Taken { request_id: request_id.clone() }));
                }
                Poll::Pending => {}
            }
            let Some(timeout) = timeout else { return Poll::Pending };
            let sleep = sleep.get_or_insert_with(|| clock.sleep(timeout));
            sleep.as_mut().poll(cx).map(|()| {
                let request_id = request_id.clone();
                failed(WaitError::Deadline { request_id, waited: timeout, last_status: None, last_error: None })
            })
        })
        .await
    }
}

impl Drop for PendingRun {
    fn drop(&mut self) {
        self.receiver.waits.close(&self.token);
    }
}

impl fmt::Debug for PendingRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRun").field("request_id", &self.handle.request_id).finish_non_exhaustive()
    }
}
