//! What a receiver answers, and when its handler runs: over sockets, and as a function of bytes.

use std::io::Error as IoError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::callback::{
    CallbackError, Claim, ClaimResult, DedupStore, EventKey, MemoryDedupStore, Outcome, Received, Receiver,
    SignatureError, Verifier, sign, signed_request,
};
use fetch_hive_client::types::{CallbackEventType, RunStatus};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use fetch_hive_tests::{Listening, Scripted, Step};
use http::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "whsec_TOPSECRET";
const DONE: &str =
    r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"run_status":"completed","output":{"n":1}}}"#;

fn receiver() -> Receiver {
    Receiver::new(Verifier::new([SECRET]))
}

async fn nothing(_: Received) -> Result<(), IoError> {
    Ok(())
}

async fn never(event: Received) -> Result<(), IoError> {
    panic!("the handler ran for {event:?}")
}

#[tokio::test]
async fn each_delivery_gets_the_status_that_makes_the_service_do_the_right_thing() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&outcomes);
    let receiver = receiver()
        .max_body_bytes(1_000)
        .on_outcome(move |outcome| seen.lock().unwrap().push(format!("{outcome} {outcome:?}")));

    let good = || signed_request(SECRET, DONE);
    assert_eq!(receiver.receive_bytes(good(), nothing).await.status(), 200);

    let mut unsigned = good();
    unsigned.headers_mut().clear();
    let mut malformed = good();
    malformed.headers_mut().insert("x-fetch-hive-signature", "sha256=zz".parse().unwrap());
    let mut changed = good();
    *changed.body_mut() = DONE.replace('1', "2").into();
    let other = signed_request("whsec_other", DONE);
    for refused in [unsigned, malformed, changed, other] {
        assert_eq!(receiver.receive_bytes(refused, never).await.status(), 401);
    }

    let mut get = good();
    *get.method_mut() = Method::GET;
    let refused = receiver.receive_bytes(get, never).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["allow"]), (405, &"POST".parse().unwrap()));
    assert_eq!(receiver.receive_bytes(signed_request(SECRET, "x".repeat(1_001)), never).await.status(), 413);
    assert_eq!(receiver.receive_bytes(signed_request(SECRET, "no event"), never).await.status(), 400);
    let failing = |_| async { Err(IoError::other("the database is away")) };
    assert_eq!(receiver.receive_bytes(good(), failing).await.status(), 500);
    // Nothing can be verified without a secret, and that is no fault of the sender.
    let bare = Receiver::new(Verifier::new([" "]));
    assert_eq!(bare.receive_bytes(good(), never).await.status(), 500);

    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.len(), 9);
    assert!(outcomes[8].contains("the database is away"));
    assert!(outcomes.iter().all(|text| !text.contains("TOPSECRET") && !text.contains("output")), "{outcomes:#?}");
}

