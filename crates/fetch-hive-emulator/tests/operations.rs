//! Tests of every operation. Each response is validated against the schemas of the contract.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

#[path = "support/caller.rs"]
mod caller;

use std::time::Duration;

use caller::Caller;
use fetch_hive_emulator::{CallbackReceiver, DEFAULT_WORKSPACE, Emulator};
use serde_json::{Value, json};

const WORKSPACE: &str = "/public/workspaces/11111111-1111-4111-8111-111111111111";

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

/// A configuration file that is removed when the value is dropped.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fetch-hive-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn resources(caller: &Caller) {
    let agents = format!("{WORKSPACE}/agents");
    let (status, created) = caller
        .call("POST", &agents, json!({"agent": {"name": "Bob", "llm_model": "gpt-4o", "model_type": "llm"}}))
        .await;
    assert_eq!((status, &created["agent"]["slug"]), (200, &json!("bob")));
    let agent = format!("{agents}/{}", id(&created["agent"]));
    let rejected = json!({"agent": {"name": "B", "llm_model": "unknown-model", "model_type": "llm"}});
    assert_eq!(caller.call("POST", &agents, rejected).await.0, 422);
    let (_, changed) = caller.call("PATCH", &agent, json!({"agent": {"max_tool_calls": 3, "id": "other"}})).await;
    assert_eq!((&changed["agent"]["max_tool_calls"], id(&changed["agent"])), (&json!(3), id(&created["agent"])));
    assert_eq!(caller.call("GET", &agent, Value::Null).await.1["agent"], changed["agent"]);
    assert_eq!(caller.call("GET", &agents, Value::Null).await.1["agents"], json!([changed["agent"]]));

    let chats = format!("{agent}/chats");
    assert_eq!(caller.call("POST", &chats, json!({"chat": {"name": " "}})).await.0, 422);
    let (_, created) = caller.call("POST", &chats, json!({"chat": {"name": "Chat"}})).await;
    let (thread, chat) = (id(&created["chat"]), format!("{chats}/{}", id(&created["chat"])));
    let invocation = json!({"agent": "bob", "message": "Hi", "thread_id": thread});
    assert_eq!(caller.call("POST", "/agent/invoke", invocation).await.1["model"], "gpt-4o");
    let (_, messages) = caller.call("GET", &format!("{chat}/messages"), Value::Null).await;
    let roles: Vec<_> = messages["messages"].as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant"]);
    let (_, read) = caller.call("GET", &chat, Value::Null).await;
    assert_eq!(
        (&read["chat"]["message_count"], &read["chat"]["last_message_content"]),
        (&json!(2), &json!("bob heard: Hi"))
    );
    assert_eq!(caller.call("PATCH", &chat, json!({"chat": {"name": "New"}})).await.1["chat"]["name"], "New");
    assert_eq!(caller.call("PATCH", &format!("{chat}/clear_messages"), json!({})).await.1["chat"]["message_count"], 0);
    assert_eq!(caller.call("DELETE", &chat, Value::Null).await.0, 200);
    assert_eq!(caller.call("GET", &chat, Value::Null).await.0, 404);
    assert_eq!(caller.call("DELETE", &agent, Value::Null).await.0, 200);
    // An unknown agent is a 422, an unknown chat a 404.
    assert_eq!(caller.call("GET", &agent, Value::Null).await.0, 422);
    assert_eq!(caller.call("POST", &chats, json!({"chat": {"name": "Chat"}})).await.0, 422);
    let elsewhere = agents.replace("1111-", "2222-");
    assert_eq!(caller.call("GET", &elsewhere, Value::Null).await.1["agents"], json!([]));
}

