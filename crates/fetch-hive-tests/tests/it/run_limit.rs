//! The client's limit of concurrent runs.

use std::collections::{HashMap, VecDeque};
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{
    Client, MemoryRunLimiter, RequestBody, ResponseBody, Retry, RetryPolicy, RunEnd, RunLimiter as _, RunLimiterUsage,
    RunRequest, Timeout, TokioClock, Transport, TransportError,
};
use fetch_hive_emulator::{Deployment, Emulator, Fault, Script};
use fetch_hive_tests::stack;
use serde_json::{Value, json};
use tokio::sync::oneshot;

fn client(emulator: &Emulator, runs: usize, grace: Duration) -> Client {
    stack::client(&emulator)
        .api_key("fhk_test")
        .retry(RetryPolicy::never())
        .max_concurrent_runs(runs)
        .unresolved_run_hold(grace)
        .build()
        .unwrap()
}

/// Returns the input `n` of a request.
fn number(body: &[u8]) -> u64 {
    serde_json::from_slice::<Value>(body).unwrap()["inputs"]["n"].as_u64().unwrap()
}

/// Returns the input `n` of each received request, in the order of arrival.
fn received(emulator: &Emulator) -> Vec<u64> {
    emulator.requests().iter().map(|request| number(&request.body)).collect()
}

#[tokio::test]
async fn limit_holds_when_a_third_of_the_callers_leave() {
    // The plan allows 4 runs: a fourth run is visible, and a fifth would get a 429.
    let emulator =
        Emulator::builder().concurrency(4).deployment(Deployment::workflow("d").delay_ms(20)).start().await.unwrap();
    let client = client(&emulator, 3, Duration::from_secs(60));
    let mut calls = Vec::new();
    for n in 0..50_u64 {
        let call = client.clone().invoke_workflow("d").input("n", n).into_future();
        let mut call = Box::pin(call);
        // Each caller is queued before the next one arrives.
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        calls.push((n, call));
    }
    // A third of the callers leave, but none of the first three, whose runs are active.
    calls.retain(|(n, _)| n % 3 != 1 || *n < 3);
    let stay: Vec<u64> = calls.iter().map(|(n, _)| *n).collect();
    assert_eq!(stay.len(), 34);
    let calls: Vec<_> = calls.into_iter().map(|(_, call)| tokio::spawn(call)).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((emulator.max_concurrent_runs(), emulator.runs().len()), (3, 34));
    // Three requests are sent at the same time, so their order may differ by that many places.
    let received = received(&emulator);
    for (place, n) in stay.iter().enumerate() {
        let came = received.iter().position(|m| m == n).unwrap();
        assert!(came.abs_diff(place) < 3, "{n} was called as number {place} and came as number {came}: {received:?}");
    }
}

/// A transport that records the runs as they are sent, and answers each when the test says so.
#[derive(Clone, Default)]
struct Gate {
    sent: Arc<Mutex<Vec<u64>>>,
    open: Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>,
}

