//! Signs and verifies the raw bodies of callbacks.
//!
//! The service documents that [`SIGNATURE_HEADER`] contains an HMAC-SHA256 keyed with the webhook
//! secret. The signed bytes and the encoding are *unconfirmed*. This module assumes that the exact
//! raw body is signed. It accepts lower- or upper-case hex and standard base64, each with or
//! without the prefix `sha256=`. See the [contract](fetch_hive_types::contract#callbacks).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fetch_hive_types::WebhookSecret;
use http::HeaderMap;

use crate::sha256::{hmac, matches_hmac};

/// The header that carries the signature of a callback.
pub const SIGNATURE_HEADER: &str = "x-fetch-hive-signature";

/// The maximum number of signatures to compare per callback. It limits the work that a sender can
/// cause.
const MAX_SIGNATURES: usize = 16;

/// An error that occurs when the signature of a callback is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// No secret is configured, or all secrets are blank.
    #[error("no webhook secret is configured to verify the callback")]
    NoSecret,
    /// The signature header is missing.
    #[error("the callback has no {SIGNATURE_HEADER} header")]
    Missing,
    /// The signature header does not contain an HMAC-SHA256 digest in a known encoding.
    #[error("the {SIGNATURE_HEADER} header is not an HMAC-SHA256 digest in hex or base64")]
    Malformed,
    /// The signature belongs to another body or another secret.
    #[error("the signature does not match the body and the webhook secret; check the secret and pass the raw body")]
    Mismatch,
}

/// A scheme for verifying the signatures of callbacks.
///
/// The default scheme, [`BodyHmac`], is partly unconfirmed. If the service signs differently,
/// implement this trait and pass it to [`Verifier::scheme`](crate::callback::Verifier::scheme).
pub trait SignatureScheme: Send + Sync {
    /// Verifies that one of the secrets signed this body.
    ///
    /// # Errors
    ///
    /// Returns a [`SignatureError`] if the signature is missing, malformed or wrong.
    fn verify(&self, secrets: &[WebhookSecret], headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError>;
}

/// The default signature scheme, an HMAC-SHA256 over the exact raw body.
///
/// It is *unconfirmed* (see the [contract](fetch_hive_types::contract#callbacks)). The accepted
/// encodings are those of [`verify`].
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyHmac;

impl SignatureScheme for BodyHmac {
    fn verify(&self, secrets: &[WebhookSecret], headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
        verify(secrets, headers, body)
    }
}

/// Signs the body of a callback, for emulators and tests.
///
/// The result is lower-case hex without a prefix.
pub fn sign(secret: &WebhookSecret, body: &[u8]) -> String {
    hex(&hmac(secret.expose().as_bytes(), body))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]).map(char::from).collect()
}

