//! Callbacks with arbitrary headers and bodies.
//!
//! A header without the digest is never accepted. Any signed body is delivered, without a panic.
//! The event key is deterministic.
#![no_main]

#[path = "../../tests/support/signatures.rs"]
mod signatures;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fetch_hive_core::callback::{Verifier, signed_request};
use fetch_hive_core::signature::{SIGNATURE_HEADER, sign, verify};
use fetch_hive_core::types::WebhookSecret;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (form, header, body) = input;
    let secret = WebhookSecret::new("whsec_fuzz");
    let body = Bytes::from(body);
    let hex = sign(&secret, &body);
    let digest: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let base64 = STANDARD.encode(digest);

    // An arbitrary header that may contain the correct digest.
    let digest = [hex.clone(), hex.to_uppercase(), base64.clone(), String::new()];
    let digest = digest[usize::from(form % 4)].as_bytes();
    let at = usize::from(form / 4).min(header.len());
    let header = [&header[..at], digest, &header[at..]].concat();
    let mut request = signed_request(secret.clone(), body.clone());
    if let Ok(value) = HeaderValue::from_bytes(&header) {
        request.headers_mut().insert(SIGNATURE_HEADER, value);
        let verified = verify([&secret], request.headers(), &body).is_ok();
        assert_eq!(verified, signatures::holds(&header, &hex, &base64));
    }

    let request = signed_request(secret.clone(), body.clone());
    let delivery = Verifier::new([secret]).verify(request.headers(), body.clone()).unwrap();
    assert_eq!(delivery.raw, body);
    let parts: Vec<String> = serde_json::from_str(delivery.key().as_str()).unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(delivery.key(), delivery.clone().key());
    let event = &delivery.event;
    let _ = (event.run_status(), event.response(), event.error(), event.ends_run());
    let _ = event.to_run().into_output();
});
