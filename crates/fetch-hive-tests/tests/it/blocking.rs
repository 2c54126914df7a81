//! The blocking client over ureq and real sockets. The requests are those of the async client's
//! tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its tables are long"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fetch_hive_client::blocking::{self, Client, UreqTransport};
use fetch_hive_client::core::callback::Verifier;
use fetch_hive_client::types::*;
use fetch_hive_client::{
    BoxError, CredentialProvider, Error, ErrorKind, RetryPolicy, StreamError, Timeout, TransportErrorKind,
};
use fetch_hive_emulator::{CallbackReceiver, Emulator, EmulatorBuilder, Fault, Script};
use fetch_hive_testing::PausedClock;
use fetch_hive_tests::{Scripted, Step};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A call whose request is sent and whose response does not matter.
type Sent = Box<dyn FnOnce()>;

fn sent<E: fetch_hive_client::Endpoint + 'static>(call: blocking::Call<E>) -> Sent {
    Box::new(move || {
        if let Err(error) = call.send() {
            assert!(error.api().is_some(), "{error:?}");
        }
    })
}

include!("operations_table.rs");

/// The runtime of the servers. The client has no runtime.
fn servers() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(servers: &Runtime, builder: EmulatorBuilder) -> (Emulator, Client) {
    let emulator = servers.block_on(builder.start()).unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    (emulator, client)
}

fn scripted(servers: &Runtime, script: Vec<Step>) -> (Scripted, Client) {
    let server = servers.block_on(Scripted::start(vec![script])).unwrap();
    let builder = Client::builder().api_key("fhk_test").base_url(server.base_url());
    let client = builder.retry(RetryPolicy::never()).timeout(Duration::from_secs(20)).build().unwrap();
    (server, client)
}

#[test]
fn every_operation_is_sent_as_in_the_contract() {
    let servers = servers();
    let (emulator, client) = start(&servers, Emulator::builder());
    let mut number = 0;
    for Row(id, method, path, body, call) in invocations(&client).into_iter().chain(resources(&client)) {
        call();
        number += 1;
        let requests = emulator.requests();
        assert_eq!(requests.len(), number, "{id}: sent once");
        let request = requests.last().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), (method, format!("/v1{path}").as_str()), "{id}");
        let sent = if request.body.is_empty() { Value::Null } else { serde_json::from_slice(&request.body).unwrap() };
        assert_eq!(sent, body, "{id}");
        assert_eq!(request.headers.contains_key("content-type"), !request.body.is_empty(), "{id}");
    }
    assert!(number > 47, "{number}");
}

#[test]
fn calls_send_the_headers_and_reuse_the_connection() {
    let servers = servers();
    let (emulator, client) = start(&servers, Emulator::builder());
    let run = client.invoke_workflow("my-workflow").input("topic", "AI").send().unwrap();
    assert_eq!((run.run_status.clone(), run.parts().attempts), (Some(RunStatus::Completed), 1));
    let headers = &emulator.requests()[0].headers;
    assert_eq!(headers["authorization"], "Bearer fhk_test");
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("fetch-hive-rust/"));
    client.invoke_workflow("my-workflow").send().unwrap();
    assert_eq!(emulator.connections().accepted, 1, "connections are kept");
}

