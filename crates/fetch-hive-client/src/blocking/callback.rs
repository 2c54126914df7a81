use std::io::Read;

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Method, Request, Response};

use super::block_on::{ThreadClock, block_on};
use super::{Call, Client};
use crate::callback::{self, CallbackEndpoint, Delivery, Outcome, Receiver, ResumeToken, RunToken};
use crate::{BoxError, Error};

/// A run that the service has accepted, with the response to its invocation and a handle for
/// waiting for its callback.
pub type StartedRun<R> = callback::StartedRun<R, Client>;

/// A run whose callback has not been received yet. Dropping it stops waiting, but does not stop the
/// run.
pub type PendingRun = callback::PendingRun<Client>;

/// A call that starts a run and waits for its callback. Nothing is sent until
/// [`send`](callback::RunAndWait::send) is called.
pub type RunAndWait<E> = callback::RunAndWait<E, Client>;

/// Methods for servers without async.
impl Receiver {
    /// Reads a request from a blocking server, runs the handler, and returns the response.
    ///
    /// It does the same as [`receive`](Receiver::receive), but reads the body with [`Read`] and
    /// blocks the current thread. The handler may call the [`blocking`](crate::blocking) client.
    ///
    /// ```
    /// use std::io::{Cursor, Error};
    ///
    /// use fetch_hive_client::callback::{Delivery, Receiver, Verifier, signed_request};
    ///
    /// fn handle(delivery: Delivery) -> Result<(), Error> {
    ///     println!("{:?}: {:?}", delivery.event.event_type, delivery.event.output());
    ///     Ok(())
    /// }
    ///
    /// let receiver = Receiver::new(Verifier::new(["whsec_1"]));
    /// // A signed test request, as a server would pass it on.
    /// let body = r#"{"event_type":"workflow.completed","data":{"output":"done"}}"#;
    /// let request = signed_request("whsec_1", body).map(Cursor::new);
    /// let response = receiver.receive_blocking(request, handle)?;
    /// assert_eq!(response.status(), 200);
    /// # Ok::<(), fetch_hive_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the current thread must not
    /// block (see [`blocking`](crate::blocking)). All outcomes of a delivery, including failures,
    /// are responses and not errors.
    pub fn receive_blocking<B, H, E>(&self, request: Request<B>, handler: H) -> Result<Response<String>, Error>
    where
        B: Read,
        H: FnOnce(Delivery) -> Result<(), E>,
        E: Into<BoxError>,
    {
        let receiver = self.clone().or_clock(ThreadClock);
        let mut telemetry = receiver.delivery_telemetry();
        let (parts, body) = request.into_parts();
        let outcome = match read_body(&parts, body, self.max_body_bytes) {
            Err(outcome) => outcome,
            Ok(body) => match block_on(receiver.verify_and_claim(&parts, body, &mut telemetry))? {
                Err(outcome) => outcome,
                Ok((key, delivery)) => {
                    let claim = delivery.claim.clone();
                    // Outside of `block_on`, so that the handler may call the blocking client.
                    let result = handler(delivery).map_err(Into::into);
                    block_on(receiver.finish(key, claim, result))?
                }
            },
        };
        Ok(receiver.respond(outcome, &telemetry))
    }

    /// Runs the handler for a request whose body is already in memory, blocks until it returns, and
    /// returns the response.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the current thread must not
    /// block (see [`blocking`](crate::blocking)).
    pub fn receive_bytes_blocking<H, E>(&self, request: Request<Bytes>, handler: H) -> Result<Response<String>, Error>
    where
        H: FnOnce(Delivery) -> Result<(), E>,
        E: Into<BoxError>,
    {
        self.receive_blocking(request.map(Buf::reader), handler)
    }
}

/// Reads the body of a POST, and stops when it exceeds the limit.
fn read_body(parts: &Parts, body: impl Read, limit: usize) -> Result<Bytes, Outcome> {
    if parts.method != Method::POST {
        return Err(Outcome::MethodNotAllowed);
    }
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(Outcome::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    let result = body.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes);
    result.map_err(|error| Outcome::BodyError(error.into()))?;
    if bytes.len() > limit { Err(Outcome::TooLarge { limit }) } else { Ok(bytes.into()) }
}

