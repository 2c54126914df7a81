//! Verifies callbacks and parses their events.
//!
//! ```
//! use fetch_hive_core::callback::{Verifier, signed_request};
//!
//! // A signed test request. In a server, use the headers and the raw body of the incoming request.
//! let body = r#"{"event_type":"workflow.completed","data":{"output":"done"}}"#;
//! let request = signed_request("whsec_1", body);
//!
//! let verifier = Verifier::new(["whsec_1"]);
//! let delivery = verifier.verify(request.headers(), request.body().clone())?;
//! assert_eq!(delivery.event.output().unwrap(), "done");
//! # Ok::<(), fetch_hive_core::callback::CallbackError>(())
//! ```
//!
//! The signature is checked before anything is parsed. How the service signs a callback is partly
//! unconfirmed: see [`signature`](crate::signature) and the
//! [contract](fetch_hive_types::contract#callbacks).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fetch_hive_types::{CallbackEvent, CallbackEventType, RequestId, RunStatus, WebhookSecret};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request};

use serde_json::Value;

use crate::lenient::{self, Parsed, UnreadableField};
use crate::sha256;
use crate::signature::{BodyHmac, SIGNATURE_HEADER, SignatureError, SignatureScheme, sign};

/// A verifier of callbacks, which holds one or more webhook secrets. Cloning is cheap.
#[derive(Clone)]
pub struct Verifier {
    secrets: Arc<[WebhookSecret]>,
    scheme: Arc<dyn SignatureScheme>,
}

impl Verifier {
    /// Creates a verifier that accepts callbacks signed with any of these secrets.
    ///
    /// Pass several secrets while a secret is being rotated, or if one URL receives the callbacks
    /// of several deployments.
    pub fn new(secrets: impl IntoIterator<Item: Into<WebhookSecret>>) -> Self {
        Self { secrets: secrets.into_iter().map(Into::into).collect(), scheme: Arc::new(BodyHmac) }
    }

    /// Returns a verifier with one more secret and the same signature scheme.
    #[must_use]
    pub fn with_secret(&self, secret: impl Into<WebhookSecret>) -> Self {
        let secrets = self.secrets.iter().cloned().chain([secret.into()]).collect();
        Self { secrets, scheme: Arc::clone(&self.scheme) }
    }

    /// Returns `true` if the verifier has no usable secret and therefore rejects every callback.
    pub fn is_empty(&self) -> bool {
        self.secrets.iter().all(|secret| secret.check().is_err())
    }

    /// Sets the signature scheme. Defaults to [`BodyHmac`], which is unconfirmed.
    #[must_use]
    pub fn scheme(mut self, scheme: impl SignatureScheme + 'static) -> Self {
        self.scheme = Arc::new(scheme);
        self
    }

    /// Verifies the signature of a callback and then parses its event.
    ///
    /// A signed callback is never rejected because of its body. Fields of the event that cannot be
    /// read are absent and listed in [`Delivery::unreadable`]. If the body is not JSON at all, the
    /// event is empty.
    ///
    /// Pass the body exactly as it was received. A body that was parsed and serialized again does
    /// not verify.
    ///
    /// # Errors
    ///
    /// Returns [`CallbackError::Signature`] if the signature is missing, malformed or wrong.
    pub fn verify(&self, headers: &HeaderMap, body: impl Into<Bytes>) -> Result<Delivery, CallbackError> {
        let raw = body.into();
        self.scheme.verify(&self.secrets, headers, &raw)?;
        Ok(Delivery::from_verified(raw))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

/// An error that occurs when a callback is rejected.
///
/// `Display` and `Debug` show neither a secret nor the body.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The callback is not signed with one of the secrets. It may be forged.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl fmt::Debug for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackError({self})")
    }
}

/// A verified callback, consisting of its event and its raw body.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The parsed event of the callback.
    pub event: CallbackEvent,
    /// The raw body of the callback, exactly as it was signed.
    pub raw: Bytes,
    /// The fields of the body that could not be read and are absent from the event.
    ///
    /// If the whole body could not be read, the list has one entry with an empty path. The body is
    /// still available as [`raw`](Self::raw).
    pub unreadable: Vec<UnreadableField>,
    /// The claim that the handler holds, if the receiver has a dedup store. A handler can commit
    /// the claim in the same transaction as its own work.
    pub claim: Option<Claim>,
}

impl Delivery {
    /// Parses the body of a callback whose signature was verified before, such as one that a store
    /// returned.
    pub fn from_verified(body: impl Into<Bytes>) -> Self {
        let raw = body.into();
        let Parsed { value: event, unreadable } = lenient::from_slice_or_default(&raw);
        Self { event, raw, unreadable, claim: None }
    }

