//! An odd value next to the important ones hides nothing: responses, errors, streams and callbacks.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use fetch_hive_client::callback::{Receiver, Verifier, signed_request};
use fetch_hive_client::types::{OutputError, RunStatus};
use fetch_hive_client::{Client, DecodeErrorKind, ErrorKind, RateLimit};
use fetch_hive_tests::{Scripted, Step, stack};

/// Starts a server that answers every request with a response, and a client for it.
async fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> (Scripted, Client) {
    let script = vec![Step::Read, Step::respond(status, &format!("{headers}connection: close\r\n"), body), Step::Close];
    let server = Scripted::start(vec![script]).await.unwrap();
    let client = stack::client(&server).api_key("fhk_test").build().unwrap();
    (server, client)
}

async fn json(body: impl AsRef<[u8]>) -> (Scripted, Client) {
    answer("200 OK", "content-type: application/json\r\n", body).await
}

#[tokio::test]
async fn lone_surrogate_in_a_direct_response_keeps_the_rest() {
    fetch_hive_tests::needs!(Socket);
    let body = r#"{"request_id":"req_1","run_status":"completed","output":"cut \ud83d"}"#;
    let (_server, client) = json(body).await;
    let run = client.invoke_workflow("d").await.unwrap();
    assert_eq!(run.request_id.as_ref().unwrap(), "req_1");
    assert_eq!(run.output_text(), Some("cut \u{fffd}"));
    assert_eq!(run.body(), body);
}

