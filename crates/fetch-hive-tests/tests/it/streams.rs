//! Streams of prompts and agents over real sockets.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use fetch_hive_client::types::{AgentRunStatus, ErrorCode, InvokeAgent, InvokePrompt, StreamEvent};
use fetch_hive_client::{
    Client, Error, ErrorKind, EventStream, HyperTransport, ResponseBody, StreamError, StreamingEndpoint, Timeout,
    Transport, TransportError,
};
use fetch_hive_emulator::{Emulator, Fault, Script};
use fetch_hive_tests::{Scripted, Step, stack};
use http::Version;
use serde_json::{Value, json};

fn client(emulator: &Emulator) -> Client {
    let mut builder = stack::client(&emulator).api_key("fhk_test");
    if let Some(pem) = emulator.ca_pem() {
        builder = builder.transport(HyperTransport::builder().add_root_certificates_pem(pem).build().unwrap());
    }
    builder.build().unwrap()
}

async fn scripted(script: Script) -> (Emulator, Client) {
    let emulator = Emulator::builder().stream("s", script).start().await.unwrap();
    let client = client(&emulator);
    (emulator, client)
}

/// Returns a short text for each event of a stream and for its end.
async fn all<E: StreamingEndpoint>(mut events: EventStream<E>) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(match event {
            Ok(event) => match &*event {
                StreamEvent::Response(piece) => piece.response.to_string(),
                other => other.event_type().to_owned(),
            },
            Err(error) => short(&error),
        });
    }
    assert!(events.next().await.is_none(), "the end stays the end");
    seen
}

fn short(error: &Error) -> String {
    match error.stream() {
        Some(StreamError::Malformed { raw, .. }) => format!("malformed {}", String::from_utf8_lossy(raw)),
        Some(StreamError::Cut { .. }) => "cut".to_owned(),
        Some(StreamError::Failed { .. }) => "failed".to_owned(),
        Some(StreamError::TooLarge(_)) => "too large".to_owned(),
        _ => error.timeout().map_or_else(|| "broken".to_owned(), |timeout| timeout.to_string()),
    }
}

#[tokio::test]
async fn streams_are_requested_and_read() {
    let (emulator, client) = scripted(Script::new().text("Hello").done()).await;
    let prompt = client.invoke_prompt("s").metadata("plan", "enterprise").stream().await.unwrap();
    assert_eq!(all(prompt).await, ["Hello"]);
    let agent = client.invoke_agent("s", "m").metadata("plan", "enterprise").tool_approval("auto_approve").stream();
    assert_eq!(all(agent.await.unwrap()).await, ["Hello"]);
    let bodies: Vec<Value> = emulator.requests().iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    assert_eq!(bodies[0], json!({"deployment": "s", "streaming": true, "metadata": {"plan": "enterprise"}}));
    assert_eq!(
        bodies[1],
        json!({"agent": "s", "message": "m", "streaming": true, "metadata": {"plan": "enterprise"}, "tool_approval": "auto_approve"})
    );
    assert!(emulator.requests().iter().all(|request| request.headers["accept"] == "text/event-stream"));
}

#[tokio::test]
async fn events_are_typed_and_keep_their_json() {
    let events = [
        json!({"type": "reasoning", "response": "hm"}),
        json!({"type": "tool", "tool_id": "1", "tool": "search", "tool_type": "x", "tool_input": {"q": 1}, "observation": "{}", "ms": 7}),
        json!({"type": "artifact", "artifact": {"file_url": "https://x/1.png"}}),
        json!({"type": "tool_approval", "approval": {"approval_id": "a"}}),
        json!({"type": "summary", "summary_text": "s", "original_token_count": 9}),
        json!({"type": "brand_new", "x": [1]}),
        json!({"type": "response", "response": "é\u{2028}!", "done": false}),
        json!({"type": "usage", "usage": {"total_tokens": 3}, "status": "completed"}),
    ];
    for size in [1, 7, 10_000] {
        let script = events.iter().fold(Script::new().comment("hi"), Script::event).done().chunk_size(size);
        let (_emulator, client) = scripted(script).await;
        let mut stream = client.invoke_agent("s", "m").stream().await.unwrap();
        for want in &events {
            let event = stream.next().await.unwrap().unwrap();
            assert_eq!(event.event_type(), want["type"].as_str().unwrap());
            assert_eq!(serde_json::from_slice::<Value>(&event.raw).unwrap(), *want);
        }
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn stream_errors_follow_all_received_events() {
    let good = || Script::new().text("a").text("b");
    let failed =
        json!({"type": "error", "error": "overloaded", "message": "Try later.", "error_code": "too_many_requests"});
    let rows: Vec<(Script, Vec<&str>)> = vec![
        (good().done(), vec!["a", "b"]),
        (good(), vec!["a", "b", "cut"]),
        (good().disconnect(), vec!["a", "b", "broken"]),
        (good().raw("data: {\"type\":\"resp"), vec!["a", "b", "cut"]),
        (good().raw("data: {\"type\":\"response\",\"response\":\"c\"}"), vec!["a", "b", "c", "cut"]),
        (
            good().raw("data: {this is not json}\n\n").text("c").done(),
            vec!["a", "b", "malformed {this is not json}", "c"],
        ),
        (
            good().raw("data: {\"type\":\"response\",\"response\":5}\n\n").done(),
            vec!["a", "b", "malformed {\"type\":\"response\",\"response\":5}"],
        ),
        (good().event(&failed), vec!["a", "b", "failed"]),
        (good().event(&failed).done(), vec!["a", "b", "failed"]),
        (good().event(&json!({"type": "usage"})), vec!["a", "b", "usage"]),
        (good().event(&json!({"type": "usage"})).disconnect(), vec!["a", "b", "usage"]),
        (good().done().text("late").disconnect(), vec!["a", "b"]),
        (Script::new().comment(""), vec!["cut"]),
    ];
    for (script, want) in rows {
        let text = format!("{script:?}");
        let (_emulator, client) = scripted(script).await;
        assert_eq!(all(client.invoke_prompt("s").stream().await.unwrap()).await, want, "{text}");
    }

    let (_emulator, client) = scripted(good().event(&failed)).await;
    let mut stream = client.invoke_prompt("s").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::TooManyRequests));
    assert!(error.to_string().contains("Try later.") && error.may_have_run(), "{error}");
}

