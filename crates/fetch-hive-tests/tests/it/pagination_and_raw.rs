//! Pagination, hooks, custom endpoints and raw requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fetch_hive_client::types::{ApprovalFilter, RequestRecord, RunStatus};
use fetch_hive_client::{Client, Endpoint, ErrorKind, PathWriter, Retry};
use fetch_hive_emulator::{Emulator, Fault};
use fetch_hive_tests::stack;
use http::Method;
use serde_json::{Value, json};

fn client(emulator: &Emulator) -> Client {
    stack::client(&emulator).api_key("fhk_test").build().unwrap()
}

async fn answering(bodies: &[Value]) -> Emulator {
    let builder = bodies
        .iter()
        .fold(Emulator::builder(), |builder, body| builder.fault(Fault::status(200).nth(1).body(body.to_string())));
    builder.start().await.unwrap()
}

#[tokio::test]
async fn approvals_are_one_stream() {
    let page = |ids: &[&str]| json!({"approvals": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
    let mut with_cursor = page(&[]);
    with_cursor["next_cursor"] = "c9".into();
    let emulator = answering(&[page(&["a", "b"]), with_cursor, page(&["c"]), page(&[])]).await;
    let mut stream = client(&emulator).workspace("ws").approvals().all(ApprovalFilter::new().status("pending"));
    let mut ids = Vec::new();
    while let Some(approval) = stream.next().await {
        ids.push(approval.unwrap().id.unwrap().into_string());
    }
    assert_eq!(ids, ["a", "b", "c"]);
    let asked: Vec<_> = emulator.requests().into_iter().map(|request| request.path).collect();
    let path = |cursor: &str| format!("/v1/public/workspaces/ws/tool_action_approvals?{cursor}status=pending");
    assert_eq!(asked, [path(""), path("cursor=b&"), path("cursor=c9&"), path("cursor=c&")]);

    let looping = answering(&[page(&["a"]), page(&["a"]), page(&["a"])]).await;
    let mut stream = client(&looping).workspace("ws").approvals().all(ApprovalFilter::new());
    assert!(stream.next().await.unwrap().is_ok());
    assert!(stream.next().await.unwrap().is_ok(), "what came is handed over before the error");
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RepeatedCursor(_)), "{error:?}");
    assert!(stream.next().await.is_none());
    assert_eq!(looping.requests().len(), 2);

    let failing = Emulator::builder().fault(Fault::status(404)).start().await.unwrap();
    let mut stream = client(&failing).workspace("ws").approvals().all(ApprovalFilter::new());
    assert_eq!(stream.next().await.unwrap().unwrap_err().status().unwrap().as_u16(), 404);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn record_is_parsed_with_and_without_an_envelope() {
    let record = json!({"request_id": "req_1", "status": "completed", "request_type": "x", "new": 1});
    let emulator = answering(&[json!({"request": record}), record]).await;
    let client = client(&emulator);
    for _ in 0..2 {
        let read: RequestRecord = client.requests().get("req_1").await.unwrap().into_value();
        assert_eq!((read.status, &read.extra["new"]), (Some(RunStatus::Completed), &json!(1)));
    }
    let emulator = answering(&[json!({"request": {"id": "req_1"}})]).await;
    let read = self::client(&emulator).requests().get("req_1").await.unwrap();
    assert_eq!(read.id.as_deref(), Some("req_1"));
}

#[tokio::test]
async fn empty_body_is_accepted_only_for_empty_responses() {
    let emulator = Emulator::builder().fault(Fault::status(200)).start().await.unwrap();
    let client = client(&emulator);
    assert!(client.workspace("w").agents().delete("a").await.unwrap().message.is_none());
    assert!(client.workspace("w").approvals().decide("a", "deny").await.is_ok());
    let error = client.invoke_prompt("d").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode(_)) && error.may_have_run());
}

#[tokio::test]
async fn custom_endpoints_and_raw_requests_are_sent_like_any_other() {
    struct Pause {
        workspace_id: String,
        id: String,
    }

    impl Endpoint for Pause {
        type Response = Value;
        const NAME: &'static str = "pauseAgent";
        const METHOD: Method = Method::POST;
        const PATH: &'static str = "/public/workspaces/{workspace_id}/agents/{id}/pause";
        const RETRY: Retry = Retry::OnlyIfNotSent;

        fn path(&self, path: &mut PathWriter) {
            path.id(&self.workspace_id).id(&self.id);
        }
    }

    let emulator = answering(&[json!({"paused": true}), json!({"raw": 1})]).await;
    let client = client(&emulator);
    let call = client.call(Pause { workspace_id: "w".into(), id: "a/b".into() }).header("x-trace", "1");
    assert_eq!(call.await.unwrap()["paused"], true);

    let request =
        http::Request::put("/public/something/new?x=1").header("x-own", "2").body(Bytes::from("body")).unwrap();
    let reply = client.call_raw(request, Retry::OnlyIfNotSent).await.unwrap();
    assert_eq!(&reply[..], br#"{"raw":1}"#);
    let seen = emulator.requests();
    assert_eq!(seen[0].path, "/v1/public/workspaces/w/agents/a%2Fb/pause");
    assert_eq!((seen[1].path.as_str(), &seen[1].body[..]), ("/v1/public/something/new?x=1", &b"body"[..]));
    for request in &seen {
        assert_eq!(request.headers["authorization"], "Bearer fhk_test");
    }

    let refused = client
        .call_raw(http::Request::get("/nowhere").body(Bytes::new()).unwrap(), Retry::Idempotent)
        .await
        .unwrap_err();
    assert_eq!(refused.status().unwrap().as_u16(), 404);
    for elsewhere in ["https://evil.example/v1/x", "http://127.0.0.1:1/v1/x"] {
        let request = http::Request::get(elsewhere).body(Bytes::new()).unwrap();
        let error = client.call_raw(request, Retry::Idempotent).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error:?}");
    }
}

#[tokio::test]
async fn usage_hook_receives_every_response() {
    let spent: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let sums = Arc::clone(&spent);
    let emulator = Emulator::start().await.unwrap();
    let client = stack::client(&emulator)
        .api_key("fhk_test")
        .on_usage(move |report| {
            let key = format!("{} {}", report.operation, report.target);
            *sums.lock().unwrap().entry(key).or_default() += report.usage.total().unwrap();
        })
        .build()
        .unwrap();
    let mut want = 0;
    for _ in 0..3 {
        let reply = client.invoke_prompt("headline").input("topic", "AI").await.unwrap();
        want += reply.usage.as_ref().unwrap().total_tokens.unwrap();
    }
    client.invoke_workflow("w").await.unwrap();
    let agent = client.invoke_agent("helper", "Hi").await.unwrap();
    let agent_total = agent.usage.as_ref().unwrap().total().unwrap();
    let spent = spent.lock().unwrap();
    assert_eq!(spent.len(), 2);
    assert_eq!((spent["invokePrompt headline"], spent["invokeAgent helper"]), (want, agent_total));
}
