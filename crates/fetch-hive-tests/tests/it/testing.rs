//! Tests of `fetch-hive-testing`: replays, recordings and the paused clock.

use std::error::Error as _;
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_client::types::{InvokeWorkflow, StreamEvent};
use fetch_hive_client::{Client, Clock, Error, ErrorKind, HyperTransport, Timeout, Transport, blocking};
use fetch_hive_emulator::{Emulator, Fault, Script};
use fetch_hive_testing::{Capture, Exchange, NeverResponds, PausedClock, Recorder, Replay};
use http::Method;
use pollster::block_on;
use serde_json::json;

const DONE: &str = r#"{"request_id":"req_1","run_status":"completed","output":"done"}"#;

fn client(transport: impl Transport, clock: &PausedClock) -> Client {
    Client::builder().api_key("fhk_test").transport(transport).clock(clock.clone()).build().unwrap()
}

fn done() -> Exchange {
    Exchange::status(200).body(DONE)
}

#[test]
fn retries_take_no_real_time() {
    let began = Instant::now();
    let clock = PausedClock::new();
    let replay = Replay::new([
        Exchange::not_sent(),
        Exchange::status(429).header("retry-after", "40").body(r#"{"error":"limit"}"#),
        done().expect_request(Method::POST, "/v1/workflow/invoke").expect_header("authorization", "Bearer fhk_test"),
    ]);
    let run = block_on(client(replay.clone(), &clock).invoke_workflow("d").into_future()).unwrap();
    assert_eq!((run.parts().attempts, run.parts().waited, clock.sleeps().len()), (3, clock.elapsed(), 1));
    assert!(clock.elapsed() >= Duration::from_secs(40), "{:?}", clock.elapsed());
    replay.finish().unwrap();
    assert_eq!(replay.requests().len(), 3);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn retry_after_date_uses_the_paused_clock() {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
    let clock = PausedClock::at(noon);
    let busy = Exchange::status(429).header("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT").body("{}");
    block_on(client(Replay::new([busy, done()]), &clock).invoke_workflow("d").into_future()).unwrap();
    assert!(clock.elapsed() >= Duration::from_secs(60) && clock.elapsed() <= Duration::from_secs(75));
}

#[test]
fn shortest_timeout_expires_first_without_real_time() {
    let rows = [
        (None, Duration::from_secs(120), Timeout::Deadline),
        (Some(Duration::from_secs(10)), Duration::from_secs(120), Timeout::Headers),
        (Some(Duration::from_secs(10)), Duration::from_secs(5), Timeout::Deadline),
    ];
    for (headers, deadline, want) in rows {
        let clock = PausedClock::new();
        let call = client(NeverResponds, &clock).invoke_workflow("d").headers_timeout(headers).timeout(deadline);
        let error = block_on(call.into_future()).unwrap_err();
        assert_eq!(error.timeout(), Some(want));
        assert_eq!(clock.elapsed(), headers.unwrap_or(deadline).min(deadline));
    }
    let clock = PausedClock::new();
    let stalling =
        Replay::new([Exchange::status(200).body("data: {\"type\":\"response\",\"response\":\"a\"}\n\n").then_stall()]);
    let mut stream = block_on(client(stalling, &clock).invoke_prompt("d").stream()).unwrap();
    assert!(matches!(&*block_on(stream.next()).unwrap().unwrap(), StreamEvent::Response(_)));
    assert_eq!(block_on(stream.next()).unwrap().unwrap_err().timeout(), Some(Timeout::Idle));
    assert_eq!(clock.elapsed(), Duration::from_secs(120));
}

#[test]
fn sleep_that_is_not_polled_does_not_block_others() {
    let clock = PausedClock::new();
    let mut kept = clock.sleep(Duration::from_secs(1));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(kept.as_mut().poll(&mut context).is_pending());
    block_on(clock.sleep(Duration::from_secs(5)));
    assert_eq!(clock.elapsed(), Duration::from_secs(5));
    block_on(kept);
    assert_eq!(clock.elapsed(), Duration::from_secs(5));
}

#[test]
fn replay_reports_unexpected_requests() {
    let clock = PausedClock::new();
    let rows = [
        (done().expect_request(Method::GET, "/v1/workflow/invoke"), "expected GET"),
        (done().expect_json(r#"{ "deployment": "e" }"#), r#"expected the body {"deployment":"e"}, got"#),
        (done().expect_json(json!({"deployment": "e"})), r#"expected the body {"deployment":"e"}, got"#),
        (done().expect_header("x-trace", "1"), "a different value of the header x-trace"),
        (done().expect(|_| Err("odd".to_owned())), "request 1: odd"),
    ];
    for (exchange, want) in rows {
        let replay = Replay::new([exchange]);
        let client = client(replay.clone(), &clock);
        let error = block_on(client.invoke_workflow("d").into_future()).unwrap_err();
        let ErrorKind::Transport(transport) = error.kind() else { panic!("{error:?}") };
        assert!(transport.source().unwrap().to_string().contains(want), "{want}: {error:?}");
        assert!(replay.finish().unwrap_err().to_string().contains(want));
        assert_eq!(replay.requests().len(), 1, "a mismatch is not retried");
    }
    let none = Replay::new([]);
    assert!(block_on(client(none.clone(), &clock).invoke_workflow("d").into_future()).is_err());
    assert!(none.finish().unwrap_err().to_string().contains("unexpected request 1"));
    assert!(Replay::new([done()]).finish().unwrap_err().to_string().contains("expected 1 more"));
}

#[test]
fn capture_stores_requests_and_replay_plays_failures() {
    let clock = PausedClock::new();
    let capture = Capture::new(done());
    let client_of = client(capture.clone(), &clock);
    block_on(client_of.invoke_workflow("d").user("u").into_future()).unwrap();
    let body: serde_json::Value = serde_json::from_slice(capture.requests()[0].body()).unwrap();
    assert_eq!(body, json!({"deployment": "d", "user": "u"}));

    let cut = Replay::new([Exchange::status(200).body("{\"request_id\"").then_disconnect()]);
    let error = block_on(client(cut, &clock).invoke_workflow("d").into_future()).unwrap_err();
    assert!(error.may_have_run() && error.body().unwrap() == "{\"request_id\"");
    let lost = block_on(client(Replay::new([Exchange::may_have_run()]), &clock).invoke_workflow("d").into_future());
    assert!(lost.unwrap_err().may_have_run());
    let late = Replay::new([Exchange::timeout(Timeout::Headers)]);
    let error = block_on(client(late, &clock).invoke_workflow("d").into_future()).unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Headers));
}

#[test]
fn blocking_client_uses_the_same_transports() {
    let clock = PausedClock::new();
    let builder = || blocking::Client::builder().api_key("fhk_test").clock(clock.clone());
    let busy = Exchange::status(429).header("retry-after", "40").body(r#"{"error":"limit"}"#);
    let replay = Replay::new([busy, done().expect_request(Method::POST, "/v1/workflow/invoke")]);
    let run = builder().async_transport(replay.clone()).build().unwrap().invoke_workflow("d").send().unwrap();
    assert_eq!(run.parts().attempts, 2);
    assert!(clock.elapsed() >= Duration::from_secs(40));
    replay.finish().unwrap();

    let error = builder().async_transport(NeverResponds).build().unwrap().invoke_workflow("d").send().unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Deadline));
    // The real clock works on this thread, too.
    let client = blocking::Client::builder().api_key("fhk_test").async_transport(NeverResponds).build().unwrap();
    let error = client.invoke_workflow("d").timeout(Duration::from_millis(50)).send().unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Deadline), true));
    let stalling = Exchange::status(200).body("data: {\"type\":\"response\",\"response\":\"a\"}\n\n").then_stall();
    let client = builder().async_transport(Replay::new([stalling])).build().unwrap();
    let mut events = client.invoke_prompt("d").stream().unwrap();
    assert!(events.next().unwrap().is_ok());
    assert_eq!(events.next().unwrap().unwrap_err().timeout(), Some(Timeout::Idle));
}

