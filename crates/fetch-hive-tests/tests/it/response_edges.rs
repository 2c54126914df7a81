//! Nothing is lost at the edges of a response, and every error has one verdict.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::core::retry::{NextStep, Now, RetryEngine, RetryEvent, RetryPolicy};
use fetch_hive_client::core::stream::StreamError;
use fetch_hive_client::types::{InvokeAgent, InvokeWorkflow, ListModels, TriggerAgent};
use fetch_hive_client::{
    Client, Endpoint, Error, ErrorKind, HyperTransport, Retry, Timeout, Timeouts, TransportError, blocking,
};
use fetch_hive_testing::{Exchange, Replay};
use fetch_hive_tests::{Scripted, Step, stack};
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

async fn scripted(steps: Vec<Step>) -> (Scripted, Client) {
    let server = Scripted::start(vec![steps]).await.unwrap();
    let client = stack::client(&server).api_key("fhk_test").timeout(Duration::from_secs(10)).build().unwrap();
    (server, client)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn untyped_error_event_fails_the_stream() {
    fetch_hive_tests::needs!(Socket);
    let stream = "content-type: text/event-stream\r\n";
    for error in [
        r#"{"error":"overloaded","error_code":"too_many_requests"}"#,
        r#"{"error_code":"too_many_requests"}"#,
        r#"{"error":{"message":"overloaded","code":"too_many_requests"}}"#,
    ] {
        let body =
            format!("data: {{\"type\":\"response\",\"response\":\"half\"}}\n\ndata: {error}\n\ndata: [DONE]\n\n");
        let (_server, client) = scripted(vec![Step::Read, Step::respond("200 OK", stream, body)]).await;
        let collected = client.invoke_prompt("p").stream().await.unwrap().into_response().await;
        assert_eq!(collected.response.response.as_deref(), Some("half"));
        let error = collected.complete().unwrap_err();
        assert_eq!(error.code().unwrap().as_str(), "too_many_requests");
    }
}

#[tokio::test]
async fn unframed_error_line_is_reported_or_kept() {
    fetch_hive_tests::needs!(Socket);
    let stream = "content-type: text/event-stream\r\n";
    let first = "data: {\"type\":\"response\",\"response\":\"half\"}\n\n";
    let json = format!("{first}{{\"error\":\"overloaded\",\"error_code\":\"too_many_requests\"}}\n");
    let (_server, client) = scripted(vec![Step::Read, Step::respond("200 OK", stream, json)]).await;
    let error = client.invoke_prompt("p").stream().await.unwrap().into_response().await.complete().unwrap_err();
    assert_eq!(error.code().unwrap().as_str(), "too_many_requests");

    let page = format!("{first}<html>Bad gateway</html>\n");
    let (_server, client) = scripted(vec![Step::Read, Step::respond("200 OK", stream, page)]).await;
    let error = client.invoke_prompt("p").stream().await.unwrap().into_response().await.complete().unwrap_err();
    let Some(StreamError::Cut { unframed: Some(unframed), .. }) = error.stream() else { panic!("{error:?}") };
    assert_eq!(unframed.trim_ascii(), b"<html>Bad gateway</html>");
    assert_eq!(error.body(), Some(unframed));
}

#[tokio::test]
async fn empty_gzip_body_is_empty() {
    fetch_hive_tests::needs!(Socket, Gzip);
    for headers in ["content-encoding: gzip\r\n", "content-encoding: x-gzip\r\nconnection: close\r\n"] {
        let (server, client) = scripted(vec![Step::Read, Step::respond("200 OK", headers, "")]).await;
        client.workspace("w").agents().delete("a").await.unwrap();
        assert_eq!(server.requests().len(), 1);
    }
    let chunked = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec();
    let (_server, client) = scripted(vec![Step::Read, Step::Write(chunked)]).await;
    client.workspace("w").agents().delete("a").await.unwrap();
}

#[tokio::test]
async fn gzip_events_before_garbage_are_delivered() {
    fetch_hive_tests::needs!(Socket, Gzip);
    let event = |text: &str| gzip(&format!("data: {{\"type\":\"response\",\"response\":\"{text}\"}}\n\n"));
    let body = [event("one"), event("two"), b"garbage".to_vec()].concat();
    let headers = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let (_server, client) = scripted(vec![Step::Read, Step::respond("200 OK", headers, body)]).await;
    let collected = client.invoke_prompt("p").stream().await.unwrap().into_response().await;
    assert_eq!(collected.response.response.as_deref(), Some("onetwo"));
    assert!(collected.complete().unwrap_err().may_have_run());
}

#[tokio::test]
async fn early_error_response_is_returned_while_the_body_is_sent() {
    fetch_hive_tests::needs!(Socket);
    let early = Step::respond("413 Payload Too Large", "connection: close\r\n", r#"{"error":"too large"}"#);
    let script = vec![Step::ReadSome(1_000), early, Step::Wait(Duration::from_millis(100)), Step::Reset];
    let (_server, client) = scripted(script).await;
    let input = "x".repeat(20 << 20);
    let error = client.invoke_workflow("d").input("text", input).retry(RetryPolicy::never()).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 413, "{error:?}");
    assert_eq!(error.api().unwrap().message(), Some("too large"));
    assert!(!error.may_have_run());
}

#[tokio::test]
async fn operations_without_a_run_never_report_one() {
    fetch_hive_tests::needs!(Socket);
    for status in ["500 Internal Server Error", "503 Service Unavailable", "504 Gateway Timeout"] {
        let (_server, client) = scripted(vec![Step::Read, Step::respond(status, "connection: close\r\n", "")]).await;
        let policy = RetryPolicy::never();
        let list = client.models().retry(policy).await.unwrap_err();
        let delete = client.workspace("w").agents().delete("a").retry(policy).await.unwrap_err();
        for error in [list, delete] {
            assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
            assert!(!error.to_string().contains("run may have started"), "{error}");
        }
        let error = client.invoke_workflow("d").retry(policy).await.unwrap_err();
        assert!(error.may_have_run() && error.to_string().contains("the run may have started"), "{error}");
    }
    let (_server, client) = scripted(vec![Step::Read, Step::Close]).await;
    let error = client.models().retry(RetryPolicy::never()).await.unwrap_err();
    assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn redirect_error_names_the_location_and_the_base_url() {
    fetch_hive_tests::needs!(Socket);
    let location = "location: https://login.example.com/sso?token=SECRET\r\n";
    let (server, client) = scripted(vec![Step::Read, Step::respond("302 Found", location, "")]).await;
    let text = client.invoke_workflow("d").await.unwrap_err().to_string();
    assert!(text.contains("https://login.example.com/sso") && text.contains(&server.base_url()), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn explicit_timeout_replaces_the_default_idle_timeout_of_a_run() {
    fetch_hive_tests::needs!(Socket);
    let body = r#"{"request_id":"req_1","run_status":"completed","output":"ok"}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    let script = || {
        vec![Step::Read, Step::Write(head.clone()), Step::Wait(Duration::from_millis(400)), Step::Write(body.into())]
    };
    let server = Scripted::start(vec![script()]).await.unwrap();
    // The default idle timeout of the client is short here, so that the test does not take minutes.
    let client = |explicit: bool| {
        let builder = stack::client(&server).api_key("k").retry(RetryPolicy::never());
        let builder = builder.idle_timeout(Duration::from_millis(100));
        if explicit { builder.timeout(Duration::from_secs(20)) } else { builder }.build().unwrap()
    };
    // An explicit idle timeout applies, even if a timeout is set as well.
    for client in [client(false), client(true)] {
        let error = client.invoke_workflow("d").await.unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::Idle));
    }
    let server = Scripted::start(vec![script()]).await.unwrap();
    let client = stack::client(&server).api_key("k").build().unwrap();
    client.invoke_workflow("d").timeout(Duration::from_secs(600)).await.unwrap();
}

/// A proxy that answers CONNECT with a status, an HTML page and headers.
async fn rejecting_proxy(status: &'static str) -> Scripted {
    let page = Step::respond(status, "content-type: text/html\r\nx-proxy: squid\r\n", "<html>PAGE</html>");
    Scripted::start(vec![vec![Step::Read, page, Step::Close]]).await.unwrap()
}

#[tokio::test]
async fn proxy_rejection_keeps_status_headers_and_page() {
    for (status, code, attempts) in
        [("407 Proxy Authentication Required", 407, 1), ("403 Forbidden", 403, 1), ("503 Service Unavailable", 503, 3)]
    {
        let proxy = rejecting_proxy(status).await;
        let url = proxy.base_url().replace("/v1", "").replace("http://", "http://user:SECRET@");
        let mut policy = RetryPolicy::default();
        policy.base_delay = Duration::from_millis(1);
        let transport = HyperTransport::builder().proxy(url).build().unwrap();
        let builder = Client::builder().api_key("k").base_url("https://api.example.com/v1").transport(transport);
        let error = builder.retry(policy).build().unwrap().invoke_workflow("d").await.unwrap_err();
        assert_eq!(error.status().unwrap(), code, "{error:?}");
        assert_eq!(
            (error.body().unwrap().as_ref(), &error.headers().unwrap()["x-proxy"]),
            (&b"<html>PAGE</html>"[..], &"squid".parse().unwrap())
        );
        assert!(!error.may_have_run() && error.is_retryable() == (attempts > 1), "{error:?}");
        assert_eq!((error.attempts(), proxy.requests().len()), (attempts, attempts as usize), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(&code.to_string()) && !text.contains("SECRET") && !text.contains("PAGE"), "{text}");
    }
}

/// Starts a TLS server that requires a client certificate, and returns its URL and its root.
async fn server_with_client_certificates(version: &'static rustls::SupportedProtocolVersion) -> (String, String) {
    let pair = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&pair).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    let config =
        config.with_client_cert_verifier(verifier).with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/v1", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.read_u8().await;
                }
            });
        }
    });
    (url, certificate.pem())
}