#[async_trait]
impl Transport for Gate {
    async fn send(&self, request: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, TransportError> {
        let n = number(request.body().as_bytes().unwrap());
        let (sender, receiver) = oneshot::channel();
        self.sent.lock().unwrap().push(n);
        self.open.lock().unwrap().insert(n, sender);
        receiver.await.map_err(TransportError::may_have_run)?;
        Ok(http::Response::new(ResponseBody::whole(r#"{"request_id":"req_1","run_status":"completed"}"#)))
    }
}

#[tokio::test]
async fn waiting_callers_are_served_in_order() {
    let gate = Gate::default();
    let builder = Client::builder().api_key("fhk_test").transport(gate.clone()).max_concurrent_runs(3);
    let client = builder.unresolved_run_hold(Duration::ZERO).build().unwrap();
    // On one thread, every task has made all possible progress after a few turns.
    let settle = || async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    let (mut calls, mut line, mut want) = (HashMap::new(), VecDeque::new(), Vec::new());
    for n in 0..50_u64 {
        calls.insert(n, tokio::spawn(client.invoke_workflow("d").input("n", n).into_future()));
        settle().await;
        if n < 3 { want.push(n) } else { line.push_back(n) }
    }
    let mut random = 7_u64;
    let mut below = move |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % bound
    };
    let (mut running, mut left) = (want.clone(), 0);
    while !running.is_empty() {
        if left < 16 && line.len() > 1 && below(2) == 0 {
            // A random waiting caller leaves.
            let gone = line.remove(below(line.len())).unwrap();
            calls.remove(&gone).unwrap().abort();
            left += 1;
        } else {
            // A random run ends, and the first waiting caller is sent.
            let ended = running.remove(below(running.len()));
            gate.open.lock().unwrap().remove(&ended).unwrap().send(()).unwrap();
            if let Some(next) = line.pop_front() {
                want.push(next);
                running.push(next);
            }
        }
        settle().await;
        assert_eq!(*gate.sent.lock().unwrap(), want);
    }
    assert_eq!((want.len(), left), (34, 16));
    for call in calls.into_values() {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn queue_time_counts_against_the_timeout() {
    let emulator = Emulator::builder().fault(Fault::hang().nth(1)).start().await.unwrap();
    let client = client(&emulator, 1, Duration::from_secs(60));
    let running = tokio::spawn(client.invoke_workflow("d").input("n", 1).into_future());
    while emulator.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let error = client.invoke_workflow("d").input("n", 2).timeout(Duration::from_millis(60)).await.unwrap_err();
    assert_eq!((error.timeout(), error.attempts()), (Some(Timeout::Queue), 0));
    assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    // A raw request is queued if it starts a run, and only then.
    let raw = |path: &str| http::Request::post(path).body(Bytes::from_static(b"{\"deployment\":\"d\"}")).unwrap();
    let by_hand = client.call_raw(raw("/workflow/invoke"), Retry::OnlyIfNotSent);
    assert!(tokio::time::timeout(Duration::from_millis(150), by_hand).await.is_err());
    assert_eq!(emulator.requests().len(), 1);
    // Invalid input is rejected at once, and operations that start no run are not queued.
    assert!(client.invoke_workflow("").await.unwrap_err().attempts() == 0);
    let _ = client.models().await;
    let _ = client.call_raw(raw("/models"), Retry::Idempotent).await;
    assert_eq!(emulator.requests().len(), 3);
    running.abort();
}

#[tokio::test]
async fn slot_of_an_unresolved_run_is_held() {
    let emulator =
        Emulator::builder().fault(Fault::status(422).nth(1)).fault(Fault::hang().nth(1)).start().await.unwrap();
    let grace = Duration::from_millis(400);
    let client = client(&emulator, 1, grace);
    // A rejected run has ended.
    client.invoke_workflow("d").await.unwrap_err();
    let began = Instant::now();
    let lost = client.invoke_workflow("d").timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((lost.timeout(), lost.may_have_run()), (Some(Timeout::Deadline), true));
    client.invoke_workflow("d").await.unwrap();
    assert!(began.elapsed() >= grace, "{:?}", began.elapsed());
    let began = Instant::now();
    client.invoke_workflow("d").await.unwrap();
    assert!(began.elapsed() < grace, "{:?}", began.elapsed());
}

#[tokio::test]
async fn stream_keeps_its_slot_until_the_run_ends() {
    let usage = json!({"type": "usage", "stop_reason": "completed", "request_id": "req_1"});
    let emulator = Emulator::builder()
        .stream("whole", Script::new().text("a").event(&usage).done())
        .stream("endless", Script::new().text("a").wait(Duration::from_secs(60)))
        .start()
        .await
        .unwrap();
    let client = client(&emulator, 1, Duration::from_millis(300));
    let short = Duration::from_millis(60);
    let mut events = client.invoke_prompt("whole").stream().await.unwrap();
    let waiting = client.invoke_prompt("whole").timeout(short).await.unwrap_err();
    assert_eq!(waiting.timeout(), Some(Timeout::Queue));
    events.next().await.unwrap().unwrap();
    // The usage event ends the run and frees its slot, even if the stream is not read to its end.
    events.next().await.unwrap().unwrap();
    assert_eq!(events.request_id().unwrap(), "req_1");
    let next = client.invoke_prompt("endless").timeout(Duration::from_secs(5)).stream().await;
    let mut events = next.unwrap();
    events.next().await.unwrap().unwrap();
    drop(events);
    // The run of the dropped stream may continue at the service.
    let waiting = client.invoke_prompt("whole").timeout(short).await.unwrap_err();
    assert_eq!(waiting.timeout(), Some(Timeout::Queue));
    client.invoke_prompt("whole").await.unwrap();
}

#[tokio::test]
async fn zero_timeout_fails_before_sending() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator, 1, Duration::from_secs(60));
    // A connection is available.
    client.invoke_workflow("d").await.unwrap();
    let no_time = || client.invoke_workflow("d").timeout(Duration::ZERO);
    let stream = client.invoke_prompt("d").timeout(Duration::ZERO).stream().await.unwrap_err();
    for error in [no_time().await.unwrap_err(), stream] {
        assert_eq!((error.timeout(), error.attempts()), (Some(Timeout::Connect), 0), "{error}");
        assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    }
    assert_eq!(emulator.requests().len(), 1);
}

#[tokio::test]
async fn usage_counts_running_held_and_waiting_runs() {
    let limiter = MemoryRunLimiter::new(2, Duration::from_secs(60), Arc::new(TokioClock));
    let run = RunRequest::new("invokeWorkflow", None);
    let mut unresolved = Arc::clone(&limiter).acquire(run).await.unwrap();
    let running = Arc::clone(&limiter).acquire(run).await.unwrap();
    assert_eq!(limiter.usage(), RunLimiterUsage::new(2, 2, 0, 0));
    let waiting = tokio::spawn(Arc::clone(&limiter).acquire(RunRequest::new("invokeWorkflow", None)));
    unresolved.set_end(RunEnd::MayBeRunning { request_id: None });
    drop(unresolved);
    while limiter.usage().waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(limiter.usage(), RunLimiterUsage::new(2, 1, 1, 1));
    drop(running);
    let permit = waiting.await.unwrap().unwrap();
    assert_eq!(limiter.usage(), RunLimiterUsage::new(2, 1, 1, 0));
    drop(permit);
    assert_eq!(limiter.usage(), RunLimiterUsage::new(2, 0, 1, 0));
}
