//! The delivery of signed callbacks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::signature::{SIGNATURE_HEADER, sign};
use fetch_hive_core::types::WebhookSecret;
use http_body_util::Full;
use serde_json::Value;

use crate::callbacks::address::check_address;
use crate::faults::callback::{CallbackFault, CallbackFaults};
use crate::faults::matching::Origin;
use crate::http::mask::masked;
use crate::state::State;
use crate::state::recorded::Delivery;

/// An event that is delivered to a callback URL.
pub(crate) struct Callback {
    pub(crate) request_id: String,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) body: Bytes,
    /// The origin of the run, which selects the faults.
    pub(crate) origin: Origin,
}

/// The time within which a receiver must respond.
pub(crate) const RECEIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time that a reordered callback waits for another one.
const MAX_REORDER_DELAY: Duration = Duration::from_secs(5);

/// Delivers an event until a receiver accepts it, with increasing delays between the attempts.
pub(crate) async fn deliver(state: &Arc<State>, callback: Callback) {
    let Callback { request_id, url, secret, body, origin } = callback;
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let faults = origin.callback_faults(&state.faults, event["event_type"].as_str().unwrap_or_default());
    if faults.contains(CallbackFault::Lost, 1) {
        return state.log(|| format!("callback of {request_id} to {}: not sent (fault callback-lost)", masked(&url)));
    }
    tokio::time::sleep(faults.delay()).await;
    if faults.contains(CallbackFault::Reorder, 1) {
        let _ = tokio::time::timeout(MAX_REORDER_DELAY, state.delivery_attempted.notified()).await;
    }
    let (mut accepted, mut failed) = (0, 0);
    for attempt in 1.. {
        let (body, signature) = signed(&faults, attempt, &secret, &body);
        let allowed = check_address(&state.settings, &url).await;
        let is_forbidden = allowed.is_err();
        let outcome = match allowed {
            Err(reason) => Err(reason),
            Ok(()) => post_with_timeout(state, &url, &signature, &body).await,
        };
        state.log(|| {
            let outcome = outcome.as_ref().map_or_else(Clone::clone, ToString::to_string);
            format!(
                "callback of {request_id} to {}, attempt {attempt}: {outcome}{}",
                masked(&url),
                faults.log_suffix(attempt)
            )
        });
        if matches!(outcome, Ok(200..=299)) {
            accepted += 1;
        } else {
            failed += 1;
        }
        let is_last = is_forbidden || accepted > faults.redeliveries() || failed == state.settings.delivery_attempts;
        let is_redelivery = accepted > 0 && failed == 0;
        state.deliveries.push(Delivery {
            request_id: request_id.clone(),
            url: url.clone(),
            attempt,
            outcome,
            body,
            signature,
        });
        state.delivery_attempted.notify_waiters();
        if is_last {
            return;
        }
        // A redelivery follows at once, while the receiver may still handle the first delivery.
        if !is_redelivery {
            tokio::time::sleep(state.settings.delivery_backoff * failed).await;
        }
    }
}

/// Returns the body and the signature of an attempt, with the faults applied.
fn signed(faults: &CallbackFaults, attempt: u32, secret: &str, body: &Bytes) -> (Bytes, String) {
    let signature = if faults.contains(CallbackFault::Unsigned, attempt) {
        String::new()
    } else if faults.contains(CallbackFault::BadSignature, attempt) {
        sign(&WebhookSecret::new(format!("not {secret}")), body)
    } else {
        sign(&WebhookSecret::new(secret), body)
    };
    let body = if faults.contains(CallbackFault::Corrupt, attempt) { flip_bit(body) } else { body.clone() };
    (body, signature)
}

/// Sends an earlier delivery again, with the same body and signature.
#[cfg(feature = "page")]
pub(crate) async fn replay(state: &Arc<State>, delivery: &Delivery) -> Result<u16, String> {
    let outcome = match check_address(&state.settings, &delivery.url).await {
        Err(reason) => Err(reason),
        Ok(()) => post_with_timeout(state, &delivery.url, &delivery.signature, &delivery.body).await,
    };
    state.deliveries.push(Delivery { attempt: delivery.attempt + 1, outcome: outcome.clone(), ..delivery.clone() });
    outcome
}

fn flip_bit(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

async fn post_with_timeout(state: &State, url: &str, signature: &str, body: &Bytes) -> Result<u16, String> {
    let timed_out = |_| Err(format!("no response within {} s", RECEIVER_TIMEOUT.as_secs()));
    tokio::time::timeout(RECEIVER_TIMEOUT, post(state, url, signature, body)).await.unwrap_or_else(timed_out)
}

async fn post(state: &State, url: &str, signature: &str, body: &Bytes) -> Result<u16, String> {
    let uri: http::Uri = url.parse().map_err(|error| format!("invalid callback URL: {error}"))?;
    let mut request = http::Request::post(uri)
        .header("content-type", "application/json")
        .header("user-agent", concat!("fetch-hive-emulator/", env!("CARGO_PKG_VERSION")));
    if !signature.is_empty() {
        request = request.header(SIGNATURE_HEADER, signature);
    }
    let request = request.body(Full::new(body.clone())).map_err(|error| error.to_string())?;
    match state.callback_client.request(request).await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(error.to_string()),
    }
}