#[tokio::test]
async fn rejected_client_certificate_is_not_sent_in_any_tls_version() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (url, root) = server_with_client_certificates(version).await;
        let transport = HyperTransport::builder().add_root_certificates_pem(root.as_str()).build().unwrap();
        let client = Client::builder().api_key("k").base_url(url.as_str()).transport(transport).build().unwrap();
        let error = client.invoke_workflow("d").retry(RetryPolicy::never()).await.unwrap_err();
        assert!(!error.may_have_run(), "{version:?}: {error:?}");
        let transport = blocking::UreqTransport::builder().add_root_certificates_pem(root).build().unwrap();
        let client = blocking::Client::builder().api_key("k").base_url(url).transport(transport).build().unwrap();
        let call = move || client.invoke_workflow("d").retry(RetryPolicy::never()).send().unwrap_err();
        let error = tokio::task::spawn_blocking(call).await.unwrap();
        assert!(!error.may_have_run(), "{version:?}: {error:?}");
    }
}

/// Returns the error of a call whose transport returns one exchange.
async fn error_of<E: Endpoint + Clone + 'static>(request: &E, exchange: Exchange) -> Error {
    let replay = Replay::new([exchange]);
    let client = Client::builder().api_key("k").transport(replay).retry(RetryPolicy::never()).build().unwrap();
    client.call(request.clone()).await.err().unwrap()
}