#[tokio::test]
async fn error_response_to_a_stream_request_keeps_its_body() {
    let emulator = Emulator::builder()
        .fault(Fault::status(401).nth(1).body(r#"{"error":"Invalid access."}"#))
        .fault(Fault::status(200).nth(1).header("content-type", "application/json").body(r#"{"error":"no stream"}"#))
        .fault(Fault::status(200).nth(1).header("content-type", "text/html; charset=utf-8").body("<html>login</html>"))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let refused = client.invoke_prompt("d").stream().await.unwrap_err();
    assert_eq!((refused.status().unwrap().as_u16(), refused.api().unwrap().message()), (401, Some("Invalid access.")));
    for body in [r#"{"error":"no stream"}"#, "<html>login</html>"] {
        let error = client.invoke_prompt("d").stream().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotAStream) && error.may_have_run(), "{error:?}");
        assert_eq!((error.body().unwrap(), error.status().unwrap().as_u16()), (&bytes_of(body), 200));
        assert!(!format!("{error} {error:?}").contains("login"));
    }
}

fn bytes_of(text: &'static str) -> bytes::Bytes {
    bytes::Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn first_event_arrives_before_the_rest() {
    fetch_hive_tests::needs!(Drop);
    let held = Duration::from_secs(30);
    for tls in [false, true] {
        if tls && stack::lacks(&[stack::Need::Hyper]).is_some() {
            continue;
        }
        let emulator =
            Emulator::builder().tls(tls).stream("s", Script::new().text("first").wait(held)).start().await.unwrap();
        let client = client(&emulator);
        let mut stream = client.invoke_agent("s", "m").stream().await.unwrap();
        let first = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(&*first, StreamEvent::Response(piece) if piece.response == "first"));
        assert_eq!(emulator.requests()[0].version, if tls { Version::HTTP_2 } else { Version::HTTP_11 });

        // The server notices the dropped stream long before its script ends.
        assert_eq!(emulator.open_streams(), 1);
        drop(stream);
        let noticed = async {
            while emulator.open_streams() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), noticed).await.unwrap();
    }
}

#[tokio::test]
async fn dropped_stream_closes_its_connection() {
    fetch_hive_tests::needs!(Socket, Drop);
    let script = Script::new().text("first").wait(Duration::from_secs(30));
    let (emulator, client) = scripted(script).await;
    let mut stream = client.invoke_prompt("s").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let closed = async {
        while emulator.connections().open > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), closed).await.unwrap();
}

