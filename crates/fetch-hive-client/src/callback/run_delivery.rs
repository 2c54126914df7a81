//! Deliveries to the callback URL of one run.

use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::callback::Delivery;
use http::Uri;
use http::request::Parts;

use super::delivery_report::DeliveryTelemetry;
use super::outcome::Outcome;
use super::pending_runs::{AcceptedRun, DeliverResult, PendingRunState, RawDelivery};
use super::receiver::Receiver;
use super::run_token::RunToken;
use crate::BoxError;
use crate::clock::{Stopwatch, completes_within};

/// How long a delivery waits for its event to be acknowledged before the receiver responds with
/// 503.
const MAX_ACKNOWLEDGE_TIME: Duration = Duration::from_secs(5);

impl Receiver {
    /// Verifies a callback for a run, and stores the event that ends the run.
    ///
    /// Any other event is returned, because the handler must process it.
    pub(super) async fn deliver_to_run(
        &self,
        token: &RunToken,
        parts: &Parts,
        body: Bytes,
        telemetry: &mut DeliveryTelemetry,
    ) -> Result<Delivery, Outcome> {
        let store_failed = |error| Outcome::StoreFailed { key: None, error };
        let raw = || RawDelivery::new(parts.headers.clone(), body.clone());
        loop {
            let Some(state) = self.pending_runs.find(token).await.map_err(store_failed)? else {
                return Err(Outcome::UnknownRun);
            };
            let accepted = match state {
                PendingRunState::Opened => None,
                PendingRunState::Started(accepted) => Some(accepted),
            };
            let secret = accepted.as_ref().and_then(|accepted| accepted.webhook_secret.clone());
            let with_secret = secret.map(|secret| self.verifier.with_secret(secret));
            let verifier = with_secret.as_ref().unwrap_or(&self.verifier);
            match self.verify(verifier, parts.uri.path(), &parts.headers, &body).await {
                Ok(delivery) => {
                    telemetry.verified(&delivery);
                    return self.end_run(token, accepted.as_ref(), delivery, raw()).await;
                }
                Err(Outcome::Rejected(_)) if accepted.is_none() => {
                    match self.pending_runs.deliver(token, raw(), false).await.map_err(store_failed)? {
                        DeliverResult::Started => {}
                        DeliverResult::BufferFull => return Err(Outcome::BufferFull),
                        DeliverResult::UnknownRun => return Err(Outcome::UnknownRun),
                        _ => return Err(Outcome::Held),
                    }
                }
                Err(outcome) => return Err(outcome),
            }
        }
    }

    /// Stores a verified event if it ends the run, and returns any other event.
    async fn end_run(
        &self,
        token: &RunToken,
        accepted: Option<&AcceptedRun>,
        delivery: Delivery,
        raw: RawDelivery,
    ) -> Result<Delivery, Outcome> {
        let run_id = accepted.and_then(|accepted| accepted.request_id.as_ref());
        let names_other_run = run_id.zip(delivery.event.request_id.as_ref()).is_some_and(|(run, event)| run != event);
        if !delivery.event.ends_run() || names_other_run {
            return Ok(delivery);
        }
        let key = delivery.key();
        let started = self.running_clock().map(|clock| (clock, Stopwatch::start(clock)));
        let mut has_waited = false;
        loop {
            let stored = self.pending_runs.deliver(token, raw.clone(), true).await;
            let mut changed = match stored.map_err(|error| Outcome::StoreFailed { key: Some(key.clone()), error })? {
                DeliverResult::Unacknowledged(changed) => changed,
                DeliverResult::AlreadyStored if !has_waited => return Err(Outcome::AlreadyHandled(key)),
                DeliverResult::AlreadyStored | DeliverResult::Stored => return Err(Outcome::RunEnded(key)),
                DeliverResult::BufferFull => return Err(Outcome::BufferFull),
                DeliverResult::UnknownRun => return Err(Outcome::UnknownRun),
                DeliverResult::Held | DeliverResult::Started => return Err(Outcome::Held),
            };
            has_waited = true;
            let limit = started.map(|(clock, started)| (clock, started.remaining(clock, MAX_ACKNOWLEDGE_TIME)));
            if !completes_within(&mut changed, limit).await {
                return Err(Outcome::Held);
            }
        }
    }

    /// Records that a run was started, and processes the deliveries that have been held for it.
    ///
    /// Returns `false` if no secret is known that could verify its callbacks.
    pub(super) async fn run_started(&self, token: &RunToken, run: AcceptedRun) -> Result<bool, BoxError> {
        let verifier = match &run.webhook_secret {
            Some(secret) => self.verifier.with_secret(secret.clone()),
            None => self.verifier.clone(),
        };
        if verifier.is_empty() && self.secret_source.is_none() {
            return Ok(false);
        }
        let run_id = run.request_id.clone();
        let url = token.callback_url(self.callback_url.as_deref().unwrap_or_default());
        let path = url.parse::<Uri>().map_or_else(|_| url.clone(), |url| url.path().to_owned());
        for held in self.pending_runs.started(token, run).await? {
            // The receiver responded with 503 to held deliveries, so the service redelivers those
            // that are ignored here.
            let result = self.verify(&verifier, &path, &held.headers, &held.body).await;
            let Ok(delivery) = result else { continue };
            let is_of_run = run_id.as_ref().zip(delivery.event.request_id.as_ref()).is_none_or(|(run, id)| run == id);
            if delivery.event.ends_run() && is_of_run {
                self.pending_runs.deliver(token, held, true).await?;
            }
        }
        Ok(true)
    }
}
