use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use fetch_hive_core::callback::{Callback, EventKey, Verifier};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;

use super::dedup::{Claim, ClaimResult, DedupStore};
use super::outcome::Outcome;
use super::token::Token;
use super::pending_runs::{Arrival, MemoryPendingRuns};
use crate::BoxError;

/// A verified event on its way to a handler. It derefs to the [`Callback`], and so to the event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// The event, and its raw body.
    pub callback: Callback,
    /// The claim under which the handler runs, where there is a guard. A handler that writes to the guard's own store can commit it
    /// together with its work.
    pub claim: Option<Claim>,
}

impl Deref for Received {
    type Target = Callback;

    fn deref(&self) -> &Callback {
        &self.callback
    }
}

/// Receives callbacks: a function over `http::Request` for any server. A clone is cheap and shares the guard and the runs that are
/// waited for.
///
/// A delivery is verified before anything of it is read; a handler runs once for an event if there is a guard; the answer's status says
/// whether the service should deliver again ([`Outcome`] lists them). The body of an answer is a short JSON text, in a `String`, which is
/// an [`http_body::Body`] that axum and hyper take as it is.
///
/// It has no timeouts: limit the time to read a request and to answer it where your server does.
#[derive(Clone)]
pub struct Receiver {
    verifier: Verifier,
    guard: Option<Arc<dyn DedupStore>>,
    lease: Duration,
    max_body_bytes: usize,
    callback_url: Option<String>,
    pub(super) waits: Arc<MemoryPendingRuns>,
    hook: Option<Arc<Hook>>,
}

type Hook = dyn Fn(&Outcome) + Send + Sync;