#[tokio::test]
async fn stream_timeouts_keep_the_events_and_comments_reset_them() {
    fetch_hive_tests::needs!(Socket);
    let (_emulator, client) =
        scripted(Script::new().text("a").raw("data: {\"half").wait(Duration::from_secs(30))).await;
    let mut stream = client.invoke_prompt("s").idle_timeout(Duration::from_millis(100)).stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Idle), true));
    assert_eq!(error.body().unwrap(), "{\"half");
    assert!(error.to_string().contains(&format!("{} bytes", stream.received())), "{error}");
    assert!(stream.next().await.is_none());

    let tick = Duration::from_millis(60);
    let living = (0..6).fold(Script::new(), |script, _| script.comment("keep-alive").wait(tick)).text("late").done();
    let (emulator, client) = scripted(living).await;
    let alive = client.invoke_prompt("s").idle_timeout(Duration::from_millis(250)).stream().await.unwrap();
    assert_eq!(all(alive).await, ["late"]);
    // The client's timeout does not apply to a stream, but a timeout of the call does.
    let hasty = stack::client(&emulator).api_key("k").timeout(Duration::from_millis(100)).build().unwrap();
    assert_eq!(all(hasty.invoke_prompt("s").stream().await.unwrap()).await, ["late"]);
    let limited = client.invoke_prompt("s").timeout(Duration::from_millis(150)).stream().await.unwrap();
    assert_eq!(all(limited).await, ["deadline"]);

    let silent = Scripted::start(vec![vec![Step::Read, Step::Wait(Duration::from_secs(30))]]).await.unwrap();
    let client = stack::client(&silent).api_key("k").build().unwrap();
    let error = client.invoke_prompt("s").headers_timeout(Duration::from_millis(80)).stream().await.unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Headers));
}

#[tokio::test]
async fn slow_reader_slows_the_server() {
    fetch_hive_tests::needs!(Socket);
    // The server writes without end, as fast as it is read.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await.unwrap();
        let event = format!("data: {{\"type\":\"response\",\"response\":\"{}\"}}\n\n", "x".repeat(10_000));
        while stream.write_all(event.as_bytes()).await.is_ok() {
            count.fetch_add(event.len() as u64, Ordering::SeqCst);
        }
    });
    let client = stack::with_transport(Client::builder().api_key("k").base_url(base_url)).build().unwrap();
    let mut stream = client.invoke_prompt("s").stream().await.unwrap();
    let mut before = u64::MAX;
    let settled = async {
        while written.load(Ordering::SeqCst) != before {
            before = written.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
    for _ in 0..2_000 {
        stream.next().await.unwrap().unwrap();
    }
    assert!(written.load(Ordering::SeqCst) > before, "reading lets the server go on");
    server.abort();
}

#[tokio::test]
async fn too_large_event_ends_the_stream() {
    let (emulator, _) = scripted(Script::new().text("a").text(&"x".repeat(5_000)).text("b").done()).await;
    let client = stack::client(&emulator).api_key("k").max_event_bytes(1_000).build().unwrap();
    assert_eq!(all(client.invoke_prompt("s").stream().await.unwrap()).await, ["a", "too large"]);
}

#[tokio::test]
async fn text_and_responses_are_collected_from_streams() {
    let (emulator, client) = scripted(
        Script::new()
            .event(&json!({"type": "reasoning", "response": "hm"}))
            .text("Hel")
            .event(&json!({"type": "tool", "tool": "search", "tool_input": {"q": 1}, "observation": "{\"n\":2}"}))
            .text("lo")
            .event(&json!({"type": "artifact", "artifact": {"file_url": "https://x/1.png"}}))
            .event(&json!({"type": "usage", "usage": {"total_tokens": 9}, "run_id": "req_1", "status": "completed", "thread_id": "t"}))
            .done(),
    )
    .await;
    let mut text = client.invoke_agent("s", "m").stream().await.unwrap().text();
    let mut pieces = Vec::new();
    while let Some(piece) = text.next().await {
        pieces.push(piece.unwrap());
    }
    assert_eq!(pieces, ["Hel", "lo"]);

    let reply = client.invoke_agent("s", "m").stream().await.unwrap().into_response().await.complete().unwrap();
    assert_eq!((reply.response.as_deref(), reply.status.as_ref()), (Some("Hello"), Some(&AgentRunStatus::Completed)));
    assert_eq!((reply.tool_calls.len(), reply.artifacts.len()), (1, 1));
    assert_eq!(reply.usage.unwrap().total_tokens, Some(9));
    drop(emulator);

    let emulator = Emulator::builder()
        .stream("cut", Script::new().text("half"))
        .stream("odd", Script::new().raw("data: {no\n\n").text("whole").done())
        .start()
        .await
        .unwrap();
    let client = self::client(&emulator);
    let cut = client.invoke_prompt("cut").stream().await.unwrap().into_response().await;
    assert_eq!(cut.response.response.as_deref(), Some("half"));
    assert!(matches!(cut.complete().unwrap_err().stream(), Some(StreamError::Cut { .. })));
    let odd = client.invoke_prompt("odd").stream().await.unwrap().into_response().await;
    assert!(odd.end.is_ok() && odd.malformed.len() == 1 && odd.response.response.as_deref() == Some("whole"));
    assert!(odd.complete().is_err());
    let many = (0..150).fold(Script::new(), |script, _| script.raw("data: no\n\n"));
    let twice = Script::new()
        .event(&json!({"type": "error", "error": "first"}))
        .event(&json!({"type": "error", "error": "second"}));
    let emulator = Emulator::builder().stream("many", many.done()).stream("twice", twice).start().await.unwrap();
    let client = self::client(&emulator);
    let many = client.invoke_prompt("many").stream().await.unwrap().into_response().await;
    assert!(many.end.is_ok() && many.malformed.len() == 100);
    // The first error is the reason.
    let twice = client.invoke_prompt("twice").stream().await.unwrap().into_response().await;
    assert!(twice.end.unwrap_err().to_string().contains("first"));

    // Without a script, the collected stream equals the response without streaming.
    let whole = client.invoke_prompt("d").input("topic", "enterprise AI").await.unwrap();
    let streamed = client
        .invoke_prompt("d")
        .input("topic", "enterprise AI")
        .stream()
        .await
        .unwrap()
        .into_response()
        .await
        .complete()
        .unwrap();
    assert_eq!((&streamed.response, &streamed.model, &streamed.usage), (&whole.response, &whole.model, &whole.usage));
}

#[tokio::test]
async fn success_without_a_stream_is_not_a_cut_stream() {
    fetch_hive_tests::needs!(Socket);
    for (kind, body) in [
        ("", "{\"error\":\"no stream\"}"),
        ("content-type: text/plain\r\n", "<html>\nlogin</html>"),
        ("content-type: text/event-stream\r\n", ""),
    ] {
        let server = Scripted::start(vec![vec![Step::Read, Step::respond("200 OK", kind, body)]]).await.unwrap();
        let client = stack::client(&server).api_key("k").build().unwrap();
        let mut stream = client.invoke_prompt("s").stream().await.unwrap();
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotAStream), "{error:?}");
        assert_eq!((error.body().unwrap(), error.status().unwrap().as_u16()), (&bytes_of(body), 200));
        assert!(stream.next().await.is_none());
    }
    let kind = "content-type: text/event-stream; format=json\r\n";
    let server =
        Scripted::start(vec![vec![Step::Read, Step::respond("200 OK", kind, "data: [DONE]\n\n")]]).await.unwrap();
    let client = stack::client(&server).api_key("k").build().unwrap();
    assert!(client.invoke_prompt("s").stream().await.unwrap().next().await.is_none());
}

