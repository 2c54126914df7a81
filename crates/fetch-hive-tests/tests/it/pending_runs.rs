//! Tests of waiting for the callback of a run.

use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch_hive_client::callback::{
    CallbackEndpoint, Delivery, Receiver, ResumeToken, RunToken, Verifier, signed_request,
};
use fetch_hive_client::types::{
    ApprovalDecision, ApprovalFilter, CallbackEventType, InvokeHiveAgent, RequestId, RunStatus,
};
use fetch_hive_client::{BoxError, Client, Error, ErrorKind, Timeout, WaitError};
use fetch_hive_emulator::{CallbackReceiver, DEFAULT_WORKSPACE, Deployment, Emulator, EmulatorBuilder, Fault};
use fetch_hive_tests::{CallbackListener, CallbackServer, Scripted, Step};
use serde_json::json;
use tokio::sync::Notify;

const HANG: Duration = Duration::from_secs(60);
/// A callback URL that `start` must replace.
const REPLACED: &str = "https://replaced.example.com";

async fn emulator(builder: EmulatorBuilder) -> (Emulator, Client) {
    let emulator = builder.delivery(200, Duration::from_millis(5)).start().await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    (emulator, client)
}

async fn unexpected(delivery: Delivery) -> Result<(), BoxError> {
    Err(format!("the handler ran for {delivery:?}").into())
}

async fn start_receiver() -> (Receiver, CallbackServer) {
    let listener = CallbackListener::bind_any().await.unwrap();
    let receiver = Receiver::with_callback_url(listener.url());
    (receiver.clone(), listener.serve(receiver, unexpected))
}

fn wait_error(error: &Error) -> &WaitError {
    let ErrorKind::Wait(error) = error.kind() else { panic!("{error:?}") };
    error
}

#[tokio::test]
async fn concurrent_runs_get_their_own_outputs() {
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("bad").failure("model refused"))
        .fault(Fault::callback_early().every(10))
        .fault(Fault::callback_bad_signature().every(7).first_attempts(1))
        .fault(Fault::callback_redeliver(1).every(5));
    let (emulator, client) = emulator(builder).await;
    let (receiver, _server) = start_receiver().await;
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let (client, receiver) = (client.clone(), receiver.clone());
            tokio::spawn(async move {
                let deployment = if n % 50 == 49 { "bad" } else { "good" };
                client
                    .invoke_workflow(deployment)
                    .input("n", n)
                    .timeout(HANG)
                    .run_and_wait(&receiver)
                    .timeout(HANG)
                    .await
            })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        let event = call.await.unwrap().unwrap().event;
        if n % 50 == 49 {
            assert_eq!(event.event_type, Some(CallbackEventType::WorkflowFailed));
            assert!(event.to_run().into_output().unwrap_err().to_string().contains("model refused"));
        } else {
            assert_eq!(event.output_as::<String>().unwrap(), format!("good: n = {n}"));
        }
    }
    let early = emulator.deliveries().iter().filter(|delivery| delivery.outcome == Ok(503)).count();
    assert!(early >= 20, "{early} callbacks arrived before their secret was known");
    // Each run has its own unguessable URL.
    let mut urls: Vec<_> = emulator.deliveries().into_iter().map(|delivery| delivery.url).collect();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 200);
    assert!(urls.iter().all(|url| url.rsplit('/').next().unwrap().len() == "run-".len() + 32));
}

#[tokio::test]
async fn timeout_error_names_the_run_and_waiting_can_continue() {
    let (emulator, client) = emulator(Emulator::builder().fault(Fault::callback_late(Duration::from_secs(1)))).await;
    let (receiver, _server) = start_receiver().await;
    let error =
        client.invoke_workflow("d").run_and_wait(&receiver).timeout(Duration::from_millis(300)).await.unwrap_err();
    let id = emulator.runs()[0].request_id.clone();
    assert!(matches!(wait_error(&error), WaitError::Timeout { .. }), "{error:?}");
    assert_eq!(error.request_id(), Some(RequestId::from(id.as_str())));
    assert!(error.to_string().contains(&id) && error.to_string().contains("within 300ms (timeout)"), "{error}");
    assert!(error.may_have_run() && !error.is_retryable());

    let mut started = client.invoke_workflow("d").start(&receiver).await.unwrap();
    assert_eq!((started.response.status().as_u16(), &started.response.run_status), (202, &Some(RunStatus::Running)));
    assert!(started.pending.timeout(Duration::from_millis(20)).event().await.is_err());
    let event = started.pending.timeout(HANG).event().await.unwrap().event;
    assert_eq!(event.request_id, started.response.request_id);
    let error = started.pending.event().await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::AlreadyTaken { .. }), "{error}");
}

