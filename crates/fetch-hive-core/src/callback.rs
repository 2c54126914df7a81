//! Callbacks: a raw body and its headers in, a verified and typed event out (contract, section 4).
//!
//! ```
//! use fetch_hive_core::callback::{Verifier, signed_request};
//!
//! // In a test; in a server it is what came in.
//! let request = signed_request("whsec_1", r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":"done"}}"#);
//!
//! let verifier = Verifier::new(["whsec_1"]);
//! let delivery = verifier.verify(request.headers(), request.body().clone())?;
//! assert_eq!(delivery.event.output().unwrap(), "done");
//! # Ok::<(), fetch_hive_core::callback::CallbackError>(())
//! ```

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fetch_hive_types::{CallbackEvent, CallbackEventType, RequestId, WebhookSecret};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request};

use crate::signature::{BodyHmac, SIGNATURE_HEADER, SignatureError, SignatureScheme, sign};

/// Verifies callbacks with the secrets of what they come from. A clone is cheap.
#[derive(Clone)]
pub struct Verifier {
    secrets: Arc<[WebhookSecret]>,
    scheme: Arc<dyn SignatureScheme>,
}

impl Verifier {
    /// A verifier that takes what any of these secrets has signed. Several are given while a secret is rotated, or where one receiver
    /// serves several deployments.
    pub fn new(secrets: impl IntoIterator<Item: Into<WebhookSecret>>) -> Self {
        Self { secrets: secrets.into_iter().map(Into::into).collect(), scheme: Arc::new(BodyHmac) }
    }

    /// A verifier that takes one more secret, by the same scheme.
    #[must_use]
    pub fn with_secret(&self, secret: impl Into<WebhookSecret>) -> Self {
        let secrets = self.secrets.iter().cloned().chain([secret.into()]).collect();
        Self { secrets, scheme: Arc::clone(&self.scheme) }
    }

    /// Whether it has no secret that could have signed anything, and so refuses everything.
    pub fn is_empty(&self) -> bool {
        self.secrets.iter().all(|secret| secret.check().is_err())
    }

    /// Another scheme than [`BodyHmac`], which is unconfirmed.
    #[must_use]
    pub fn scheme(mut self, scheme: impl SignatureScheme + 'static) -> Self {
        self.scheme = Arc::new(scheme);
        self
    }

    /// Verifies a callback, and reads it once its signature holds: nothing is parsed before.
    ///
    /// # Errors
    ///
    /// [`CallbackError`], which holds neither secret nor body in its texts.
    pub fn verify(&self, headers: &HeaderMap, body: impl Into<Bytes>) -> Result<Delivery, CallbackError> {
        let raw = body.into();
        self.scheme.verify(&self.secrets, headers, &raw)?;
        match serde_json::from_slice(&raw) {
            Ok(event) => Ok(Delivery { event, raw, claim: None }),
            Err(error) => Err(CallbackError::InvalidEvent { raw, error }),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

/// Why a callback was not accepted. Its texts hold neither the secret nor the body.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// It is not signed with one of the secrets: it must not be acted on.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is signed, and is no JSON object with the fields of an event.
    #[error("the callback is signed, and its {} bytes are no event: line {}, column {}", raw.len(), error.line(), error.column())]
    InvalidEvent {
        /// The body, as it came.
        raw: Bytes,
        /// What did not fit. Its text may quote the body.
        error: serde_json::Error,
    },
}

impl fmt::Debug for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackError({self})")
    }
}

/// A verified callback: the event, its raw body and the claim of a dedup store.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The event.
    pub event: CallbackEvent,
    /// The signed body, byte for byte.
    pub raw: Bytes,
    /// The claim under which the handler runs, if the receiver has a dedup store.
    pub claim: Option<Claim>,
}

impl Delivery {
    /// What tells this event from others, and is the same in each delivery of it: its type, its run, and its delegation or else a digest
    /// of its body (contract, section 4).
    pub fn key(&self) -> EventKey {
        let event_type = self.event.event_type.as_ref().map_or("", CallbackEventType::as_str);
        let request_id = self.event.request_id.as_ref().map_or("", RequestId::as_str);
        let part = match self.event.delegation_id() {
            Some(id) => format!("delegation:{id}"),
            None => format!("sha256:{}", crate::signature::hex(&hmac_sha256::Hash::hash(&self.raw))),
        };
        // JSON, so that no two events have one key whatever their ids hold.
        EventKey(serde_json::Value::from([event_type, request_id, &part].as_slice()).to_string())
    }
}

