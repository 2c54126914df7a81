//! The buffers of keys and secrets are zeroed: the test searches all memory of its process. It is
//! the only test in its process, because other tests would leave keys in memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::fs::{File, read_to_string};
use std::hint::black_box;
use std::io::{Read as _, Seek as _, SeekFrom};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::core::callback::Verifier;
use fetch_hive_client::types::{ApiKey, InvokeHiveAgentResponse, TriggerAgent, WebhookSecret};
use fetch_hive_client::{
    BoxError, Client, CredentialProvider, RequestBody, ResponseBody, Retry, RetryPolicy, Transport, TransportError,
};

/// The length of the part of a secret that is searched for. The allocator overwrites the start of
/// freed memory.
const MIDDLE: std::ops::Range<usize> = 64..96;

/// A secret that exists only in the returned value, because each byte is computed when it is read.
fn secret() -> String {
    secret_before("")
}

fn secret_before(end: &str) -> String {
    let mut secret = String::with_capacity(128 + end.len());
    (0..128).for_each(|at| secret.push(char::from(byte(at))));
    secret.push_str(end);
    secret
}

fn byte(at: usize) -> u8 {
    b'a' + u8::try_from(black_box(at) * black_box(7_919) % 26).unwrap()
}

fn is_secret(bytes: &[u8]) -> bool {
    bytes.iter().zip(MIDDLE).all(|(found, at)| *found == byte(at))
}

/// Counts how often the middle of the secret occurs in the writable memory of this process.
fn found() -> usize {
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut count = 0;
    let mut piece = vec![0; 1 << 20];
    for line in read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        while at < end {
            let own = piece.as_ptr().addr() as u64;
            // The search buffers are not searched.
            if (own..own + (1 << 20)).contains(&at) {
                at = own + (1 << 20);
                continue;
            }
            let mut room = (end - at).min(1 << 20);
            if at < own {
                room = room.min(own - at);
            }
            let piece = &mut piece[..usize::try_from(room).unwrap()];
            if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(piece).is_err() {
                break;
            }
            count += piece
                .windows(MIDDLE.len())
                .filter(|window| window[0] == byte(MIDDLE.start) && is_secret(window))
                .count();
            // The chunks overlap, except for the last one.
            at += if room > 64 && at + room < end && room == 1 << 20 { room - 64 } else { room };
        }
    }
    piece.fill(0);
    black_box(&piece);
    count
}

/// Reads a request and answers with an error response or a run.
struct Taking(u16);

#[async_trait]
impl Transport for Taking {
    async fn send(&self, request: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, TransportError> {
        assert!(request.headers().values().any(|value| value.is_sensitive() && value.len() >= 128));
        assert!(found() >= 1, "the search finds nothing, so it proves nothing");
        Ok(http::Response::builder().status(self.0).body(ResponseBody::whole("{}")).unwrap())
    }
}

struct Vault;

#[async_trait]
impl CredentialProvider for Vault {
    async fn api_key(&self) -> Result<ApiKey, BoxError> {
        Ok(ApiKey::new(secret())?)
    }
}

#[test]
fn dropped_keys_and_secrets_are_zeroed() {
    let client = |status| Client::builder().transport(Taking(status)).retry(RetryPolicy::never());
    let trigger = || TriggerAgent::new("a", secret(), "hi", "https://example.com/cb");
    let step = |name: &str, step: &dyn Fn()| {
        step();
        assert_eq!(found(), 0, "{name}");
    };

    // A text that is not zeroed is found after it is dropped, so the search works.
    let plain = secret();
    assert!(found() >= 1);
    drop(plain);
    assert!(found() >= 1, "the search does not see what was freed");
    // It is overwritten before the first step.
    for _ in 0..100 {
        let filling: Vec<_> = (0..64).map(|_| vec![1_u8; 128]).collect();
        black_box(&filling);
    }
    assert_eq!(found(), 0, "the secret is not overwritten");

    step("a key", &|| drop(ApiKey::new(secret()).unwrap().clone()));
    step("a rejected key", &|| assert!(ApiKey::new(secret_before("\nx")).is_err()));
    step("a webhook secret", &|| drop(WebhookSecret::new(secret()).clone()));
    step("a verifier", &|| drop(Verifier::new([secret()]).clone()));
    step("a builder", &|| drop(Client::builder().api_key(secret())));
    step("a client", &|| drop(client(200).api_key(secret()).build().unwrap()));
    step("a key with blanks around it", &|| drop(client(200).api_key(secret_before(" ")).build()));
    for status in [200, 401] {
        step("a call", &|| {
            let client = client(status).api_key(secret()).build().unwrap();
            let _ = pollster::block_on(client.invoke_workflow("d").into_future());
        });
        step("a call with a key from a vault", &|| {
            let client = client(status).credentials(Vault).build().unwrap();
            let _ = pollster::block_on(client.invoke_workflow("d").into_future());
        });
        step("a raw call", &|| {
            let client = client(status).api_key(secret()).build().unwrap();
            let request = http::Request::get("/models").body(Bytes::new()).unwrap();
            let _ = pollster::block_on(client.call_raw(request, Retry::Idempotent));
        });
        step("a trigger", &|| {
            let client = client(status).credentials(Vault).build().unwrap();
            let _ = pollster::block_on(client.call(trigger()).into_future());
        });
    }
    step("the secret of a response", &|| {
        // The caller owns the bytes of the response, so the test zeroes them.
        let mut body = format!("{{\"webhook_secret\":\"{}\"}}", secret()).into_bytes();
        let run: InvokeHiveAgentResponse = serde_json::from_slice(&body).unwrap();
        body.fill(0);
        black_box(&body);
        assert!(found() >= 1);
        drop(run);
    });
}