#[test]
fn errors_keep_status_and_body() {
    let servers = servers();
    let concurrency = r#"{"error":"You've reached your concurrency limit."}"#;
    let daily = r#"{"error":"Daily limit.","error_code":"api_rate_limit_exceeded","limit":100,"current":100}"#;
    let page = "<html><body>Bad gateway</body></html>";
    let (json, html) = ("content-type: application/json\r\n", "content-type: text/html\r\n");
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"request_id\":\"req_1\"".to_vec();
    // name, script, status, body, may have run
    let rows = [
        (
            "401",
            Step::respond("401 Unauthorized", json, r#"{"error":"Invalid access."}"#),
            401,
            r#"{"error":"Invalid access."}"#,
            false,
        ),
        ("404", Step::respond("404 Not Found", json, r#"{"error":"E"}"#), 404, r#"{"error":"E"}"#, false),
        ("422", Step::respond("422 Unprocessable Entity", json, r#"{"error":"E"}"#), 422, r#"{"error":"E"}"#, false),
        ("429", Step::respond("429 Too Many Requests", json, concurrency), 429, concurrency, false),
        ("429 daily", Step::respond("429 Too Many Requests", json, daily), 429, daily, false),
        ("500", Step::respond("500 Internal Server Error", json, "{}"), 500, "{}", true),
        ("502 html", Step::respond("502 Bad Gateway", html, page), 502, page, true),
        ("500 empty", Step::respond("500 Internal Server Error", "", ""), 500, "", true),
        ("302", Step::respond("302 Found", "location: https://example.com/\r\n", ""), 302, "", false),
        ("200 html", Step::respond("200 OK", html, page), 200, page, true),
        ("200 empty", Step::respond("200 OK", json, ""), 200, "", true),
        ("200 cut", Step::Write(cut), 200, "{\"request_id\":\"req_1\"", true),
    ];
    for (name, respond, status, body, may_have_run) in rows {
        let (server, client) = scripted(&servers, vec![Step::Read, respond, Step::Close]);
        let error = client.invoke_workflow("d").send().unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{name}: {error:?}");
        assert_eq!(error.body().unwrap(), body, "{name}");
        assert_eq!((error.may_have_run(), server.requests().len()), (may_have_run, 1), "{name}: {error:?}");
    }
}

#[test]
fn connection_errors_report_whether_the_run_may_have_started() {
    let servers = servers();
    let rows = [
        ("closed after the request", vec![Step::Read, Step::Close]),
        ("reset after the request", vec![Step::Read, Step::Reset]),
        ("closed within the request", vec![Step::ReadSome(20), Step::Close]),
        ("no HTTP", vec![Step::Read, Step::Write(b"220 mail.example.com ESMTP\r\n".to_vec()), Step::Close]),
        ("closed in the head", vec![Step::Read, Step::Write(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Step::Close]),
    ];
    for (name, script) in rows {
        let (_server, client) = scripted(&servers, script);
        let error = client.invoke_workflow("d").send().unwrap_err();
        let ErrorKind::Transport(transport) = error.kind() else { panic!("{name}: {error:?}") };
        assert_eq!(transport.kind(), TransportErrorKind::MayHaveRun, "{name}: {error:?}");
        assert_eq!((error.may_have_run(), error.attempts()), (true, 1), "{name}");
    }

    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let clock = PausedClock::new();
    let builder = Client::builder().api_key("fhk_test").base_url(format!("http://{unused}")).clock(clock.clone());
    let error = builder.build().unwrap().invoke_workflow("d").send().unwrap_err();
    assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    assert_eq!((error.attempts(), clock.sleeps().len()), (3, 1));
}

#[test]
fn timeouts_are_kept_and_named() {
    let servers = servers();
    let limit = Duration::from_millis(150);
    let (silent, client) = scripted(&servers, vec![Step::Read, Step::Wait(Duration::from_secs(30))]);
    let began = Instant::now();
    let error = client.invoke_workflow("d").timeout(limit).send().unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Deadline), true));
    let error = client.invoke_workflow("d").headers_timeout(limit).send().unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Headers), true));
    // A run sends nothing until it ends, which is not idle time.
    let error = client.invoke_workflow("d").idle_timeout(limit / 3).timeout(limit * 2).send().unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Deadline));
    assert_eq!(silent.requests().len(), 3);

    let stalled = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"request_id\"".to_vec();
    let script = vec![Step::Read, Step::Write(stalled), Step::Wait(Duration::from_secs(30))];
    let (_halting, client) = scripted(&servers, script);
    let error = client.invoke_workflow("d").idle_timeout(limit).send().unwrap_err();
    assert_eq!((error.timeout(), &error.body().unwrap()[..]), (Some(Timeout::Idle), &b"{\"request_id\""[..]));
    let error = client.invoke_workflow("d").timeout(limit).send().unwrap_err();
    assert_eq!((error.timeout(), error.status().unwrap().as_u16()), (Some(Timeout::Deadline), 200));

    // It accepts the connection and does not answer the handshake.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let hasty = Client::builder().api_key("k").base_url(address).retry(RetryPolicy::never()).build().unwrap();
    for call in [hasty.invoke_workflow("d").connect_timeout(limit), hasty.invoke_workflow("d").timeout(limit)] {
        let error = call.send().unwrap_err();
        assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Connect), false), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn retries_match_the_async_client() {
    let servers = servers();
    let busy = || Fault::status(429).body(r#"{"error":"limit"}"#).header("retry-after", "20").nth(1);
    let (emulator, _) = start(&servers, Emulator::builder().fault(busy()).fault(Fault::status(503).nth(1)));
    let clock = PausedClock::new();
    let builder = Client::builder().api_key("k").base_url(emulator.base_url()).clock(clock.clone());
    let client = builder.build().unwrap();
    // The 429 is retried after a delay. After a 503, an invoke may have run and is not retried.
    let error = client.invoke_workflow("d").send().unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (503, 2));
    assert!(clock.elapsed() >= Duration::from_secs(20));
    assert_eq!(client.invoke_workflow("d").send().unwrap().parts().attempts, 1);
}