/// Checks that the methods, the text and the retry engine agree.
fn check_agreement(error: &Error, retry: Retry, name: &str) {
    let text = error.to_string();
    let may_have_taken_effect = text.contains("may have taken effect");
    let says_may_have_run = text.contains("may have run") || text.contains("may have started");
    assert_eq!(error.may_have_run(), says_may_have_run, "{name}: {text}");
    assert!(!(error.may_have_run() && error.is_retryable()), "{name}: {text}");
    assert!(!may_have_taken_effect || !error.is_retryable(), "{name}: {text}");
    assert!(!text.contains("safe to retry") || error.is_retryable(), "{name}: {text}");
    if retry == Retry::Idempotent {
        assert!(!error.may_have_run() && !may_have_taken_effect, "{name}: {text}");
    }
    if name.starts_with("create") {
        assert!(!error.may_have_run(), "{name}: {text}");
    }
    let event = match error.kind() {
        ErrorKind::Api(api) => RetryEvent::Rejected(api),
        ErrorKind::Transport(transport) => match transport.proxy_response() {
            Some(response) => RetryEvent::ProxyRejected(response.status()),
            None if transport.is_not_sent() => RetryEvent::NotSent,
            None => RetryEvent::MayHaveRun,
        },
        _ => RetryEvent::Succeeded,
    };
    let now = |random| Now { elapsed: Duration::ZERO, wall_clock: std::time::SystemTime::UNIX_EPOCH, random };
    let mut engine = RetryEngine::new(retry, RetryPolicy::default(), Timeouts::default());
    engine.next(now(0), RetryEvent::Started);
    let retries = engine.next(now(1), event) != NextStep::Finish;
    assert_eq!(retries, error.is_retryable(), "{name}: {text}");
}

