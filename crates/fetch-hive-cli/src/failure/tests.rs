use std::time::Duration;

use fetch_hive_client::callback::Receiver;
use fetch_hive_client::types::{CreateAgent, InvokeWorkflowResponse, ListModels};
use fetch_hive_client::{Client, Timeout, TransportError};
use fetch_hive_testing::{Exchange, NeverResponds, PausedClock, Replay};

use super::*;

/// What a person and a script see of a failure.
struct Seen {
    exit: u8,
    text: String,
    next: String,
    request_id: Option<String>,
}

impl From<Failure> for Seen {
    fn from(failure: Failure) -> Self {
        assert!(!failure.text.contains('\n'), "{failure}");
        assert!(!failure.text.ends_with('.'), "{failure}");
        Self {
            exit: failure.exit.code(),
            text: failure.text,
            next: failure.next.expect("every failure has a next step"),
            request_id: failure.request_id,
        }
    }
}

impl Seen {
    fn check(&self, exit: u8, text: &str, next: &str) {
        assert_eq!(self.exit, exit, "{} / {}", self.text, self.next);
        assert!(self.text.contains(text), "{}", self.text);
        assert!(self.next.contains(next), "{}", self.next);
    }
}

fn client(exchange: Exchange) -> Client {
    let builder = Client::builder().api_key("fhk_test").transport(Replay::new([exchange]));
    builder.clock(PausedClock::new()).retry(fetch_hive_client::RetryPolicy::never()).build().unwrap()
}

fn block_on<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future.into_future())
}

/// Runs a workflow, and returns the failure.
fn run(exchange: Exchange) -> Seen {
    block_on(client(exchange).invoke_workflow("weekly-report")).map(drop).map_err(Failure::from).unwrap_err().into()
}

/// Lists the models, which starts no run.
fn read(exchange: Exchange) -> Seen {
    block_on(client(exchange).call(ListModels::new())).map(drop).map_err(Failure::from).unwrap_err().into()
}

/// Creates an agent, which starts no run but changes something.
fn create(exchange: Exchange) -> Seen {
    let request = CreateAgent::new("ws", fetch_hive_client::types::AgentCreate::new("a", "m", "hosted"));
    block_on(client(exchange).call(request)).map(drop).map_err(Failure::from).unwrap_err().into()
}

fn not_sent() -> Exchange {
    Exchange::not_sent()
}

fn lost() -> Exchange {
    Exchange::may_have_run()
}

#[test]
fn invalid_input_is_a_usage_error() {
    let seen: Seen = block_on(client(Exchange::status(200)).invoke_workflow(""))
        .map(drop)
        .map_err(Failure::from)
        .unwrap_err()
        .into();
    seen.check(2, "deployment", "correct the command line");
}

#[test]
fn missing_key_says_how_to_set_one() {
    struct NoKey;
    #[async_trait::async_trait]
    impl fetch_hive_client::CredentialProvider for NoKey {
        async fn api_key(&self) -> std::result::Result<fetch_hive_client::types::ApiKey, fetch_hive_client::BoxError> {
            Err(KeyError(Failure::new(Exit::Key, "no API key")).into())
        }
    }
    let client = Client::builder().credentials(NoKey).transport(Replay::new([])).build().unwrap();
    let seen: Seen = block_on(client.models()).map(drop).map_err(Failure::from).unwrap_err().into();
    seen.check(4, "no API key", "auth login");
}

#[test]
fn failed_store_started_nothing() {
    struct Broken;
    impl Broken {
        fn error<T>() -> std::result::Result<T, fetch_hive_client::BoxError> {
            Err("disk full".into())
        }
    }
    #[async_trait::async_trait]
    impl fetch_hive_client::RunLimiter for Broken {
        async fn acquire(
            self: std::sync::Arc<Self>,
            _: fetch_hive_client::RunRequest<'_>,
        ) -> std::result::Result<fetch_hive_client::RunPermit, fetch_hive_client::BoxError> {
            Self::error()
        }

        fn release(&self, _: u64, _: fetch_hive_client::RunEnd) {}
    }
    let builder = Client::builder().api_key("fhk_test").transport(Replay::new([]));
    let client = builder.run_limiter(std::sync::Arc::new(Broken)).build().unwrap();
    let seen: Seen = block_on(client.invoke_workflow("w")).map(drop).map_err(Failure::from).unwrap_err().into();
    seen.check(5, "disk full", "--store");
}

#[test]
fn lost_connections_depend_on_what_was_sent() {
    run(not_sent()).check(5, "nothing was started", "fetch-hive doctor");
    run(lost()).check(6, "it may have run", "fetch-hive history list");
    read(lost()).check(5, "connection failed", "doctor");
    create(lost()).check(6, "it may have taken effect", "fetch-hive history list");
}

