//! Networks that forget connections, addresses that never answer, and servers that allow few
//! streams.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fetch_hive_client::{Client, HyperTransport, HyperTransportBuilder, RetryPolicy};
use fetch_hive_emulator::{Emulator, Fault};
use fetch_hive_tests::{Scripted, SilentRelay, Step};
use futures_util::future::join_all;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const DONE: &str = r#"{"request_id":"req_1","run_status":"completed","output":"done"}"#;

/// Creates a client that sends each request once.
fn client(base_url: &str, transport: HyperTransportBuilder) -> Client {
    let builder =
        Client::builder().api_key("fhk_test").base_url(base_url).allow_plain_http().retry(RetryPolicy::never());
    builder.transport(transport.build().unwrap()).build().unwrap()
}

/// Returns the base URL of the emulator with the port of the relay.
fn base_url(relay: &SilentRelay, server: &Emulator) -> String {
    server.base_url().replace(&server.address().port().to_string(), &relay.address().port().to_string())
}

fn with_fast_pings(emulator: &Emulator) -> HyperTransportBuilder {
    HyperTransport::builder()
        .add_root_certificates_pem(emulator.ca_pem().unwrap())
        .http2_keep_alive_interval(Duration::from_millis(100))
        .http2_keep_alive_timeout(Duration::from_millis(100))
}

#[tokio::test]
async fn forgotten_http2_connection_takes_no_new_call() {
    fetch_hive_tests::needs!(Hyper);
    let emulator = Emulator::builder().tls(true).start().await.unwrap();
    let relay = SilentRelay::start(emulator.address()).await.unwrap();
    let client = client(&base_url(&relay, &emulator), with_fast_pings(&emulator));
    client.invoke_workflow("d").await.unwrap();
    for calls in 2..=3 {
        relay.silence();
        // More than the interval and the timeout of the pings.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let run = client.invoke_workflow("d").timeout(Duration::from_secs(5)).await.unwrap();
        assert_eq!((run.output_text().is_some(), emulator.requests().len()), (true, calls));
    }
}

#[tokio::test]
async fn call_on_a_forgotten_http2_connection_fails_after_the_ping_timeout() {
    fetch_hive_tests::needs!(Hyper);
    let emulator = Emulator::builder().tls(true).fault(Fault::hang()).start().await.unwrap();
    let relay = SilentRelay::start(emulator.address()).await.unwrap();
    let client = client(&base_url(&relay, &emulator), with_fast_pings(&emulator));
    let call = tokio::spawn(client.invoke_workflow("d").into_future());
    while emulator.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.silence();
    let error = tokio::time::timeout(Duration::from_secs(10), call).await.unwrap().unwrap().unwrap_err();
    assert!(error.may_have_run(), "{error:?}");
    assert!(format!("{error:?}").contains("KeepAliveTimedOut"), "{error:?}");
}

#[tokio::test]
async fn address_that_drops_connections_is_skipped() {
    fetch_hive_tests::needs!(Hyper);
    let emulator = Emulator::builder().start().await.unwrap();
    let port = emulator.address().port();
    // The queue of a listener that never accepts is filled, so that further SYN packets are
    // dropped.
    let silent = TcpSocket::new_v4().unwrap();
    let silent_address = SocketAddr::from(([127, 0, 0, 2], port));
    silent.bind(silent_address).unwrap();
    let _listener = silent.listen(0).unwrap();
    let mut queued = Vec::new();
    loop {
        let connecting = TcpStream::connect(silent_address);
        match tokio::time::timeout(Duration::from_millis(200), connecting).await {
            Ok(connected) => queued.push(connected.unwrap()),
            Err(_) => break,
        }
    }
    let base_url = format!("http://api.example.test:{port}/v1");
    let addresses = [silent_address, SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    let reachable = client(&base_url, HyperTransport::builder().resolve("api.example.test", addresses));
    reachable.invoke_workflow("d").connect_timeout(Duration::from_secs(2)).await.unwrap();
    assert_eq!(emulator.requests().len(), 1);
    let unreachable = client(&base_url, HyperTransport::builder().resolve("API.example.test", [silent_address]));
    let error = unreachable.invoke_workflow("d").connect_timeout(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!((error.error_type(), error.may_have_run()), ("timeout_connect", false));
}

/// A server with HTTP/2 and a limit of streams per connection.
struct FewStreams {
    address: SocketAddr,
    certificate: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl FewStreams {
    /// Starts a server that serves a number of connections. Further ones get no answer.
    async fn start(max_streams: u32, max_connections: usize, latency: Duration) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.unwrap().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (accepted, received) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                if accepted.fetch_add(1, Ordering::SeqCst) >= max_connections {
                    unanswered.push(stream);
                    continue;
                }
                let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                        received.fetch_add(1, Ordering::SeqCst);
                        async move {
                            drop(request);
                            tokio::time::sleep(latency).await;
                            let response = http::Response::new(DONE.to_owned());
                            let (mut head, body) = response.into_parts();
                            head.headers.insert("content-type", http::HeaderValue::from_static("application/json"));
                            Ok::<_, std::convert::Infallible>(http::Response::from_parts(head, body))
                        }
                    });
                    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    server.max_concurrent_streams(max_streams);
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, certificate: cert.pem(), connections, requests }
    }

    fn client(&self) -> Client {
        let base_url = format!("https://localhost:{}/v1", self.address.port());
        client(&base_url, HyperTransport::builder().add_root_certificates_pem(self.certificate.clone()))
    }
}

