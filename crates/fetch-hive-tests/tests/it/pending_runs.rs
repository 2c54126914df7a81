//! Runs that are waited for: by their callbacks, and by looking them up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::callback::{CallbackRun, Received, Receiver, Verifier, ResumeToken, signed_request};
use fetch_hive_client::types::{
    AgentTrigger, ApiKey, ApprovalDecision, ApprovalFilter, CallbackEventType, DeploymentTrigger, InvokeHiveAgent,
    RequestId, RunStatus, TriggerPrompt,
};
use fetch_hive_client::{BoxError, Client, CredentialProvider, Error, ErrorKind, RetryPolicy, WaitError};
use fetch_hive_emulator::{DEFAULT_WORKSPACE, Deployment, Emulator, EmulatorBuilder, Fault, Inbox};
use fetch_hive_testing::{Exchange, PausedClock, Replay};
use fetch_hive_tests::{Listening, Receiving, Scripted, Step};
use serde_json::json;
use tokio::sync::Notify;

const HANG: Duration = Duration::from_secs(60);

async fn emulator(builder: EmulatorBuilder) -> (Emulator, Client) {
    let emulator = builder.delivery(200, Duration::from_millis(5)).start().await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    (emulator, client)
}

async fn none(event: Received) -> Result<(), BoxError> {
    Err(format!("the handler ran for {event:?}").into())
}

async fn receiving() -> (Receiver, Receiving) {
    let listening = Listening::anywhere().await.unwrap();
    let receiver = Receiver::with_callback_url(listening.url());
    (receiver.clone(), listening.serve(receiver, none))
}

fn wait_error(error: &Error) -> &WaitError {
    let ErrorKind::Wait(error) = error.kind() else { panic!("{error:?}") };
    error
}

#[tokio::test]
async fn two_hundred_runs_at_once_get_their_own_outputs_early_callbacks_too() {
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("bad").failure("model refused"))
        .fault(Fault::callback_early().every(10))
        .fault(Fault::callback_missign().every(7).first_tries(1))
        .fault(Fault::callback_repeat(1).every(5));
    let (emulator, client) = emulator(builder).await;
    let (receiver, _server) = receiving().await;
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let (client, receiver) = (client.clone(), receiver.clone());
            tokio::spawn(async move {
                let deployment = if n % 50 == 49 { "bad" } else { "good" };
                client.invoke_workflow(deployment).input("n", n).timeout(HANG).run_and_wait(&receiver, HANG).await
            })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        let event = call.await.unwrap().unwrap();
        if n % 50 == 49 {
            assert_eq!(event.event_type, Some(CallbackEventType::WorkflowFailed));
            assert!(event.to_run().into_output().unwrap_err().to_string().contains("model refused"));
        } else {
            assert_eq!(event.output_as::<String>().unwrap(), format!("good: n = {n}"));
        }
    }
    let early = emulator.deliveries().iter().filter(|delivery| delivery.outcome == Ok(503)).count();
    assert!(early >= 20, "{early} were put aside before their secret was known");
    // Each has a URL of its own, which nobody can guess.
    let mut urls: Vec<_> = emulator.deliveries().into_iter().map(|delivery| delivery.url).collect();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 200);
    assert!(urls.iter().all(|url| url.rsplit('/').next().unwrap().len() == "run-".len() + 32));
}

#[tokio::test]
async fn a_deadline_that_passes_names_the_run_and_the_wait_goes_on() {
    let (emulator, client) = emulator(Emulator::builder().fault(Fault::callback_late(Duration::from_secs(1)))).await;
    let (receiver, _server) = receiving().await;
    let error = client.invoke_workflow("d").run_and_wait(&receiver, Duration::from_millis(300)).await.unwrap_err();
    let id = emulator.runs()[0].request_id.clone();
    assert!(matches!(wait_error(&error), WaitError::Deadline { .. }), "{error:?}");
    assert_eq!(error.request_id(), Some(RequestId::from(id.as_str())));
    assert!(error.to_string().contains(&id) && error.to_string().contains("do not start it again"), "{error}");
    assert!(error.may_have_run() && !error.is_retryable());

    let mut started = client.invoke_workflow("d").start(&receiver).await.unwrap();
    assert_eq!((started.reply.status().as_u16(), &started.reply.run_status), (202, &Some(RunStatus::Running)));
    assert!(started.wait.event(Duration::from_millis(20)).await.is_err());
    let event = started.wait.event(HANG).await.unwrap();
    assert_eq!(event.request_id, started.reply.request_id);
    let error = started.wait.event(HANG).await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::Taken { .. }), "{error}");
}