#[tokio::test]
async fn run_with_a_stored_token_is_resumed_after_a_lost_response() {
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("d").webhook_secret("whsec_0123456789abcdef"))
        .fault(Fault::close().after_run().operation("invokeWorkflow"))
        .fault(Fault::callback_late(Duration::from_millis(50)));
    let (emulator, client) = emulator(builder).await;
    let listener = CallbackListener::bind_any().await.unwrap();
    let receiver = Receiver::new(Verifier::new(["whsec_0123456789abcdef"])).callback_url(listener.url());
    let _server = listener.serve(receiver.clone(), unexpected);

    let token = RunToken::random().unwrap();
    let call = client.invoke_workflow("d").input("n", 1);
    let error = call.start_with_token(&receiver, token.clone()).await.unwrap_err();
    assert!(error.may_have_run(), "{error}");
    let mut run = client.resume(&receiver, ResumeToken::from(token)).await.unwrap();
    let delivery = run.timeout(HANG).event().await.unwrap();
    assert_eq!(delivery.event.output_as::<String>().unwrap(), "d: n = 1");
    assert_eq!(emulator.runs().len(), 1);
}

#[tokio::test]
async fn dropped_run_is_resumed_in_process_and_after_a_restart() {
    let (_emulator, client) =
        emulator(Emulator::builder().fault(Fault::callback_late(Duration::from_millis(100)))).await;
    let listener = CallbackListener::bind_any().await.unwrap();
    let address = listener.address();
    let receiver = Receiver::with_callback_url(listener.url());
    let server = listener.serve(receiver.clone(), unexpected);

    // Dropped and resumed in one process. The event arrives in between.
    let started = client.invoke_workflow("d").input("n", 1).start(&receiver).await.unwrap();
    let token = started.pending.resume_token().clone();
    drop(started);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let delivery = client.resume(&receiver, token.clone()).await.unwrap().timeout(HANG).event().await.unwrap();
    assert_eq!(delivery.event.output_as::<String>().unwrap(), "d: n = 1");
    // The event is returned once.
    assert!(client.resume(&receiver, token).await.unwrap().timeout(HANG).event().await.is_err());

    // Resumed with a new receiver, as after a restart.
    let started = client.invoke_workflow("d").input("n", 2).start(&receiver).await.unwrap();
    let stored = serde_json::to_string(started.pending.resume_token()).unwrap();
    let shown = format!("{started:?} {:?}", started.pending.resume_token());
    drop((started, receiver, server));
    tokio::time::sleep(Duration::from_millis(150)).await;

    let token: ResumeToken = serde_json::from_str(&stored).unwrap();
    assert!(!shown.contains(&token.token) && !shown.contains(token.webhook_secret.as_ref().unwrap().expose()));
    let listener = CallbackListener::bind(address).await.unwrap();
    let receiver = Receiver::with_callback_url(listener.url());
    let _server = listener.serve(receiver.clone(), unexpected);
    // A delivery before the wait is resumed is answered with 503 and redelivered.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let delivery = client.resume(&receiver, token.clone()).await.unwrap().timeout(HANG).event().await.unwrap();
    assert_eq!(delivery.event.output_as::<String>().unwrap(), "d: n = 2");

    let mut bad = token.clone();
    bad.token = "run-1".to_owned();
    assert!(client.resume(&receiver, bad).await.unwrap_err().to_string().contains("`token`"));
    // The secret may be stored elsewhere.
    let mut bare = token;
    bare.webhook_secret = None;
    assert!(client.resume(&receiver, bare.clone()).await.is_ok(), "the receiver still knows the secret");
    let restarted = Receiver::with_callback_url("https://example.com");
    let error = client.resume(&restarted, bare.clone()).await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::NoSecret { .. }) && error.request_id().is_some());
    assert!(client.resume(&Receiver::new(Verifier::new(["whsec_known"])), bare).await.is_ok());
}

/// Returns the path of the callback URL in the last request.
fn callback_path(requests: &[Vec<u8>]) -> String {
    let text = String::from_utf8_lossy(requests.last().unwrap()).into_owned();
    let url = text.split("\"callback_url\":\"").nth(1).unwrap().split('"').next().unwrap();
    url.parse::<http::Uri>().unwrap().path().to_owned()
}