#[test]
fn cut_stream_is_reported_by_its_iterator() {
    let servers = servers();
    let silence = Duration::from_secs(30);
    let builder = Emulator::builder()
        .stream("whole", Script::new().text("Hel").text("lo").done())
        .stream("cut", Script::new().text("half"))
        .stream("slow", Script::new().text("first").wait(silence).done());
    let (emulator, client) = start(&servers, builder);
    let text: Result<String, Error> = client.invoke_agent("whole", "m").stream().unwrap().text().collect();
    assert_eq!(text.unwrap(), "Hello");
    let reply = client.invoke_prompt("whole").stream().unwrap().into_response().unwrap().complete().unwrap();
    assert_eq!(reply.response.as_deref(), Some("Hello"));

    let events: Vec<_> = client.invoke_prompt("cut").stream().unwrap().collect();
    assert_eq!(events.len(), 2);
    assert!(matches!(events[1].as_ref().unwrap_err().stream(), Some(StreamError::Cut { .. })));

    let limit = Duration::from_millis(150);
    for (call, want) in [
        (client.invoke_prompt("slow").idle_timeout(limit), Timeout::Idle),
        (client.invoke_prompt("slow").timeout(limit * 4), Timeout::Deadline),
    ] {
        let mut stream = call.stream().unwrap();
        assert!(stream.next().unwrap().is_ok());
        assert_eq!(stream.next().unwrap().unwrap_err().timeout(), Some(want));
        assert!(stream.next().is_none());
    }
    // The service notices a dropped stream.
    let mut stream = client.invoke_prompt("slow").stream().unwrap();
    assert!(stream.next().unwrap().is_ok());
    drop(stream);
    let began = Instant::now();
    while emulator.open_streams() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn approvals_are_one_iterator() {
    let servers = servers();
    let page =
        |ids: &[&str]| json!({"approvals": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}).to_string();
    let pages = [page(&["a", "b"]), page(&["c"]), page(&[])];
    let faults = pages.iter().map(|page| Fault::status(200).nth(1).body(page.clone()));
    let (_emulator, client) = start(&servers, faults.fold(Emulator::builder(), EmulatorBuilder::fault));
    let approvals = client.workspace("ws").approvals().all(ApprovalFilter::new());
    let ids: Vec<_> = approvals.map(|approval| approval.unwrap().id.unwrap().into_string()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[test]
fn callback_is_verified() {
    let servers = servers();
    let (_emulator, client) = start(&servers, Emulator::builder());
    let mut inbox = servers.block_on(CallbackReceiver::start()).unwrap();
    let run = client.invoke_workflow("d").input("topic", "AI").callback_url(inbox.url()).send().unwrap();
    let delivery = servers.block_on(inbox.next()).unwrap();
    let verifier = Verifier::new([run.webhook_secret.clone().unwrap()]);
    let callback = verifier.verify(delivery.headers(), delivery.body().clone()).unwrap();
    assert_eq!(callback.event.request_id, run.request_id);
    assert!(Verifier::new(["whsec_other"]).verify(delivery.headers(), delivery.body().clone()).is_err());
}

#[test]
fn unknown_certificate_authority_is_rejected_before_sending() {
    let servers = servers();
    let (emulator, wary) = start(&servers, Emulator::builder().tls(true));
    let trusting = UreqTransport::builder().add_root_certificates_pem(emulator.ca_pem().unwrap()).build().unwrap();
    let builder = Client::builder().api_key("k").base_url(emulator.base_url()).transport(trusting);
    builder.build().unwrap().invoke_workflow("d").send().unwrap();
    let error = wary.invoke_workflow("d").send().unwrap_err();
    assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    assert_eq!(emulator.requests().len(), 1);
    for bad in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(UreqTransport::builder().add_root_certificates_pem(bad).build().is_err());
    }
    assert!(UreqTransport::builder().proxy("nonsense://x").build().is_err());
}

/// A transport that calls the client from within a call.
struct Nested(Client, Arc<Mutex<Option<String>>>);
#[async_trait]
impl CredentialProvider for Nested {
    async fn api_key(&self) -> Result<ApiKey, BoxError> {
        *self.1.lock().unwrap() = self.0.models().send().err().map(|error| error.to_string());
        Ok(ApiKey::new("k")?)
    }
}

#[test]
fn call_in_an_async_task_is_rejected() {
    let servers = servers();
    let (emulator, client) = start(&servers, Emulator::builder());
    // A thread of tokio that may block.
    let on_thread = client.clone();
    let run =
        servers.block_on(async { tokio::task::spawn_blocking(move || on_thread.invoke_workflow("d").send()).await });
    assert!(run.unwrap().is_ok());
    // A task of a current-thread runtime, which also serves the emulator, would wait forever.
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = one.block_on(async { client.invoke_workflow("d").send() }).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid(_)) && error.to_string().contains("async task"), "{error}");
    let mut stream = client.invoke_prompt("d").stream().unwrap();
    one.block_on(async {
        assert!(stream.next().unwrap().is_err());
        assert!(stream.next().is_none(), "a loop over it ends");
    });
    // A call from within a call.
    let said = Arc::default();
    let provider = Nested(client.clone(), Arc::clone(&said));
    let outer = Client::builder().credentials(provider).base_url(emulator.base_url()).build().unwrap();
    outer.invoke_workflow("d").send().unwrap();
    assert!(said.lock().unwrap().as_ref().unwrap().contains("from within a call"));
    assert_eq!(emulator.requests().len(), 3);
}

#[test]
fn run_limit_is_shared_by_threads() {
    let servers = servers();
    let slow = fetch_hive_emulator::Deployment::workflow("slow").delay_ms(60);
    let emulator = servers.block_on(Emulator::builder().deployment(slow).start()).unwrap();
    let builder = Client::builder().api_key("k").base_url(emulator.base_url()).max_concurrent_runs(2);
    let client = builder.build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| client.invoke_workflow("slow").send().unwrap());
        }
    });
    assert_eq!((emulator.runs().len(), emulator.max_concurrent_runs()), (6, 2));
}