    /// Returns the key of the event, which is the same for every redelivery of the event.
    ///
    /// The key consists of the event type, the request id, and one of the following:
    /// - the delegation id, if the event has one;
    /// - nothing else, if the event ends its run, which happens once;
    /// - otherwise a digest of the body, without the fields that may differ between deliveries,
    ///   such as `delivery_attempt` and `sent_at`.
    ///
    /// The service documents no event id, so this choice is unconfirmed (see the
    /// [contract](fetch_hive_types::contract#callbacks)).
    pub fn key(&self) -> EventKey {
        let event_type = self.event.event_type.as_ref().map_or("", CallbackEventType::as_str);
        let request_id = self.event.request_id.as_ref().map_or("", RequestId::as_str);
        // Events of unknown types may occur several times per run.
        let has_ended = || matches!(self.event.run_status(), Some(RunStatus::Completed | RunStatus::Failed));
        let part = match self.event.delegation_id() {
            Some(id) => format!("delegation:{id}"),
            None if !request_id.is_empty() && self.event.ends_run() && has_ended() => "run".to_owned(),
            None => format!("sha256:{}", crate::signature::hex(sha256::digest(&stable_content(&self.raw)).as_ref())),
        };
        // As JSON, ids that contain separators cannot make the keys of two events equal.
        EventKey(serde_json::Value::from([event_type, request_id, &part].as_slice()).to_string())
    }
}

/// Returns the body without the fields that may differ between the deliveries of one event, and
/// independent of whitespace and of the order of fields.
fn stable_content(raw: &Bytes) -> Bytes {
    let Ok(Parsed { value: Value::Object(mut body), .. }) = lenient::to_value_or_salvage(raw) else {
        return raw.clone();
    };
    let is_stable = |name: &str| {
        let name = name.to_ascii_lowercase();
        !["attempt", "deliver", "retry", "retries", "timestamp", "sent_at"].iter().any(|part| name.contains(part))
    };
    body.retain(|name, _| is_stable(name));
    if let Some(Value::Object(data)) = body.get_mut("data") {
        data.retain(|name, _| is_stable(name));
    }
    let mut body = Value::Object(body);
    // For programs that enable the feature `preserve_order` of serde_json.
    body.sort_all_objects();
    body.to_string().into()
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event_type", &self.event.event_type)
            .field("request_id", &self.event.request_id)
            .field("body_length", &self.raw.len())
            .field("unreadable", &self.unreadable)
            .field("claim", &self.claim.as_ref().map(|claim| claim.number))
            .finish_non_exhaustive()
    }
}

/// The exclusive right to handle an event until its lease expires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The key of the claimed event.
    pub key: EventKey,
    /// A number that differs between the claims of an event, so that an expired claim cannot be
    /// committed.
    pub number: u64,
}

impl Claim {
    /// Creates a claim. Only dedup stores need to call this.
    pub fn new(key: EventKey, number: u64) -> Self {
        Self { key, number }
    }
}

/// The key that identifies an event across redeliveries, returned by [`Delivery::key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(String);

impl EventKey {
    /// Creates a key from a text, for receivers that identify events in another way.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the key as text. The text of [`Delivery::key`] is a JSON array of three strings.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Creates a signed callback request, for tests of receivers.
///
/// The signature is that of [`sign`]. How the service signs is unconfirmed.
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
        // The delegation id decides, even if the body differs.
        assert_eq!(event("d1", 1), event("d1", 2));
        // An event that ends a run is identified by the run.
        let end = |attempt: u8, output: &str| {
            let body = format!(
                r#"{{"event_type":"workflow.completed","request_id":"r","delivery_attempt":{attempt},"data":{{"output":"{output}"}}}}"#
            );
            delivery(&body).key()
        };
        assert_eq!(end(1, "a"), end(2, "a"));
        assert_eq!(end(1, "a"), end(2, "b"));
        // The body decides otherwise, without the fields that differ between deliveries.
        let progress = |fields: &str| delivery(&format!(r#"{{"event_type":"a.b","request_id":"r",{fields}}}"#)).key();
        let first = progress(r#""delivery_attempt":1,"sent_at":"10:00","data":{"step":1,"attempts":1}"#);
        assert_eq!(first, progress(r#" "data": {"attempts":2, "step":1}, "sent_at":"10:05","delivery_attempt":2"#));
        assert_ne!(first, progress(r#""data":{"step":2}"#));
        let plain =
            |text: &str| delivery(&format!(r#"{{"event_type":"a.b","request_id":"r","data":{{"x":"{text}"}}}}"#)).key();
        assert_ne!(plain("1"), plain("2"));
        assert_eq!(plain("1"), plain("1"));
        // Quotes and commas in an id do not make two keys equal.
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
    }

    #[test]
    fn signed_body_of_any_kind_is_delivered() {
        for (body, path) in
            [("no json, hidden", ""), ("[1]", ""), ("\"hidden\"", ""), (r#"{"event_type":["hidden"]}"#, "event_type")]
        {
            let delivery = delivery(body);
            assert_eq!((&delivery.raw[..], &*delivery.unreadable[0].path), (body.as_bytes(), path));
            assert_eq!((&delivery.event.event_type, delivery.unreadable.len()), (&None, 1));
            assert!(!format!("{delivery:?} {}", delivery.unreadable[0]).contains("hidden"), "{delivery:?}");
        }
        let deep = "[".repeat(300) + &"]".repeat(300);
        for (odd, path) in [(r#""cut \ud83d""#, None), (&*deep, Some("data.output")), ("1e999", Some("data.output"))] {
            let body = format!(
                r#"{{"event_type":"workflow.completed","request_id":"req_1","data":{{"output":{odd},"user":"u"}}}}"#
            );
            let delivery = delivery(&body);
            assert_eq!(delivery.event.request_id.as_ref().unwrap(), "req_1");
            assert_eq!(delivery.event.get("user").unwrap(), "u");
            assert_eq!(delivery.unreadable.first().map(|field| &*field.path), path);
            assert_eq!(delivery.event.output().is_some(), path.is_none());
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