#[test]
fn timeouts_name_the_option() {
    let clock = PausedClock::new();
    let builder = Client::builder().api_key("fhk_test").transport(NeverResponds).clock(clock);
    let client = builder.timeout(Duration::from_secs(2)).build().unwrap();
    let seen: Seen = block_on(client.invoke_workflow("w")).map(drop).map_err(Failure::from).unwrap_err().into();
    seen.check(6, "not finished within 2 s (--timeout)", "history list");
    let connect = run(Exchange::timeout(Timeout::Connect));
    connect.check(5, "(--timeout)", "doctor");
}

/// A proxy that refuses every connection.
struct Rejects(u16);

#[async_trait::async_trait]
impl fetch_hive_client::Transport for Rejects {
    async fn send(
        &self,
        _: http::Request<fetch_hive_client::core::RequestBody>,
    ) -> std::result::Result<http::Response<fetch_hive_client::ResponseBody>, TransportError> {
        let response = http::Response::builder().status(self.0).body(bytes::Bytes::new()).unwrap();
        Err(TransportError::proxy_rejected(response))
    }
}

#[test]
fn proxy_errors_name_the_proxy() {
    let refused = |status: u16| -> Seen {
        let builder = Client::builder().api_key("fhk_test").transport(Rejects(status));
        let client = builder.retry(fetch_hive_client::RetryPolicy::never()).build().unwrap();
        block_on(client.invoke_workflow("w")).map(drop).map_err(Failure::from).unwrap_err().into()
    };
    refused(407).check(7, "407", "HTTPS_PROXY");
    refused(503).check(5, "503", "HTTPS_PROXY");
}

