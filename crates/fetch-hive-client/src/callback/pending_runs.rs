use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_core::types::{RequestId, WebhookSecret};
use http::HeaderMap;

use super::run_token::RunToken;
use crate::BoxError;

/// A store for runs whose callbacks are pending. It delivers each callback to the waiter for its
/// run.
///
/// A run is identified by the token in its callback URL. The client opens a run before it sends the
/// invocation, and the [`Receiver`](super::Receiver) delivers the run's callbacks. A waiter takes
/// the event that ends the run, does its work and acknowledges the event. If the waiter disappears
/// first, the next waiter takes the event again.
///
/// [`MemoryPendingRuns`](super::MemoryPendingRuns) works within one process. To start a run in one
/// process and receive its callback in another, use `fetch-hive-store`, or implement this trait for
/// a shared store. Each method must be atomic.
///
/// # Errors
///
/// Each method may return any error from the store. If `open` fails, nothing is sent. If `deliver`
/// fails, the receiver responds with 503, and the service redelivers the callback.
#[async_trait]
pub trait PendingRuns: Send + Sync + 'static {
    /// Opens a run before its invocation is sent, or reopens it to resume waiting.
    async fn open(&self, token: &RunToken) -> Result<(), BoxError>;

    /// Records that the service has accepted the run, and returns the unverified deliveries that
    /// were held. The caller verifies them and delivers them again.
    ///
    /// `None` must not replace a secret or a request id that is already known.
    async fn started(&self, token: &RunToken, run: AcceptedRun) -> Result<Vec<RawDelivery>, BoxError>;

    /// Removes a run that was certainly not started.
    async fn cancel(&self, token: &RunToken) -> Result<(), BoxError>;

    /// Returns the state of a run, or `None` if the token is unknown.
    async fn find(&self, token: &RunToken) -> Result<Option<PendingRunState>, BoxError>;

    /// Stores the event that ends a run, or holds a delivery that could not be verified.
    ///
    /// Storing an event again must have no effect. An unverified delivery is held only until the
    /// run is [started](Self::started) and only within limits. It must never replace a verified
    /// delivery.
    async fn deliver(&self, token: &RunToken, delivery: RawDelivery, verified: bool)
    -> Result<DeliverResult, BoxError>;

    /// Takes the event that ends a run, for the duration of a lease.
    async fn take(&self, token: &RunToken, lease: Duration) -> Result<TakeResult, BoxError>;

    /// Extends the lease of a taken event.
    ///
    /// # Errors
    ///
    /// Returns [`ClaimLost`](super::ClaimLost) if the lease expired and another waiter took the
    /// event.
    async fn renew(&self, token: &RunToken, number: u64, lease: Duration) -> Result<(), BoxError>;

    /// Acknowledges a taken event, so that it is never returned again.
    ///
    /// # Errors
    ///
    /// Returns [`ClaimLost`](super::ClaimLost) if the lease expired and another waiter took the
    /// event.
    async fn acknowledge(&self, token: &RunToken, number: u64) -> Result<(), BoxError>;

    /// Gives back a taken event, so that the next waiter can take it.
    ///
    /// It must have no effect if the event was acknowledged or the lease was lost.
    async fn give_back(&self, token: &RunToken, number: u64) -> Result<(), BoxError>;

    /// Reports that a waiter in this process was dropped. `unfinished` is the number of the event
    /// that it took but did not acknowledge.
    ///
    /// It must not block. The default does nothing, and the next waiter can take the event when the
    /// lease expires.
    fn close(&self, token: &RunToken, unfinished: Option<u64>) {
        let _ = (token, unfinished);
    }
}

/// A future that completes when the state of a run may have changed. It may complete early.
pub type Changed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A run that the service has accepted.
///
/// `Debug` does not show the secret.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct AcceptedRun {
    /// The request id of the run.
    pub request_id: Option<RequestId>,
    /// The secret that signs the run's callbacks, if it is known separately from the receiver's
    /// secrets.
    pub webhook_secret: Option<WebhookSecret>,
}

impl AcceptedRun {
    /// Creates the record of an accepted run.
    pub fn new(request_id: Option<RequestId>, webhook_secret: Option<WebhookSecret>) -> Self {
        Self { request_id, webhook_secret }
    }
}

impl fmt::Debug for AcceptedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptedRun")
            .field("request_id", &self.request_id)
            .field("has_secret", &self.webhook_secret.is_some())
            .finish()
    }
}

/// The state of a pending run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PendingRunState {
    /// The run was opened, but the response to its invocation has not been recorded.
    Opened,
    /// The service has accepted the run.
    Started(AcceptedRun),
}

/// The headers and the raw body of a callback request.
///
/// `Debug` shows only the length of the body.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawDelivery {
    /// The headers that the signature scheme needs.
    pub headers: HeaderMap,
    /// The body, exactly as it was received.
    pub body: Bytes,
}

impl RawDelivery {
    /// Creates a delivery from a request.
    pub fn new(headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { headers, body: body.into() }
    }

    /// Returns the total size of the headers and the body in bytes.
    pub fn size(&self) -> usize {
        self.body.len() + self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
    }
}

impl fmt::Debug for RawDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawDelivery")
            .field("headers", &self.headers.len())
            .field("body_length", &self.body.len())
            .finish()
    }
}

/// The result of [`PendingRuns::deliver`].
#[non_exhaustive]
pub enum DeliverResult {
    /// The event is stored, and survives crashes and restarts. The receiver responds with 200.
    Stored,
    /// The event is kept in memory for an active waiter. After the change, the receiver delivers
    /// the event again. It responds with 503 if the event is not acknowledged in time.
    Unacknowledged(Changed),
    /// The event was already stored or acknowledged. The receiver responds with 200.
    AlreadyStored,
    /// The delivery is held, and the service should redeliver it. The receiver responds with 503.
    Held,
    /// A limit on held deliveries has been reached. The receiver responds with 503.
    BufferFull,
    /// The run has been started in the meantime, so the unverified delivery is not held. The
    /// receiver verifies the delivery again.
    Started,
    /// The token is unknown. The receiver responds with 503.
    UnknownRun,
}

impl fmt::Debug for DeliverResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "Stored",
            Self::Unacknowledged(_) => "Unacknowledged",
            Self::AlreadyStored => "AlreadyStored",
            Self::Held => "Held",
            Self::BufferFull => "BufferFull",
            Self::Started => "Started",
            Self::UnknownRun => "UnknownRun",
        })
    }
}

/// The result of [`PendingRuns::take`].
#[non_exhaustive]
pub enum TakeResult {
    /// The verified event that ends the run, taken for the duration of the lease.
    Event {
        /// The headers and the body of the callback.
        delivery: RawDelivery,
        /// The number of the lease, which is different each time the event is taken.
        taken: u64,
    },
    /// The event has not arrived, or another waiter holds it. Try again after the change.
    Pending(Changed),
    /// The event has already been acknowledged.
    Acknowledged,
    /// The token is unknown.
    UnknownRun,
}

impl fmt::Debug for TakeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { delivery, taken } => {
                f.debug_struct("Event").field("delivery", delivery).field("taken", taken).finish()
            }
            Self::Pending(_) => f.write_str("Pending"),
            Self::Acknowledged => f.write_str("Acknowledged"),
            Self::UnknownRun => f.write_str("UnknownRun"),
        }
    }
}
