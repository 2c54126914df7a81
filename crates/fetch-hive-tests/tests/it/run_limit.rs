//! The client's own limit on runs at a time.

use std::collections::{HashMap, VecDeque};
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{Client, ResponseBody, Retry, RetryPolicy, Timeout, Transport, TransportError};
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

/// The input `n` of a request.
fn number(body: &[u8]) -> u64 {
    serde_json::from_slice::<Value>(body).unwrap()["inputs"]["n"].as_u64().unwrap()
}

/// The input `n` of each request that was received, in the order of arrival.
fn received(emulator: &Emulator) -> Vec<u64> {
    emulator.requests().iter().map(|request| number(&request.body)).collect()
}

#[tokio::test]
async fn fifty_callers_of_whom_a_third_leave_never_have_more_than_three_runs() {
    // The plan allows 4: a direct run beyond that would get a 429, and one beyond 3 is seen.
    let emulator =
        Emulator::builder().concurrency(4).deployment(Deployment::workflow("d").delay_ms(20)).start().await.unwrap();
    let client = client(&emulator, 3, Duration::from_secs(60));
    let mut calls = Vec::new();
    for n in 0..50_u64 {
        let call = client.clone().invoke_workflow("d").input("n", n).into_future();
        let mut call = Box::pin(call);
        // Each stands in line before the next one comes.
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        calls.push((n, call));
    }
    // A third leave the line; none of the first three, whose runs are under way.
    calls.retain(|(n, _)| n % 3 != 1 || *n < 3);
    let stay: Vec<u64> = calls.iter().map(|(n, _)| *n).collect();
    assert_eq!(stay.len(), 34);
    let calls: Vec<_> = calls.into_iter().map(|(_, call)| tokio::spawn(call)).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((emulator.max_concurrent_runs(), emulator.runs().len()), (3, 34));
    // Three are on their way at once, so neighbours may arrive the other way round, but nobody is overtaken by more than that.
    let received = received(&emulator);
    for (place, n) in stay.iter().enumerate() {
        let came = received.iter().position(|m| m == n).unwrap();
        assert!(came.abs_diff(place) < 3, "{n} was called as number {place} and came as number {came}: {received:?}");
    }
}

/// Notes the runs as they are sent, and answers each when the test says so.
#[derive(Clone, Default)]
struct Gate {
    sent: Arc<Mutex<Vec<u64>>>,
    open: Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>,
}

#[async_trait]
impl Transport for Gate {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<ResponseBody>, TransportError> {
        let n = number(request.body());
        let (sender, receiver) = oneshot::channel();
        self.sent.lock().unwrap().push(n);
        self.open.lock().unwrap().insert(n, sender);
        receiver.await.map_err(TransportError::may_have_run)?;
        Ok(http::Response::new(ResponseBody::whole(r#"{"request_id":"req_1","run_status":"completed"}"#)))
    }
}

#[tokio::test]
async fn of_fifty_callers_the_first_of_those_who_still_wait_is_always_sent_next() {
    let gate = Gate::default();
    let builder = Client::builder().api_key("fhk_test").transport(gate.clone()).max_concurrent_runs(3);
    let client = builder.unresolved_run_hold(Duration::ZERO).build().unwrap();
    // One thread: after a few turns every task has done what it can.
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
            // One that waits goes away, from wherever it stands.
            let gone = line.remove(below(line.len())).unwrap();
            calls.remove(&gone).unwrap().abort();
            left += 1;
        } else {
            // One that runs ends, whichever; whoever is first in line is sent.
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
async fn waiting_in_line_counts_against_the_deadline_and_nothing_is_sent() {
    let emulator = Emulator::builder().fault(Fault::hang().nth(1)).start().await.unwrap();
    let client = client(&emulator, 1, Duration::from_secs(60));
    let running = tokio::spawn(client.invoke_workflow("d").input("n", 1).into_future());
    while emulator.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let error = client.invoke_workflow("d").input("n", 2).timeout(Duration::from_millis(60)).await.unwrap_err();
    assert_eq!((error.timeout(), error.attempts()), (Some(Timeout::Queue), 0));
    assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    // What is put together by hand stands in line where it starts a run, and nowhere else.
    let raw = |path: &str| http::Request::post(path).body(Bytes::from_static(b"{\"deployment\":\"d\"}")).unwrap();
    let by_hand = client.call_raw(raw("/workflow/invoke"), Retry::OnlyIfNotSent);
    assert!(tokio::time::timeout(Duration::from_millis(150), by_hand).await.is_err());
    assert_eq!(emulator.requests().len(), 1);
    // Input that is wrong is refused at once, and operations that run nothing do not stand in line.
    assert!(client.invoke_workflow("").await.unwrap_err().attempts() == 0);
    let _ = client.models().await;
    let _ = client.call_raw(raw("/models"), Retry::Idempotent).await;
    assert_eq!(emulator.requests().len(), 3);
    running.abort();
}

#[tokio::test]
async fn the_place_of_a_run_that_may_go_on_is_held_for_the_grace_and_no_other() {
    let emulator =
        Emulator::builder().fault(Fault::status(422).nth(1)).fault(Fault::hang().nth(1)).start().await.unwrap();
    let grace = Duration::from_millis(400);
    let client = client(&emulator, 1, grace);
    // A refused run has ended.
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
async fn a_stream_keeps_its_place_until_its_run_has_ended() {
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
    // The usage event is the last of a run: its place is free, whether or not the stream is read to its end.
    events.next().await.unwrap().unwrap();
    assert_eq!(events.request_id().unwrap(), "req_1");
    let next = client.invoke_prompt("endless").timeout(Duration::from_secs(5)).stream().await;
    let mut events = next.unwrap();
    events.next().await.unwrap().unwrap();
    drop(events);
    // The dropped one may go on at the service.
    let waiting = client.invoke_prompt("whole").timeout(short).await.unwrap_err();
    assert_eq!(waiting.timeout(), Some(Timeout::Queue));
    client.invoke_prompt("whole").await.unwrap();
}

#[tokio::test]
async fn a_call_without_any_time_is_never_sent() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator, 1, Duration::from_secs(60));
    // With a connection at hand that it could go by.
    client.invoke_workflow("d").await.unwrap();
    let no_time = || client.invoke_workflow("d").timeout(Duration::ZERO);
    let stream = client.invoke_prompt("d").timeout(Duration::ZERO).stream().await.unwrap_err();
    for error in [no_time().await.unwrap_err(), stream] {
        assert_eq!((error.timeout(), error.attempts()), (Some(Timeout::Connect), 0), "{error}");
        assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    }
    assert_eq!(emulator.requests().len(), 1);
}