#[tokio::test]
async fn a_wait_is_taken_up_again_after_it_was_dropped_and_after_a_restart() {
    let (_emulator, client) =
        emulator(Emulator::builder().fault(Fault::callback_late(Duration::from_millis(100)))).await;
    let listening = Listening::anywhere().await.unwrap();
    let address = listening.address();
    let receiver = Receiver::with_callback_url(listening.url());
    let server = listening.serve(receiver.clone(), none);

    // Dropped and resumed in one process: the event comes while nobody waits.
    let started = client.invoke_workflow("d").input("n", 1).start(&receiver).await.unwrap();
    let handle = started.wait.handle().clone();
    drop(started);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let event = client.resume(&receiver, handle.clone()).unwrap().event(HANG).await.unwrap();
    assert_eq!(event.output_as::<String>().unwrap(), "d: n = 1");
    // It is handed over once.
    assert!(client.resume(&receiver, handle).unwrap().event(HANG).await.is_err());

    // After a restart nothing is left but what was stored.
    let started = client.invoke_workflow("d").input("n", 2).start(&receiver).await.unwrap();
    let stored = serde_json::to_string(started.wait.handle()).unwrap();
    let shown = format!("{started:?} {:?}", started.wait.handle());
    drop((started, receiver, server));
    tokio::time::sleep(Duration::from_millis(150)).await;

    let handle: ResumeToken = serde_json::from_str(&stored).unwrap();
    assert!(!shown.contains(&handle.token) && !shown.contains(handle.webhook_secret.as_ref().unwrap().expose()));
    let listening = Listening::at(address).await.unwrap();
    let receiver = Receiver::with_callback_url(listening.url());
    let _server = listening.serve(receiver.clone(), none);
    let fresh = client.clone();
    // The delivery comes before anybody waits: it is to come again.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let event = fresh.resume(&receiver, handle.clone()).unwrap().event(HANG).await.unwrap();
    assert_eq!(event.output_as::<String>().unwrap(), "d: n = 2");

    let mut bad = handle.clone();
    bad.token = "run-1".to_owned();
    assert!(client.resume(&receiver, bad).unwrap_err().to_string().contains("`token`"));
    // A secret may be kept elsewhere.
    let mut bare = handle;
    bare.webhook_secret = None;
    let error = client.resume(&receiver, bare.clone()).unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::NoSecret { .. }) && error.request_id().is_some());
    assert!(client.resume(&Receiver::new(Verifier::new(["whsec_known"])), bare).is_ok());
}

/// Where the callback of the last run of a scripted server goes, as its requests say.
fn callback_path(requests: &[Vec<u8>]) -> String {
    let text = String::from_utf8_lossy(requests.last().unwrap()).into_owned();
    let url = text.split("\"callback_url\":\"").nth(1).unwrap().split('"').next().unwrap();
    url.parse::<http::Uri>().unwrap().path().to_owned()
}

