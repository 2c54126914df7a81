use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::callback::{
    AcceptedRun, Claim, ClaimLost, ClaimResult, DeliverResult, MemoryDedupStore, MemoryPendingRuns, Outcome,
    PendingRunState, RawDelivery, Receiver, RunToken, TakeResult, UnverifiedDelivery,
};
use fetch_hive_client::core::callback::Verifier;
use fetch_hive_client::types::{
    ApiKey, ApprovalFilter, AssetFile, InvokePrompt, InvokeWorkflow, InvokeWorkflowResponse,
};
use fetch_hive_client::{
    BoxError, Client, CredentialProvider, HyperTransport, MemoryRunLimiter, RequestBodyReader, ResponseBody, Retry,
    RetryPolicy, RunEnd, RunLimiter, RunRequest, TransportError, blocking,
};
use fetch_hive_emulator::{Emulator, Fault, Script};
use fetch_hive_testing::conformance::Suite;
use fetch_hive_testing::{Capture, Exchange, NeverResponds, PausedClock, Recorder, Replay};
use http::{HeaderMap, Request};
use serde_json::json;

use super::{BODY, KEY, PROXY, Printed, SECRET, delivered, fields};

struct Vault(Option<&'static str>);

#[async_trait]
impl CredentialProvider for Vault {
    async fn api_key(&self) -> Result<ApiKey, BoxError> {
        Ok(ApiKey::new(self.0.ok_or("the vault is closed")?)?)
    }
}

/// Returns the reports that the hooks of a client receive, and the spans of its calls.
type Told = Arc<Mutex<Vec<(&'static str, String)>>>;

pub(crate) async fn client(printed: &mut Printed) {
    let emulator =
        Emulator::builder().stream("s", Script::new().text(BODY).wait(Duration::from_secs(60))).start().await.unwrap();
    let told = Told::default();
    let builder = || {
        let [attempts, calls, runs, usage] = [(); 4].map(|()| Arc::clone(&told));
        Client::builder()
            .api_key(KEY)
            .base_url(emulator.base_url())
            .retry(RetryPolicy::never())
            .on_attempt(move |report| {
                attempts.lock().unwrap().push(("fetch_hive_client::AttemptReport", format!("{report:?}")));
            })
            .on_call(move |report| calls.lock().unwrap().push(("fetch_hive_client::CallReport", format!("{report:?}"))))
            .on_run(move |report| runs.lock().unwrap().push(("fetch_hive_client::RunReport", format!("{report:?}"))))
            .on_usage(move |report| {
                usage.lock().unwrap().push(("fetch_hive_client::UsageReport", format!("{report:?}")));
            })
    };
    let client = builder().build().unwrap();
    let stream = || client.invoke_prompt("s").input("text", BODY).stream();
    let usage = json!({"type": "usage", "usage": {"total_tokens": 1}, "webhook_secret": SECRET, "request_id": "req_1"});
    emulator.add_fault(events(&format!("data: {usage}\n\ndata: [DONE]\n\n")).nth(1)).unwrap();
    let whole = stream().await.unwrap().into_response().await;
    client.invoke_prompt("d").await.unwrap();
    let workspace = client.workspace("w");
    let receiver = Receiver::new(Verifier::new([SECRET])).callback_url("https://example.com/cb");
    let started = || client.invoke_workflow("d").metadata("a", 1).start(&receiver);
    let mut token = started().await.unwrap().pending.resume_token().clone();
    token.webhook_secret = Some(SECRET.into());
    let (headers, body) =
        delivered(&json!({"event_type": "agent.completed", "request_id": BODY.to_lowercase()}).to_string());
    let key = Verifier::new([SECRET]).verify(&headers, body.clone()).unwrap().key();
    let claim = Claim::new(key.clone(), 1);
    let accepted = AcceptedRun::new(None, Some(SECRET.into()));
    let raw = RawDelivery::new(headers.clone(), BODY);
    let limiter = MemoryRunLimiter::new(1, std::time::Duration::ZERO, Arc::new(fetch_hive_client::TokioClock));
    let run = RunRequest::new("invokeWorkflow", None);
    print! { printed, debug:
        fetch_hive_client::ApprovalStream = workspace.approvals().all(ApprovalFilter::new().extra("api_key", KEY));
        fetch_hive_client::Call<fetch_hive_client::types::TriggerAgent> =
            client.trigger_agent("a", SECRET, "hi", "https://h/cb").header("x-own", KEY);
        fetch_hive_client::Client = client.clone();
        fetch_hive_client::ClientBuilder<Client> = builder();
        fetch_hive_client::CollectedResponse<fetch_hive_client::types::InvokePromptResponse> = whole;
        fetch_hive_client::EventStream<InvokePrompt> = stream().await.unwrap();
        fetch_hive_client::TextStream<InvokePrompt> = stream().await.unwrap().text();
        fetch_hive_client::HyperTransport = HyperTransport::builder().proxy(PROXY).build().unwrap();
        fetch_hive_client::HyperTransportBuilder = HyperTransport::builder().proxy(PROXY).client_certificate_pem(BODY);
        fetch_hive_client::ResponseBody = ResponseBody::whole(BODY);
        fetch_hive_client::Timeout = fetch_hive_client::Timeout::Idle;
        fetch_hive_client::TransportErrorKind = TransportError::not_sent("no").kind();
        fetch_hive_client::PollRun = client.requests().wait("req_1");
        fetch_hive_client::core::callback::Claim = claim.clone();
        fetch_hive_client::callback::ClaimResult = ClaimResult::Acquired(claim.clone());
        fetch_hive_client::callback::MemoryDedupStore = MemoryDedupStore::new();
        fetch_hive_client::callback::Receiver = receiver.clone().dedup(MemoryDedupStore::new());
        fetch_hive_client::callback::AcceptedRun = accepted.clone();
        fetch_hive_client::callback::DeliverResult = DeliverResult::Unacknowledged(Box::pin(async {}));
        fetch_hive_client::callback::MemoryPendingRuns = MemoryPendingRuns::new();
        fetch_hive_client::callback::PendingRunState = PendingRunState::Started(accepted);
        fetch_hive_client::callback::RawDelivery = raw.clone();
        fetch_hive_client::callback::RunToken = RunToken::parse(&token.token).unwrap();
        fetch_hive_client::callback::TakeResult = TakeResult::UnknownRun;
        fetch_hive_client::callback::UnverifiedDelivery<'_> =
            UnverifiedDelivery::new("/callbacks", &headers, &body);
                fetch_hive_client::RequestBodyReader = RequestBodyReader::open(BODY.into()).unwrap();
        fetch_hive_client::RunEnd = RunEnd::MayBeRunning { request_id: None };
        fetch_hive_client::RunPermit = limiter.clone().try_acquire(run).unwrap();
        fetch_hive_client::RunRequest<'_> = run;
        fetch_hive_testing::stores::StoreReport = fetch_hive_testing::stores::StoreReport::default();
        fetch_hive_client::callback::PendingRun = client.resume(&receiver, token.clone()).await.unwrap();
        fetch_hive_client::callback::StartedRun<InvokeWorkflowResponse> = started().await.unwrap();
        fetch_hive_client::callback::ResumeToken = token;
        fetch_hive_client::callback::RunAndWait<InvokeWorkflow> = client.invoke_workflow("d").run_and_wait(&receiver);
        fetch_hive_testing::conformance::Capability = fetch_hive_testing::conformance::Capability::Streaming;
        fetch_hive_testing::conformance::Suite = Suite::new(HyperTransport::builder().proxy(PROXY).build().unwrap());
        fetch_hive_client::resources::Agent<Client> = workspace.agent("a");
        fetch_hive_client::resources::Agents<Client> = workspace.agents();
        fetch_hive_client::resources::Approvals<Client> = workspace.approvals();
        fetch_hive_client::resources::Assets<Client> = workspace.assets();
        fetch_hive_client::resources::Chats<Client> = workspace.agent("a").chats();
        fetch_hive_client::resources::Delegations<Client> = client.delegations();
        fetch_hive_client::resources::Items<Client> = workspace.knowledge_base("k").items();
        fetch_hive_client::resources::KnowledgeBase<Client> = workspace.knowledge_base("k");
        fetch_hive_client::resources::KnowledgeBases<Client> = workspace.knowledge_bases();
        fetch_hive_client::resources::Requests<Client> = client.requests();
        fetch_hive_client::resources::SearchServices<Client> = client.search_services();
        fetch_hive_client::resources::Workspace<Client> = workspace.clone();
        fetch_hive_testing::Exchange =
            Exchange::status(200).header("x-echo", KEY).body(BODY).expect_header("authorization", KEY).expect_json(BODY);
        fetch_hive_testing::NeverResponds = NeverResponds;
        fetch_hive_testing::PausedClock = PausedClock::new();
        fetch_hive_testing::Replay = Replay::new([Exchange::status(200).body(BODY)]);
    }
    printed.debug("fetch_hive_client::RunLimiterUsage", &limiter.usage());
    printed.debug("fetch_hive_client::MemoryRunLimiter", &limiter);
    let missing = fetch_hive_client::types::FileOnDisk::new("no/such/file", 1, None);
    let missing = client.workspace("w").assets().upload(AssetFile::on_disk("a", "text/plain", missing)).await;
    printed.error("fetch_hive_client::FileError", &missing.unwrap_err());
    // A raw request is printed as a part of its call.
    let request = http::Request::post("/x?webhook_secret=SECRETMARKER").header("x-key", KEY).body(BODY.into()).unwrap();
    printed.debug("fetch_hive_client::RawRequest", &client.call_raw(request, Retry::Idempotent));
    // These types keep requests and responses.
    let capture = Capture::new(Exchange::status(200).body(fields().to_string()));
    let captured = Client::builder().api_key(KEY).transport(capture.clone()).build().unwrap();
    captured.invoke_workflow("d").input("text", BODY).await.unwrap();
    printed.debug("fetch_hive_testing::Capture", &capture);
    let folder = std::env::temp_dir().join(format!("fetch-hive-every-type-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let recorder = Recorder::to_file(capture, folder.join("a.jsonl")).unwrap();
    printed.debug("fetch_hive_testing::Recorder", &recorder);
    std::fs::write(folder.join("b.jsonl"), format!("\"{BODY}\"\n")).unwrap();
    let unread = [Replay::from_file(folder.join("b.jsonl")).unwrap_err(), Replay::from_file(&folder).unwrap_err()];
    std::fs::remove_dir_all(&folder).unwrap();
    // A mismatch shows the body of the test, but no key.
    let replay = Replay::new([Exchange::status(200).expect_header("authorization", "other")]);
    let mismatched = Client::builder().api_key(KEY).transport(replay.clone()).build().unwrap();
    let refused = mismatched.invoke_workflow("d").input("text", BODY).await.unwrap_err();
    for error in &unread {
        printed.error("fetch_hive_testing::RecordingError", error);
    }
    print! { printed, error:
        fetch_hive_client::Error = refused;
        fetch_hive_client::callback::ClaimLost = ClaimLost;
        fetch_hive_testing::Mismatch = replay.finish().unwrap_err();
        fetch_hive_client::TransportError = TransportError::not_sent("no");
    }
    let deliveries = Arc::clone(&told);
    let receiver = Receiver::new(Verifier::new([SECRET])).on_delivery(move |report| {
        deliveries.lock().unwrap().push(("fetch_hive_client::callback::DeliveryReport", format!("{report:?}")));
    });
    let mut delivery = Request::post("/callbacks").body(body).unwrap();
    *delivery.headers_mut() = headers;
    receiver.receive_bytes(delivery, |_| async { Ok::<_, BoxError>(()) }).await;
    for outcome in [
        Outcome::Handled(key.clone()),
        Outcome::CommitFailed { key: key.clone(), error: "no".into() },
        Outcome::HandlerFailed { key, error: "no".into() },
        Outcome::Rejected(Verifier::new([SECRET]).verify(&HeaderMap::new(), BODY).unwrap_err()),
        Outcome::BufferFull,
    ] {
        printed.debug("fetch_hive_client::callback::Outcome", &outcome);
        let text = outcome.to_string();
        printed.debug("fetch_hive_client::callback::Outcome", &format_args!("{text}"));
    }

    errors(printed, &emulator, &client).await;
    client_without_async(printed, &emulator).await;
    for (name, text) in told.lock().unwrap().iter() {
        printed.debug(name, &format_args!("{text}"));
    }
}

fn events(body: &str) -> Fault {
    Fault::status(200).header("content-type", "text/event-stream").body(body.to_owned())
}

async fn errors(printed: &mut Printed, emulator: &Emulator, client: &Client) {
    let json = |status| Fault::status(status).header("content-type", "application/json").header("x-echo", KEY);
    let forged =
        json!({"error": "no\n\u{1b}[31m", "error_code": "odd\r", "request_id": "req\u{2028}", "x": BODY}).to_string();
    let failed =
        format!("data: {}\n\n", json!({"type": "error", "error": "no\n\u{1b}", "error_code": "odd\r", "x": BODY}));
    for fault in [
        json(422).body(forged),
        json(502).body(format!("<html>{BODY}</html>")),
        json(200).body(format!("{{\"request_id\":[\"{BODY}\"]}}")),
        json(200).body(BODY.repeat(10)).cut_after(20),
        json(200).body(BODY.repeat(1 << 20)),
        events(&failed),
        events(&format!("data: {BODY}\n\ndata: {BODY}")),
        Fault::raw(format!("{BODY}\r\n\r\n")),
        Fault::close(),
    ] {
        emulator.clear_faults();
        emulator.add_fault(fault).unwrap();
        let mut errors = Vec::new();
        errors.extend(client.invoke_workflow("d").input("text", BODY).await.err());
        match client.invoke_prompt("d").input("text", BODY).stream().await {
            Err(error) => errors.push(error),
            Ok(stream) => {
                let collected = stream.into_response().await;
                printed.debug("fetch_hive_client::CollectedResponse", &collected);
                errors.extend(collected.malformed);
                errors.extend(collected.end.err());
            }
        }
        assert!(!errors.is_empty());
        for error in &errors {
            // The error keeps the partial response.
            printed.error("fetch_hive_client::Error", error);
            printed.debug("fetch_hive_client::ErrorKind", error.kind());
        }
    }
    emulator.clear_faults();
    let cut = json(200).body(BODY.repeat(10)).cut_after(20);
    emulator.add_fault(cut.nth(1)).unwrap();
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert!(error.body().is_some() && format!("{error:?}").contains("PartialResponse"), "{error:?}");
    printed.debug("fetch_hive_client::PartialResponse", &error);
    let odd = json!({"request": {"request_id": "req\n1", "run_status": "running\u{1b}"}});
    emulator.add_fault(json(200).body(odd.to_string()).operation("getRequest")).unwrap();
    let waited = client.requests().wait("req\n1").timeout(Duration::from_millis(60)).await.unwrap_err();
    let fetch_hive_client::ErrorKind::Wait(wait) = waited.kind() else { panic!("{waited:?}") };
    printed.error("fetch_hive_client::WaitError", &**wait);
    printed.error("fetch_hive_client::Error", &waited);
    emulator.clear_faults();
    // The error of an unreachable proxy does not contain its password.
    for url in [emulator.base_url(), "https://127.0.0.1:1/v1".to_owned()] {
        let proxied = HyperTransport::builder().proxy(PROXY).build().unwrap();
        let builder = Client::builder().api_key(KEY).base_url(url).retry(RetryPolicy::never());
        let error = builder.transport(proxied).build().unwrap().invoke_workflow("d").await.unwrap_err();
        printed.error("fetch_hive_client::Error", &error);
    }
    printed.debug("fetch_hive_client::Client", &Client::builder().credentials(Vault(Some(KEY))).build().unwrap());
    let closed = Client::builder().credentials(Vault(None)).base_url(emulator.base_url()).build().unwrap();
    let failed = closed.invoke_workflow("d").await.unwrap_err();
    printed.error("fetch_hive_client::Error", &failed);
    assert!(!failed.may_have_run() && failed.is_retryable());
    let unfit = Client::builder().api_key(format!("{KEY}\u{e9}")).build().unwrap_err();
    printed.error("fetch_hive_client::Error", &unfit);
    printed
        .error("fetch_hive_client::Error", &client.invoke_workflow("d").metadata("a\nb", f64::NAN).await.unwrap_err());
}

async fn client_without_async(printed: &mut Printed, emulator: &Emulator) {
    let receiver = Receiver::new(Verifier::new([SECRET]));
    let (headers, body) =
        delivered(&json!({"event_type": "agent.completed", "request_id": "req_1", "data": {"x": BODY}}).to_string());
    let mut request = Request::post("/callbacks").body(body).unwrap();
    *request.headers_mut() = headers;
    let (sender, handled) = std::sync::mpsc::channel();
    let handle = move |delivery| {
        sender.send(delivery).unwrap();
        std::future::ready(Ok::<_, fetch_hive_client::BoxError>(()))
    };
    assert_eq!(receiver.receive_bytes(request, handle).await.status(), 200);
    printed.debug("fetch_hive_core::callback::Delivery", &handled.recv().unwrap());
    let report = Suite::new(NeverResponds).step_timeout(Duration::from_millis(1)).run().await;
    printed.debug("fetch_hive_testing::conformance::Report", &report);
    for (check, outcome) in report.outcomes() {
        printed.debug("fetch_hive_testing::conformance::Check", &check);
        printed.debug("fetch_hive_testing::conformance::Outcome", outcome);
    }
    printed.debug("fetch_hive_client::TokioClock", &fetch_hive_client::TokioClock);

    let base_url = emulator.base_url();
    let mut blocking = std::mem::take(printed);
    let work = move || {
        let proxied = || blocking::UreqTransport::builder().proxy(PROXY).add_root_certificates_pem(BODY);
        blocking.debug("fetch_hive_client::blocking::UreqTransportBuilder", &proxied());
        let transport = blocking::UreqTransport::builder().no_proxy().build().unwrap();
        blocking.debug("fetch_hive_client::blocking::UreqTransport", &transport);
        let client = blocking::Client::builder().api_key(KEY).base_url(base_url).transport(transport).build().unwrap();
        blocking.debug("fetch_hive_client::blocking::Client", &client);
        let approvals = client.workspace("w").approvals().all(ApprovalFilter::new().extra("api_key", KEY));
        blocking.debug("fetch_hive_client::blocking::Approvals", &approvals);
        let stream = || client.invoke_prompt("s").stream().unwrap();
        blocking.debug("fetch_hive_client::blocking::EventStream", &stream());
        blocking.debug("fetch_hive_client::blocking::TextStream", &stream().text());
        blocking
    };
    *printed = tokio::task::spawn_blocking(work).await.unwrap();
}
