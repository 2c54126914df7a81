//! Error responses and broken responses are typed errors that keep the received bytes.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use fetch_hive_client::{
    Client, Clock, Error, ErrorKind, RateLimit, RetryPolicy, Timeout, TokioClock, TransportErrorKind,
};
use fetch_hive_tests::{Scripted, Step, stack};

fn client(server: &Scripted) -> Client {
    stack::client(&server).api_key("fhk_test").retry(RetryPolicy::never()).build().unwrap()
}

async fn refused(script: Vec<Step>) -> (Error, usize) {
    let server = Scripted::start(vec![script]).await.unwrap();
    let error = client(&server).invoke_workflow("d").timeout(Duration::from_secs(5)).await.unwrap_err();
    (error, server.requests().len())
}

fn kind(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Api(_) => "api",
        ErrorKind::Decode(_) => "decode",
        ErrorKind::Transport(_) => "transport",
        _ => "other",
    }
}

#[tokio::test]
async fn error_responses_keep_status_and_body() {
    fetch_hive_tests::needs!(Socket);
    let concurrency = r#"{"error":"You've reached your concurrency limit."}"#;
    let daily = r#"{"error":"Daily limit.","error_code":"api_rate_limit_exceeded","limit":100,"current":100}"#;
    let cut =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"request_id\":\"req_1\""
            .to_vec();
    let json = "content-type: application/json\r\n";
    let html = "content-type: text/html\r\n";
    let page = "<html><body>Bad gateway</body></html>";
    // name, script, kind, status, body, code, may have run
    let rows = [
        (
            "401",
            Step::respond("401 Unauthorized", json, r#"{"error":"Invalid access."}"#),
            "api",
            401,
            r#"{"error":"Invalid access."}"#,
            None,
            false,
        ),
        (
            "404",
            Step::respond("404 Not Found", json, r#"{"error":"No such deployment"}"#),
            "api",
            404,
            r#"{"error":"No such deployment"}"#,
            None,
            false,
        ),
        (
            "422",
            Step::respond("422 Unprocessable Entity", json, r#"{"error":"E","code":"model_deprecated"}"#),
            "api",
            422,
            r#"{"error":"E","code":"model_deprecated"}"#,
            Some("model_deprecated"),
            false,
        ),
        (
            "429 concurrency",
            Step::respond("429 Too Many Requests", json, concurrency),
            "api",
            429,
            concurrency,
            None,
            false,
        ),
        (
            "429 daily",
            Step::respond("429 Too Many Requests", json, daily),
            "api",
            429,
            daily,
            Some("api_rate_limit_exceeded"),
            false,
        ),
        (
            "500",
            Step::respond("500 Internal Server Error", json, r#"{"error":"E","error_code":"internal_server_error"}"#),
            "api",
            500,
            r#"{"error":"E","error_code":"internal_server_error"}"#,
            Some("internal_server_error"),
            true,
        ),
        ("502 html", Step::respond("502 Bad Gateway", html, page), "api", 502, page, None, true),
        ("500 empty", Step::respond("500 Internal Server Error", "", ""), "api", 500, "", None, true),
        ("302", Step::respond("302 Found", "location: https://example.com/\r\n", ""), "api", 302, "", None, false),
        ("200 html", Step::respond("200 OK", html, page), "decode", 200, page, None, true),
        ("200 empty", Step::respond("200 OK", json, ""), "decode", 200, "", None, true),
        ("200 cut", Step::Write(cut), "transport", 200, "{\"request_id\":\"req_1\"", None, true),
    ];
    for (name, respond, want, status, body, code, may_have_run) in rows {
        let (error, requests) = refused(vec![Step::Read, respond, Step::Close]).await;
        assert_eq!(kind(&error), want, "{name}: {error:?}");
        assert_eq!(error.status().unwrap().as_u16(), status, "{name}");
        assert_eq!(error.body().unwrap(), body, "{name}");
        assert!(error.headers().is_some(), "{name}");
        assert_eq!(error.code().map(fetch_hive_client::types::ErrorCode::as_str), code, "{name}");
        assert_eq!((error.may_have_run(), requests), (may_have_run, 1), "{name}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("fhk_") && !text.contains("<html") && !text.contains("{\""), "{name}: {text}");
        assert!(text.contains(&status.to_string()), "{name}: {text}");
    }
    let (error, _) = refused(vec![Step::Read, Step::respond("429 Too Many Requests", json, daily)]).await;
    let limit = RateLimit::DailyCap { limit: Some(100), current: Some(100) };
    assert_eq!(error.api().unwrap().rate_limit(), Some(limit));
}

#[tokio::test]
async fn connection_errors_report_whether_the_run_may_have_started() {
    fetch_hive_tests::needs!(Socket);
    // name, script, may have run
    let rows = [
        ("closed after the request", vec![Step::Read, Step::Close], true),
        ("reset after the request", vec![Step::Read, Step::Reset], true),
        ("closed within the request", vec![Step::ReadSome(20), Step::Close], true),
        ("no HTTP", vec![Step::Read, Step::Write(b"220 mail.example.com ESMTP\r\n".to_vec()), Step::Close], true),
        (
            "closed in the headers",
            vec![Step::Read, Step::Write(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Step::Close],
            true,
        ),
    ];
    for (name, script, may_have_run) in rows {
        let (error, _) = refused(script).await;
        let ErrorKind::Transport(transport) = error.kind() else { panic!("{name}: {error:?}") };
        assert_eq!(transport.kind(), TransportErrorKind::MayHaveRun, "{name}: {error:?}");
        assert_eq!((error.may_have_run(), error.attempts()), (may_have_run, 1), "{name}");
    }
}

#[tokio::test]
async fn refused_connection_is_retried_and_not_sent() {
    fetch_hive_tests::needs!(Socket);
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let builder = Client::builder().api_key("fhk_test").base_url(format!("http://{unused}"));
    let client = stack::with_transport(builder).build().unwrap();
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert!(!error.may_have_run() && error.is_retryable(), "{error:?}");
    assert_eq!(error.attempts(), 3);
    assert!(error.to_string().contains(" (3 attempts, "), "{error}");
}

#[tokio::test]
async fn expired_timeout_is_named_and_keeps_the_partial_body() {
    fetch_hive_tests::needs!(Socket);
    let stalled = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"request_id\"".to_vec();
    let silent = Scripted::start(vec![vec![Step::Read, Step::Wait(Duration::from_secs(30))]]).await.unwrap();
    let halting = Scripted::start(vec![vec![Step::Read, Step::Write(stalled), Step::Wait(Duration::from_secs(30))]])
        .await
        .unwrap();
    let limit = Duration::from_millis(80);

    let error = client(&silent).invoke_workflow("d").timeout(limit).await.unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Deadline), true));
    let error = client(&silent).invoke_workflow("d").headers_timeout(limit).await.unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Headers), true));
    for call in [
        client(&halting).invoke_workflow("d").idle_timeout(limit),
        client(&halting).invoke_workflow("d").timeout(limit),
    ] {
        let error = call.await.unwrap_err();
        assert!(matches!(error.timeout(), Some(Timeout::Idle | Timeout::Deadline)), "{error:?}");
        assert_eq!(error.body().unwrap(), "{\"request_id\"");
        assert_eq!(error.status().unwrap().as_u16(), 200);
    }
}