/// Verifies the raw body of a callback against its [`SIGNATURE_HEADER`].
///
/// The body is accepted if any of the secrets matches any of the signatures. The header may occur
/// several times, and each value may contain several signatures separated by commas, spaces or
/// tabs. The first 16 signatures are compared, each in constant time.
///
/// # Errors
///
/// - [`SignatureError::NoSecret`] if there is no secret, or all secrets are blank
/// - [`SignatureError::Missing`] if the header is missing
/// - [`SignatureError::Malformed`] if the header contains no digest in a known encoding
/// - [`SignatureError::Mismatch`] if no signature matches
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a WebhookSecret>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), SignatureError> {
    let mut seen = SignatureError::Missing;
    let mut digests = Vec::with_capacity(1);
    for value in headers.get_all(SIGNATURE_HEADER) {
        seen = SignatureError::Malformed;
        let parts = value.as_bytes().split(|b| matches!(b, b',' | b' ' | b'\t')).filter(|part| !part.is_empty());
        digests.extend(parts.filter_map(decode).take(MAX_SIGNATURES - digests.len()));
    }
    let mut secrets = secrets.into_iter().filter(|secret| secret.check().is_ok()).peekable();
    if secrets.peek().is_none() {
        return Err(SignatureError::NoSecret);
    }
    if digests.is_empty() {
        return Err(seen);
    }
    let matches = |secret: &WebhookSecret| matches_hmac(secret.expose().as_bytes(), body, &digests);
    if secrets.any(matches) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn decode(value: &[u8]) -> Option<[u8; 32]> {
    let value = value.strip_prefix(b"sha256=").unwrap_or(value);
    if value.len() == 64 {
        let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(value.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        return Some(digest);
    }
    STANDARD.decode(value).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '%s' '{"event_type":"workflow.completed"}' | openssl dgst -sha256 -hmac whsec_test
    const BODY: &[u8] = br#"{"event_type":"workflow.completed"}"#;
    const HEX: &str = "7b092a79f18a0f05e21814dd8235ab43aeac285ebb2c5b8d884a48e43ee9b2dc";
    // The same with `-binary | base64`.
    const BASE64: &str = "ewkqefGKDwXiGBTdgjWrQ66sKF67LFuNiEpI5D7pstw=";

    fn headers(signatures: &[&str]) -> HeaderMap {
        signatures.iter().map(|signature| (SIGNATURE_HEADER.parse().unwrap(), signature.parse().unwrap())).collect()
    }

    fn check(secret: &str, header: &str, body: &[u8]) -> Result<(), SignatureError> {
        verify([&WebhookSecret::new(secret)], &headers(&[header]), body)
    }

    #[test]
    fn every_encoding_of_a_known_digest_verifies() {
        assert_eq!(sign(&WebhookSecret::new("whsec_test"), BODY), HEX);
        for form in [HEX.to_owned(), HEX.to_uppercase(), BASE64.to_owned()] {
            assert_eq!(check("whsec_test", &form, BODY), Ok(()), "{form}");
            assert_eq!(check("whsec_test", &format!("sha256={form}"), BODY), Ok(()), "{form}");
            assert_eq!(check("whsec_other", &form, BODY), Err(SignatureError::Mismatch), "{form}");
            assert_eq!(check("whsec_test", &form, b"{}"), Err(SignatureError::Mismatch), "{form}");
        }
    }

    #[test]
    fn missing_malformed_and_blank_have_their_own_errors() {
        let secret = WebhookSecret::new("whsec_test");
        assert_eq!(verify([&secret], &headers(&[]), BODY), Err(SignatureError::Missing));
        assert_eq!(check("whsec_test", "sha256=zz", BODY), Err(SignatureError::Malformed));
        assert_eq!(check("whsec_test", "", BODY), Err(SignatureError::Malformed));
        assert_eq!(check(" ", HEX, BODY), Err(SignatureError::NoSecret));
        assert_eq!(verify([], &headers(&[HEX]), BODY), Err(SignatureError::NoSecret));
    }

    #[test]
    fn stale_signature_first_still_verifies() {
        let old = sign(&WebhookSecret::new("whsec_old"), BODY);
        assert_eq!(check("whsec_test", &format!("{old},{HEX}"), BODY), Ok(()));
        let secret = WebhookSecret::new("whsec_test");
        assert_eq!(verify([&secret], &headers(&[&old, HEX]), BODY), Ok(()));
        // The first 16 signatures are compared.
        for (stale, verdict) in
            [(15, Ok(())), (16, Err(SignatureError::Mismatch)), (900, Err(SignatureError::Mismatch))]
        {
            let list = format!("{}{HEX}", format!("{old},").repeat(stale));
            assert_eq!(check("whsec_test", &list, BODY), verdict, "{stale} in one value");
            let values: Vec<&str> = std::iter::repeat_n(old.as_str(), stale).chain([HEX]).collect();
            assert_eq!(verify([&secret], &headers(&values), BODY), verdict, "{stale} in separate values");
        }
        let rotated = WebhookSecret::new("whsec_new");
        assert_eq!(verify([&rotated, &secret], &headers(&[HEX]), BODY), Ok(()));
    }
}
