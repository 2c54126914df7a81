// Every call and the request that the service receives. The including file defines `Client`, `Sent`
// and `sent`.

struct Row(&'static str, &'static str, String, Value, Sent);

fn row(id: &'static str, method: &'static str, path: impl Into<String>, body: Value, call: Sent) -> Row {
    Row(id, method, path.into(), body, call)
}

fn invocations(client: &Client) -> Vec<Row> {
    let uuid = "11111111-1111-4111-8111-111111111111";
    let (workflow, prompt) = ("/workflow/invoke", "/prompt/invoke");
    let (agent, hive) = ("/agent/invoke", "/hive-agent/invoke");
    let callback = "https://example.com/cb";
    vec![
        row(
            "W1 W2",
            "POST",
            workflow,
            json!({"deployment": "my-workflow", "inputs": {"x": 1}}),
            sent(client.invoke_workflow("my-workflow").input("x", 1)),
        ),
        row(
            "W3",
            "POST",
            workflow,
            json!({"deployment": "d", "async": {"enabled": true, "callback_url": callback}}),
            sent(client.invoke_workflow("d").callback_url(callback)),
        ),
        row(
            "W4",
            "POST",
            workflow,
            json!({"deployment": "d", "metadata": {"customer_id": "cus_123", "invoice_count": 12}}),
            sent(client.invoke_workflow("d").metadata("customer_id", "cus_123").metadata("invoice_count", 12)),
        ),
        row(
            "W absent",
            "POST",
            workflow,
            json!({"deployment": "d"}),
            sent(client.invoke_workflow("d").variant("")),
        ),
        row(
            "P1 P2",
            "POST",
            prompt,
            json!({"deployment": "my-prompt", "streaming": false, "inputs": {"name": "Alice"}}),
            sent(client.invoke_prompt("my-prompt").input("name", "Alice")),
        ),
        row(
            "P3 absent",
            "POST",
            prompt,
            json!({"deployment": "d", "streaming": false}),
            sent(client.invoke_prompt("d").variant("")),
        ),
        row(
            "P3 given",
            "POST",
            prompt,
            json!({"deployment": "d", "streaming": false, "variant": "v2", "inputs": {"x": 1}, "user": "u1",
                "metadata": {"customer_id": "cus_123", "trial": false, "invoice_count": 12, "region": null}}),
            sent(
                client
                    .invoke_prompt("d")
                    .variant("v2")
                    .input("x", 1)
                    .user("u1")
                    .metadata("customer_id", "cus_123")
                    .metadata("trial", false)
                    .metadata("invoice_count", 12)
                    .metadata("region", None::<&str>),
            ),
        ),
        row(
            "AG1 AG2",
            "POST",
            agent,
            json!({"agent": "my-agent", "message": "Hi", "streaming": false}),
            sent(client.invoke_agent("my-agent", "Hi")),
        ),
        row(
            "AG3 absent",
            "POST",
            agent,
            json!({"agent": "a", "message": "m", "streaming": false}),
            sent(client.invoke_agent("a", "m").thread_id("").messages(Vec::<AgentMessage>::new())),
        ),
        row(
            "AG3 given",
            "POST",
            agent,
            json!({"agent": "a", "message": "m", "streaming": false, "thread_id": "tid", "user": "u1",
                "metadata": {"customer_id": "cus_123", "trial": false},
                "messages": [{"role": "user", "content": "prev"}],
                "attachments": ["https://img.example.com/1.png"],
                "known_artifact_refs": [uuid], "artifact_refs": [uuid]}),
            sent(
                client
                    .invoke_agent("a", "m")
                    .thread_id("tid")
                    .user("u1")
                    .metadata("customer_id", "cus_123")
                    .metadata("trial", false)
                    .messages([AgentMessage::user("prev")])
                    .attachments(["https://img.example.com/1.png"])
                    .known_artifact_refs([uuid])
                    .artifact_refs([uuid]),
            ),
        ),
        row(
            "TA2",
            "POST",
            agent,
            json!({"agent": "a", "message": "m", "streaming": false, "tool_approval": "auto_approve"}),
            sent(client.invoke_agent("a", "m").tool_approval(ToolApproval::AutoApprove)),
        ),
        row(
            "TA2",
            "POST",
            workflow,
            json!({"deployment": "d", "tool_approval": "policy"}),
            sent(client.invoke_workflow("d").tool_approval(ToolApproval::Policy)),
        ),
        row(
            "HA1 HA2 HA3",
            "POST",
            hive,
            json!({"hive_agent": "agt_1", "objective": "Research competitors",
                "async": {"enabled": true, "callback_url": callback}}),
            sent(client.invoke_hive_agent("agt_1", "Research competitors", callback)),
        ),
        row(
            "HA4",
            "POST",
            hive,
            json!({"hive_agent": "agt_1", "objective": "Research competitors",
                "async": {"enabled": true, "callback_url": callback},
                "sources": {"website_urls": ["https://example.com"]}, "metadata": {"customer_id": "cus_123"},
                "unattended": true, "budget_policy": "stop"}),
            sent(
                client
                    .invoke_hive_agent("agt_1", "Research competitors", callback)
                    .sources(HiveAgentSources::new().website_urls(["https://example.com"]))
                    .metadata("customer_id", "cus_123")
                    .unattended(true)
                    .budget_policy(BudgetPolicy::Stop),
            ),
        ),
        row(
            "trigger workflow",
            "POST",
            "/workflow/webhooks/e/variants/v",
            json!({"async": {"callback_url": callback}, "inputs": {"x": 1}, "user": "u"}),
            sent(client.trigger_workflow("e", "v", "whsec_x", callback).input("x", 1).user("u")),
        ),
        row(
            "trigger prompt",
            "POST",
            "/prompt/webhooks/e/variants/v",
            json!({"async": {"callback_url": callback}, "inputs": {}, "metadata": {"n": 1}}),
            sent(client.trigger_prompt("e", "v", "whsec_x", callback).metadata("n", 1)),
        ),
        row(
            "trigger agent",
            "POST",
            "/agent/webhooks/a",
            json!({"message": "Hi", "async": {"callback_url": callback}, "thread_id": "t"}),
            sent(client.trigger_agent("a", "whsec_x", "Hi", callback).thread_id("t")),
        ),
    ]
}