#[tokio::test]
async fn connect_timeout_means_not_sent() {
    fetch_hive_tests::needs!(Socket, ConnectTimeout);
    // A listener with a full backlog accepts no connection: the kernel leaves the handshake
    // unanswered.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..8 {
        fillers.push(tokio::spawn(tokio::net::TcpStream::connect(address)));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let builder = Client::builder().api_key("k").base_url(format!("http://{address}"));
    let client = stack::with_transport(builder).retry(RetryPolicy::never()).build().unwrap();
    for call in [
        client.invoke_workflow("d").connect_timeout(Duration::from_millis(100)),
        client.invoke_workflow("d").timeout(Duration::from_millis(100)),
    ] {
        let error = call.await.unwrap_err();
        assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Connect), false), "{error:?}");
    }
    fillers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn too_large_body_is_rejected_and_kept_in_part() {
    fetch_hive_tests::needs!(Socket, Gzip);
    let plain = Step::respond("200 OK", "", vec![b' '; 100_000]);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b' '; 50_000_000]).unwrap();
    let bomb = Step::respond("200 OK", "content-encoding: gzip\r\n", packer.finish().unwrap());
    for step in [plain, bomb] {
        let server = Scripted::start(vec![vec![Step::Read, step]]).await.unwrap();
        let client = stack::client(&server).api_key("k").max_response_bytes(50_000).build().unwrap();
        let error = client.invoke_workflow("d").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 50_000 }), "{error:?}");
        assert!(error.may_have_run() && error.body().unwrap().len() <= 50_000);
    }
}