#[test]
fn error_responses_of_each_status() {
    let error = |code: &str| format!(r#"{{"error":"E","message":"Message","error_code":"{code}"}}"#);
    run(Exchange::status(401).body(error("unauthorized"))).check(4, "Message", "auth status");
    run(Exchange::status(403).body(error("forbidden"))).check(4, "403", "auth status");
    run(Exchange::status(402).body(r#"{"error":"E","upgrade_url":"https://x/plans"}"#)).check(
        4,
        "402",
        "https://x/plans",
    );
    run(Exchange::status(404).body(error("not_found"))).check(7, "404", "--workspace");
    run(Exchange::status(422).body(error("validation_error"))).check(7, "Message", "error-code list");
    run(Exchange::status(302).header("location", "https://elsewhere/")).check(7, "302", "--base-url");
    run(Exchange::status(503).body("<html>")).check(6, "503", "history list");
    run(Exchange::status(504).body(r#"{"error":"upstream"}"#)).check(6, "504", "history list");
    read(Exchange::status(503).body("<html>")).check(5, "503", "run the same command again");
    create(Exchange::status(500).body(error("internal_error"))).check(6, "500", "history list");
}

#[test]
fn failed_run_with_an_error_of_the_service_is_charged() {
    let body = r#"{"error":"E","error_code":"provider_error","request_id":"req_1"}"#;
    let seen = run(Exchange::status(502).body(body));
    seen.check(3, "502", "request get req_1");
    assert_eq!(seen.request_id.as_deref(), Some("req_1"));
    run(Exchange::status(502).body("<html>")).check(6, "502", "history list");
}

#[test]
fn limits_say_when_to_try_again() {
    let concurrency = Exchange::status(429).header("retry-after", "30").body(r#"{"error":"concurrency limit"}"#);
    let seen = run(concurrency);
    seen.check(5, "429", "--callback URL");
    assert!(seen.next.contains(" UTC") && seen.next.contains("run the same command again at"), "{}", seen.next);
    let daily = r#"{"error":"E","error_code":"api_rate_limit_exceeded","limit":100,"current":101}"#;
    run(Exchange::status(429).body(daily)).check(5, "101 of 100 calls", "00:00:00 UTC");
    run(Exchange::status(429).body("slow down")).check(5, "429", "in a few minutes");
}

#[test]
fn unreadable_response_may_have_run() {
    run(Exchange::status(200).body("<html>")).check(6, "invokeWorkflow", "history list");
    let known = run(Exchange::status(200).body("<html>").header("x-request-id", "req_7"));
    known.check(6, "invokeWorkflow", "request get req_7");
    read(Exchange::status(200).body("<html>")).check(1, "listModels", "--base-url");
}

#[test]
fn ends_of_streams() {
    let stream = |body: &str| -> Seen {
        let exchange = Exchange::status(200).header("content-type", "text/event-stream").body(body.to_owned());
        let client = client(exchange);
        let read = block_on(async {
            let mut events = client.invoke_prompt("p").stream().await?;
            while let Some(event) = events.next().await {
                event?;
            }
            Ok::<_, Error>(())
        });
        read.map_err(Failure::from).unwrap_err().into()
    };
    let failed = stream("data: {\"type\":\"error\",\"message\":\"refused\",\"request_id\":\"req_2\"}\n\n");
    failed.check(3, "refused", "req_2");
    let cut = stream("data: {\"type\":\"response\",\"response\":\"a\",\"request_id\":\"req_3\"}\n\n");
    cut.check(6, "cut", "request get req_3");
    stream("data: {oops\n\ndata: [DONE]\n\n").check(6, "malformed", "history list");
}

#[test]
fn success_that_is_not_a_stream() {
    let client = client(Exchange::status(200).header("content-type", "application/json").body("{}"));
    let error = block_on(client.invoke_prompt("p").stream()).map(drop).unwrap_err();
    let seen: Seen = Failure::from(error).into();
    seen.check(6, "not an event stream", "history list");
}

#[test]
fn large_response_may_have_run() {
    let builder = Client::builder().api_key("fhk_test").max_response_bytes(10);
    let exchange = Exchange::status(200).body(r#"{"request_id":"req_1","run_status":"completed"}"#);
    let client = builder.transport(Replay::new([exchange])).build().unwrap();
    let seen: Seen = block_on(client.invoke_workflow("w")).map(drop).map_err(Failure::from).unwrap_err().into();
    seen.check(6, "larger than 10 bytes", "");
}

#[test]
fn expired_wait_says_how_to_wait_longer() {
    let replay = Replay::new([Exchange::status(200).body(r#"{"request_id":"req_1","status":"running"}"#)]);
    let client = Client::builder().api_key("fhk_test").transport(replay).clock(PausedClock::new()).build().unwrap();
    let wait = client.requests().wait("req_1").timeout(Duration::from_secs(6));
    let seen: Seen = block_on(wait).map(drop).map_err(Failure::from).unwrap_err().into();
    seen.check(6, "req_1", "request wait req_1 --timeout 1h");
}

#[test]
fn repeated_page_is_reported() {
    let page = || Exchange::status(200).body(r#"{"approvals":[{"id":"a1"}]}"#);
    let client =
        Client::builder().api_key("fhk_test").transport(Replay::new([page(), page(), page()])).build().unwrap();
    let seen = block_on(async {
        let filter = fetch_hive_client::types::ApprovalFilter::new().limit(1);
        let mut all = client.workspace("ws").approvals().all(filter);
        loop {
            match all.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Some(Seen::from(Failure::from(error))),
                None => return None,
            }
        }
    });
    seen.expect("the page repeats").check(1, "", "-v");
}

#[test]
fn receiver_without_a_url_is_a_usage_error() {
    let receiver = Receiver::new(fetch_hive_client::callback::Verifier::new(["whsec_1"]));
    let client = client(Exchange::status(200));
    let error = block_on(client.invoke_workflow("w").start(&receiver)).map(drop).unwrap_err();
    Seen::from(Failure::from(error)).check(2, "callback_url", "nothing was sent");
}

#[test]
fn outcomes_of_runs() {
    let outcome = |body: &str| -> Seen {
        let run: InvokeWorkflowResponse = serde_json::from_str(body).unwrap();
        Failure::from(run.into_output().unwrap_err()).into()
    };
    outcome(r#"{"request_id":"req_1","run_status":"failed","error":"no sources"}"#).check(3, "no sources", "req_1");
    outcome(r#"{"request_id":"req_1","run_status":"running"}"#).check(6, "running", "request wait req_1");
    outcome(r#"{"request_id":"req_1","run_status":"awaiting_approval"}"#).check(9, "awaiting", "approval decide");
    outcome(r#"{"request_id":"req_1","run_status":"completed"}"#).check(1, "no output", "do not run it again");
    outcome("{}").check(6, "no readable status", "history list");
}

#[test]
fn texts_of_the_service_cannot_control_the_terminal() {
    let body = r#"{"error":"E","message":"a\u001b[31mb\nc","error_code":"validation_error"}"#;
    let seen = run(Exchange::status(422).body(body));
    assert!(!seen.text.contains('\u{1b}') && !seen.text.contains('\n'), "{}", seen.text);
}

#[test]
fn closed_pipe_is_silent() {
    let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let failure = Failure::write(&closed);
    assert!(failure.exit == Exit::Success && failure.text.is_empty());
    assert_eq!(Failure::write(&std::io::Error::other("disk full")).exit, Exit::Other);
}