#[tokio::test]
async fn another_connection_is_opened_at_the_stream_limit() {
    fetch_hive_tests::needs!(Hyper);
    let server = FewStreams::start(4, usize::MAX, Duration::from_millis(500)).await;
    let client = server.client();
    for (calls, connections) in [(1, 1), (12, 3), (12, 3)] {
        let runs = join_all((0..calls).map(|_| client.invoke_workflow("d").into_future())).await;
        assert!(runs.iter().all(Result::is_ok), "{runs:?}");
        assert_eq!(server.connections.load(Ordering::SeqCst), connections);
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 25);
}

#[tokio::test]
async fn request_that_waits_for_a_stream_is_not_sent() {
    fetch_hive_tests::needs!(Hyper);
    let server = FewStreams::start(1, 1, Duration::from_millis(800)).await;
    let client = server.client();
    let running = tokio::spawn(client.invoke_workflow("d").into_future());
    while server.requests.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = client.invoke_workflow("d").timeout(Duration::from_millis(200)).await.unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    running.await.unwrap().unwrap();
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

#[test]
fn stale_connections_do_not_count_as_attempts() {
    fetch_hive_tests::needs!(Hyper);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for pooled in [3, 12] {
        let answer = Step::respond("200 OK", "", DONE);
        let wait = |milliseconds| Step::Wait(Duration::from_millis(milliseconds));
        let script = vec![Step::Read, wait(100), answer, wait(100), Step::Close];
        let server = servers.block_on(Scripted::start(vec![script])).unwrap();
        let client = client(&server.base_url(), HyperTransport::builder());
        let calls = (0..pooled).map(|_| client.invoke_workflow("d").into_future());
        let runs = runtime.block_on(join_all(calls));
        assert!(runs.iter().all(Result::is_ok));
        assert_eq!(server.connections(), pooled);
        // All connections are closed while the client cannot notice it.
        std::thread::sleep(Duration::from_millis(300));
        runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
        assert_eq!((server.connections(), server.requests().len()), (pooled + 1, pooled + 1));
    }
}

#[tokio::test]
async fn folded_headers_are_unfolded() {
    fetch_hive_tests::needs!(Hyper);
    let headers = "content-type: application/json\r\nx-request-id: req_9\r\nx-note: one,\r\n two\r\n";
    let server =
        Scripted::start(vec![vec![Step::Read, Step::respond("400 Bad Request", headers, "{}")]]).await.unwrap();
    let error = client(&server.base_url(), HyperTransport::builder()).invoke_workflow("d").await.unwrap_err();
    let note = error.headers().unwrap().get("x-note").unwrap().to_str().unwrap().to_owned();
    assert_eq!(note.split_whitespace().collect::<Vec<_>>(), ["one,", "two"]);
}

#[test]
fn impossible_connection_settings_are_rejected() {
    let zero = Duration::ZERO;
    let builders = [
        ("http2_keep_alive_interval", HyperTransport::builder().http2_keep_alive_interval(zero)),
        ("http2_keep_alive_timeout", HyperTransport::builder().http2_keep_alive_timeout(zero)),
        ("tcp_user_timeout", HyperTransport::builder().tcp_user_timeout(zero)),
        ("resolve", HyperTransport::builder().resolve("host", [])),
    ];
    for (setting, builder) in builders {
        let error = builder.build().unwrap_err();
        assert!(error.to_string().contains(setting), "{error}");
    }
    let disabled = HyperTransport::builder().http2_keep_alive_interval(None).tcp_user_timeout(None);
    disabled.build().unwrap();
}