#[tokio::test]
async fn the_handler_gets_the_typed_event_and_its_bytes() {
    let check = |event: Received| async move {
        assert_eq!(event.event_type, Some(CallbackEventType::WorkflowCompleted));
        assert_eq!(event.run_status(), Some(RunStatus::Completed));
        assert_eq!(event.output_as::<serde_json::Value>()?, serde_json::json!({"n": 1}));
        assert_eq!(event.raw, DONE);
        assert!(event.claim.is_none() && !format!("{event:?}").contains("output"));
        Ok::<_, BoxError>(())
    };
    let response = receiver().receive_bytes(signed_request(SECRET, DONE), check).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (200, r#"{"ok":true}"#));
    // A type that nobody has heard of is delivered.
    let brand_new = |event: Received| async move {
        assert_eq!(event.event_type.as_ref().unwrap().as_str(), "brand.new");
        assert_eq!(event.extra["more"], 1);
        Ok::<_, BoxError>(())
    };
    let request = signed_request(SECRET, r#"{"event_type":"brand.new","more":1}"#);
    assert_eq!(receiver().receive_bytes(request, brand_new).await.status(), 200);
}

#[tokio::test]
async fn secrets_are_rotated_without_a_gap() {
    let receiver = Receiver::new(Verifier::new(["whsec_old", "whsec_new"]));
    for secret in ["whsec_old", "whsec_new"] {
        assert_eq!(receiver.receive_bytes(signed_request(secret, DONE), nothing).await.status(), 200);
    }
    assert_eq!(receiver.receive_bytes(signed_request("whsec_older", DONE), never).await.status(), 401);
}

#[tokio::test]
async fn two_delegations_are_two_events_and_a_redelivery_of_either_is_none() {
    let receiver = receiver().guard(MemoryDedupStore::new());
    let runs = AtomicUsize::new(0);
    let counting = |_| async {
        runs.fetch_add(1, Ordering::SeqCst);
        Ok::<_, IoError>(())
    };
    let event = |delegation: &str| {
        let body = format!(
            r#"{{"event_type":"agent.delegation.completed","request_id":"req_parent","data":{{"delegation_id":"{delegation}","result":1}}}}"#
        );
        signed_request(SECRET, body)
    };
    for (delegation, runs_after) in [("d1", 1), ("d2", 2), ("d1", 2), ("d2", 2), ("d1", 2)] {
        assert_eq!(receiver.receive_bytes(event(delegation), counting).await.status(), 200);
        assert_eq!(runs.load(Ordering::SeqCst), runs_after);
    }
}

#[tokio::test]
async fn an_event_is_handled_once_and_again_only_after_a_failure() {
    let receiver = receiver().guard(MemoryDedupStore::new()).lease(Duration::from_secs(3600));
    let deliver = || signed_request(SECRET, DONE);
    let failing = |_| async { Err(IoError::other("no")) };
    assert_eq!(receiver.receive_bytes(deliver(), failing).await.status(), 500);

    // A second delivery comes while the first is being handled: it is to come again, for the first may fail yet.
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let (entered, inside) = tokio::sync::oneshot::channel::<()>();
    let slow = |event: Received| async move {
        assert!(event.claim.is_some());
        entered.send(()).unwrap();
        told.await.map_err(IoError::other)
    };
    let first = receiver.receive_bytes(deliver(), slow);
    let second = async {
        inside.await.unwrap();
        let response = receiver.receive_bytes(deliver(), never).await;
        tell.send(()).unwrap();
        response
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 503));
    assert_eq!(receiver.receive_bytes(deliver(), never).await.status(), 200);
}

#[tokio::test]
async fn an_event_whose_handler_died_is_handled_again_after_the_lease() {
    let receiver = receiver().guard(MemoryDedupStore::new()).lease(Duration::from_millis(50));
    let deliver = || signed_request(SECRET, DONE);
    let stuck = |_| std::future::pending::<Result<(), IoError>>();
    let first = tokio::time::timeout(Duration::from_millis(1), receiver.receive_bytes(deliver(), stuck)).await;
    assert!(first.is_err(), "its future is dropped, as when the sender hangs up");
    let handled = async {
        while receiver.receive_bytes(deliver(), nothing).await.status() == StatusCode::SERVICE_UNAVAILABLE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), handled).await.unwrap();
    assert_eq!(receiver.receive_bytes(deliver(), never).await.status(), 200);
}

#[tokio::test]
async fn a_handler_that_outlives_its_lease_neither_commits_nor_releases_for_another() {
    for first_fails in [false, true] {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&outcomes);
        let receiver = receiver()
            .guard(MemoryDedupStore::new())
            .lease(Duration::from_millis(20))
            .on_outcome(move |outcome| seen.lock().unwrap().push(outcome.to_string()));
        let deliver = || signed_request(SECRET, DONE);
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        let (entered, inside) = tokio::sync::oneshot::channel::<()>();
        let slow = |_| async move {
            entered.send(()).unwrap();
            told.await.map_err(IoError::other)?;
            if first_fails { Err(IoError::other("no")) } else { Ok(()) }
        };
        let first = receiver.receive_bytes(deliver(), slow);
        let second = async {
            inside.await.unwrap();
            // The event comes again until the lease is over; then it is another's, who takes it.
            while receiver.receive_bytes(deliver(), nothing).await.status() == StatusCode::SERVICE_UNAVAILABLE {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tell.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(first, second);
        assert_eq!(first.status().as_u16(), if first_fails { 500 } else { 200 });
        let last = outcomes.lock().unwrap().last().cloned().unwrap();
        assert!(last.contains(if first_fails { "failed: no" } else { "the lease ran out" }), "{last}");
        // Whatever became of the first, the second has committed.
        assert_eq!(receiver.receive_bytes(deliver(), never).await.status(), 200);
    }
}

/// A store that is away, or comes back too late.
struct Away {
    claims: bool,
}

#[async_trait]
impl DedupStore for Away {
    async fn claim(&self, key: &EventKey, _: Duration) -> Result<ClaimResult, BoxError> {
        if self.claims {
            Ok(ClaimResult::Acquired(Claim::new(key.clone(), 1)))
        } else {
            Err("the store is away".into())
        }
    }

    async fn commit(&self, _: &Claim) -> Result<(), BoxError> {
        Err("the store is away".into())
    }

    async fn release(&self, _: &Claim) -> Result<(), BoxError> {
        Err("the store is away".into())
    }
}

#[tokio::test]
async fn a_store_that_is_away_stops_the_handler_and_not_what_it_has_done() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let with = |claims| {
        let seen = Arc::clone(&outcomes);
        let hook = move |outcome: &Outcome| seen.lock().unwrap().push(outcome.to_string());
        receiver().guard(Away { claims }).on_outcome(hook)
    };
    assert_eq!(with(false).receive_bytes(signed_request(SECRET, DONE), never).await.status(), 503);
    assert_eq!(with(true).receive_bytes(signed_request(SECRET, DONE), nothing).await.status(), 200);
    let failing = |_| async { Err(IoError::other("no")) };
    assert_eq!(with(true).receive_bytes(signed_request(SECRET, DONE), failing).await.status(), 500);
    let outcomes = outcomes.lock().unwrap();
    assert!(outcomes[1].contains("could not note") && outcomes[2].contains("failed: no"), "{outcomes:?}");
}

