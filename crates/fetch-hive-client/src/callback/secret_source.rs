use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_core::callback::Delivery;
use fetch_hive_core::types::{RequestId, WebhookSecret};
use http::HeaderMap;

use crate::BoxError;
use crate::clock::Instant;

/// A source of secrets that may have signed a callback, such as a database table of deployment
/// secrets.
///
/// If a callback does not match any of the receiver's own secrets, the receiver queries the source.
/// The results, including empty ones, are cached, because anyone can send requests to a receiver.
#[async_trait]
pub trait SecretSource: Send + Sync + 'static {
    /// Returns the secrets that may have signed the delivery.
    ///
    /// # Errors
    ///
    /// Returns any error from the source. The receiver then responds with 503, so that the service
    /// redelivers the callback.
    async fn secrets(&self, delivery: &UnverifiedDelivery<'_>) -> Result<Vec<WebhookSecret>, BoxError>;

    /// Returns the key under which the secrets for a delivery are cached. The default is the
    /// request path, which is suitable if each deployment has its own callback URL.
    fn cache_key(&self, delivery: &UnverifiedDelivery<'_>) -> String {
        delivery.path.to_owned()
    }
}

/// A delivery whose signature has not been verified yet, and whose contents may be forged.
///
/// `Debug` shows only the path.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct UnverifiedDelivery<'a> {
    /// The path of the request.
    pub path: &'a str,
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// The raw body of the request.
    pub body: &'a Bytes,
}

impl<'a> UnverifiedDelivery<'a> {
    /// Creates an unverified delivery.
    pub fn new(path: &'a str, headers: &'a HeaderMap, body: &'a Bytes) -> Self {
        Self { path, headers, body }
    }

    /// Parses the body and returns the request id in it, if any.
    pub fn request_id(&self) -> Option<RequestId> {
        Delivery::from_verified(self.body.clone()).event.request_id
    }
}

impl fmt::Debug for UnverifiedDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedDelivery").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How long results from the source are cached, including empty ones.
const MAX_AGE: Duration = Duration::from_secs(300);
const MAX_AGE_OF_NOTHING: Duration = Duration::from_secs(10);

const MAX_ENTRIES: usize = 10_000;

/// A source with a cache for its secrets.
pub(super) struct CachedSecrets {
    source: Box<dyn SecretSource>,
    entries: Mutex<HashMap<String, Entry>>,
}

/// The time and the result of a query.
type Entry = (Instant, Arc<[WebhookSecret]>);

impl CachedSecrets {
    pub(super) fn new(source: impl SecretSource) -> Self {
        Self { source: Box::new(source), entries: Mutex::default() }
    }

    /// Returns the secrets for a delivery from the cache or the source.
    pub(super) async fn secrets(&self, delivery: &UnverifiedDelivery<'_>) -> Result<Arc<[WebhookSecret]>, BoxError> {
        let key = self.source.cache_key(delivery);
        let is_fresh = |now: Instant, at: Instant, secrets: &[WebhookSecret]| {
            let max_age = if secrets.is_empty() { MAX_AGE_OF_NOTHING } else { MAX_AGE };
            now.saturating_duration_since(at) < max_age
        };
        let now = Instant::now();
        {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, secrets)) = entries.get(&key) {
                if is_fresh(now, *at, secrets) {
                    return Ok(Arc::clone(secrets));
                }
            }
        }
        let secrets: Arc<[WebhookSecret]> = self.source.secrets(delivery).await?.into();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, (at, secrets)| is_fresh(now, *at, secrets));
        }
        if entries.len() < MAX_ENTRIES {
            entries.insert(key, (now, Arc::clone(&secrets)));
        }
        Ok(secrets)
    }
}