#[test]
fn blocking_client_records_and_replays() {
    let path = std::env::temp_dir().join(format!("fetch-hive-blocking-{}.jsonl", std::process::id()));
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let emulator = servers.block_on(Emulator::start()).unwrap();
    let ureq = blocking::UreqTransport::builder().build().unwrap();
    let recorder = Recorder::blocking_to_file(ureq, &path).unwrap();
    let builder = || blocking::Client::builder().api_key("fhk_SECRET_0");
    let live = builder().base_url(emulator.base_url()).async_transport(recorder).build().unwrap();
    let first = live.invoke_workflow("d").send().unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("SECRET"));
    let replay = Replay::from_file(&path).unwrap();
    let client = builder().async_transport(replay.clone()).build().unwrap();
    assert_eq!(client.invoke_workflow("d").send().unwrap().output, first.output);
    replay.finish().unwrap();
    std::fs::remove_file(&path).unwrap();
}

/// Covers every place in which a secret has been found. The word SECRET marks text that must not be
/// recorded.
#[test]
fn recorder_redacts_secrets_everywhere() {
    let path = std::env::temp_dir().join(format!("fetch-hive-secrets-{}.jsonl", std::process::id()));
    let signed = "https://files.example.com/a.png?X-Amz-Signature=SECRET_0123456789abcdef&X-Amz-Expires=60";
    let whole = json!({
        "request_id": "req_1",
        "run_status": "completed",
        "output": format!("see ![it]({signed}) and [that]({signed}), or postgres://bob:SECRETpassword@db.example.com/x"),
        "file_url": signed,
        "website_urls": [signed],
        "accessToken": "SECRET_camel", "X-Api-Key": "SECRET_header", "secret_access_key": "SECRET_key",
        "api_keys": ["SECRET_first", "SECRET_second"],
        "credentials": {"provider": "SECRET_in_an_object", "more": [{"value": "SECRET_deeper"}]},
        "tool_calls": [{"observation": "{\"api_key\":\"SECRET_in_text\",\"url\":\"https://bob:SECRETpass@example.com/\"}"}],
        "note": "the key is fhk_SECRET_of_another, the hook's is whsec_SECRET/abc+def=",
        "echo": "a\"SECRET\\quoted",
        "usage": {"prompt_tokens": {"total_tokens": 24}, "author": "kept", "max_token": 7},
    });
    let binary = [b"\xff\xfe fhk_SECRET_of_the_client".as_slice(), b" \xff"].concat();
    let answers = Replay::new([
        Exchange::status(200)
            .header("location", signed)
            .header("x-request-signature", "SECRET_signature")
            .body(whole.to_string()),
        Exchange::status(502).body(format!("<a href=\"{signed}\">fhk_SECRET_in_a_page, SECRET+percent/encoded==</a>")),
        Exchange::status(500).body(binary),
    ]);
    let clock = PausedClock::new();
    let recorder = Recorder::to_file(answers, &path).unwrap();
    let builder = Client::builder().api_key("fhk_SECRET_of_the_client").transport(recorder).clock(clock.clone());
    let live = builder.build().unwrap();
    let calls = |client: &Client| {
        let run = client.invoke_workflow("d").input("password", "a\"SECRET\\quoted").input("n", 1);
        let call = run.input("text", format!("look at {signed}"));
        let first = block_on(call.into_future());
        let trigger = "https://example.com/cb";
        let trigger = client.trigger_workflow("e", "v", "SECRET+percent/encoded==", trigger).secret_in_query();
        (first, block_on(trigger.into_future()), block_on(client.invoke_workflow("d").into_future()))
    };
    let run = calls(&live).0.unwrap();
    assert!(run.output_text().unwrap().contains("SECRET"), "the caller gets the unredacted body");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("SECRET"), "{text}");
    for kept in [r#"\"kept\""#, r#"\"total_tokens\":24"#, "see ![it](https://files.example.com/a.png?REDACTED) and"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    let binary = text.lines().last().unwrap();
    let binary: serde_json::Value = serde_json::from_str(binary).unwrap();
    assert_eq!(binary["response"]["body"]["base64"], "//4gUkVEQUNURUQg/w==");

    let replay = Replay::from_file(&path).unwrap();
    let _ = calls(&client(replay.clone(), &clock));
    replay.finish().unwrap();
    std::fs::remove_file(&path).unwrap();
}

