use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::InvalidInput;
use fetch_hive_core::callback::Delivery;

use super::endpoint::CallbackEndpoint;
use super::pending_run::{PendingRun, StartedRun};
use super::receiver::Receiver;
use super::run_token::RunToken;
use crate::clock::Stopwatch;
use crate::poll_run::DEFAULT_TIMEOUT;
use crate::{Call, Client, Error, ErrorKind};

/// A call that starts a run and waits for its callback.
///
/// Nothing is sent until the call is awaited, or until its method `send` is called in the blocking
/// client.
#[must_use = "nothing is sent until it is awaited or sent"]
pub struct RunAndWait<E, C = Client> {
    call: Call<E, C>,
    receiver: Receiver,
    timeout: Option<Duration>,
}

impl<E: CallbackEndpoint + Clone + 'static, C> Call<E, C> {
    /// Starts a run and waits for the receiver to receive its verified callback.
    ///
    /// The run's callback URL is derived from [`Receiver::callback_url`] and replaces the one in
    /// the request. If the run fails, its event is returned like any other event. Use
    /// [`into_output`](crate::types::CallbackEvent::into_output) to turn it into an error.
    ///
    /// ```no_run
    /// # use fetch_hive_client::Client;
    /// # async fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use fetch_hive_client::callback::Receiver;
    ///
    /// // Your server passes each request to /callbacks and below to a clone of this receiver.
    /// let receiver = Receiver::with_callback_url("https://example.com/callbacks");
    /// let call = client.invoke_workflow("weekly-report").input("topic", "enterprise AI");
    /// let delivery = call.run_and_wait(&receiver).await?;
    /// println!("{}", delivery.event.output_as::<String>()?);
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the future stops waiting, but does not stop the run. If you need to resume waiting
    /// later, use [`start`](Call::start), which returns a [`ResumeToken`](super::ResumeToken).
    ///
    /// # Errors
    ///
    /// Returns an error as described for [`start`](Call::start) and [`PendingRun::event`].
    pub fn run_and_wait(self, receiver: &Receiver) -> RunAndWait<E, C> {
        RunAndWait { call: self, receiver: receiver.clone(), timeout: Some(DEFAULT_TIMEOUT) }
    }

    /// Starts a run, for the async and the blocking client.
    ///
    /// Without a token, it creates one.
    pub(crate) async fn start_run(
        self,
        receiver: &Receiver,
        token: Option<RunToken>,
    ) -> Result<StartedRun<E::Response, C>, Error> {
        let invalid = |reason: &str| {
            Error::new(E::NAME, ErrorKind::Invalid(InvalidInput::new("callback_url", reason.to_owned())))
        };
        let Some(base_url) = &receiver.callback_url else {
            return Err(invalid("is missing on the receiver; set it with `Receiver::callback_url`"));
        };
        let token = token.map_or_else(RunToken::random, Ok).map_err(|error| invalid(&error.to_string()))?;
        let url = token.callback_url(base_url);
        let call = self.map(|request| request.with_callback_url(url));
        call.validate()?;
        // The run is opened before it is started, because its callback may arrive before the
        // response.
        let store_failed = |error| Error::new(E::NAME, ErrorKind::Store(error));
        let mut pending =
            PendingRun::open(call.client().clone(), receiver.clone(), token).await.map_err(store_failed)?;
        let request = call.request().clone();
        let (response, permit, run) = match call.response_and_permit().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !error.may_have_run() {
                    pending.cancel().await;
                }
                return Err(error);
            }
        };
        let (request_id, secret) = (E::request_id(&response).cloned(), request.webhook_secret(&response));
        pending.run = run;
        pending.set_started(E::NAME, request_id, secret, permit).await?;
        Ok(StartedRun { response, pending })
    }
}