impl<E: CallbackEndpoint + Clone + 'static> RunAndWait<E> {
    /// Starts the run and blocks until its verified callback arrives.
    ///
    /// The receiver must be served on other threads, with
    /// [`receive_blocking`](Receiver::receive_blocking) or by an async server.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start`](Call::start) and [`PendingRun::event`].
    pub fn send(self) -> Result<Delivery, Error> {
        block_on(self.execute())?
    }
}

impl<E: CallbackEndpoint + Clone + 'static> Call<E> {
    /// Starts a run and returns as soon as the service has accepted it, without waiting for its
    /// callback.
    ///
    /// The callback must arrive at this receiver, or at one that shares its
    /// [`PendingRuns`](callback::PendingRuns). The callback URL of the run is derived from
    /// [`Receiver::callback_url`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send`](crate::Call::send), and
    ///
    /// - [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the receiver has no callback URL.
    ///   Nothing was sent.
    /// - [`WaitError::NoSecret`](crate::WaitError::NoSecret) if neither the response nor the
    ///   receiver has a secret. The run was started, but its callback could not be verified.
    pub fn start(self, receiver: &Receiver) -> Result<StartedRun<E::Response>, Error> {
        block_on(self.start_run(receiver, None))?
    }

    /// Starts a run like [`start`](Self::start), with a token that you have stored before, so that
    /// [`Client::resume`] can receive the event even if this process ends before `start` returns.
    ///
    /// Use each token for one run.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start`](Self::start).
    pub fn start_with_token(self, receiver: &Receiver, token: RunToken) -> Result<StartedRun<E::Response>, Error> {
        block_on(self.start_run(receiver, Some(token)))?
    }
}

impl Client {
    /// Resumes waiting for the callback of a run, in this process or after a restart.
    ///
    /// The receiver must have the same callback URL as before. The async client's
    /// [`resume`](crate::Client::resume) describes which events are available.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the token does not belong to a
    ///   pending run
    /// - [`WaitError::NoSecret`](crate::WaitError::NoSecret) if neither the token, the receiver nor
    ///   its store contains a secret
    /// - [`WaitError::Store`](crate::WaitError::Store) if the store of the pending runs fails
    pub fn resume(&self, receiver: &Receiver, token: ResumeToken) -> Result<PendingRun, Error> {
        block_on(PendingRun::resume(self.client.clone(), receiver, token))?
    }
}

impl PendingRun {
    /// Blocks until the event that ends the run arrives, and acknowledges the event. You can call
    /// it again after a timeout.
    ///
    /// Once it returns, the service does not redeliver the event. [`handle`](Self::handle)
    /// acknowledges the event after your work.
    ///
    /// Events that do not end the run, such as those of its delegations, are passed to the handler
    /// of [`Receiver::receive_blocking`] instead.
    ///
    /// # Errors
    ///
    /// - [`WaitError::Timeout`](crate::WaitError::Timeout) if the event does not arrive within the
    ///   [timeout](callback::PendingRun::timeout)
    /// - [`WaitError::AlreadyTaken`](crate::WaitError::AlreadyTaken) if an earlier call already
    ///   returned the event
    /// - [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the current thread must not block
    pub fn event(&mut self) -> Result<Delivery, Error> {
        block_on(self.wait())?
    }

    /// Blocks until the event that ends the run arrives, runs a handler, and acknowledges the event
    /// when the handler succeeds.
    ///
    /// If the handler fails or the process ends, the next waiter receives the event. The
    /// [lease](Receiver::lease) of the event is not renewed, so it must be longer than the handler
    /// ever takes.
    ///
    /// # Errors
    ///
    /// Returns the error of the handler, or the errors of [`event`](Self::event).
    pub fn handle<T, E, H>(&mut self, handler: H) -> Result<T, E>
    where
        H: FnOnce(Delivery) -> Result<T, E>,
        E: From<Error>,
    {
        let delivery = block_on(self.take_event()).map_err(Error::from)??;
        // Outside of `block_on`, so that the handler may call the blocking client.
        let result = handler(delivery);
        block_on(self.settle(result.is_ok())).map_err(Error::from)??;
        result
    }
}
