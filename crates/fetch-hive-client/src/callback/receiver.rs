use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use fetch_hive_core::callback::{Claim, Delivery, EventKey, Verifier};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;

use super::dedup::{ClaimResult, DedupStore};
use super::delivery_report::{DeliveryHook, DeliveryReport, DeliveryTelemetry};
use super::memory_pending_runs::MemoryPendingRuns;
use super::outcome::Outcome;
use super::pending_runs::PendingRuns;
use super::renewal::with_renewal;
use super::run_token::RunToken;
use super::secret_source::{CachedSecrets, SecretSource, UnverifiedDelivery};
use crate::BoxError;
use crate::clock::Clock;
use crate::execute::{BodyBuffer, BodyTooLarge};

/// A receiver for callbacks. It turns HTTP requests into responses, and works with any server.
///
/// For each request, the receiver verifies the signature before it parses anything, runs the
/// handler, and responds with a status code that tells the service whether to redeliver the event
/// (see [`Outcome`]). With a [dedup store](Self::dedup), the handler succeeds once per event, even
/// if the service redelivers it. The response body is a `String` that contains short JSON, which
/// axum and hyper accept as a body.
///
/// The receiver itself has no timeouts. Configure timeouts for reading requests and sending
/// responses in your server.
///
/// Cloning is cheap. The clones share the dedup store and the pending runs.
#[derive(Clone)]
pub struct Receiver {
    pub(super) verifier: Verifier,
    pub(super) callback_url: Option<String>,
    pub(super) pending_runs: Arc<dyn PendingRuns>,
    memory_pending_runs: MemoryPendingRuns,
    pub(super) secret_source: Option<Arc<CachedSecrets>>,
    clock: Option<Arc<dyn Clock>>,
    pub(crate) max_body_bytes: usize,
    dedup_store: Option<Arc<dyn DedupStore>>,
    pub(super) lease: Duration,
    event_key: Option<Arc<EventKeyFunction>>,
    on_delivery: Option<Arc<DeliveryHook>>,
}

type EventKeyFunction = dyn Fn(&Delivery) -> EventKey + Send + Sync;

impl Receiver {
    /// Creates a receiver that accepts the callbacks that the verifier accepts.
    pub fn new(verifier: Verifier) -> Self {
        let memory_pending_runs = MemoryPendingRuns::new();
        Self {
            verifier,
            callback_url: None,
            pending_runs: Arc::new(memory_pending_runs.clone()),
            memory_pending_runs,
            secret_source: None,
            clock: None,
            max_body_bytes: 4 << 20,
            dedup_store: None,
            lease: Duration::from_secs(60),
            event_key: None,
            on_delivery: None,
        }
    }

    /// Creates a receiver for [`run_and_wait`](crate::Call::run_and_wait) and
    /// [`start`](crate::Call::start) at this public URL.
    ///
    /// The receiver initially has no secrets. It learns each run's secret from the response to the
    /// invocation.
    pub fn with_callback_url(callback_url: impl Into<String>) -> Self {
        Self::new(Verifier::new(None::<&str>)).callback_url(callback_url)
    }

    /// Sets the dedup store, so that the handler succeeds once per event.
    ///
    /// Without a dedup store, the handler runs for every delivery, including redeliveries.
    #[must_use]
    pub fn dedup(mut self, store: impl DedupStore) -> Self {
        self.dedup_store = Some(Arc::new(store));
        self
    }

    /// Sets the store for pending runs. Defaults to [`MemoryPendingRuns`].
    ///
    /// If several processes share a store, any of them can receive the callback for a run, and any
    /// of them can wait for it.
    #[must_use]
    pub fn pending_runs(mut self, runs: impl PendingRuns) -> Self {
        self.pending_runs = Arc::new(runs);
        self
    }

    /// Sets a source of secrets, which is queried if a callback does not match any of the
    /// receiver's own secrets.
    #[must_use]
    pub fn secret_source(mut self, source: impl SecretSource) -> Self {
        self.secret_source = Some(Arc::new(CachedSecrets::new(source)));
        self
    }

    /// Sets the clock for renewing leases and measuring the duration of deliveries.
    ///
    /// Defaults to tokio's, if the feature `hyper` is enabled and the receiver is used within a
    /// tokio runtime.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the lease of an event that is being handled. Defaults to 60 s.
    ///
    /// The lease is renewed while the handler runs. If the process is killed, the event can be
    /// handled again after the lease has expired. Without a [clock](Self::clock), and in
    /// `receive_blocking`, the lease is not renewed, so it must be longer than the handler ever
    /// takes.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the function that returns the key by which redeliveries of an event are recognized.
    /// Defaults to [`Delivery::key`].
    ///
    /// ```
    /// use fetch_hive_client::callback::{EventKey, Receiver, Verifier};
    ///
    /// let receiver = Receiver::new(Verifier::new(["whsec_1"])).event_key(|delivery| {
    ///     let metadata = delivery.event.user_metadata();
    ///     let order = metadata.and_then(|metadata| metadata.get("order_id"));
    ///     order.map_or_else(|| delivery.key(), |order| EventKey::new(order.to_string()))
    /// });
    /// # drop(receiver);
    /// ```
    #[must_use]
    pub fn event_key(mut self, key: impl Fn(&Delivery) -> EventKey + Send + Sync + 'static) -> Self {
        self.event_key = Some(Arc::new(key));
        self
    }