fn resources(client: &Client) -> Vec<Row> {
    let none = || Value::Null;
    let empty = || json!({});
    let ws = "/public/workspaces/ws_1";
    let workspace = client.workspace("ws_1");
    let (agents, chats, bases) = (workspace.agents(), workspace.agent("agt_1").chats(), workspace.knowledge_bases());
    let (base, approvals) = (workspace.knowledge_base("kb_1"), workspace.approvals());
    let items = base.items();
    let path = |rest: &str| format!("{ws}{rest}");
    vec![
        row("D1", "GET", "/agent/delegations/del_1", none(), sent(client.delegations().get("del_1"))),
        row("D2", "POST", "/agent/delegations/del_1/cancel", empty(), sent(client.delegations().cancel("del_1"))),
        row(
            "D3",
            "GET",
            "/agent/threads/thread-1/delegations",
            none(),
            sent(client.delegations().list_for_thread("thread-1")),
        ),
        row("R1", "GET", "/public/requests/req_1", none(), sent(client.requests().get("req_1"))),
        row("models", "GET", "/public/models", none(), sent(client.models())),
        row(
            "countries",
            "GET",
            "/public/search_services/countries",
            none(),
            sent(client.search_services().countries()),
        ),
        row(
            "countries of one",
            "GET",
            "/public/search_services/bing_search/countries",
            none(),
            sent(client.search_services().countries_for("bing_search")),
        ),
        row("error codes", "GET", "/error_codes", none(), sent(client.error_codes(None))),
        row("error codes", "GET", "/error_codes?locale=es", none(), sent(client.error_codes(Some("es")))),
        row("PA1", "GET", path("/agents"), none(), sent(agents.list())),
        row("agent", "GET", path("/agents/agt_1"), none(), sent(agents.get("agt_1"))),
        row(
            "create agent",
            "POST",
            path("/agents"),
            json!({"agent": {"name": "A", "llm_model": "gpt-4.1-mini", "model_type": "hosted", "max_token": 1000}}),
            sent(agents.create(AgentCreate::new("A", "gpt-4.1-mini", "hosted").max_token(1000))),
        ),
        row(
            "update agent",
            "PATCH",
            path("/agents/agt_1"),
            json!({"agent": {"reasoning_effort": "xhigh", "anthropic_prompt_cache_ttl": "5m"}}),
            sent(agents.update("agt_1", AgentUpdate::new().reasoning_effort("xhigh").anthropic_prompt_cache_ttl("5m"))),
        ),
        row("delete agent", "DELETE", path("/agents/agt_1"), none(), sent(agents.delete("agt_1"))),
        row(
            "PAC1",
            "POST",
            path("/agents/agt_1/chats"),
            json!({"chat": {"name": "Chat"}}),
            sent(chats.create(AgentChatCreate::new("Chat"))),
        ),
        row(
            "PAC1",
            "PATCH",
            path("/agents/agt_1/chats/cht_1/clear_messages"),
            empty(),
            sent(chats.clear_messages("cht_1")),
        ),
        row("chat", "GET", path("/agents/agt_1/chats/cht_1"), none(), sent(chats.get("cht_1"))),
        row(
            "update chat",
            "PATCH",
            path("/agents/agt_1/chats/cht_1"),
            json!({"chat": {"name": "B"}}),
            sent(chats.update("cht_1", AgentChatUpdate::new().name("B"))),
        ),
        row("delete chat", "DELETE", path("/agents/agt_1/chats/cht_1"), none(), sent(chats.delete("cht_1"))),
        row("messages", "GET", path("/agents/agt_1/chats/cht_1/messages"), none(), sent(chats.messages("cht_1"))),
        row("KB1", "GET", path("/knowledge_bases"), none(), sent(bases.list())),
        row(
            "KB1",
            "POST",
            path("/knowledge_bases"),
            json!({"knowledge_base": {"name": "KB"}}),
            sent(bases.create(KnowledgeBaseCreate::new("KB"))),
        ),
        row("knowledge base", "GET", path("/knowledge_bases/kb_1"), none(), sent(bases.get("kb_1"))),
        row(
            "update knowledge base",
            "PATCH",
            path("/knowledge_bases/kb_1"),
            json!({"knowledge_base": {"search_chunk_limit": 8, "search_score_threshold": 0.1}}),
            sent(bases.update("kb_1", KnowledgeBaseUpdate::new().search_chunk_limit(8).search_score_threshold(0.1))),
        ),
        row("delete knowledge base", "DELETE", path("/knowledge_bases/kb_1"), none(), sent(bases.delete("kb_1"))),
        row(
            "search",
            "POST",
            path("/knowledge_bases/kb_1/search"),
            json!({"search_query": "q", "search_type": "full_text", "search_chunk_limit": 20, "search_score_threshold": 1.0}),
            sent(base.search(KnowledgeBaseSearch::new("q", SearchType::FullText, 20, 1.0))),
        ),
        row("KBI1", "GET", path("/knowledge_bases/kb_1/items"), none(), sent(items.list())),
        row(
            "KBI1",
            "POST",
            path("/knowledge_bases/kb_1/items/item_1/regenerate"),
            empty(),
            sent(items.regenerate("item_1")),
        ),
        row("item", "GET", path("/knowledge_bases/kb_1/items/item_1"), none(), sent(items.get("item_1"))),
        row(
            "create item",
            "POST",
            path("/knowledge_bases/kb_1/items"),
            json!({"knowledge_base_item": {"name": "I", "item_type": "custom", "data_content": "text"}}),
            sent(items.create(KnowledgeBaseItemCreate::new("I").item_type(ItemType::Custom).data_content("text"))),
        ),
        row(
            "update item",
            "PATCH",
            path("/knowledge_bases/kb_1/items/item_1"),
            json!({"knowledge_base_item": {"delete_email_data": "enabled"}}),
            sent(items.update("item_1", KnowledgeBaseItemUpdate::new().delete_email_data(Toggle::Enabled))),
        ),
        row("delete item", "DELETE", path("/knowledge_bases/kb_1/items/item_1"), none(), sent(items.delete("item_1"))),
        row("assets", "GET", path("/assets"), none(), sent(workspace.assets().list())),
        row(
            "TA1",
            "GET",
            path("/tool_action_approvals?agent_id=agt_1&limit=10&status=pending"),
            none(),
            sent(approvals.list(ApprovalFilter::new().status("pending").agent_id("agt_1").limit(10))),
        ),
        row("TA1", "GET", path("/tool_action_approvals/appr_1"), none(), sent(approvals.get("appr_1"))),
        row(
            "TA1",
            "POST",
            path("/tool_action_approvals/appr_1/decide"),
            json!({"decision": "allow_once"}),
            sent(approvals.decide("appr_1", ApprovalDecision::AllowOnce)),
        ),
    ]
}