#[tokio::test]
async fn gzip_is_decoded_and_damaged_gzip_is_an_error() {
    fetch_hive_tests::needs!(Socket, Gzip);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(br#"{"request_id":"req_1","run_status":"completed","output":"packed"}"#).unwrap();
    let packed = encoder.finish().unwrap();
    let header = "content-encoding: gzip\r\n";
    let server = Scripted::start(vec![vec![Step::Read, Step::respond("200 OK", header, &packed)]]).await.unwrap();
    let run = client(&server).invoke_workflow("d").await.unwrap();
    assert_eq!(run.output_text(), Some("packed"));
    assert!(!run.headers().contains_key("content-encoding"));
    let asked = String::from_utf8(server.requests()[0].clone()).unwrap();
    assert!(asked.contains("accept-encoding: gzip"), "{asked}");

    let (error, _) = refused(vec![Step::Read, Step::respond("200 OK", header, &packed[..packed.len() - 9])]).await;
    assert!(matches!(error.kind(), ErrorKind::Transport(_)) && error.may_have_run(), "{error:?}");
}

/// A clock whose wall-clock time the test sets. Durations are tokio's.
struct At(SystemTime);

impl Clock for At {
    fn wall(&self) -> SystemTime {
        self.0
    }

    fn sleep(&self, duration: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        TokioClock.sleep(duration)
    }
}

#[tokio::test]
async fn error_reports_the_time_of_the_next_retry() {
    fetch_hive_tests::needs!(Socket);
    let day = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
    let daily = r#"{"error":"E","error_code":"api_rate_limit_exceeded","limit":100,"current":100}"#;
    let evening = day(20_000) - Duration::from_secs(60);
    // headers, body, whether a retry soon makes sense, and when
    let rows = [
        ("", daily, false, Some(day(20_000))),
        ("retry-after: 5\r\n", "{\"error\":\"E\"}", true, Some(evening + Duration::from_secs(5))),
        ("retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "", true, Some(evening)),
        ("", "", true, None),
    ];
    for (headers, body, soon, when) in rows {
        let refusal = Step::respond("429 Too Many Requests", headers, body);
        let server = Scripted::start(vec![vec![Step::Read, refusal]]).await.unwrap();
        let builder = stack::client(&server).api_key("k").retry(RetryPolicy::never());
        let client = builder.clock(At(evening)).build().unwrap();
        let error = client.invoke_workflow("d").await.unwrap_err();
        assert_eq!((error.is_retryable(), error.retry_at()), (soon, when), "{error:?}");
    }
}

#[tokio::test]
async fn idempotent_calls_are_retried_after_any_failure() {
    fetch_hive_tests::needs!(Socket);
    let gateway = Step::respond("503 Service Unavailable", "", "");
    for (step, kind) in [(gateway, "503"), (Step::Close, "may_have_run")] {
        let server = Scripted::start(vec![vec![Step::Read, step]]).await.unwrap();
        let error = client(&server).models().await.unwrap_err();
        assert_eq!((error.error_type(), error.is_retryable()), (kind, true), "{error}");
        let error = client(&server).invoke_workflow("d").await.unwrap_err();
        assert_eq!((error.error_type(), error.is_retryable()), (kind, false), "{error}");
    }
}

#[tokio::test]
async fn error_response_with_a_huge_body_keeps_its_status() {
    fetch_hive_tests::needs!(Socket);
    let server = Scripted::start(vec![vec![Step::Read, Step::respond("502 Bad Gateway", "", vec![b'x'; 200_000])]]);
    let server = server.await.unwrap();
    let client = stack::client(&server).api_key("k").max_error_bytes(1_000).build().unwrap();
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.body().unwrap().len()), (502, 1_000));
}