/// A change to a request.
type Change = fn(InvokeWorkflow) -> InvokeWorkflow;

#[test]
fn replayed_recording_reports_the_first_difference() {
    let path = std::env::temp_dir().join(format!("fetch-hive-differs-{}.jsonl", std::process::id()));
    let clock = PausedClock::new();
    let recorder = Recorder::to_file(Replay::new([done()]), &path).unwrap();
    block_on(client(recorder, &clock).invoke_workflow("d").input("topic", "AI").user("u").into_future()).unwrap();
    let call = |change: Change| {
        let replay = Replay::from_file(&path).unwrap();
        let call = client(replay.clone(), &clock).invoke_workflow("d").input("topic", "AI").user("u").map(change);
        let _ = block_on(call.into_future());
        replay.finish().map_err(|mismatch| mismatch.to_string())
    };
    call(|request| request).unwrap();
    let rows: [(Change, &str); 3] = [
        (|request| request.input("topic", "ML"), r#"at `/inputs/topic`: expected "AI", got "ML""#),
        (
            |request| request.input("api_key", "SECRET_now"),
            r#"at `/inputs/api_key`: expected no value, got "REDACTED""#,
        ),
        (|_| InvokeWorkflow::new("d").input("topic", "AI"), r#"at `/user`: expected "u", got no value"#),
    ];
    for (change, want) in rows {
        let said = call(change).unwrap_err();
        assert!(said.contains("request 1: ") && said.contains(want), "{said}");
    }
    let replay = Replay::from_file(&path).unwrap();
    let _ = block_on(client(replay.clone(), &clock).models().into_future());
    let said = replay.finish().unwrap_err().to_string();
    assert!(said.contains("expected POST /v1/workflow/invoke, got GET /v1/public/models"), "{said}");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn recording_contains_no_secret_and_replays() {
    async fn calls(client: &Client) -> Vec<Result<String, Error>> {
        let mut seen = Vec::new();
        let trigger = "https://example.com/cb?token=tok_SECRET_1";
        seen.push(
            client
                .trigger_workflow("e", "v", "whsec_SECRET_2", trigger)
                .await
                .map(|run| format!("{:?}", run.run_status)),
        );
        let run = client.invoke_workflow("acme-internal").callback_url("https://example.com/cb?t=tok_SECRET_3").await;
        seen.push(run.map(|run| format!("{:?}", run.request_id)));
        let reply = client.invoke_prompt("s").stream().await.unwrap().into_response().await;
        seen.push(reply.complete().map(|reply| format!("{:?}", reply.response)));
        seen.push(client.invoke_workflow("d").await.map(|_| String::new()));
        let stream = client.invoke_prompt("cut").stream().await.unwrap().into_response().await;
        seen.push(stream.complete().map(|_| String::new()));
        seen
    }
    let script = Script::new().text("a").event(&json!({"type": "new", "api_key": "fhk_SECRET_4"})).text("b").done();
    let emulator = Emulator::builder()
        .stream("s", script)
        .stream("cut", Script::new().text("half"))
        .fault(
            Fault::status(202)
                .operation("triggerWorkflow")
                .nth(1)
                .body(r#"{"run_status":"running","webhook_secret":"whsec_SECRET_5"}"#),
        )
        .fault(Fault::status(202).operation("invokeWorkflow").nth(1).body(
            r#"{"request_id":"req_7","webhook_secret":"whsec_SECRET_6","note":"whsec_SECRET_6 of acme-internal"}"#,
        ))
        .fault(
            Fault::status(422)
                .operation("invokeWorkflow")
                .nth(1)
                .body(r#"{"error":"E fhk_SECRET_0","error_code":"vision_not_supported"}"#),
        )
        .start()
        .await
        .unwrap();
    let path = std::env::temp_dir().join(format!("fetch-hive-recording-{}.jsonl", std::process::id()));
    let recorder =
        Recorder::to_file(HyperTransport::builder().build().unwrap(), &path).unwrap().redact("acme-internal");
    let live =
        Client::builder().api_key("fhk_SECRET_0").base_url(emulator.base_url()).transport(recorder).build().unwrap();
    let first = calls(&live).await;
    assert_eq!(first[2].as_ref().unwrap(), r#"Some("ab")"#);
    assert_eq!(first[3].as_ref().unwrap_err().code().unwrap().as_str(), "vision_not_supported");

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("SECRET") && !text.contains("127.0.0.1"), "{text}");
    assert!(!text.contains("acme-internal"), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");

    // The key and the redacted text differ from the recorded ones, and still match.
    let replay = Replay::from_file(&path).unwrap();
    let again = calls(&client(replay.clone(), &PausedClock::new())).await;
    replay.finish().unwrap();
    for (first, again) in first.iter().zip(&again) {
        match (first, again) {
            (Ok(first), Ok(again)) => assert_eq!(first, again),
            (Err(first), Err(again)) => assert_eq!((first.status(), first.code()), (again.status(), again.code())),
            _ => panic!("{first:?} became {again:?}"),
        }
    }
    let replay = Replay::from_file(&path).unwrap();
    let trigger = "https://example.com/cb?token=1";
    let elsewhere = client(replay.clone(), &PausedClock::new()).trigger_workflow("e", "other", "whsec_today", trigger);
    elsewhere.await.unwrap_err();
    assert!(replay.finish().unwrap_err().to_string().contains("/v1/workflow/webhooks/e/variants/v"));
    std::fs::remove_file(&path).unwrap();

    let broken = std::env::temp_dir().join(format!("fetch-hive-broken-{}.jsonl", std::process::id()));
    std::fs::write(&broken, "\n{no\n").unwrap();
    assert!(Replay::from_file(&broken).unwrap_err().to_string().contains("at line 2, column"));
    std::fs::remove_file(&broken).unwrap();
    assert!(Replay::from_file(&broken).unwrap_err().to_string().contains("cannot read the recording"));
}