    /// Sets the maximum size of a body in bytes. Defaults to 4 MiB.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Sets the public URL of the receiver, which [`run_and_wait`](crate::Call::run_and_wait) and
    /// [`start`](crate::Call::start) need. It must be an https URL, or an http URL of a loopback
    /// host, unless the client
    /// [allows plain http](crate::ClientBuilder::allow_plain_http_callbacks).
    ///
    /// Each run has its own callback URL, which is this URL with an additional path segment. Route
    /// both to the receiver, for example `/callbacks` and `/callbacks/{*rest}`.
    #[must_use]
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.callback_url = Some(url.into());
        self
    }

    /// Sets the maximum total size of the deliveries that are held in memory, in bytes. Defaults to
    /// 16 MiB.
    ///
    /// A delivery is held if the secret of its run is not known yet, or if nothing is currently
    /// waiting for the run. If a delivery does not fit, the receiver responds with 503, and the
    /// service redelivers it. This setting applies only to [`MemoryPendingRuns`].
    #[must_use]
    pub fn max_held_bytes(self, bytes: usize) -> Self {
        self.memory_pending_runs.set_max_held_bytes(bytes);
        self
    }

    /// Sets a function that receives a report of each delivery, for logs and metrics.
    ///
    /// The function runs before the response is returned, so it should not block.
    #[must_use]
    pub fn on_delivery(mut self, hook: impl Fn(DeliveryReport<'_>) + Send + Sync + 'static) -> Self {
        self.on_delivery = Some(Arc::new(hook));
        self
    }

    /// Reads a request from a server such as axum or hyper, runs the handler, and returns the
    /// response.
    ///
    /// If the server drops the future, as some do when the sender disconnects, the event can be
    /// claimed again when its lease expires.
    ///
    /// ```
    /// # async fn run(request: http::Request<String>) {
    /// use fetch_hive_client::callback::{Delivery, Receiver, Verifier};
    ///
    /// async fn handle(delivery: Delivery) -> Result<(), std::io::Error> {
    ///     println!("{:?}: {:?}", delivery.event.request_id, delivery.event.output());
    ///     Ok(())
    /// }
    ///
    /// let receiver = Receiver::new(Verifier::new(["whsec_1"]));
    /// let response = receiver.receive(request, handle).await;
    /// # drop(response); }
    /// ```
    pub async fn receive<B, H, F, E>(&self, request: Request<B>, handler: H) -> Response<String>
    where
        B: Body<Error: Into<BoxError>>,
        H: FnOnce(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        let mut telemetry = self.delivery_telemetry();
        let (parts, body) = request.into_parts();
        let outcome = if parts.method == Method::POST {
            match read_body(body, self.max_body_bytes).await {
                Ok(body) => self.handle(&parts, body, handler, &mut telemetry).await,
                Err(outcome) => outcome,
            }
        } else {
            Outcome::MethodNotAllowed
        };
        self.respond(outcome, &telemetry)
    }

    /// Runs the handler for a request whose body is already in memory, and returns the response.
    ///
    /// Use it in serverless functions and tests.
    pub async fn receive_bytes<H, F, E>(&self, request: Request<Bytes>, handler: H) -> Response<String>
    where
        H: FnOnce(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        let mut telemetry = self.delivery_telemetry();
        let (parts, body) = request.into_parts();
        let limit = self.max_body_bytes;
        let outcome = if parts.method != Method::POST {
            Outcome::MethodNotAllowed
        } else if body.len() > limit {
            Outcome::TooLarge { limit }
        } else {
            self.handle(&parts, body, handler, &mut telemetry).await
        };
        self.respond(outcome, &telemetry)
    }

    pub(crate) fn delivery_telemetry(&self) -> DeliveryTelemetry {
        DeliveryTelemetry::start(self.on_delivery.as_ref(), self.running_clock())
    }

    pub(crate) fn respond(&self, outcome: Outcome, telemetry: &DeliveryTelemetry) -> Response<String> {
        telemetry.end(&outcome, self.running_clock());
        outcome.into_response()
    }

    async fn handle<H, F, E>(
        &self,
        parts: &Parts,
        body: Bytes,
        handler: H,
        telemetry: &mut DeliveryTelemetry,
    ) -> Outcome
    where
        H: FnOnce(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        match self.verify_and_claim(parts, body, telemetry).await {
            Err(outcome) => outcome,
            Ok((key, delivery)) => {
                let claim = delivery.claim.clone();
                let result = self.renewed(claim.as_ref(), handler(delivery)).await.map_err(Into::into);
                self.finish(key, claim, result).await
            }
        }
    }

    /// Runs a handler, and renews its claim while it runs.
    async fn renewed<F: Future>(&self, claim: Option<&Claim>, handler: F) -> F::Output {
        match (&self.dedup_store, claim, self.running_clock()) {
            (Some(store), Some(claim), Some(clock)) => {
                with_renewal(clock, self.lease, pin!(handler), || store.renew(claim, self.lease)).await
            }
            _ => handler.await,
        }
    }

    /// Sets a clock, unless the receiver already has one.
    #[cfg(feature = "blocking")]
    pub(crate) fn or_clock(mut self, clock: impl Clock) -> Self {
        self.clock.get_or_insert_with(|| Arc::new(clock));
        self
    }

    /// Returns the clock, if it can be used here.
    pub(super) fn running_clock(&self) -> Option<&dyn Clock> {
        #[cfg(feature = "hyper")]
        if self.clock.is_none() && tokio::runtime::Handle::try_current().is_ok() {
            return Some(&crate::clock::TokioClock);
        }
        self.clock.as_deref()
    }

    /// Verifies a request, and claims its event.
    ///
    /// Returns the delivery for the handler, or the outcome if there is nothing to handle.
    pub(crate) async fn verify_and_claim(
        &self,
        parts: &Parts,
        body: Bytes,
        telemetry: &mut DeliveryTelemetry,
    ) -> Result<(EventKey, Delivery), Outcome> {
        let mut delivery = match RunToken::from_path(parts.uri.path()) {
            Some(token) => self.deliver_to_run(&token, parts, body, telemetry).await?,
            None => self.verify(&self.verifier, parts.uri.path(), &parts.headers, &body).await?,
        };
        telemetry.verified(&delivery);
        let key = match &self.event_key {
            Some(key) => key(&delivery),
            None if self.dedup_store.is_some() || self.on_delivery.is_some() => delivery.key(),
            // The key is not used, so it is not computed, which may require a digest of the body.
            None => EventKey::new(String::new()),
        };
        if let Some(store) = &self.dedup_store {
            match store.claim(&key, self.lease).await {
                Ok(ClaimResult::Acquired(claim)) => delivery.claim = Some(claim),
                Ok(ClaimResult::InProgress) => return Err(Outcome::InProgress(key)),
                Ok(ClaimResult::AlreadyHandled) => return Err(Outcome::AlreadyHandled(key)),
                Err(error) => return Err(Outcome::StoreFailed { key: Some(key), error }),
            }
        }
        Ok((key, delivery))
    }

    /// Verifies a callback with the secrets of a verifier, and then with those from the source.
    pub(super) async fn verify(
        &self,
        verifier: &Verifier,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Delivery, Outcome> {
        let rejected = match verifier.verify(headers, body.clone()) {
            Ok(delivery) => return Ok(delivery),
            Err(error) => Outcome::Rejected(error),
        };
        let Some(source) = &self.secret_source else { return Err(rejected) };
        let unverified = UnverifiedDelivery::new(path, headers, body);
        let secrets = source.secrets(&unverified).await.map_err(|error| Outcome::StoreFailed { key: None, error })?;
        if secrets.is_empty() {
            return Err(rejected);
        }
        let verifier = secrets.iter().fold(verifier.clone(), |verifier, secret| verifier.with_secret(secret.clone()));
        verifier.verify(headers, body.clone()).map_err(Outcome::Rejected)
    }

    /// Commits or releases the claim, depending on the result of the handler.
    pub(crate) async fn finish(&self, key: EventKey, claim: Option<Claim>, result: Result<(), BoxError>) -> Outcome {
        match (result, self.dedup_store.as_ref().zip(claim)) {
            (Ok(()), None) => Outcome::Handled(key),
            (Ok(()), Some((store, claim))) => match store.commit(&claim).await {
                Ok(()) => Outcome::Handled(key),
                Err(error) => Outcome::CommitFailed { key, error },
            },
            (Err(error), claimed) => {
                if let Some((store, claim)) = claimed {
                    // If the release fails, the claim expires with its lease.
                    let _ = store.release(&claim).await;
                }
                Outcome::HandlerFailed { key, error }
            }
        }
    }
}

/// Reads a body, and stops when it exceeds the limit.
async fn read_body<B: Body<Error: Into<BoxError>>>(body: B, limit: usize) -> Result<Bytes, Outcome> {
    let mut body = pin!(body);
    if body.size_hint().lower() > limit as u64 {
        return Err(Outcome::TooLarge { limit });
    }
    let mut buffer = BodyBuffer::new(limit);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| Outcome::BodyError(error.into()))?;
        let Ok(mut data) = frame.into_data() else { continue };
        let chunk = data.copy_to_bytes(data.remaining());
        buffer.push(chunk).map_err(|BodyTooLarge { limit }| Outcome::TooLarge { limit })?;
    }
    Ok(buffer.into_bytes())
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("verifier", &self.verifier)
            .field("callback_url", &self.callback_url)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("has_dedup_store", &self.dedup_store.is_some())
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