/// A transport whose bodies always have more data, as for a reader that is slower than the service.
struct AlwaysReady;

impl http_body::Body for AlwaysReady {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        let event = "data: {\"type\":\"response\",\"response\":\"x\"}\n\n";
        Poll::Ready(Some(Ok(http_body::Frame::data(bytes_of(event)))))
    }
}

#[async_trait::async_trait]
impl Transport for AlwaysReady {
    async fn send(
        &self,
        _: http::Request<fetch_hive_client::RequestBody>,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        Ok(http::Response::new(ResponseBody::streaming(Self)))
    }
}

#[tokio::test]
async fn timeout_applies_to_a_slow_reader() {
    let client = Client::builder().api_key("k").transport(AlwaysReady).build().unwrap();
    let mut stream = client.invoke_prompt("s").timeout(Duration::from_millis(200)).stream().await.unwrap();
    for _ in 0..3_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if let Err(error) = stream.next().await.unwrap() {
            assert_eq!(error.timeout(), Some(Timeout::Deadline));
            assert!(stream.next().await.is_none());
            return;
        }
    }
    panic!("the deadline did not fire");
}

#[tokio::test]
async fn unread_http2_streams_do_not_block_others() {
    fetch_hive_tests::needs!(Hyper);
    let script = (0..200).fold(Script::new(), |script, _| script.text(&"x".repeat(60_000)));
    let emulator = Emulator::builder().tls(true).stream("s", script.done()).start().await.unwrap();
    let client = client(&emulator);
    let mut unread = Vec::new();
    for _ in 0..8 {
        let mut stream = client.invoke_prompt("s").stream().await.unwrap();
        let first = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
        first.unwrap().unwrap().unwrap();
        unread.push(stream);
    }
}

#[test]
fn calls_can_be_spawned_and_streams_polled() {
    fn spawned<T: Send + 'static>(_: &T) {}
    fn stream<T: futures_core::Stream + Send + Unpin + 'static>() {}
    let client = Client::builder().api_key("k").build().unwrap();
    spawned(&client.invoke_prompt("d").stream());
    spawned(&client.invoke_agent("d", "m").stream());
    spawned(&client.invoke_prompt("d").into_future());
    spawned(&client.invoke_workflow("d").into_future());
    spawned(&client.invoke_hive_agent("h", "o", "https://example.com").into_future());
    spawned(&client.workspace("w").agents().list().into_future());
    stream::<EventStream<InvokePrompt>>();
    stream::<EventStream<InvokeAgent>>();
    stream::<fetch_hive_client::TextStream<InvokeAgent>>();
    stream::<fetch_hive_client::ApprovalStream>();
}