#[tokio::test]
async fn byte_order_mark_utf16_and_invalid_utf8_are_read() {
    fetch_hive_tests::needs!(Socket);
    let text = r#"{"request_id":"req_1","run_status":"completed","output":"ok"}"#;
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    // The last one contains a control character that JSON does not allow in strings.
    for body in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), utf16, text.replace("ok", "\0").into_bytes()] {
        let (_server, client) = json(&body).await;
        let run = client.invoke_workflow("d").await.unwrap();
        assert_eq!(run.request_id.as_ref().unwrap(), "req_1");
        assert!(run.output_text().is_some(), "{run:?}");
    }
    let invalid =
        [br#"{"request_id":"req_1","run_status":"completed","output":"a"#, &b"\xff\xfe"[..], br#""}"#].concat();
    let (_server, client) = json(&invalid).await;
    assert_eq!(client.invoke_workflow("d").await.unwrap().output_text(), Some("a\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn data_after_the_json_is_ignored_and_listed() {
    fetch_hive_tests::needs!(Socket);
    let run = r#"{"request_id":"req_1","run_status":"completed","output":"ok"}"#;
    for garbage in ["<!-- cached by proxy -->", "\0", "\n\n}", "{\"other\":1}", "\u{feff}"] {
        let (_server, client) = json(format!("{run}{garbage}")).await;
        let run = client.invoke_workflow("d").await.unwrap();
        assert_eq!(run.output_text(), Some("ok"), "{garbage:?}");
        assert_eq!(run.unreadable_fields()[0].path, "", "{garbage:?}");
    }
    let cap = r#"{"error":"no","error_code":"api_rate_limit_exceeded"}<hr>"#;
    let (_server, client) = answer("429 Too Many Requests", "", cap).await;
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert_eq!(error.rate_limit(), Some(RateLimit::DailyCap { limit: None, current: None }));
}

#[tokio::test]
async fn numbers_as_text_and_whole_floats_are_read() {
    fetch_hive_tests::needs!(Socket);
    for total in ["12", "12.0", "\"12\"", "\" 12 \""] {
        let (_server, client) = json(format!(r#"{{"response":"Hi","usage":{{"total_tokens":{total}}}}}"#)).await;
        let response = client.invoke_prompt("p").await.unwrap();
        let total_tokens = response.usage.as_ref().unwrap().total_tokens.as_ref().unwrap();
        assert_eq!(serde_json::to_value(total_tokens).unwrap(), 12, "{total}");
        assert_eq!(response.text(), "Hi");
    }
}

#[tokio::test]
async fn malformed_field_is_absent_and_listed() {
    fetch_hive_tests::needs!(Socket);
    let (_server, client) = json(r#"{"request_id":["x"],"response":"Hi","usage":{"total_tokens":{}, "cost":1}}"#).await;
    let response = client.invoke_prompt("p").await.unwrap();
    assert_eq!(response.text(), "Hi");
    let paths: Vec<_> = response.unreadable_fields().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["request_id", "usage.total_tokens"]);
    assert!(response.usage.is_some());
}

#[tokio::test]
async fn failed_run_with_an_error_object_keeps_its_reason() {
    fetch_hive_tests::needs!(Socket);
    let (_server, client) =
        json(r#"{"request_id":"req_1","run_status":"failed","error":{"message":"model refused","code":7}}"#).await;
    let run = client.invoke_workflow("d").await.unwrap();
    assert_eq!(run.run_status, Some(RunStatus::Failed));
    let OutputError::Failed(failed) = run.into_output().unwrap_err() else { panic!("not failed") };
    assert_eq!(failed.reason.as_deref(), Some("model refused"));
}

#[tokio::test]
async fn odd_element_keeps_the_length_of_its_list() {
    fetch_hive_tests::needs!(Socket);
    let (_server, client) = json(r#"[{"id":"m1"},"odd",{"id":{"x":1},"name":"M"},{"id":"m4"}]"#).await;
    let models = client.models().await.unwrap();
    let ids: Vec<_> = models.iter().map(|model| model.id.as_deref()).collect();
    assert_eq!(ids, [Some("m1"), None, None, Some("m4")]);
    assert_eq!(models[2].name.as_deref(), Some("M"));
    let paths: Vec<_> = models.unreadable_fields().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["[1]", "[2].id"]);
}

#[tokio::test]
async fn daily_cap_with_a_text_limit_is_not_retried() {
    fetch_hive_tests::needs!(Socket);
    let body = r#"{"error_code":"api_rate_limit_exceeded","message":"Daily limit","limit":"1000","current":[1]}"#;
    let (server, client) = answer("429 Too Many Requests", "content-type: application/json\r\n", body).await;
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert_eq!(error.rate_limit(), Some(RateLimit::DailyCap { limit: Some(1000), current: None }));
    assert_eq!(error.api().unwrap().message(), Some("Daily limit"));
    assert_eq!(error.api().unwrap().unreadable[0].path, "current");
    assert_eq!((error.attempts(), server.requests().len()), (1, 1));
}

#[tokio::test]
async fn only_a_body_that_is_not_json_is_reported_as_not_json() {
    fetch_hive_tests::needs!(Socket);
    let deep = "[".repeat(200) + &"]".repeat(200);
    for (body, kind) in [
        ("<html>".to_owned(), DecodeErrorKind::NotJson),
        ("{\"request_id\":\"req".to_owned(), DecodeErrorKind::Incomplete),
        ("\"text\"".to_owned(), DecodeErrorKind::Mismatch),
        (format!("{{\"output\":{deep}}}"), DecodeErrorKind::TooDeep),
        ("{\"output\":1e999}".to_owned(), DecodeErrorKind::NumberOutOfRange),
    ] {
        let (_server, client) = json(&body).await;
        let error = client.invoke_workflow("d").await.unwrap_err();
        let ErrorKind::Decode(decode) = error.kind() else { panic!("{error:?}") };
        assert_eq!((decode.kind, &decode.body[..]), (kind, body.as_bytes()));
        assert!(error.may_have_run(), "{error}");
    }
}

#[tokio::test]
async fn lone_surrogates_in_a_stream_keep_both_halves() {
    fetch_hive_tests::needs!(Socket);
    let body = concat!(
        "data: {\"type\":\"response\",\"response\":\"a \\ud83d\"}\n\n",
        "data: {\"type\":\"response\",\"response\":\"\\ude00 b\"}\n\n",
        "data: {\"type\":\"tool\",\"tool\":5,\"tool_name\":\"search\"}\n\n",
        "data: {\"type\":\"usage\",\"usage\":{\"total_tokens\":\"12\"},\"request_id\":\"req_1\"}\n\n",
        "data: [DONE]\n\n"
    );
    let (_server, client) = answer("200 OK", "content-type: text/event-stream\r\n", body).await;
    let collected = client.invoke_agent("a", "m").stream().await.unwrap().into_response().await;
    let response = collected.complete().unwrap();
    assert_eq!(response.response.as_deref(), Some("a \u{fffd}\u{fffd} b"));
    assert_eq!(response.request_id.as_ref().unwrap(), "req_1");
}

#[tokio::test]
async fn signed_callback_with_any_body_reaches_the_handler() {
    let receiver = Receiver::new(Verifier::new(["whsec_1"]));
    let deep = "[".repeat(300) + &"]".repeat(300);
    for (body, output) in [
        (
            r#"{"event_type":"workflow.completed","data":{"run_status":"completed","output":"cut \ud83d"}}"#.to_owned(),
            true,
        ),
        (r#"{"event_type":["x"],"data":{"run_status":"completed","output":"x"}}"#.to_owned(), true),
        (format!(r#"{{"event_type":"workflow.completed","data":{{"output":{deep}}}}}"#), false),
        ("not JSON".to_owned(), false),
        (String::new(), false),
    ] {
        let seen = Arc::new(Mutex::new(None));
        let handled = Arc::clone(&seen);
        let response = receiver
            .receive_bytes(signed_request("whsec_1", body.clone()), async move |delivery| {
                *handled.lock().unwrap() = Some(delivery);
                Ok::<_, Infallible>(())
            })
            .await;
        assert_eq!(response.status(), 200, "{body}");
        let delivery = seen.lock().unwrap().take().unwrap();
        assert_eq!(delivery.raw, body);
        assert_eq!(delivery.event.output().is_some(), output, "{body}");
    }
}
