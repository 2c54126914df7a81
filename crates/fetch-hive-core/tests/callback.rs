//! Tests signatures against other implementations, with every single bit changed, and by property.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fetch_hive_core::callback::{Verifier, signed_request};
use fetch_hive_core::signature::{SIGNATURE_HEADER, SignatureError, sign, verify};
use fetch_hive_core::types::WebhookSecret;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde::Deserialize;

#[path = "support/signatures.rs"]
mod signatures;

use signatures::holds;

fn headers(signature: &[u8]) -> HeaderMap {
    let value = HeaderValue::from_bytes(signature).unwrap();
    [(SIGNATURE_HEADER.parse().unwrap(), value)].into_iter().collect()
}

fn check(secret: &str, signature: &[u8], body: &[u8]) -> Result<(), SignatureError> {
    verify([&WebhookSecret::new(secret)], &headers(signature), body)
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex_to_base64(hex: &str) -> String {
    STANDARD.encode(from_hex(hex))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Returns a digest in every accepted encoding.
fn encodings(hex: &str) -> Vec<String> {
    let bare = [hex.to_owned(), hex.to_uppercase(), hex_to_base64(hex)];
    bare.iter().flat_map(|form| [form.clone(), format!("sha256={form}")]).collect()
}

#[derive(Deserialize)]
struct Vector {
    secret: String,
    body_base64: Option<String>,
    body_repeat: Option<(char, usize)>,
    hex: String,
    base64: String,
}

#[test]
fn signatures_made_by_python_and_openssl_verify() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("data/callback_vectors.json")).unwrap();
    assert_eq!(vectors.len(), 32);
    for vector in &vectors {
        let body = match (&vector.body_base64, vector.body_repeat) {
            (Some(body), _) => STANDARD.decode(body).unwrap(),
            (None, Some((letter, count))) => letter.to_string().repeat(count).into_bytes(),
            (None, None) => panic!("a vector without a body"),
        };
        assert_eq!(sign(&WebhookSecret::new(&*vector.secret), &body), vector.hex);
        assert_eq!(hex_to_base64(&vector.hex), vector.base64);
        for form in encodings(&vector.hex) {
            assert_eq!(check(&vector.secret, form.as_bytes(), &body), Ok(()), "{form}");
        }
        for other in vectors.iter().filter(|other| other.hex != vector.hex) {
            assert_eq!(check(&vector.secret, other.hex.as_bytes(), &body), Err(SignatureError::Mismatch));
        }
    }
}

fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let bytes = bytes.to_vec();
    (0..bytes.len() * 8).map(move |bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

#[test]
fn flipping_any_bit_of_body_secret_or_signature_fails() {
    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"event_type":"workflow.completed","request_id":"req_1"}"#;
    let hex = sign(&WebhookSecret::new(SECRET), BODY);
    let mut rejected = 0;
    for form in encodings(&hex) {
        assert_eq!(check(SECRET, form.as_bytes(), BODY), Ok(()));
        for body in flipped(BODY) {
            assert_eq!(check(SECRET, form.as_bytes(), &body), Err(SignatureError::Mismatch));
            rejected += 1;
        }
        for secret in flipped(SECRET.as_bytes()) {
            // A secret is text, so a non-ASCII byte becomes the character with that code.
            let secret: String = secret.into_iter().map(char::from).collect();
            assert!(check(&secret, form.as_bytes(), BODY).is_err());
            rejected += 1;
        }
        for signature in flipped(form.as_bytes()) {
            // Skip invalid header values, and hex digits that only changed their case.
            if HeaderValue::from_bytes(&signature).is_err() || holds(&signature, &hex, &hex_to_base64(&hex)) {
                continue;
            }
            assert!(check(SECRET, &signature, BODY).is_err(), "{}", String::from_utf8_lossy(&signature));
            rejected += 1;
        }
    }
    // Flip each bit of the digest itself, in every encoding.
    for digest in flipped(&from_hex(&hex)) {
        for form in encodings(&to_hex(&digest)) {
            assert_eq!(check(SECRET, form.as_bytes(), BODY), Err(SignatureError::Mismatch));
            rejected += 1;
        }
    }
    assert!(rejected > 6_000, "{rejected}");
}

fn secrets() -> impl Strategy<Value = String> {
    "[ -~]{0,40}[!-~]"
}

proptest! {
    #[test]
    fn signed_body_verifies_in_every_encoding_and_position(
        secret in secrets(),
        others in prop::collection::vec(secrets(), 0..4),
        body in prop::collection::vec(any::<u8>(), 0..300),
        noise in "[ -~]{0,80}",
    ) {
        let hex = sign(&WebhookSecret::new(&*secret), &body);
        let known: Vec<_> = others.iter().chain([&secret]).map(|secret| WebhookSecret::new(&**secret)).collect();
        for form in encodings(&hex) {
            for header in [form.clone(), format!("{noise},{form}"), format!("{form} {noise}")] {
                prop_assert_eq!(verify(&known, &headers(header.as_bytes()), &body), Ok(()));
            }
        }
        let mut several = headers(noise.as_bytes());
        several.append(SIGNATURE_HEADER, hex.parse().unwrap());
        prop_assert_eq!(verify(&known, &several, &body), Ok(()));
    }

    #[test]
    fn other_body_or_other_secret_is_a_mismatch(
        secret in secrets(),
        other in secrets(),
        body in prop::collection::vec(any::<u8>(), 0..100),
        other_body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let hex = sign(&WebhookSecret::new(&*secret), &body);
        if body != other_body {
            prop_assert_eq!(check(&secret, hex.as_bytes(), &other_body), Err(SignatureError::Mismatch));
        }
        if secret != other {
            prop_assert_eq!(check(&other, hex.as_bytes(), &body), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn verdict_agrees_with_an_independent_verifier(
        cut in 0..70_usize,
        before in "[ -~]{0,3}",
        after in prop::collection::vec(0x20..0x7f_u8, 0..70),
    ) {
        let body = b"{}";
        let hex = sign(&WebhookSecret::new("s"), body);
        let header = [before.as_bytes(), &hex.as_bytes()[..cut.min(64)], &after].concat();
        let verified = check("s", &header, body);
        prop_assert_eq!(verified.is_ok(), holds(&header, &hex, &hex_to_base64(&hex)));
        prop_assert!(!matches!(verified, Err(SignatureError::NoSecret | SignatureError::Missing)));
    }

    #[test]
    fn any_signed_body_is_delivered_with_a_stable_key(body in "[ -~]{0,60}|\\{\"event_type\":\"[a-z.]{0,20}\",\"request_id\":\"[a-z\\[\\],]{0,9}\",\"data\":\\{\"delegation_id\":\"[a-z\\[\\],]{0,9}\"\\}\\}") {
        let request = signed_request("s", body.clone());
        let delivery = Verifier::new(["s"]).verify(request.headers(), request.body().clone()).unwrap();
        prop_assert_eq!(&delivery.raw, &body);
        let again = Verifier::new(["t", "s"]).verify(request.headers(), request.body().clone()).unwrap();
        prop_assert_eq!(delivery.key(), again.key());
        let parts: [String; 3] = serde_json::from_str(delivery.key().as_str()).unwrap();
        prop_assert_eq!(delivery.event.request_id.as_ref().map_or("", |id| id.as_str()), &parts[1]);
    }
}