#[allow(clippy::needless_pass_by_value, reason = "callers pass a new value")]
fn event_at(path: &str, secret: &str, body: serde_json::Value) -> http::Request<bytes::Bytes> {
    let mut request = signed_request(secret, body.to_string());
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[tokio::test]
async fn only_the_verified_end_of_the_run_ends_the_wait() {
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
        let handler = |delivery: Delivery| async {
            events.lock().unwrap().push(delivery);
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
    assert_eq!(deliver(event_at("/callbacks", "whsec_h", end())).await, 500, "without a token, no secret is known");
    for other in [of_another, delegation, pause] {
        assert_eq!(deliver(event_at(&path, "whsec_h", other)).await, 200);
    }
    assert_eq!(events.lock().unwrap().len(), 3);
    assert!(started.pending.timeout(Duration::from_millis(1)).event().await.is_err());

    // Nothing waits at the moment, so the event is answered with 503 until it was acknowledged.
    assert_eq!(deliver(event_at(&path, "whsec_h", end())).await, 503);
    let event = started.pending.timeout(HANG).event().await.unwrap().event;
    assert_eq!(event.output().unwrap(), "found");
    // A redelivery is accepted, and a forged one is still rejected.
    assert_eq!(deliver(event_at(&path, "whsec_h", end())).await, 200);
    assert_eq!(deliver(event_at(&path, "whsec_other", end())).await, 401);
    assert_eq!(events.lock().unwrap().len(), 3);
}

/// The test delivers callbacks before the server answers the invocation.
#[tokio::test]
async fn held_deliveries_are_limited_and_verified_once_the_secret_is_known() {
    let respond = Arc::new(Notify::new());
    let server = Scripted::start(vec![vec![
        Step::Read,
        Step::Until(Arc::clone(&respond)),
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
        async move { receiver.receive_bytes(request, unexpected).await.status().as_u16() }
    };
    let end = || json!({"event_type": "workflow.completed", "request_id": "req_1", "data": {"output": 1}});
    assert_eq!(deliver("whsec_e", json!({"event_type": "x", "padding": "x".repeat(4_000)})).await, 503);
    for _ in 0..3 {
        assert_eq!(deliver("whsec_forged", end()).await, 503);
    }
    // Up to eight deliveries are held, so the genuine one is among them.
    for _ in 0..6 {
        assert_eq!(deliver("whsec_e", end()).await, 503);
    }
    respond.notify_one();
    let mut started = starting.await.unwrap().unwrap();
    // The forged deliveries are discarded, and new deliveries are verified at once.
    assert_eq!(deliver("whsec_forged", end()).await, 401);
    let event = started.pending.timeout(HANG).event().await.unwrap().event;
    assert_eq!(event.output().unwrap(), 1);
    assert_eq!(deliver("whsec_e", end()).await, 200);
}

#[tokio::test]
async fn event_is_answered_with_200_only_after_it_was_handled() {
    let accepted = json!({"request_id": "req_1", "webhook_secret": "whsec_h"}).to_string();
    let server = Scripted::start(vec![vec![Step::Read, Step::respond("202 Accepted", "", accepted)]]).await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com/callbacks");
    let mut started = client.invoke_workflow("d").start(&receiver).await.unwrap();
    let path = callback_path(&server.requests());
    let deliver = || {
        let end = json!({"event_type": "workflow.completed", "request_id": "req_1", "data": {"output": "found"}});
        receiver.receive_bytes(event_at(&path, "whsec_h", end), unexpected)
    };
    // The handler fails, so the event is answered with 503 and stays available.
    let pending = &mut started.pending;
    let failing = pending.handle(|_| async { Err::<(), BoxError>("the disk is full".into()) });
    let (failed, response) = tokio::join!(failing, deliver());
    assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
    assert_eq!(response.status(), 503);
    // A handler that is dropped gives the event back as well.
    let hanging = pending.handle(|_| std::future::pending::<Result<(), BoxError>>());
    assert!(tokio::time::timeout(Duration::from_millis(20), hanging).await.is_err());
    let (entered, enter) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = pending.handle(|delivery| {
        let (entered, enter) = (Arc::clone(&entered), Arc::clone(&enter));
        async move {
            entered.notify_one();
            enter.notified().await;
            Ok::<_, Error>(delivery.event.output().cloned())
        }
    });
    let redelivered = async {
        entered.notified().await;
        let response = deliver();
        enter.notify_one();
        response.await
    };
    let (output, response) = tokio::join!(slow, redelivered);
    assert_eq!((output.unwrap().unwrap(), response.status().as_u16()), (json!("found"), 200));
    assert!(matches!(wait_error(&pending.event().await.unwrap_err()), WaitError::AlreadyTaken { .. }));
    assert_eq!(deliver().await.status(), 200);
}

#[tokio::test]
async fn callback_run_keeps_its_slot_until_its_event_arrives() {
    let (emulator, _) = emulator(Emulator::builder().fault(Fault::callback_late(Duration::from_millis(300)))).await;
    let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).max_concurrent_runs(1);
    let client = builder.unresolved_run_hold(HANG).build().unwrap();
    let (receiver, _server) = start_receiver().await;
    let mut started = client.invoke_workflow("d").start(&receiver).await.unwrap();
    let waiting = client.invoke_workflow("d").timeout(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(waiting.timeout(), Some(Timeout::Queue));
    started.pending.timeout(HANG).event().await.unwrap();
    client.invoke_workflow("d").timeout(HANG).await.unwrap();

    // A look-up that finds the end of a run frees the slot, too.
    let started = client.invoke_workflow("d").start(&receiver).await.unwrap();
    let id = started.request_id().unwrap().clone();
    drop(started);
    let interval = Duration::from_millis(20);
    client.requests().wait(id).interval(interval, interval).await.unwrap();
    client.invoke_workflow("d").timeout(HANG).await.unwrap();
}

#[tokio::test]
async fn failed_start_leaves_no_pending_run() {
    let rejected = Step::respond("422 Unprocessable", "", r#"{"error":"no"}"#);
    let bare = Step::respond("202 Accepted", "", r#"{"request_id":"req_9"}"#);
    let server =
        Scripted::start(vec![vec![Step::Read, rejected, Step::Read, bare.clone(), Step::Read, bare]]).await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com");
    let error = client.invoke_workflow("d").run_and_wait(&receiver).timeout(HANG).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 422);
    let path = callback_path(&server.requests());
    assert_eq!(receiver.receive_bytes(event_at(&path, "s", json!({})), unexpected).await.status(), 503);

    let error = client.invoke_workflow("d").run_and_wait(&receiver).timeout(HANG).await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::NoSecret { .. }), "{error}");
    assert_eq!(error.request_id(), Some(RequestId::from("req_9")));
    // The receiver's own secret is sufficient.
    let known = Receiver::new(Verifier::new(["whsec_k"])).callback_url("https://example.com");
    assert!(client.invoke_workflow("d").start(&known).await.is_ok());

    let error = client.invoke_workflow("d").start(&Receiver::new(Verifier::new(["s"]))).await.unwrap_err();
    assert!(error.to_string().contains("`callback_url`") && !error.may_have_run(), "{error}");
    let plain =
        client.invoke_workflow("d").start(&Receiver::with_callback_url("http://example.com")).await.unwrap_err();
    assert!(plain.to_string().contains("`async.callback_url`") && !plain.may_have_run(), "{plain}");
    assert_eq!(server.requests().len(), 3);
}

async fn assert_ends<E: CallbackEndpoint + Clone + 'static>(
    call: fetch_hive_client::Call<E>,
    receiver: &Receiver,
    server: &Scripted,
    event_type: &str,
) {
    let mut started = call.start(receiver).await.unwrap();
    let path = callback_path(&server.requests());
    let id = started.pending.resume_token().request_id.clone().unwrap();
    let event = json!({"event_type": event_type, "request_id": id, "data": {"response": "hi"}});
    let delivered = receiver.receive_bytes(event_at(&path, "whsec_t", event), unexpected);
    let (event, response) = tokio::join!(started.pending.timeout(HANG).event(), delivered);
    assert_eq!((event.unwrap().event.response(), response.status().as_u16()), (Some("hi"), 200));
}

#[tokio::test]
async fn triggers_use_their_own_secret() {
    let response =
        |id: &str| Step::respond("202 Accepted", "", format!(r#"{{"request_id":"{id}","run_status":"running"}}"#));
    let script = vec![Step::Read, response("req_1"), Step::Read, response("req_2"), Step::Read, response("req_3")];
    let server = Scripted::start(vec![script]).await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server.base_url()).build().unwrap();
    let receiver = Receiver::with_callback_url("https://example.com/in");

    let workflow = client.trigger_workflow("e", "v", "whsec_t", REPLACED).input("n", 1);
    assert_ends(workflow, &receiver, &server, "workflow.completed").await;
    assert_ends(
        client.trigger_prompt("e", "v", "whsec_t", REPLACED).input("n", 1).secret_in_query(),
        &receiver,
        &server,
        "prompt.completed",
    )
    .await;
    let agent = client.trigger_agent("a", "whsec_t", "hi", REPLACED);
    assert_ends(agent, &receiver, &server, "agent.completed").await;
    assert!(server.requests().iter().all(|request| !String::from_utf8_lossy(request).contains("replaced")));
}

#[tokio::test]
async fn approved_run_ends_by_callback_and_by_polling() {
    let file = std::env::temp_dir().join(format!("fetch-hive-waits-{}.toml", std::process::id()));
    let config = "[[workflow]]\ndeployment = \"review\"\noutput = \"sent\"\nsteps = [{ name = \"send\", human_in_the_loop = true }]\n";
    std::fs::write(&file, config).unwrap();
    let (emulator, client) = emulator(Emulator::builder().config(&file)).await;
    let (receiver, _server) = start_receiver().await;
    let mut started = client.invoke_workflow("review").start(&receiver).await.unwrap();
    let id = started.response.request_id.clone().unwrap();

    let poll =
        || client.requests().wait(&id).interval(Duration::from_millis(2), Duration::from_millis(2)).timeout(HANG);
    assert!(poll().until_approval().await.unwrap().is_awaiting_approval());
    assert!(started.pending.timeout(Duration::from_millis(20)).event().await.is_err());
    let approvals = client.workspace(DEFAULT_WORKSPACE).approvals();
    let mut pending = approvals.all(ApprovalFilter::new().request_id(&id));
    while let Some(approval) = pending.next().await {
        approvals.decide(approval.unwrap().id.unwrap(), ApprovalDecision::AllowOnce).await.unwrap();
    }
    assert_eq!(started.pending.timeout(HANG).event().await.unwrap().event.output().unwrap(), "sent");
    assert_eq!(poll().await.unwrap().to_run().into_output().unwrap(), "sent");
    assert_eq!(emulator.runs().len(), 1, "the run was not invoked again");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn hive_agents_and_triggers_end_by_callback() {
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("w").webhook_secret("whsec_w"))
        .deployment(Deployment::agent("a").webhook_secret("whsec_a"))
        .fault(Fault::callback_early().every(2));
    let (_emulator, client) = emulator(builder).await;
    let (receiver, _server) = start_receiver().await;
    for _ in 0..2 {
        let event = client
            .invoke_hive_agent("h", "find out", REPLACED)
            .run_and_wait(&receiver)
            .timeout(HANG)
            .await
            .unwrap()
            .event;
        assert_eq!(event.event_type, Some(CallbackEventType::HiveAgentCompleted));
        let trigger = client.trigger_workflow("w", "v", "whsec_w", REPLACED).input("n", 1);
        let event = trigger.secret_in_query().run_and_wait(&receiver).timeout(HANG).await.unwrap().event;
        assert_eq!(event.event_type, Some(CallbackEventType::WorkflowCompleted));
        let trigger = client.trigger_agent("a", "whsec_a", "hi", REPLACED);
        let event = trigger.run_and_wait(&receiver).timeout(HANG).await.unwrap().event;
        assert_eq!(event.event_type, Some(CallbackEventType::AgentCompleted));
        let wrong = client.trigger_agent("a", "whsec_x", "hi", REPLACED);
        assert_eq!(wrong.run_and_wait(&receiver).timeout(HANG).await.unwrap_err().status().unwrap().as_u16(), 401);
    }
}

#[tokio::test]
async fn waits_can_be_spawned_and_aborted() {
    let (_emulator, client) = emulator(Emulator::builder()).await;
    let inbox = CallbackReceiver::start().await.unwrap();
    let receiver = Receiver::with_callback_url(inbox.url());
    let call = client.invoke_workflow("d");
    let waiting = tokio::spawn(async move { call.run_and_wait(&receiver).timeout(None).await });
    let polling = tokio::spawn(client.requests().wait("req_1").timeout(None).into_future());
    tokio::task::yield_now().await;
    waiting.abort();
    polling.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
}