#[allow(clippy::needless_pass_by_value, reason = "it is made where it is passed")]
fn event_at(path: &str, secret: &str, body: serde_json::Value) -> http::Request<bytes::Bytes> {
    let mut request = signed_request(secret, body.to_string());
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[tokio::test]
async fn only_the_verified_end_of_its_own_run_ends_a_wait() {
    let accepted = json!({"request_id": "req_1", "status": "pending", "webhook_secret": "whsec_h"}).to_string();
    let server = Scripted::start(vec![vec![Step::Read, Step::respond("202 Accepted", "", accepted)]]).await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com/callbacks");
    let call = client.call(InvokeHiveAgent::new("h", "find out", "https://replaced.example.com"));
    let mut started = call.start(&receiver).await.unwrap();
    let path = callback_path(&server.requests());
    assert!(path.starts_with("/callbacks/run-"));

    let events = Mutex::new(Vec::new());
    let deliver = |request| async {
        let handler = |event: Received| async {
            events.lock().unwrap().push(event.callback);
            Ok::<_, BoxError>(())
        };
        receiver.receive_bytes(request, handler).await.status().as_u16()
    };
    let end = || json!({"event_type": "hive_agent.completed", "request_id": "req_1", "data": {"output": "found"}});
    let of_another = json!({"event_type": "hive_agent.completed", "request_id": "req_2", "data": {}});
    let delegation =
        json!({"event_type": "agent.delegation.completed", "request_id": "req_1", "data": {"delegation_id": "d"}});
    let pause =
        json!({"event_type": "hive_agent.paused", "request_id": "req_1", "data": {"status": "awaiting_approval"}});
    assert_eq!(deliver(event_at(&path, "whsec_other", end())).await, 401);
    assert_eq!(deliver(event_at("/callbacks/run-00000000000000000000000000000000", "whsec_h", end())).await, 503);
    assert_eq!(deliver(event_at("/callbacks", "whsec_h", end())).await, 500, "there is no secret without a token");
    for other in [of_another, delegation, pause] {
        assert_eq!(deliver(event_at(&path, "whsec_h", other)).await, 200);
    }
    assert_eq!(events.lock().unwrap().len(), 3);
    assert!(started.wait.event(Duration::from_millis(1)).await.is_err());

    assert_eq!(deliver(event_at(&path, "whsec_h", end())).await, 200);
    let event = started.wait.event(HANG).await.unwrap();
    assert_eq!(event.output().unwrap(), "found");
    // A repeat is known, and a forged one is still refused.
    assert_eq!(deliver(event_at(&path, "whsec_h", end())).await, 200);
    assert_eq!(deliver(event_at(&path, "whsec_other", end())).await, 401);
    assert_eq!(events.lock().unwrap().len(), 3);
}

/// A server that calls back by hand while the invocation is not answered yet.
#[tokio::test]
async fn what_is_put_aside_is_bounded_and_judged_when_the_secret_is_known() {
    let answer = Arc::new(Notify::new());
    let server = Scripted::start(vec![vec![
        Step::Read,
        Step::Until(Arc::clone(&answer)),
        Step::respond("202 Accepted", "", json!({"request_id": "req_1", "webhook_secret": "whsec_e"}).to_string()),
    ]])
    .await
    .unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com").max_held_bytes(4_000);
    let starting = tokio::spawn({
        let receiver = receiver.clone();
        async move { client.invoke_workflow("d").start(&receiver).await }
    });
    while server.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let path = callback_path(&server.requests());
    let deliver = |secret: &'static str, body: serde_json::Value| {
        let (receiver, request) = (receiver.clone(), event_at(&path, secret, body));
        async move { receiver.receive_bytes(request, none).await.status().as_u16() }
    };
    let end = || json!({"event_type": "workflow.completed", "request_id": "req_1", "data": {"output": 1}});
    assert_eq!(deliver("whsec_e", json!({"event_type": "x", "padding": "x".repeat(4_000)})).await, 503);
    for _ in 0..3 {
        assert_eq!(deliver("whsec_forged", end()).await, 503);
    }
    // The good one is put aside among them; eight are, and no more.
    for _ in 0..6 {
        assert_eq!(deliver("whsec_e", end()).await, 503);
    }
    answer.notify_one();
    let mut started = starting.await.unwrap().unwrap();
    // What was put aside and does not hold is forgotten; what comes now is told at once.
    assert_eq!(deliver("whsec_forged", end()).await, 401);
    assert_eq!(deliver("whsec_e", end()).await, 200);
    let event = started.wait.event(HANG).await.unwrap();
    assert_eq!(event.output().unwrap(), 1);
}