/// Posts bytes as they are, and gives the status of the answer.
async fn post(address: std::net::SocketAddr, head: &str, body: &[u8]) -> u16 {
    request(address, "POST", head, body).await
}

async fn request(address: std::net::SocketAddr, method: &str, head: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} /callbacks HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(body).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_body_is_read_no_further_than_its_limit() {
    let listening = Listening::anywhere().await.unwrap();
    let address = listening.address();
    let _server = listening
        .serve(receiver().max_body_bytes(1_000), |event| async move { Err(format!("ran for {event:?}").into()) });
    // Announced as larger: not even the first byte is waited for.
    assert_eq!(post(address, "content-length: 1001", b"").await, 413);
    // Not announced: no end of it is waited for.
    let chunk = [b"3e9\r\n", [b'x'; 1_001].as_slice()].concat();
    assert_eq!(post(address, "transfer-encoding: chunked", &chunk).await, 413);
    assert_eq!(post(address, "content-length: 3", b"abc").await, 401);
}

#[tokio::test]
async fn the_signature_alone_decides_however_a_post_is_written() {
    let listening = Listening::anywhere().await.unwrap();
    let address = listening.address();
    let handled = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&handled);
    let _server = listening.serve(receiver(), move |_| {
        runs.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    let (good, other) = (sign(&SECRET.into(), DONE.as_bytes()), sign(&"whsec_other".into(), DONE.as_bytes()));
    let length = format!("content-length: {}", DONE.len());
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let head = format!("x-fetch-hive-signature: {good}\r\n{length}");
        assert_eq!(request(address, method, &head, DONE.as_bytes()).await, 405, "{method}");
    }
    assert_eq!(handled.load(Ordering::SeqCst), 0);
    let chunks: Vec<u8> = DONE.bytes().flat_map(|byte| [b'1', b'\r', b'\n', byte, b'\r', b'\n']).collect();
    let chunks = [&chunks, b"0\r\nx-trailer: x\r\n\r\n".as_slice()].concat();
    for (status, head, body) in [
        (200, format!("x-fetch-hive-signature: {good}\r\ncontent-type: text/plain\r\n{length}"), DONE.as_bytes()),
        (200, format!("x-fetch-hive-signature: sha256={}\r\n{length}", good.to_uppercase()), DONE.as_bytes()),
        (
            200,
            format!("X-Fetch-Hive-Signature: {other}\r\nx-fetch-hive-signature: {good}\r\n{length}"),
            DONE.as_bytes(),
        ),
        (200, format!("x-fetch-hive-signature: {good}\r\ntransfer-encoding: chunked"), &chunks),
        (401, format!("x-fetch-hive-signature: {other}\r\n{length}"), DONE.as_bytes()),
        (401, format!("x-fetch-hive-signature: {}{good}\r\n{length}", format!("{other},").repeat(16)), DONE.as_bytes()),
        (401, format!("x-fetch-hive-signature: \u{e4}\r\n{length}"), DONE.as_bytes()),
        (401, length.clone(), DONE.as_bytes()),
    ] {
        let before = handled.load(Ordering::SeqCst);
        assert_eq!(post(address, &head, body).await, status, "{head}");
        assert_eq!(handled.load(Ordering::SeqCst) - before, usize::from(status == 200), "{head}");
    }
}

