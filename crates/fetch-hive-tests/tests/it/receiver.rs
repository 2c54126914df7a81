//! Tests of the responses of a receiver and of when its handler runs.

use std::future::Future;
use std::io::Error as IoError;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::callback::{
    CallbackError, Claim, ClaimResult, DedupStore, Delivery, DeliveryReport, EventKey, MemoryDedupStore, Receiver,
    SecretSource, SignatureError, UnverifiedDelivery, Verifier, sign, signed_request,
};
use fetch_hive_client::types::{CallbackEventType, RunStatus, WebhookSecret};
use fetch_hive_client::{BoxError, Client, Clock};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use fetch_hive_tests::{CallbackListener, Scripted, Step};
use http::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "whsec_TOPSECRET";
const DONE: &str =
    r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"run_status":"completed","output":{"n":1}}}"#;

fn receiver() -> Receiver {
    Receiver::new(Verifier::new([SECRET]))
}

async fn succeed(_: Delivery) -> Result<(), IoError> {
    Ok(())
}

async fn unreachable(delivery: Delivery) -> Result<(), IoError> {
    panic!("the handler ran for {delivery:?}")
}

#[tokio::test]
async fn status_depends_on_the_outcome() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&outcomes);
    let receiver = receiver()
        .max_body_bytes(1_000)
        .on_delivery(move |report| seen.lock().unwrap().push(format!("{} {report:?}", report.outcome)));

    let good = || signed_request(SECRET, DONE);
    assert_eq!(receiver.receive_bytes(good(), succeed).await.status(), 200);

    let mut unsigned = good();
    unsigned.headers_mut().clear();
    let mut malformed = good();
    malformed.headers_mut().insert("x-fetch-hive-signature", "sha256=zz".parse().unwrap());
    let mut changed = good();
    *changed.body_mut() = DONE.replace('1', "2").into();
    let other = signed_request("whsec_other", DONE);
    for rejected in [unsigned, malformed, changed, other] {
        assert_eq!(receiver.receive_bytes(rejected, unreachable).await.status(), 401);
    }

    let mut get = good();
    *get.method_mut() = Method::GET;
    let rejected = receiver.receive_bytes(get, unreachable).await;
    assert_eq!((rejected.status().as_u16(), &rejected.headers()["allow"]), (405, &"POST".parse().unwrap()));
    assert_eq!(receiver.receive_bytes(signed_request(SECRET, "x".repeat(1_001)), unreachable).await.status(), 413);
    assert_eq!(receiver.receive_bytes(signed_request(SECRET, "no event"), succeed).await.status(), 200);
    let failing = |_| async { Err(IoError::other("the database is down")) };
    assert_eq!(receiver.receive_bytes(good(), failing).await.status(), 500);
    // Without a secret, the receiver is misconfigured: the status asks for a redelivery.
    let bare = Receiver::new(Verifier::new([" "]));
    assert_eq!(bare.receive_bytes(good(), unreachable).await.status(), 500);

    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.len(), 9);
    assert!(outcomes[8].contains("the database is down"));
    assert!(outcomes.iter().all(|text| !text.contains("TOPSECRET") && !text.contains("output")), "{outcomes:#?}");
}