#[tokio::test]
async fn a_run_that_did_not_start_leaves_nothing_behind() {
    let refused = Step::respond("422 Unprocessable", "", r#"{"error":"no"}"#);
    let bare = Step::respond("202 Accepted", "", r#"{"request_id":"req_9"}"#);
    let server =
        Scripted::start(vec![vec![Step::Read, refused, Step::Read, bare.clone(), Step::Read, bare]]).await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com");
    let error = client.invoke_workflow("d").run_and_wait(&receiver, HANG).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 422);
    let path = callback_path(&server.requests());
    assert_eq!(receiver.receive_bytes(event_at(&path, "s", json!({})), none).await.status(), 503);

    let error = client.invoke_workflow("d").run_and_wait(&receiver, HANG).await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::NoSecret { .. }), "{error}");
    assert_eq!(error.request_id(), Some(RequestId::from("req_9")));
    // A secret that the receiver has does as well.
    let known = Receiver::new(Verifier::new(["whsec_k"])).callback_url("https://example.com");
    assert!(client.invoke_workflow("d").start(&known).await.is_ok());

    let error = client.invoke_workflow("d").start(&Receiver::new(Verifier::new(["s"]))).await.unwrap_err();
    assert!(error.to_string().contains("`callback_url`") && !error.may_have_run(), "{error}");
    let plain = client.invoke_workflow("d").start(&Receiver::with_callback_url("http://example.com")).await.unwrap_err();
    assert!(plain.to_string().contains("`async.callback_url`") && !plain.may_have_run(), "{plain}");
    assert_eq!(server.requests().len(), 3);
}

async fn ends<E: CallbackRun + Clone + 'static>(
    call: fetch_hive_client::Call<E>,
    receiver: &Receiver,
    server: &Scripted,
    event_type: &str,
) {
    let mut started = call.start(receiver).await.unwrap();
    let path = callback_path(&server.requests());
    let id = started.wait.handle().request_id.clone().unwrap();
    let event = json!({"event_type": event_type, "request_id": id, "data": {"response": "hi"}});
    assert_eq!(receiver.receive_bytes(event_at(&path, "whsec_t", event), none).await.status(), 200);
    assert_eq!(started.wait.event(HANG).await.unwrap().response(), Some("hi"));
}