async fn knowledge(caller: &Caller) {
    let bases = format!("{WORKSPACE}/knowledge_bases");
    let (_, created) =
        caller.call("POST", &bases, json!({"knowledge_base": {"name": "KB", "search_score_threshold": 0.2}})).await;
    let base = format!("{bases}/{}", id(&created["knowledge_base"]));
    let items = format!("{base}/items");
    let item = json!({"knowledge_base_item": {"name": "Note", "data_content": "The heron eats fish."}});
    let (_, created) = caller.call("POST", &items, item).await;
    let item = format!("{items}/{}", id(&created["knowledge_base_item"]));
    assert_eq!(created["knowledge_base_item"]["run_status"], "pending");
    assert_eq!(caller.call("POST", &items, json!({"knowledge_base_item": {"name": ""}})).await.0, 422);
    let search = json!({"search_query": "herons", "search_type": "full_text", "search_chunk_limit": 3,
        "search_score_threshold": 0});
    let path = format!("{base}/search");
    assert_eq!(
        caller.call("POST", &path, search.clone()).await.1["response"]["results"],
        json!([]),
        "the item is still pending"
    );
    while caller.call("GET", &item, Value::Null).await.1["knowledge_base_item"]["run_status"] == "pending" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, found) = caller.call("POST", &path, search).await;
    assert_eq!(found["response"]["results"].as_array().unwrap().len(), 1, "{found}");
    let (_, list) = caller.call("GET", &bases, Value::Null).await;
    let listed = &list["knowledge_bases"][0];
    assert_eq!((&listed["search_score_threshold"], &listed["data_item_count"]), (&json!("0.2"), &json!(1)));
    assert_eq!(caller.call("GET", &items, Value::Null).await.1["knowledge_base_items"][0]["run_status"], "processed");
    let change = json!({"knowledge_base_item": {"data_content": "Other"}});
    assert_eq!(caller.call("PATCH", &item, change).await.1["knowledge_base_item"]["run_status"], "pending");
    let (_, again) = caller.call("POST", &format!("{item}/regenerate"), Value::Null).await;
    let run = format!("/public/requests/{}", again["request_id"].as_str().unwrap());
    while caller.call("GET", &run, Value::Null).await.1["status"] != "completed" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let change = json!({"knowledge_base": {"search_chunk_limit": 99}});
    assert_eq!(caller.call("PATCH", &base, change).await.0, 422);
    let change = json!({"knowledge_base": {"search_type": "vector"}});
    assert_eq!(caller.call("PATCH", &base, change).await.1["knowledge_base"]["is_vector_search"], true);
    assert_eq!(caller.call("DELETE", &item, Value::Null).await.0, 200);
    assert_eq!(caller.call("GET", &item, Value::Null).await.0, 422);
    assert_eq!(caller.call("DELETE", &base, Value::Null).await.0, 200);
    assert_eq!(caller.call("GET", &base, Value::Null).await.0, 422);
    assert_eq!(caller.call("GET", &items, Value::Null).await.0, 422);
}

async fn assets(caller: &Caller) {
    let path = format!("{WORKSPACE}/assets");
    let form = "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a \u{e9}.png\"\r\ncontent-type: \
                image/png\r\n\r\n\u{1}\r\n--not\r\n--B--\r\n";
    let (status, _, response) =
        caller.send("POST", &path, "multipart/form-data; boundary=B", form.to_owned().into()).await;
    let response: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!((status, &response["asset"]["file_name"]), (200, &json!("a \u{e9}.png")));
    assert_eq!((&response["asset"]["file_size"], &response["asset"]["asset_type"]), (&json!(8), &json!("image")));
    for invalid in ["--B\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n--B--\r\n", "nothing", ""] {
        let sent = caller.send("POST", &path, "multipart/form-data; boundary=B", invalid.to_owned().into()).await;
        assert_eq!(sent.0, 422);
    }
    assert_eq!(caller.call("POST", &path, json!({})).await.0, 422);
    let (_, list) = caller.call("GET", &path, Value::Null).await;
    let url = list["assets"][0]["file_url"].as_str().unwrap().to_owned();
    assert_eq!(caller.download(&url).await, (200, "\u{1}\r\n--not".into()));
    let forged = url.replace("expires=1", "expires=2");
    assert_eq!(caller.download(&forged).await.0, 403);
}

