//! Every operation as the service receives it, compared with the bodies of the official SDK where
//! it has them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its tables are long"
)]

use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use fetch_hive_client::types::*;
use fetch_hive_client::{Client, Error, ErrorKind};
use fetch_hive_emulator::{Emulator, OPENAPI};
use fetch_hive_tests::stack;
use serde_json::{Value, json};

/// A call whose request is sent and whose response does not matter.
type Sent = Pin<Box<dyn Future<Output = ()> + Send>>;

fn sent<C, T>(call: C) -> Sent
where
    C: IntoFuture<Output = Result<T, Error>>,
    C::IntoFuture: Send + 'static,
{
    let call = call.into_future();
    Box::pin(async move {
        if let Err(error) = call.await {
            assert!(error.api().is_some(), "{error:?}");
        }
    })
}

include!("operations_table.rs");

#[tokio::test]
async fn every_operation_is_sent_as_in_the_contract() {
    let emulator = Emulator::start().await.unwrap();
    let client = stack::client(&emulator).api_key("fhk_test").build().unwrap();
    let mut seen = BTreeSet::from(["uploadAsset".to_owned()]); // has a separate test
    for Row(id, method, path, body, call) in invocations(&client).into_iter().chain(resources(&client)) {
        let before = emulator.requests().len();
        call.await;
        let requests = emulator.requests();
        assert_eq!(requests.len(), before + 1, "{id}: sent once");
        let request = requests.last().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), (method, format!("/v1{path}").as_str()), "{id}");
        let sent = if request.body.is_empty() { Value::Null } else { serde_json::from_slice(&request.body).unwrap() };
        assert_eq!(sent, body, "{id}");
        assert_eq!(request.headers.contains_key("content-type"), !request.body.is_empty(), "{id}");
        let name = request.operation.clone().unwrap();
        let (trigger, open) = (name.starts_with("trigger"), name.contains("Countries") || name == "listErrorCodes");
        assert_eq!(request.headers.contains_key("authorization"), !trigger && !open, "{id}");
        assert_eq!(request.headers.get("x-fetch-hive-webhook-secret").is_some_and(|v| v == "whsec_x"), trigger, "{id}");
        seen.insert(name);
    }
    let contract: Value = serde_json::from_str(OPENAPI).unwrap();
    let all = contract["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let all: BTreeSet<_> = all.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(all.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn ids_are_one_path_segment_or_rejected() {
    let emulator = Emulator::start().await.unwrap();
    let client = stack::client(&emulator).api_key("fhk_test").build().unwrap();
    let calls = |id: &str| -> Vec<(&'static str, Sent)> {
        let workspace = client.workspace(id);
        vec![
            ("/v1/public/requests/{}", sent(client.requests().get(id))),
            ("/v1/agent/threads/{}/delegations", sent(client.delegations().list_for_thread(id))),
            ("/v1/public/workspaces/{}/agents/{}", sent(workspace.agents().delete(id))),
            ("/v1/public/workspaces/{}/agents/{}/chats/{}", sent(workspace.agent(id).chats().delete(id))),
            (
                "/v1/public/workspaces/{}/knowledge_bases/{}/items/{}",
                sent(workspace.knowledge_base(id).items().delete(id)),
            ),
            (
                "/v1/public/workspaces/{}/tool_action_approvals/{}/decide",
                sent(workspace.approvals().decide(id, "deny")),
            ),
            ("/v1/public/search_services/{}/countries", sent(client.search_services().countries_for(id))),
        ]
    };
    for (id, segment) in [
        ("a/b", "a%2Fb"),
        ("a?b=1#c", "a%3Fb%3D1%23c"),
        ("%2F", "%252F"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("a\nb", "a%0Ab"),
        ("a/../b", "a%2F..%2Fb"),
        ("../..", "..%2F.."),
    ] {
        for (template, call) in calls(id) {
            call.await;
            let request = emulator.requests().pop().unwrap();
            assert_eq!(request.path, template.replace("{}", segment), "{id:?}");
            assert!(request.operation.is_some());
        }
    }
    let before = emulator.requests().len();
    for id in ["", ".", ".."] {
        let results: Vec<Result<(), Error>> = vec![
            client.requests().get(id).await.map(drop),
            client.workspace("ws").agents().delete(id).await.map(drop),
            client.workspace(id).agents().list().await.map(drop),
            client.workspace("ws").knowledge_base("kb1").items().delete(id).await.map(drop),
            client.delegations().cancel(id).await.map(drop),
        ];
        for error in results.into_iter().map(Result::unwrap_err) {
            assert!(matches!(error.kind(), ErrorKind::Invalid(_)) && !error.may_have_run(), "{id:?}: {error:?}");
        }
    }
    assert_eq!(emulator.requests().len(), before);
}

#[tokio::test]
async fn uploads_are_exact_and_limited_in_size() {
    let emulator = Emulator::start().await.unwrap();
    let client = stack::client(&emulator).api_key("fhk_test").build().unwrap();
    let assets = client.workspace("ws_1").assets();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let name = "ré\"port\r\n.bin";
    let _ = assets.upload(AssetFile::new(name, "application/octet-stream", content.clone())).await;
    let request = emulator.requests().pop().unwrap();
    assert_eq!(
        (request.operation.as_deref(), request.path.as_str()),
        (Some("uploadAsset"), "/v1/public/workspaces/ws_1/assets")
    );
    let content_type = request.headers["content-type"].to_str().unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"ré%22port%0D%0A.bin\"\r\ncontent-type: application/octet-stream\r\n\r\n"
    );
    let want = [head.as_bytes(), &content, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    assert!(request.body == want, "{}", String::from_utf8_lossy(&request.body[..300]));

    let before = emulator.requests().len();
    for (file, field) in [
        (AssetFile::new("a", "image/png", *b""), "file.content"),
        (AssetFile::new("a", "image/png", *b"12345").max_bytes(4), "file.content"),
        (AssetFile::new(" ", "image/png", *b"1"), "file.name"),
        (AssetFile::new("a", "image", *b"1"), "file.media_type"),
        (AssetFile::new("a", "image/png\r\nx: y", *b"1"), "file.media_type"),
    ] {
        let error = assets.upload(file).await.unwrap_err();
        let ErrorKind::Invalid(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field, field);
    }
    let missing = fetch_hive_client::open_asset_file("no/such/file.png", "image/png").unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
    let file = std::env::temp_dir().join(format!("fetch-hive-{}.txt", std::process::id()));
    std::fs::write(&file, "hello").unwrap();
    let read = fetch_hive_client::open_asset_file(&file, "text/plain").unwrap();
    assert!(read.content.len() == 5 && file.ends_with(&read.name));
    std::fs::remove_file(file).unwrap();
    assert_eq!(emulator.requests().len(), before);
}

#[tokio::test]
async fn invalid_requests_are_rejected_before_sending() {
    let emulator = Emulator::start().await.unwrap();
    let client = stack::client(&emulator).api_key("fhk_test").build().unwrap();
    let uuid = |n: usize| format!("11111111-1111-4111-8111-{n:012}");
    let urls = |n: usize| (0..n).map(|n| format!("https://example.com/{n}"));
    let agent = || client.invoke_agent("a", "m");
    let search = |query: &str, limit: u64, threshold: f64| {
        let search = KnowledgeBaseSearch::new(query, SearchType::Hybrid, limit, threshold);
        client.workspace("w").knowledge_base("k").search(search)
    };
    let mut decided = InvokeAgent::new("a", "m");
    decided.decided_tool_approvals = vec![DecidedToolApproval::new("appr_1")];
    let rows: Vec<(&str, Refused)> = vec![
        ("deployment", refused(client.invoke_prompt(" "))),
        ("metadata.", refused(client.invoke_prompt("d").metadata("", 1))),
        ("metadata.rate", refused(client.invoke_prompt("d").metadata("rate", f64::NAN))),
        ("agent", refused(client.invoke_agent("", "m"))),
        ("message", refused(client.invoke_agent("a", " "))),
        ("attachments", refused(agent().attachments(urls(6)))),
        (
            "attachments",
            refused(agent().attachments(urls(3)).known_artifact_refs((0..3).map(uuid)).artifact_refs((0..3).map(uuid))),
        ),
        ("attachments", refused(agent().attachments(["http://example.com/1.png"]))),
        ("attachments", refused(agent().attachments([AttachmentDescriptor::new("ftp://example.com/1.png")]))),
        (
            "messages.attachments",
            refused(agent().messages([AgentMessage::user("x").attachments(["file:///etc/passwd"])])),
        ),
        ("artifact_refs", refused(agent().known_artifact_refs([uuid(1)]).artifact_refs([uuid(2)]))),
        ("known_artifact_refs", refused(agent().known_artifact_refs((0..51).map(uuid)))),
        (
            "async.callback_url",
            refused(agent().async_mode(AgentAsyncOptions::new().callback_url("http://example.com/cb"))),
        ),
        ("decided_tool_approvals", refused(client.call(decided))),
        ("async.callback_url", refused(client.invoke_hive_agent("h", "o", ""))),
        ("objective", refused(client.invoke_hive_agent("h", "", "https://example.com/cb"))),
        ("search_chunk_limit", refused(search("q", 0, 0.5))),
        ("search_chunk_limit", refused(search("q", 21, 0.5))),
        ("search_score_threshold", refused(search("q", 1, 1.01))),
        ("search_score_threshold", refused(search("q", 1, -0.1))),
        ("search_score_threshold", refused(search("q", 1, f64::NAN))),
        ("search_query", refused(search("", 1, 0.5))),
        ("limit", refused(client.workspace("w").approvals().list(ApprovalFilter::new().limit(51)))),
        ("webhook_secret", refused(client.trigger_agent("a", " ", "m", "https://example.com/cb"))),
        (
            "agent.temperature",
            refused(client.workspace("w").agents().update("a", AgentUpdate::new().temperature(f64::INFINITY))),
        ),
        ("agent.name", refused(client.workspace("w").agents().create(AgentCreate::new("", "m", "hosted")))),
        (
            "name",
            refused(client.workspace("w").agents().create(AgentCreate::new("a", "m", "hosted").extra("name", "b"))),
        ),
    ];
    for (field, call) in rows {
        let error = call.await.unwrap_err();
        let ErrorKind::Invalid(invalid) = error.kind() else { panic!("{field}: {error:?}") };
        assert_eq!(invalid.field, field, "{error}");
    }
    assert!(emulator.requests().is_empty());
    sent(agent().attachments(urls(5))).await;
    sent(search("q", 1, 0.0)).await;
    sent(search("q", 20, 1.0)).await;
    assert_eq!(emulator.requests().len(), 3);
}

/// A call whose error is examined.
type Refused = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

fn refused<C, T>(call: C) -> Refused
where
    C: IntoFuture<Output = Result<T, Error>>,
    C::IntoFuture: Send + 'static,
{
    let call = call.into_future();
    Box::pin(async move { call.await.map(drop) })
}