/// Shows what it is about, and not its body.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event_type", &self.event.event_type)
            .field("request_id", &self.event.request_id)
            .field("body_length", &self.raw.len())
            .field("claim", &self.claim.as_ref().map(|claim| claim.number))
            .finish_non_exhaustive()
    }
}

/// The right to handle an event, for the time of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The event.
    pub key: EventKey,
    /// Tells this claim from earlier and later ones of the same event.
    pub number: u64,
}

impl Claim {
    /// A claim, as a dedup store gives it.
    pub fn new(key: EventKey, number: u64) -> Self {
        Self { key, number }
    }
}

/// What tells an event from others: a text to be kept in a store. See [`Delivery::key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(String);

impl EventKey {
    /// The key as text: a JSON array of three texts.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A callback as the service is thought to send it, for tests of receivers: signed as by [`sign`].
pub fn signed_request(secret: impl Into<WebhookSecret>, body: impl Into<Bytes>) -> Request<Bytes> {
    let body = body.into();
    let signature = sign(&secret.into(), &body);
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(signature) = HeaderValue::try_from(signature) {
        request.headers_mut().insert(SIGNATURE_HEADER, signature);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(json: &str) -> Delivery {
        let request = signed_request("s", json.to_owned());
        Verifier::new(["s"]).verify(request.headers(), request.body().clone()).unwrap()
    }

    #[test]
    fn key_distinguishes_delegations_and_bodies_but_not_redeliveries() {
        let event = |delegation: &str, result: u8| {
            delivery(&format!(
                r#"{{"event_type":"agent.delegation.completed","request_id":"req_1","data":{{"delegation_id":"{delegation}","result":{result}}}}}"#
            ))
            .key()
        };
        assert_ne!(event("d1", 1), event("d2", 1));
        assert_eq!(event("d1", 1), event("d1", 1));
        // A body that is written anew is still the same delegation's.
        assert_eq!(event("d1", 1), event("d1", 2));
        // Without a delegation the body tells.
        let plain =
            |text: &str| delivery(&format!(r#"{{"event_type":"a.b","request_id":"r","data":{{"x":"{text}"}}}}"#)).key();
        assert_ne!(plain("1"), plain("2"));
        assert_eq!(plain("1"), plain("1"));
        // Ids that look like keys do not make two events one.
        let tricky = |run: &str| {
            delivery(&format!(r#"{{"event_type":"a","request_id":"{run}","data":{{"delegation_id":"d"}}}}"#)).key()
        };
        assert_ne!(tricky(r#"r\",\"x"#), tricky("r"));
    }

    #[test]
    fn unsigned_body_is_not_parsed_and_never_printed() {
        let verifier = Verifier::new(["s"]);
        let request = signed_request("other", "no json, hidden");
        let error = verifier.verify(request.headers(), request.body().clone()).unwrap_err();
        assert!(matches!(error, CallbackError::Signature(SignatureError::Mismatch)), "{error}");
        for body in ["no json, hidden", "[1]", "\"hidden\"", r#"{"event_type":["hidden"]}"#] {
            let request = signed_request("s", body);
            let error = verifier.verify(request.headers(), request.body().clone()).unwrap_err();
            let CallbackError::InvalidEvent { raw, .. } = &error else { panic!("{error}") };
            assert_eq!(raw, body);
            assert!(!format!("{error} {error:?}").contains("hidden"));
        }
    }

    #[test]
    fn custom_signature_scheme_replaces_the_default() {
        struct Prefixed;
        impl SignatureScheme for Prefixed {
            fn verify(
                &self,
                secrets: &[WebhookSecret],
                headers: &HeaderMap,
                body: &[u8],
            ) -> Result<(), SignatureError> {
                crate::signature::verify(secrets, headers, &[b"v1.", body].concat())
            }
        }
        let verifier = Verifier::new(["s"]).scheme(Prefixed);
        let mut request = signed_request("s", "v1.{}");
        *request.body_mut() = "{}".into();
        verifier.verify(request.headers(), request.body().clone()).unwrap();
        assert!(Verifier::new(["s"]).verify(request.headers(), request.body().clone()).is_err());
    }
}