#[tokio::test]
async fn handler_receives_event_and_raw_body() {
    let check = |delivery: Delivery| async move {
        let event = &delivery.event;
        assert_eq!(event.event_type, Some(CallbackEventType::WorkflowCompleted));
        assert_eq!(event.run_status(), Some(RunStatus::Completed));
        assert_eq!(event.output_as::<serde_json::Value>()?, serde_json::json!({"n": 1}));
        assert_eq!(delivery.raw, DONE);
        assert!(delivery.claim.is_none() && !format!("{delivery:?}").contains("output"));
        Ok::<_, BoxError>(())
    };
    let response = receiver().receive_bytes(signed_request(SECRET, DONE), check).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (200, r#"{"ok":true}"#));
    // Unknown event types are delivered.
    let brand_new = |delivery: Delivery| async move {
        assert_eq!(delivery.event.event_type.as_ref().unwrap().as_str(), "brand.new");
        assert_eq!(delivery.event.extra["more"], 1);
        Ok::<_, BoxError>(())
    };
    let request = signed_request(SECRET, r#"{"event_type":"brand.new","more":1}"#);
    assert_eq!(receiver().receive_bytes(request, brand_new).await.status(), 200);
}

#[tokio::test]
async fn old_and_new_secret_verify_during_rotation() {
    let receiver = Receiver::new(Verifier::new(["whsec_old", "whsec_new"]));
    for secret in ["whsec_old", "whsec_new"] {
        assert_eq!(receiver.receive_bytes(signed_request(secret, DONE), succeed).await.status(), 200);
    }
    assert_eq!(receiver.receive_bytes(signed_request("whsec_older", DONE), unreachable).await.status(), 401);
}

#[tokio::test]
async fn delegations_of_one_run_are_handled_once_each() {
    let receiver = receiver().dedup(MemoryDedupStore::new());
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
async fn event_is_handled_again_only_after_a_failure() {
    let receiver = receiver().dedup(MemoryDedupStore::new()).lease(Duration::from_secs(3600));
    let deliver = || signed_request(SECRET, DONE);
    let failing = |_| async { Err(IoError::other("no")) };
    assert_eq!(receiver.receive_bytes(deliver(), failing).await.status(), 500);

    // A delivery during another's handler is answered with 503, because that handler may still
    // fail.
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    let (enter, entered) = tokio::sync::oneshot::channel::<()>();
    let slow = |delivery: Delivery| async move {
        assert!(delivery.claim.is_some());
        enter.send(()).unwrap();
        finished.await.map_err(IoError::other)
    };
    let first = receiver.receive_bytes(deliver(), slow);
    let second = async {
        entered.await.unwrap();
        let response = receiver.receive_bytes(deliver(), unreachable).await;
        finish.send(()).unwrap();
        response
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 503));
    assert_eq!(receiver.receive_bytes(deliver(), unreachable).await.status(), 200);
}

#[tokio::test]
async fn event_of_a_dropped_handler_is_handled_after_the_lease() {
    let receiver = receiver().dedup(MemoryDedupStore::new()).lease(Duration::from_millis(50));
    let deliver = || signed_request(SECRET, DONE);
    let stuck = |_| std::future::pending::<Result<(), IoError>>();
    let first = tokio::time::timeout(Duration::from_millis(1), receiver.receive_bytes(deliver(), stuck)).await;
    assert!(first.is_err(), "the future is dropped, as when the sender disconnects");
    let handled = async {
        while receiver.receive_bytes(deliver(), succeed).await.status() == StatusCode::SERVICE_UNAVAILABLE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), handled).await.unwrap();
    assert_eq!(receiver.receive_bytes(deliver(), unreachable).await.status(), 200);
}

/// The clock of a process that is suspended while its handler runs.
struct SuspendedClock;

impl Clock for SuspendedClock {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn lease_is_renewed_while_the_handler_runs() {
    let lease = Duration::from_millis(60);
    let receiver = receiver().dedup(MemoryDedupStore::new()).lease(lease);
    let (enter, entered) = tokio::sync::oneshot::channel::<()>();
    let slow = |_| async move {
        enter.send(()).unwrap();
        tokio::time::sleep(lease * 5).await;
        Ok::<_, IoError>(())
    };
    let first = receiver.receive_bytes(signed_request(SECRET, DONE), slow);
    let second = async {
        entered.await.unwrap();
        tokio::time::sleep(lease * 3).await;
        receiver.receive_bytes(signed_request(SECRET, DONE), unreachable).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 503));
}

#[tokio::test]
async fn handler_that_outlives_its_lease_cannot_commit_or_release() {
    for first_fails in [false, true] {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&outcomes);
        let receiver = receiver()
            .dedup(MemoryDedupStore::new())
            .lease(Duration::from_millis(20))
            .clock(SuspendedClock)
            .on_delivery(move |report| seen.lock().unwrap().push(report.outcome.to_string()));
        let deliver = || signed_request(SECRET, DONE);
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let (enter, entered) = tokio::sync::oneshot::channel::<()>();
        let slow = |_| async move {
            enter.send(()).unwrap();
            finished.await.map_err(IoError::other)?;
            if first_fails { Err(IoError::other("no")) } else { Ok(()) }
        };
        let first = receiver.receive_bytes(deliver(), slow);
        let second = async {
            entered.await.unwrap();
            // Redeliver until the lease expires. Then a second handler claims and commits the
            // event.
            while receiver.receive_bytes(deliver(), succeed).await.status() == StatusCode::SERVICE_UNAVAILABLE {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            finish.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(first, second);
        assert_eq!(first.status().as_u16(), if first_fails { 500 } else { 200 });
        let last = outcomes.lock().unwrap().last().cloned().unwrap();
        assert!(last.contains(if first_fails { "failed: no" } else { "the lease expired" }), "{last}");
        assert_eq!(receiver.receive_bytes(deliver(), unreachable).await.status(), 200);
    }
}

/// A source with the secret of one path, which counts its look-ups.
struct SecretPerPath(Arc<AtomicUsize>);

#[async_trait]
impl SecretSource for SecretPerPath {
    async fn secrets(&self, delivery: &UnverifiedDelivery<'_>) -> Result<Vec<WebhookSecret>, BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        match delivery.path {
            "/callbacks/report" => Ok(vec![SECRET.into()]),
            "/callbacks/broken" => Err("the table is locked".into()),
            _ => Ok(Vec::new()),
        }
    }
}

#[tokio::test]
async fn secrets_of_a_source_are_cached() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let receiver = Receiver::new(Verifier::new(["whsec_other"])).secret_source(SecretPerPath(Arc::clone(&lookups)));
    let deliver = |path: &'static str, secret: &'static str| {
        let mut request = signed_request(secret, DONE);
        *request.uri_mut() = path.parse().unwrap();
        receiver.receive_bytes(request, succeed)
    };
    // A known secret needs no look-up.
    assert_eq!(deliver("/callbacks/report", "whsec_other").await.status(), 200);
    assert_eq!(lookups.load(Ordering::SeqCst), 0);
    for _ in 0..3 {
        assert_eq!(deliver("/callbacks/report", SECRET).await.status(), 200);
        assert_eq!(deliver("/callbacks/report", "whsec_forged").await.status(), 401);
        assert_eq!(deliver("/callbacks/unknown", SECRET).await.status(), 401);
    }
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
    assert_eq!(deliver("/callbacks/broken", SECRET).await.status(), 503);
}