impl Receiver {
    /// A receiver of what the verifier takes. Bodies of up to 4 MiB are read.
    pub fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            guard: None,
            lease: Duration::from_secs(60),
            max_body_bytes: 4 << 20,
            callback_url: None,
            waits: Arc::default(),
            hook: None,
        }
    }

    /// A receiver for runs that are waited for, whose secrets come with the replies to their invocations. The URL is where the receiver
    /// is reached from outside.
    pub fn with_callback_url(callback_url: impl Into<String>) -> Self {
        Self::new(Verifier::new(None::<&str>)).callback_url(callback_url)
    }

    /// Hands each event to a handler once. Without a guard, a handler sees every delivery.
    #[must_use]
    pub fn guard(mut self, guard: impl DedupStore) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    /// How long a handler may take before its event is given to another: 60 s by default. A handler that is still at work then will have run
    /// twice.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The largest body that is read, in bytes.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Where the receiver is reached from outside, for [runs that are waited for](crate::Call::run_and_wait): an https URL, or an http one of
    /// this machine. The callback URL of each run is this one with one more segment in its path, and the server must bring requests
    /// for these to the receiver, too: `/callbacks/{*rest}` beside `/callbacks`, for example.
    #[must_use]
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.callback_url = Some(url.into());
        self
    }

    /// How many bytes of deliveries are put aside at the most, for runs whose secret is not known yet and for runs that nobody waits for at
    /// the moment: 16 MiB by default. What does not fit is to be delivered again.
    #[must_use]
    pub fn max_held_bytes(self, bytes: usize) -> Self {
        self.waits.set_max_bytes(bytes);
        self
    }

    /// Calls a function with what became of each delivery, for logs and counters. It runs in the task that answers, so it should be quick.
    #[must_use]
    pub fn on_outcome(mut self, hook: impl Fn(&Outcome) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Receives a delivery as a server hands it over, body unread: for axum, hyper and whatever else speaks [`http_body`].
    ///
    /// The handler gets the verified event. When its future is dropped, as some servers do when the sender hangs up, the event can be
    /// claimed again after the lease.
    pub async fn receive<B, H, F, E>(&self, request: Request<B>, handler: H) -> Response<String>
    where
        B: Body<Error: Into<BoxError>>,
        H: FnOnce(Received) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let outcome = if parts.method == Method::POST {
            match read(body, self.max_body_bytes).await {
                Ok(body) => self.outcome(&parts, body, handler).await,
                Err(outcome) => outcome,
            }
        } else {
            Outcome::MethodNotAllowed
        };
        self.answer(outcome)
    }

    /// Receives a delivery whose body is all there: for serverless handlers, and tests.
    pub async fn receive_bytes<H, F, E>(&self, request: Request<Bytes>, handler: H) -> Response<String>
    where
        H: FnOnce(Received) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let limit = self.max_body_bytes;
        let outcome = if parts.method != Method::POST {
            Outcome::MethodNotAllowed
        } else if body.len() > limit {
            Outcome::TooLarge { limit }
        } else {
            self.outcome(&parts, body, handler).await
        };
        self.answer(outcome)
    }

    pub(crate) fn answer(&self, outcome: Outcome) -> Response<String> {
        if let Some(hook) = &self.hook {
            hook(&outcome);
        }
        outcome.into_response()
    }

    async fn outcome<H, F, E>(&self, parts: &Parts, body: Bytes, handler: H) -> Outcome
    where
        H: FnOnce(Received) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        match self.admit(parts, body).await {
            Err(outcome) => outcome,
            Ok((key, received)) => {
                let claim = received.claim.clone();
                let result = handler(received).await.map_err(Into::into);
                self.settle(key, claim, result).await
            }
        }
    }

    /// Verifies a delivery and claims its event, for a handler; what became of it, where none is to run.
    pub(crate) async fn admit(&self, parts: &Parts, body: Bytes) -> Result<(EventKey, Received), Outcome> {
        let callback = match Token::of_path(parts.uri.path()) {
            Some(token) => match self.waits.arrive(&token, &parts.headers, body, &self.verifier) {
                Arrival::Over(outcome) => return Err(outcome),
                Arrival::Event(callback) => *callback,
            },
            None => self.verifier.verify(&parts.headers, body).map_err(Outcome::Refused)?,
        };
        let key = callback.key();
        let claim = match &self.guard {
            None => None,
            Some(guard) => match guard.claim(&key, self.lease).await {
                Ok(ClaimResult::Acquired(claim)) => Some(claim),
                Ok(ClaimResult::InProgress) => return Err(Outcome::InProgress(key)),
                Ok(ClaimResult::AlreadyHandled) => return Err(Outcome::AlreadyHandled(key)),
                Err(error) => return Err(Outcome::StoreFailed { key, error }),
            },
        };
        Ok((key, Received { callback, claim }))
    }

    /// Notes what a handler did with an event.
    pub(crate) async fn settle(&self, key: EventKey, claim: Option<Claim>, result: Result<(), BoxError>) -> Outcome {
        match (result, self.guard.as_ref().zip(claim)) {
            (Ok(()), None) => Outcome::Handled(key),
            (Ok(()), Some((guard, claim))) => match guard.commit(&claim).await {
                Ok(()) => Outcome::Handled(key),
                Err(error) => Outcome::CommitFailed { key, error },
            },
            (Err(error), claimed) => {
                if let Some((guard, claim)) = claimed {
                    // If it cannot be released, its lease ends.
                    let _ = guard.release(&claim).await;
                }
                Outcome::HandlerFailed { key, error }
            }
        }
    }

    /// The largest body that is read.
    #[cfg(feature = "blocking")]
    pub(crate) fn limit(&self) -> usize {
        self.max_body_bytes
    }

    /// The verifier of what comes without a token.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn base_url(&self) -> Option<&str> {
        self.callback_url.as_deref()
    }
}

/// Reads a body, no further than the limit.
async fn read<B: Body<Error: Into<BoxError>>>(body: B, limit: usize) -> Result<Bytes, Outcome> {
    let too_large = || Outcome::TooLarge { limit };
    let mut body = pin!(body);
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut whole = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| Outcome::BodyError(error.into()))?;
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > limit - whole.len() {
            return Err(too_large());
        }
        while data.has_remaining() {
            let piece = data.chunk();
            whole.extend_from_slice(piece);
            let read = piece.len();
            data.advance(read);
        }
    }
    Ok(whole.into())
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("verifier", &self.verifier)
            .field("guarded", &self.guard.is_some())
            .field("lease", &self.lease)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("callback_url", &self.callback_url)
            .finish_non_exhaustive()
    }
}