async fn check_all<E: Endpoint + Clone + 'static>(request: E) {
    for status in (100..=999).filter(|status| !(200..=299).contains(status)) {
        let error = error_of(&request, Exchange::status(status).body(r#"{"error":"E"}"#)).await;
        check_agreement(&error, E::RETRY, &format!("{} {status}", E::NAME));
    }
    let timeouts = [Timeout::Queue, Timeout::Connect, Timeout::Headers, Timeout::Idle, Timeout::Deadline];
    let mut failures: Vec<fn() -> TransportError> =
        vec![|| TransportError::not_sent("x"), || TransportError::may_have_run("x")];
    failures.push(|| TransportError::proxy_rejected(http::Response::builder().status(407).body(Bytes::new()).unwrap()));
    failures.push(|| TransportError::proxy_rejected(http::Response::builder().status(503).body(Bytes::new()).unwrap()));
    for failure in failures {
        let error = error_with(&request, failure).await;
        check_agreement(&error, E::RETRY, E::NAME);
    }
    for timeout in timeouts {
        let error = error_with(&request, move || TransportError::timeout(timeout)).await;
        check_agreement(&error, E::RETRY, &format!("{} {timeout}", E::NAME));
    }
}

/// A transport that fails with an error.
struct Failing<F>(F);

#[async_trait::async_trait]
impl<F: Fn() -> TransportError + Send + Sync + 'static> fetch_hive_client::Transport for Failing<F> {
    async fn send(
        &self,
        _: http::Request<fetch_hive_client::RequestBody>,
    ) -> Result<http::Response<fetch_hive_client::ResponseBody>, TransportError> {
        Err((self.0)())
    }
}

async fn error_with<E, F>(request: &E, failure: F) -> Error
where
    E: Endpoint + Clone + 'static,
    F: Fn() -> TransportError + Send + Sync + 'static,
{
    let client =
        Client::builder().api_key("k").transport(Failing(failure)).retry(RetryPolicy::never()).build().unwrap();
    client.call(request.clone()).await.err().unwrap()
}

#[tokio::test]
async fn text_methods_and_retries_agree_for_every_status_and_failure() {
    check_all(InvokeWorkflow::new("d")).await;
    check_all(InvokeAgent::new("a", "m")).await;
    check_all(TriggerAgent::new("a", "whsec_1", "m", "https://example.com/cb")).await;
    check_all(ListModels::new()).await;
    check_all(fetch_hive_client::types::DeleteAgent::new("w", "a")).await;
    check_all(fetch_hive_client::types::CreateAgent::new(
        "w",
        fetch_hive_client::types::AgentCreate::new("n", "m", "hosted"),
    ))
    .await;
}

#[tokio::test]
async fn body_that_is_not_compressed_despite_its_header_is_read() {
    fetch_hive_tests::needs!(Socket);
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let body = r#"{"request_id":"req_1","run_status":"completed","output":"paid"}"#;
    let server = Scripted::start(vec![vec![Step::Read, Step::respond("200 OK", headers, body)]]).await.unwrap();
    let client = stack::client(&server).api_key("fhk_test").build().unwrap();
    assert_eq!(client.invoke_workflow("d").await.unwrap().output_text(), Some("paid"));
    let cap = r#"{"error":"E","error_code":"api_rate_limit_exceeded"}"#;
    let server =
        Scripted::start(vec![vec![Step::Read, Step::respond("429 Too Many Requests", headers, cap)]]).await.unwrap();
    let client = stack::client(&server).api_key("fhk_test").build().unwrap();
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert_eq!(
        (error.code().map(fetch_hive_client::types::ErrorCode::as_str), error.is_retryable()),
        (Some("api_rate_limit_exceeded"), false)
    );
}