impl<E: CallbackEndpoint + Clone + 'static> Call<E> {
    /// Starts a run and returns as soon as the service has accepted it, without waiting for its
    /// callback.
    ///
    /// The callback must arrive at this receiver, or at one that shares its
    /// [`PendingRuns`](super::PendingRuns). The run's callback URL is derived from
    /// [`Receiver::callback_url`]. The run occupies its slot in the [run
    /// limiter](crate::RunLimiter) until its event arrives.
    ///
    /// ```no_run
    /// # use fetch_hive_client::Client;
    /// # async fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use fetch_hive_client::callback::Receiver;
    ///
    /// let receiver = Receiver::with_callback_url("https://example.com/callbacks");
    /// let mut started = client.invoke_workflow("weekly-report").start(&receiver).await?;
    /// // Store the token, so that `Client::resume` can continue after a restart.
    /// let stored = serde_json::to_string(started.pending.resume_token())?;
    /// let delivery = started.pending.event().await?;
    /// # drop((stored, delivery)); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of the call itself, and
    ///
    /// - [`ErrorKind::Invalid`] if the receiver has no callback URL. Nothing was sent.
    /// - [`WaitError::NoSecret`](crate::WaitError::NoSecret) if neither the response nor the
    ///   receiver has a secret. The run was started, but its callback could not be verified.
    /// - [`ErrorKind::Store`] if the run could not be opened in the store for pending runs. Nothing
    ///   was sent.
    /// - [`WaitError::Store`](crate::WaitError::Store) if the store failed after the run was
    ///   started
    pub async fn start(self, receiver: &Receiver) -> Result<StartedRun<E::Response>, Error> {
        self.start_run(receiver, None).await
    }

    /// Starts a run like [`start`](Self::start), with a token that you have stored before.
    ///
    /// If the process ends before `start` returns, the run may have started, but its token is lost.
    /// With a stored token, [`Client::resume`] receives the event after a restart. If no event
    /// arrives, the request may not have been sent. The receiver needs the deployment's webhook
    /// secret ([`Receiver::new`] or [`Receiver::secret_source`]), because the one in the response
    /// was not read.
    ///
    /// Use each token for one run. To start another run, create another token.
    ///
    /// ```no_run
    /// # use fetch_hive_client::{BoxError, Client};
    /// # use fetch_hive_client::callback::Receiver;
    /// # fn store(token: &str) -> Result<(), BoxError> { Ok(()) }
    /// # async fn run(client: Client, receiver: Receiver) -> Result<(), BoxError> {
    /// use fetch_hive_client::callback::{ResumeToken, RunToken};
    ///
    /// let token = RunToken::random()?;
    /// store(token.as_str())?;
    /// let call = client.invoke_workflow("report");
    /// let started = call.start_with_token(&receiver, token.clone()).await?;
    ///
    /// // After a crash, in another process:
    /// let mut run = client.resume(&receiver, ResumeToken::from(token)).await?;
    /// let delivery = run.event().await?;
    /// # drop((started, delivery)); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start`](Self::start).
    pub async fn start_with_token(
        self,
        receiver: &Receiver,
        token: RunToken,
    ) -> Result<StartedRun<E::Response>, Error> {
        self.start_run(receiver, Some(token)).await
    }
}

impl<E: CallbackEndpoint + Clone + 'static, C> RunAndWait<E, C> {
    /// Sets the total timeout for starting the run and waiting for its event. Defaults to 600 s.
    /// `None` disables the timeout.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Starts the run and waits for its event, for the async and the blocking client.
    pub(crate) async fn execute(self) -> Result<Delivery, Error> {
        let Self { call, receiver, timeout } = self;
        let clock = Arc::clone(&call.client().shared.clock);
        let started = Stopwatch::start(&*clock);
        let call = match timeout {
            Some(timeout) => call.with_max_timeout(timeout),
            None => call,
        };
        let mut pending = call.start_run(&receiver, None).await?.pending;
        pending.timeout(timeout);
        pending.wait_for(timeout.map(|timeout| started.remaining(&*clock, timeout))).await
    }
}

impl<E: CallbackEndpoint + Clone + 'static> IntoFuture for RunAndWait<E> {
    type Output = Result<Delivery, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}

impl<E: fmt::Debug, C> fmt::Debug for RunAndWait<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunAndWait").field("call", &self.call).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
