//! Measures the verification of a callback of 4 KiB, next to a bare HMAC of ring and of
//! `hmac-sha256`.

use std::hint::black_box;

use bytes::Bytes;
use fetch_hive_bench::{Cost, Meter};
use fetch_hive_core::callback::{Verifier, signed_request};
use fetch_hive_core::signature::{self, SIGNATURE_HEADER};
use fetch_hive_core::types::WebhookSecret;
use hmac_sha256::HMAC;

const SECRET: &str = "whsec_0123456789abcdef";
const REPETITIONS: usize = 5_000;
const ROUNDS: usize = 15;

type Operation<'a> = &'a dyn Fn(&Bytes);

fn main() {
    let head = r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":""#;
    let body = format!("{head}{}\"}}}}", "x".repeat(4096 - head.len() - 3));
    assert_eq!(body.len(), 4096);
    let request = signed_request(SECRET, body);
    let (headers, body) = (request.headers(), request.body());
    let digest = HMAC::mac(body.as_ref(), SECRET);
    let secrets = [WebhookSecret::new(SECRET)];
    let verifier = Verifier::new([SECRET]);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    assert!(headers.contains_key(SIGNATURE_HEADER));

    let operations: [(&str, Operation<'_>); 4] = [
        ("signature", &|body| {
            signature::verify(&secrets, headers, body).unwrap_or_else(|error| panic!("{error}"));
        }),
        ("callback", &|body| {
            black_box(verifier.verify(headers, body.clone()).unwrap_or_else(|error| panic!("{error}")));
        }),
        ("hmac-sha256", &|body| assert!(HMAC::verify(body.as_ref(), SECRET, &digest))),
        ("ring", &|body| ring::hmac::verify(&key, body, &digest).unwrap_or_else(|error| panic!("{error}"))),
    ];
    let mut best = [Cost::MAX; 4];
    for _ in 0..ROUNDS {
        for (best, (_, operation)) in best.iter_mut().zip(operations) {
            let meter = Meter::start();
            for _ in 0..REPETITIONS {
                operation(black_box(body));
            }
            *best = best.min(meter.per(REPETITIONS));
        }
    }
    for (best, (name, _)) in best.iter().zip(operations) {
        println!("{}", best.line(name));
    }
}