#[tokio::test]
async fn triggers_are_waited_for_with_their_own_secret() {
    let reply =
        |id: &str| Step::respond("202 Accepted", "", format!(r#"{{"request_id":"{id}","run_status":"running"}}"#));
    let script = vec![Step::Read, reply("req_1"), Step::Read, reply("req_2"), Step::Read, reply("req_3")];
    let server = Scripted::start(vec![script]).await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com/in");
    let body = || DeploymentTrigger::new("https://replaced.example.com").input("n", 1);

    let workflow = client.trigger_workflow("e", "v", "whsec_t", body());
    ends(workflow, &receiver, &server, "workflow.completed").await;
    ends(
        client.call(TriggerPrompt::new("e", "v", "whsec_t", body())).secret_in_query(),
        &receiver,
        &server,
        "prompt.completed",
    )
    .await;
    let agent = client.trigger_agent("a", "whsec_t", AgentTrigger::new("hi", "https://replaced.example.com"));
    ends(agent, &receiver, &server, "agent.completed").await;
    assert!(server.requests().iter().all(|request| !String::from_utf8_lossy(request).contains("replaced")));
}

fn record(status: &str) -> Step {
    let body = json!({"request_id": "req_1", "status": status, "data": {"output": "done"}});
    Step::respond("200 OK", "content-type: application/json\r\n", body.to_string())
}

async fn looking(steps: Vec<Step>) -> (Scripted, Client) {
    let script = steps.into_iter().flat_map(|step| [Step::Read, step]).collect();
    let server = Scripted::start(vec![script]).await.unwrap();
    let never = fetch_hive_client::RetryPolicy::never();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).retry(never).build().unwrap();
    (server, client)
}

const SHORT: Duration = Duration::from_millis(2);

#[tokio::test]
async fn a_run_is_looked_up_until_it_ends_through_faults_that_pass() {
    let busy = Step::respond("503 Service Unavailable", "", "<html>busy</html>");
    let throttled =
        Step::respond("429 Too Many Requests", "", r#"{"error":"slow down","error_code":"too_many_requests"}"#);
    let steps = vec![record("queued"), busy, record("running"), throttled, record("brand_new"), record("completed")];
    let (server, client) = looking(steps).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let wait = client.requests().wait("req_1").interval(SHORT, SHORT).on_progress(move |record| {
        statuses.lock().unwrap().push(record.status.as_ref().unwrap().as_str().to_owned());
    });
    let record = wait.await.unwrap();
    assert_eq!(record.to_run().into_output().unwrap(), "done");
    assert_eq!(*seen.lock().unwrap(), ["queued", "running", "brand_new", "completed"]);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn an_approval_is_seen_and_waited_past() {
    let (_server, client) =
        looking(vec![record("running"), record("awaiting_approval"), record("awaiting_approval"), record("completed")])
            .await;
    let wait = || client.requests().wait("req_1").interval(SHORT, SHORT);
    let stopped = wait().until_approval().await.unwrap();
    assert!(stopped.is_awaiting_approval() && !stopped.has_ended());
    // Here it is decided. The same wait goes on past it.
    let ended = wait().await.unwrap();
    assert_eq!(ended.status, Some(RunStatus::Completed));
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_is_decided_and_waited_on_both_ways() {
    let file = std::env::temp_dir().join(format!("fetch-hive-waits-{}.toml", std::process::id()));
    let declared = "[[workflow]]\ndeployment = \"review\"\noutput = \"sent\"\nsteps = [{ name = \"send\", human_in_the_loop = true }]\n";
    std::fs::write(&file, declared).unwrap();
    let (emulator, client) = emulator(Emulator::builder().config(&file)).await;
    let (receiver, _server) = receiving().await;
    let mut started = client.invoke_workflow("review").start(&receiver).await.unwrap();
    let id = started.reply.request_id.clone().unwrap();

    let look = || client.requests().wait(&id).interval(SHORT, SHORT).timeout(HANG);
    assert!(look().until_approval().await.unwrap().is_awaiting_approval());
    assert!(started.wait.event(Duration::from_millis(20)).await.is_err());
    let approvals = client.workspace(DEFAULT_WORKSPACE).approvals();
    let mut pending = approvals.all(ApprovalFilter::new().request_id(&id));
    while let Some(approval) = pending.next().await {
        approvals.decide(approval.unwrap().id.unwrap(), ApprovalDecision::AllowOnce).await.unwrap();
    }
    assert_eq!(started.wait.event(HANG).await.unwrap().output().unwrap(), "sent");
    assert_eq!(look().await.unwrap().to_run().into_output().unwrap(), "sent");
    assert_eq!(emulator.runs().len(), 1, "it was not invoked again");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn hive_agents_and_triggers_of_the_emulator_are_waited_for() {
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("w").webhook_secret("whsec_w"))
        .deployment(Deployment::agent("a").webhook_secret("whsec_a"))
        .fault(Fault::callback_early().every(2));
    let (_emulator, client) = emulator(builder).await;
    let (receiver, _server) = receiving().await;
    let replaced = "https://replaced.example.com";
    for _ in 0..2 {
        let event = client.invoke_hive_agent("h", "find out", replaced).run_and_wait(&receiver, HANG).await.unwrap();
        assert_eq!(event.event_type, Some(CallbackEventType::HiveAgentCompleted));
        let trigger = client.trigger_workflow("w", "v", "whsec_w", DeploymentTrigger::new(replaced).input("n", 1));
        let event = trigger.secret_in_query().run_and_wait(&receiver, HANG).await.unwrap();
        assert_eq!(event.event_type, Some(CallbackEventType::WorkflowCompleted));
        let trigger = client.trigger_agent("a", "whsec_a", AgentTrigger::new("hi", replaced));
        let event = trigger.run_and_wait(&receiver, HANG).await.unwrap();
        assert_eq!(event.event_type, Some(CallbackEventType::AgentCompleted));
        let wrong = client.trigger_agent("a", "whsec_x", AgentTrigger::new("hi", replaced));
        assert_eq!(wrong.run_and_wait(&receiver, HANG).await.unwrap_err().status().unwrap().as_u16(), 401);
    }
}

#[tokio::test]
async fn looking_up_ends_at_the_deadline_with_what_is_known_and_at_errors_that_stay() {
    let (server, client) = looking(vec![record("awaiting_approval"); 500]).await;
    let wait = client.requests().wait("req_1").interval(SHORT, SHORT * 5).timeout(Duration::from_millis(500));
    let error = wait.await.unwrap_err();
    assert!(error.to_string().contains("req_1") && error.to_string().contains("awaiting_approval"), "{error}");
    assert_eq!(error.request_id(), Some(RequestId::from("req_1")));
    assert!(server.requests().len() > 1);

    let gone = Step::respond("404 Not Found", "", r#"{"error":"There is no such request."}"#);
    let (_server, client) = looking(vec![record("running"), gone]).await;
    let error = client.requests().wait("req_1").interval(SHORT, SHORT).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 404);

    // Nobody answers: the deadline still holds, and says why.
    let (_server, client) = looking(vec![Step::Wait(HANG)]).await;
    let error =
        client.requests().wait("req_1").interval(SHORT, SHORT).timeout(Duration::from_millis(50)).await.unwrap_err();
    let WaitError::Deadline { last_error: Some(last), .. } = wait_error(&error) else { panic!("{error:?}") };
    assert!(last.timeout().is_some() && std::error::Error::source(&error).is_some());
    let invalid = client.requests().wait("..").await.unwrap_err();
    assert!(!invalid.may_have_run(), "{invalid}");
}

#[tokio::test]
async fn intervals_grow() {
    let (server, client) = looking(vec![record("running"); 500]).await;
    let every = |longest: u64| {
        let wait = client.requests().wait("req_1").interval(Duration::from_millis(10), Duration::from_millis(longest));
        wait.timeout(Duration::from_millis(400))
    };
    assert!(every(10_000).await.is_err());
    // 10, 15, 22.5, 33.7, 50.6, 75.9, 113.9 ms: at the most 9 looks in 400 ms, where 40 would fit.
    let looks = server.requests().len();
    assert!(looks <= 9, "{looks}");
}

/// A vault that is closed at first.
struct Vault(AtomicUsize);

#[async_trait]
impl CredentialProvider for Vault {
    async fn api_key(&self) -> Result<ApiKey, BoxError> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 { Err("closed".into()) } else { Ok(ApiKey::new("fhk_test")?) }
    }
}

#[tokio::test]
async fn a_look_comes_no_sooner_than_it_was_asked_to_and_never_at_once() {
    let looks = |exchanges: Vec<Exchange>| {
        let (replay, clock) = (Replay::new(exchanges), PausedClock::new());
        let builder = Client::builder().credentials(Vault(AtomicUsize::new(0))).transport(replay).clock(clock.clone());
        (builder.retry(RetryPolicy::never()).build().unwrap(), clock)
    };
    let record = |status: &str| Exchange::status(200).body(json!({"id": "r", "status": status}).to_string());
    let busy = || Exchange::status(503).header("retry-after", "30");
    let (client, clock) = looks(vec![busy(), record("running"), record("completed")]);
    client.requests().wait("req_1").interval(Duration::ZERO, Duration::ZERO).await.unwrap();
    let (short, asked) = (Duration::from_millis(1), Duration::from_secs(30));
    assert_eq!(clock.sleeps(), [short, asked, short], "the vault, the refusal, the run that goes on");

    // A wait that was asked for and goes beyond the deadline is not begun.
    let (client, clock) = looks(vec![busy()]);
    let error = client.requests().wait("req_1").timeout(Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::Deadline { last_error: Some(_), .. }), "{error:?}");
    assert_eq!(clock.elapsed(), Duration::from_secs(20));
}

#[tokio::test]
async fn waits_can_be_spawned_and_dropped() {
    let (_emulator, client) = emulator(Emulator::builder()).await;
    let inbox = Inbox::start().await.unwrap();
    let receiver = Receiver::with_callback_url(inbox.url());
    let call = client.invoke_workflow("d");
    let waiting = tokio::spawn(async move { call.run_and_wait(&receiver, None).await });
    let looking = tokio::spawn(std::future::IntoFuture::into_future(client.requests().wait("req_1").timeout(None)));
    tokio::task::yield_now().await;
    waiting.abort();
    looking.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
}