#[tokio::test]
async fn what_the_emulator_delivers_wrongly_is_refused_and_what_it_repeats_is_handled_once() {
    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("d").webhook_secret(SECRET))
        .delivery(10, Duration::from_millis(1))
        .fault(Fault::callback_corrupt().nth(1).first_attempts(1))
        .fault(Fault::callback_bad_signature().nth(2).first_attempts(2))
        .fault(Fault::callback_unsigned().nth(3).first_attempts(1))
        .fault(Fault::callback_redeliver(3).nth(4))
        .fault(Fault::callback_late(Duration::from_millis(5)).nth(5))
        .fault(Fault::callback_reorder().nth(5))
        .fault(Fault::callback_bad_signature().nth(6))
        .start()
        .await
        .unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    let listening = Listening::anywhere().await.unwrap();
    let url = listening.url();
    let handled = Arc::new(Mutex::new(Vec::new()));
    let ran = Arc::clone(&handled);
    let _server = listening.serve(receiver().guard(MemoryDedupStore::new()), move |event| {
        ran.lock().unwrap().push(event.request_id.clone().unwrap());
        async { Ok(()) }
    });
    let mut runs = Vec::new();
    for n in 1..=7_usize {
        let run = client.invoke_workflow("d").callback_url(&url).await.unwrap();
        runs.push(run.request_id.clone().unwrap());
        // The tries up to here; the fifth run waits for another to overtake it.
        let tries = [2, 5, 7, 11, 11, 21, 23][n - 1];
        let all = async {
            while emulator.deliveries().len() < tries {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.unwrap_or_else(|_| panic!("run {n}"));
    }
    let outcomes = |n: usize| -> Vec<u16> {
        let deliveries = emulator.deliveries();
        let of_run = deliveries.iter().filter(|delivery| runs[n - 1] == *delivery.request_id);
        of_run.map(|delivery| *delivery.outcome.as_ref().unwrap()).collect()
    };
    assert_eq!(outcomes(1), [401, 200]);
    assert_eq!(outcomes(2), [401, 401, 200]);
    assert_eq!(outcomes(3), [401, 200]);
    assert_eq!(outcomes(4), [200; 4]);
    assert_eq!(outcomes(6), [401; 10]);
    assert_eq!((outcomes(5).len(), outcomes(7).len()), (1, 1));
    let first = |n: usize| emulator.deliveries().iter().position(|delivery| runs[n - 1] == *delivery.request_id);
    assert!(first(5) > first(6));
    let mut handled = handled.lock().unwrap().clone();
    handled.sort();
    let mut good: Vec<_> = runs.iter().enumerate().filter(|(n, _)| *n != 5).map(|(_, id)| id.clone()).collect();
    good.sort();
    assert_eq!(handled, good);
}

#[test]
fn errors_tell_missing_malformed_and_wrong_apart() {
    let verifier = Verifier::new([SECRET]);
    let error = |request: Request<bytes::Bytes>| match verifier.verify(request.headers(), request.body().clone()) {
        Err(CallbackError::Signature(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut request = signed_request(SECRET, DONE);
    *request.body_mut() = "{}".into();
    assert_eq!(error(request.clone()), SignatureError::Mismatch);
    request.headers_mut().insert("x-fetch-hive-signature", "x".parse().unwrap());
    assert_eq!(error(request.clone()), SignatureError::Malformed);
    request.headers_mut().clear();
    assert_eq!(error(request), SignatureError::Missing);
}

#[tokio::test]
async fn a_secret_in_the_query_is_sent_when_asked_for_and_shown_nowhere() {
    let server = Scripted::start(vec![vec![
        Step::Read,
        Step::respond("202 Accepted", "content-type: application/json\r\n", r#"{"request_id":"req_1"}"#),
        Step::Read,
        Step::respond("202 Accepted", "content-type: application/json\r\n", r#"{"request_id":"req_2"}"#),
        Step::Read,
        Step::respond("401 Unauthorized", "content-type: application/json\r\n", r#"{"error":"Invalid access."}"#),
    ]])
    .await
    .unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let secret = "whsec a&b=TOPSECRET";
    let callback = "https://example.com/cb";

    let run =
        client.trigger_workflow("e", "v", secret, callback).secret_in_query().await.unwrap();
    assert_eq!(run.request_id.as_ref().unwrap().as_str(), "req_1");
    client.trigger_prompt("e", "v", secret, callback).secret_in_query().await.unwrap();
    let call = client.trigger_agent("a", secret, "hi", callback).secret_in_query();
    let shown = format!("{call:?}");
    let error = call.await.unwrap_err();
    assert!(!format!("{shown} {run:?} {error} {error:?}").contains("TOPSECRET"));

    let heads: Vec<_> = server
        .requests()
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).split("\r\n\r\n").next().unwrap().to_owned())
        .collect();
    let paths = ["/v1/workflow/webhooks/e/variants/v", "/v1/prompt/webhooks/e/variants/v", "/v1/agent/webhooks/a"];
    for (head, path) in heads.iter().zip(paths) {
        assert!(head.starts_with(&format!("POST {path}?secret=whsec%20a%26b%3DTOPSECRET HTTP/1.1\r\n")), "{head}");
        let lower = head.to_ascii_lowercase();
        assert!(!lower.contains("authorization") && !lower.contains("webhook-secret"), "{head}");
    }
    let blank = client.trigger_workflow("e", "v", " ", callback).secret_in_query();
    assert!(blank.await.unwrap_err().to_string().contains("`secret`"));
    assert_eq!(server.requests().len(), 3);
}