/// A dedup store that fails, at once or after a claim.
struct FailingStore {
    can_claim: bool,
}

#[async_trait]
impl DedupStore for FailingStore {
    async fn claim(&self, key: &EventKey, _: Duration) -> Result<ClaimResult, BoxError> {
        if self.can_claim {
            Ok(ClaimResult::Acquired(Claim::new(key.clone(), 1)))
        } else {
            Err("the store is down".into())
        }
    }

    async fn commit(&self, _: &Claim) -> Result<(), BoxError> {
        Err("the store is down".into())
    }

    async fn release(&self, _: &Claim) -> Result<(), BoxError> {
        Err("the store is down".into())
    }
}

#[tokio::test]
async fn store_failure_stops_the_handler_but_not_its_success() {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let with = |can_claim| {
        let seen = Arc::clone(&outcomes);
        let hook = move |report: DeliveryReport<'_>| seen.lock().unwrap().push(report.outcome.to_string());
        receiver().dedup(FailingStore { can_claim }).on_delivery(hook)
    };
    assert_eq!(with(false).receive_bytes(signed_request(SECRET, DONE), unreachable).await.status(), 503);
    assert_eq!(with(true).receive_bytes(signed_request(SECRET, DONE), succeed).await.status(), 200);
    let failing = |_| async { Err(IoError::other("no")) };
    assert_eq!(with(true).receive_bytes(signed_request(SECRET, DONE), failing).await.status(), 500);
    let outcomes = outcomes.lock().unwrap();
    assert!(outcomes[1].contains("failed to record") && outcomes[2].contains("failed: no"), "{outcomes:?}");
}

/// Sends a raw POST request and returns the status of the response.
async fn post(address: std::net::SocketAddr, head: &str, body: &[u8]) -> u16 {
    request(address, "POST", head, body).await
}

async fn request(address: std::net::SocketAddr, method: &str, head: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} /callbacks HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(body).await;
    let mut response = [0; 12];
    stream.read_exact(&mut response).await.unwrap();
    std::str::from_utf8(&response[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn body_is_not_read_beyond_the_limit() {
    let listener = CallbackListener::bind_any().await.unwrap();
    let address = listener.address();
    let _server = listener
        .serve(receiver().max_body_bytes(1_000), |delivery| async move { Err(format!("ran for {delivery:?}").into()) });
    // The content length is too large, so the body is not read.
    assert_eq!(post(address, "content-length: 1001", b"").await, 413);
    // Without a content length, reading stops at the limit.
    let chunk = [b"3e9\r\n", [b'x'; 1_001].as_slice()].concat();
    assert_eq!(post(address, "transfer-encoding: chunked", &chunk).await, 413);
    assert_eq!(post(address, "content-length: 3", b"abc").await, 401);
}

#[tokio::test]
async fn only_the_signature_decides_how_a_post_is_answered() {
    let listener = CallbackListener::bind_any().await.unwrap();
    let address = listener.address();
    let handled = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&handled);
    let _server = listener.serve(receiver(), move |_| {
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
async fn bad_deliveries_are_rejected_and_redeliveries_handled_once() {
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
    let listener = CallbackListener::bind_any().await.unwrap();
    let url = listener.url();
    let handled = Arc::new(Mutex::new(Vec::new()));
    let ran = Arc::clone(&handled);
    let _server = listener.serve(receiver().dedup(MemoryDedupStore::new()), move |delivery| {
        ran.lock().unwrap().push(delivery.event.request_id.clone().unwrap());
        async { Ok(()) }
    });
    let mut runs = Vec::new();
    for n in 1..=7_usize {
        let run = client.invoke_workflow("d").callback_url(&url).await.unwrap();
        runs.push(run.request_id.clone().unwrap());
        // The total number of deliveries so far. The fifth run waits until the sixth overtakes it.
        let expected = [2, 5, 7, 11, 11, 21, 23][n - 1];
        let all = async {
            while emulator.deliveries().len() < expected {
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
fn missing_malformed_and_wrong_signatures_have_their_own_errors() {
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
async fn secret_in_query_is_sent_but_never_printed() {
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

    let run = client.trigger_workflow("e", "v", secret, callback).secret_in_query().await.unwrap();
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