async fn catalog(caller: &Caller) {
    let (_, models) = caller.call("GET", "/public/models", Value::Null).await;
    assert!(models.as_array().unwrap().iter().any(|model| model["id"] == "gpt-4o"));
    let (_, all) = caller.call("GET", "/public/search_services/countries", Value::Null).await;
    assert_eq!(all["services"].as_array().unwrap().len(), 5);
    let (_, one) = caller.call("GET", "/public/search_services/bing_search/countries", Value::Null).await;
    assert_eq!(one["country_value_format"], "alpha2");
    let (status, none) = caller.call("GET", "/public/search_services/altavista/countries", Value::Null).await;
    assert_eq!((status, none["supported_services"].as_array().unwrap().len()), (404, 5));
    let (_, english) = caller.call("GET", "/error_codes", Value::Null).await;
    let (_, spanish) = caller.call("GET", "/error_codes?locale=es", Value::Null).await;
    assert_eq!(english["codes"].as_array().unwrap().len(), 19);
    assert_eq!((&english["codes"][0]["status"], &spanish["locale"]), (&json!(422), &json!("es")));
    assert_ne!(english["codes"][0]["message"], spanish["codes"][0]["message"]);
}

async fn approvals(caller: &Caller) {
    let path = format!("/public/workspaces/{DEFAULT_WORKSPACE}/tool_action_approvals");
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let url = receiver.url();
    let invocation = |mode: Value| json!({"agent": "mailer", "message": "Go", "tool_approval": mode, "async": {"callback_url": url}});
    let (_, pending) = caller.call("POST", "/agent/invoke", invocation(json!("policy"))).await;
    assert_eq!(pending["status"], "awaiting_approval");
    let run = format!("/public/requests/{}", pending["request_id"].as_str().unwrap());
    assert_eq!(caller.call("GET", &run, Value::Null).await.1["status"], "awaiting_approval");
    let (_, list) = caller.call("GET", &format!("{path}?agent_id=mailer&limit=1"), Value::Null).await;
    let approval = id(&list["approvals"][0]);
    assert_eq!(approval, pending["pending_tool_approvals"][0]["approval_id"].as_str().unwrap());
    assert_eq!(caller.call("GET", &format!("{path}?cursor={approval}"), Value::Null).await.1["approvals"], json!([]));
    for invalid in ["51", "0", "x"] {
        assert_eq!(caller.call("GET", &format!("{path}?limit={invalid}"), Value::Null).await.0, 400);
    }
    let one = format!("{path}/{approval}");
    let decide = format!("{one}/decide");
    assert_eq!(caller.call("POST", &decide, json!({"decision": "allow_run"})).await.0, 422);
    assert_eq!(caller.call("POST", &decide, Value::Null).await.0, 400);
    assert_eq!(caller.call("POST", &decide, json!({"decision": "allow_once"})).await.0, 200);
    assert_eq!(caller.call("POST", &decide, json!({"decision": "deny"})).await.0, 409);
    assert_eq!(caller.call("GET", &one, Value::Null).await.1["approval"]["status"], "approved");
    let other = path.replace("0001", "0002");
    assert_eq!(caller.call("GET", &format!("{other}/{approval}"), Value::Null).await.0, 404);
    // The run continues after the decision.
    let event: Value = serde_json::from_slice(receiver.next().await.unwrap().body()).unwrap();
    assert_eq!((&event["event_type"], &event["request_id"]), (&json!("agent.completed"), &pending["request_id"]));
    let (_, automatic) = caller.call("POST", "/agent/invoke", invocation(json!("auto_approve"))).await;
    assert_eq!(automatic["auto_approved_tool_calls"][0]["tool_name"], "send_email");

    let short_lived = json!({"agent": "hasty", "message": "Go"});
    caller.call("POST", "/agent/invoke", short_lived).await;
    let expired = format!("{path}?status=expired");
    let list = loop {
        let (_, list) = caller.call("GET", &expired, Value::Null).await;
        if list["approvals"].as_array().is_some_and(|found| !found.is_empty()) {
            break list;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let late = format!("{path}/{}/decide", id(&list["approvals"][0]));
    assert_eq!(caller.call("POST", &late, json!({"decision": "allow_once"})).await.0, 409);
}

async fn delegations(caller: &Caller) {
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let invocation = json!({"agent": "delegator", "message": "Go", "thread_id": "a/b",
        "async": {"callback_url": receiver.url(), "allow_background": true}});
    let (_, response) = caller.call("POST", "/agent/invoke", invocation).await;
    let pending = response["pending_delegations"].as_array().unwrap();
    assert_eq!(pending.len(), 2);
    let (_, open) = caller.call("GET", "/agent/threads/a%2Fb/delegations", Value::Null).await;
    assert_eq!(open["delegations"].as_array().unwrap().len(), 2);
    let (quick, slow) =
        (format!("/agent/delegations/{}", id(&pending[0])), format!("/agent/delegations/{}", id(&pending[1])));
    let event: Value = serde_json::from_slice(receiver.next().await.unwrap().body()).unwrap();
    assert_eq!(event["event_type"], "agent.delegation.completed");
    let (_, done) = caller.call("GET", &quick, Value::Null).await;
    assert_eq!((&done["status"], &done["result"]["rows"]), (&json!("completed"), &json!(7)));
    // A finished delegation cannot be cancelled.
    assert_eq!(caller.call("POST", &format!("{quick}/cancel"), json!({})).await.1["status"], "completed");
    assert_eq!(caller.call("POST", &format!("{slow}/cancel"), json!({})).await.1["status"], "cancelled");
    assert_eq!(caller.call("GET", "/agent/threads/a%2Fb/delegations", Value::Null).await.1["delegations"], json!([]));
    assert_eq!(caller.call("GET", "/agent/delegations/none", Value::Null).await.0, 404);
}

async fn triggers(caller: &Caller) {
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let mode = json!({"enabled": true, "callback_url": receiver.url()});
    let (status, hive) =
        caller.call("POST", "/hive-agent/invoke", json!({"hive_agent": "h", "objective": "Look", "async": mode})).await;
    assert_eq!((status, &hive["status"]), (202, &json!("pending")));
    let event: Value = serde_json::from_slice(receiver.next().await.unwrap().body()).unwrap();
    assert_eq!((&event["event_type"], &event["data"]["run_id"]), (&json!("hive_agent.completed"), &hive["run_id"]));

    for (path, body, expected) in [
        ("/workflow/webhooks/w/variants/v", json!({"topic": "AI", "async": mode}), "workflow.completed"),
        ("/prompt/webhooks/p/variants/v", json!({"inputs": {"topic": "AI"}, "async": mode}), "prompt.completed"),
        ("/agent/webhooks/a", json!({"message": "Hi", "async": mode}), "agent.completed"),
    ] {
        assert_eq!(caller.call("POST", path, body.clone()).await.0, 401);
        assert_eq!(caller.call("POST", &format!("{path}?secret=wrong"), body.clone()).await.0, 401);
        let (status, response) = caller.call("POST", &format!("{path}?secret=whsec_1"), body).await;
        assert_eq!(status, 202);
        let event: Value = serde_json::from_slice(receiver.next().await.unwrap().body()).unwrap();
        assert_eq!((&event["event_type"], &event["request_id"]), (&json!(expected), &response["request_id"]));
        let (_, run) = caller
            .call("GET", &format!("/public/requests/{}", response["request_id"].as_str().unwrap()), Value::Null)
            .await;
        assert_eq!(run["status"], "completed");
    }
    caller.call("POST", "/prompt/invoke", json!({"deployment": "p"})).await;
    caller.call("POST", "/workflow/invoke", json!({"deployment": "w"})).await;
    assert_eq!(caller.call("GET", "/public/requests/req_none", Value::Null).await.0, 404);
}

#[tokio::test]
async fn every_response_matches_the_contract() {
    let file = File::new(
        "operations.toml",
        r#"
[[agent]]
agent = "mailer"
tools = [{ tool = "send_email", input = { to = "a@example.com" }, approval = "ask" }, { tool = "pay", approval = "deny" }]

[[agent]]
agent = "hasty"
tools = [{ tool = "t", approval = "ask", expires_ms = 1 }]

[[agent]]
agent = "delegator"
tools = [
  { tool = "report", background_ms = 20, observation = { rows = 7 } },
  { tool = "report", background_ms = 60000 },
]

[[workflow]]
deployment = "w"
webhook_secret = "whsec_1"

[[prompt]]
deployment = "p"
webhook_secret = "whsec_1"

[[agent]]
agent = "a"
webhook_secret = "whsec_1"
"#,
    );
    let emulator = Emulator::builder().config(&file.0).indexing(Duration::from_secs(1)).start().await.unwrap();
    let caller = Caller::new(&emulator);
    resources(&caller).await;
    knowledge(&caller).await;
    assets(&caller).await;
    catalog(&caller).await;
    approvals(&caller).await;
    delegations(&caller).await;
    triggers(&caller).await;
    assert_eq!(caller.called.lock().unwrap().len(), 43);
}

#[tokio::test]
async fn unknown_workspaces_and_expired_links_are_rejected() {
    let emulator = Emulator::builder()
        .workspace("11111111-1111-4111-8111-111111111111")
        .asset_link_lifetime(Duration::ZERO)
        .start()
        .await
        .unwrap();
    let caller = Caller::new(&emulator);
    assert_eq!(caller.call("GET", "/public/workspaces/there/agents", Value::Null).await.0, 404);
    let form = "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--B--\r\n";
    let (status, _, response) =
        caller.send("POST", &format!("{WORKSPACE}/assets"), "multipart/form-data; boundary=B", form.into()).await;
    assert_eq!(status, 200);
    let response: Value = serde_json::from_slice(&response).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (status, error) = caller.download(response["asset"]["file_url"].as_str().unwrap()).await;
    assert!(status == 403 && String::from_utf8_lossy(&error).contains("expired"));
}

#[tokio::test]
async fn search_ranks_the_best_match_first() {
    let emulator = Emulator::start().await.unwrap();
    let caller = Caller::new(&emulator);
    let bases = format!("{WORKSPACE}/knowledge_bases");
    let (_, created) = caller.call("POST", &bases, json!({"knowledge_base": {"name": "KB"}})).await;
    let base = format!("{bases}/{}", id(&created["knowledge_base"]));
    let topics = ["invoices", "holidays", "parking", "laptops", "coffee", "badges"];
    let add = |name: String, content: String| {
        let item = json!({"knowledge_base_item": {"name": name, "data_content": content}});
        let path = format!("{base}/items");
        async { caller.call("POST", &{ path }, item).await }
    };
    for n in 0..60 {
        let (topic, other) = (topics[n % 6], topics[(n + 1) % 6]);
        let content =
            format!("Rules on {topic}, number {n}. Ask the office about {topic}. See also the page on {other}.");
        assert_eq!(add(format!("Page {n}"), content).await.0, 200);
    }
    add(
        "Refunds".into(),
        "A refund of a travel expense is paid within ten days of the claim for the travel expense.".into(),
    )
    .await;
    add("Travel".into(), "Travel is booked by the office. An expense is claimed later, on another page.".into()).await;
    for (query, best) in [("refund of travel expenses", "Refunds"), ("who books travel", "Travel")] {
        let search = json!({"search_query": query, "search_type": "full_text", "search_chunk_limit": 5,
            "search_score_threshold": 0.05});
        let (_, found) = caller.call("POST", &format!("{base}/search"), search).await;
        let results = found["response"]["results"].as_array().unwrap();
        assert_eq!(results[0]["knowledge_base_item_name"], best, "{found}");
        let scores: Vec<_> = results.iter().map(|result| result["score"].as_f64().unwrap()).collect();
        assert!(
            scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..1.0).contains(score)),
            "{scores:?}"
        );
        assert!(results.len() <= 5 && results.len() > 1);
    }
    let nothing =
        json!({"search_query": "zebra", "search_type": "hybrid", "search_chunk_limit": 5, "search_score_threshold": 0});
    assert_eq!(caller.call("POST", &format!("{base}/search"), nothing).await.1["response"]["results"], json!([]));
}
