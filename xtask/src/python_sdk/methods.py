"""Calls every public method of the official SDK on the emulator, and checks the resulting state.

Also runs the test matrix of the SDK over real HTTP.
"""

import asyncio
import http.server
import inspect
import json
import queue
import sys
import threading
import time

import httpx
from fetch_hive_sdk import FetchHive

base_url = sys.argv[1]
events = queue.Queue()
called = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        events.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def check(name, passed, actual=None):
    if not passed:
        print(f"   FAILED: {name}: {actual}")
        sys.exit(1)


class RecordingClient(FetchHive):
    def __getattribute__(self, name):
        if not name.startswith("_") and callable(getattr(FetchHive, name, None)):
            called.add(name)
        return super().__getattribute__(name)


def status_of(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return 200


def until(condition):
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.02)
    return False


def put(path, **record):
    httpx.put(f"{base_url.removesuffix('/v1')}/_emulator/records/{path}", json=record).raise_for_status()


async def collect(stream):
    return [event async for event in stream]


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{receiver.server_port}/callback"
sdk = RecordingClient(api_key="fhk_python", base_url=base_url)
ws = "11111111-1111-4111-8111-111111111111"
DEFAULT = "00000000-0000-4000-8000-000000000001"

# Agents, chats, messages.
agent = sdk.create_agent(ws, {"name": "Support", "llm_model": "gpt-4o", "model_type": "llm"})["agent"]
a = agent["id"]
check("an agent is listed", [one["id"] for one in sdk.list_agents(ws)["agents"]] == [a])
sdk.update_agent(ws, a, {"description": "helps"})
check("an agent is updated", sdk.get_agent(ws, a)["agent"]["description"] == "helps")
c = sdk.create_agent_chat(ws, a, {"name": "First"})["chat"]["id"]
sdk.update_agent_chat(ws, a, c, {"name": "Second"})
response = sdk.invoke_agent(agent=a, message="Hello", thread_id=c, metadata={"n": 1, "x": None})
check("an agent responds with its model", response["model"] == "gpt-4o" and response["status"] == "completed", response)
list(sdk.invoke_agent_stream(agent=a, message="Again", thread_id=c))
asyncio.run(collect(sdk.ainvoke_agent_stream(agent=a, message="Once more", thread_id=c)))
messages = sdk.list_agent_chat_messages(ws, a, c)["messages"]
check("a chat stores its messages, oldest first", [one["role"] for one in messages] == ["user", "assistant"] * 3
      and messages[0]["content"] == "Hello", messages)
chat = sdk.get_agent_chat(ws, a, c)["chat"]
check("a chat has its name and message count", (chat["name"], chat["message_count"], chat["agent"]["id"]) == ("Second", 6, a), chat)
check("messages are cleared", sdk.clear_agent_chat_messages(ws, a, c)["chat"]["message_count"] == 0)
sdk.delete_agent_chat(ws, a, c)
check("a deleted chat returns 404", status_of(sdk.get_agent_chat, ws, a, c) == 404)
sdk.delete_agent(ws, a)
check("a deleted agent returns 422", status_of(sdk.get_agent, ws, a) == 422)

# Knowledge bases, items, search.
kb = sdk.create_knowledge_base(ws, {"name": "Handbook"})["knowledge_base"]["id"]
sdk.update_knowledge_base(ws, kb, {"search_score_threshold": 0.1})
check("a knowledge base is updated", sdk.get_knowledge_base(ws, kb)["knowledge_base"]["search_score_threshold"] == "0.1")
one = sdk.create_knowledge_base_item(ws, kb, {"name": "Refunds", "data_content": "Refunds take ten days."})
i = one["knowledge_base_item"]["id"]
sdk.create_knowledge_base_item(ws, kb, {"name": "Parking", "data_content": "Cars are left behind the house."})
check("a new item is pending", one["knowledge_base_item"]["run_status"] == "pending", one)
ready = lambda: all(one["run_status"] == "processed" for one in sdk.list_knowledge_base_items(ws, kb)["knowledge_base_items"])
check("items become processed", until(ready))
search = {"search_query": "refund", "search_type": "full_text", "search_chunk_limit": 5, "search_score_threshold": 0}
found = sdk.search_knowledge_base(ws, kb, **search)["response"]["results"]
check("a search finds the item", [one["knowledge_base_item_id"] for one in found] == [i], found)
sdk.update_knowledge_base_item(ws, kb, i, {"data_content": "Repayments take ten days."})
queued = sdk.regenerate_knowledge_base_item(ws, kb, i)["request_id"]
check("a regeneration has a request record", until(lambda: sdk.get_request(queued)["status"] == "completed") and until(ready))
check("a search uses the updated content", [one["content"] for one in
      sdk.search_knowledge_base(ws, kb, **{**search, "search_query": "repayment"})["response"]["results"]][0].endswith("Repayments take ten days."))
check("a knowledge base counts its items", sdk.list_knowledge_bases(ws)["knowledge_bases"][0]["data_item_count"] == 2)
sdk.delete_knowledge_base_item(ws, kb, i)
check("a deleted item returns 422", status_of(sdk.get_knowledge_base_item, ws, kb, i) == 422)
sdk.delete_knowledge_base(ws, kb)
check("a deleted knowledge base returns 422", status_of(sdk.get_knowledge_base, ws, kb) == 422)

# Runs.
run = sdk.invoke_workflow(deployment="report", inputs={"topic": "AI"}, metadata={"customer_id": "cus_1"})
record = sdk.get_request(run["request_id"])
check("a workflow run has a request record", (record["status"], record["user_metadata"], record["data"]["output"])
      == ("completed", {"customer_id": "cus_1"}, run["output"]), record)
prompt = sdk.invoke_prompt(deployment="p", inputs={"a": 1}, user="u")
check("a prompt run has a request record", sdk.get_request(prompt["request_id"])["data"]["response"] == prompt["response"])
hive = sdk.invoke_hive_agent(hive_agent="h", objective="Look around", callback_url=url)
event = events.get(timeout=30)
check("a hive agent sends its callback", (event["event_type"], event["data"]["run_id"]) == ("hive_agent.completed", hive["run_id"]), event)

# Approvals and delegations.
asked = sdk.invoke_agent(agent="mailer", message="Go", thread_id="t1", async_options={"callback_url": url})
check("an agent asks for approval", asked["status"] == "awaiting_approval", asked)
approval = sdk.list_tool_action_approvals(DEFAULT, agent_id="mailer", request_id=asked["request_id"], limit=10)["approvals"][0]["id"]
check("the approval is pending", sdk.get_tool_action_approval(DEFAULT, approval)["approval"]["status"] == "pending")
check("an approval can be decided", sdk.decide_tool_action_approval(DEFAULT, approval, "allow_once")["approval"]["status"] == "approved")
check("a second decision returns 409", status_of(sdk.decide_tool_action_approval, DEFAULT, approval, "deny") == 409)
check("the run resumes after the decision", events.get(timeout=30)["event_type"] == "agent.completed"
      and sdk.get_request(asked["request_id"])["status"] == "completed")
response = sdk.invoke_agent(agent="delegator", message="Go", thread_id="t2")
d = response["pending_delegations"][0]["id"]
check("a running delegation is listed", [one["id"] for one in sdk.list_thread_delegations("t2")["delegations"]] == [d])
check("a delegation can be cancelled", sdk.cancel_agent_delegation(d)["status"] == "cancelled" and sdk.get_agent_delegation(d)["status"] == "cancelled")
check("a cancelled delegation is not listed", sdk.list_thread_delegations("t2")["delegations"] == [])

# The test matrix of the SDK, with its calls, bodies and ids.
put("agent/ws_1/agt_1", name="a")
put("chat/ws_1/agt_1/cht_1", name="c", status="active", generated_at="2026-01-01T00:00:00Z")
put("knowledge_base/ws_1/kb_1", name="k", search_type="hybrid", search_chunk_limit=5, search_score_threshold="0.0", status="active")
put("knowledge_base_item/ws_1/kb_1/item_1", name="i", knowledge_base_id="kb_1", item_type="custom", status="active")
put("delegation/del_1", status="running", kind="workflow", target={}, parent_request_id="r", tool_call_id="t", _thread_id="thread-1")
put("approval/ws_1/appr_1", status="pending", summary="s", decision=None, _agent_id="agt_1")
put("run/req_1", request_id="req_1", status="completed", request_type="workflow")
refs = ["11111111-1111-4111-8111-111111111111"]
given = {"customer_id": "cus_123", "trial": False}
stream = lambda call, **named: [(one["type"], one["response"]) for one in call(**named)]
hello = [("response", "Hello")]
https = "https://example.com/cb"
anonymous = FetchHive(api_key="fhk_invalid", base_url=base_url)
matrix = [
    ("P1 P2", lambda: sdk.invoke_prompt(deployment="my-prompt", inputs={"name": "Alice"})["response"] == "Hello, Alice!"),
    ("P3 absent", lambda: sdk.invoke_prompt(deployment="d")["request_id"]),
    ("P3 given", lambda: sdk.invoke_prompt(deployment="d", variant="v2", inputs={"x": 1}, user="u1",
                                           metadata={**given, "invoice_count": 12, "region": None})["request_id"]),
    ("W1 W2", lambda: sdk.invoke_workflow(deployment="my-workflow", inputs={"x": 1})["output"] == "done"),
    ("W3", lambda: sdk.invoke_workflow(deployment="d", async_mode=True, callback_url=https)["webhook_secret"]),
    ("W4", lambda: sdk.invoke_workflow(deployment="d", metadata={"customer_id": "cus_123", "invoice_count": 12})["run_status"] == "completed"),
    ("AG1 AG2", lambda: sdk.invoke_agent(agent="my-agent", message="Hi")["response"] == "Hi there"),
    ("AG3 absent", lambda: sdk.invoke_agent(agent="a", message="m")["response"]),
    ("AG3 given", lambda: sdk.invoke_agent(agent="a", message="m", thread_id="tid", user="u1", metadata=given,
        messages=[{"role": "user", "content": "prev"}], attachments=["https://img.example.com/1.png"],
        known_artifact_refs=refs, artifact_refs=refs)["thread_id"] == "tid"),
    ("HA1 HA2 HA3", lambda: sdk.invoke_hive_agent(hive_agent="agt_1", objective="Research competitors", callback_url=https)["webhook_secret"]),
    ("HA4", lambda: sdk.invoke_hive_agent(hive_agent="agt_1", objective="Research competitors", callback_url=https,
        sources={"website_urls": ["https://example.com"]}, metadata={"customer_id": "cus_123"}, unattended=True,
        budget_policy="stop")["status"] == "pending"),
    ("TA2 agent", lambda: sdk.invoke_agent(agent="a", message="m", tool_approval="auto_approve")["tool_approval"] == "auto_approve"),
    ("TA2 workflow", lambda: sdk.invoke_workflow(deployment="d", tool_approval="policy")["run_status"] == "completed"),
    ("KB1", lambda: "knowledge_bases" in sdk.list_knowledge_bases("ws_1") and sdk.create_knowledge_base("ws_1", {"name": "KB"})["knowledge_base"]["name"] == "KB"),
    ("KBI1", lambda: sdk.list_knowledge_base_items("ws_1", "kb_1")["knowledge_base_items"][0]["id"] == "item_1"
        and sdk.regenerate_knowledge_base_item("ws_1", "kb_1", "item_1")["request_id"]),
    ("PA1", lambda: sdk.list_agents("ws_1")["agents"][0]["id"] == "agt_1"),
    ("PAC1", lambda: sdk.create_agent_chat("ws_1", "agt_1", {"name": "Chat"})["chat"]["name"] == "Chat"
        and sdk.clear_agent_chat_messages("ws_1", "agt_1", "cht_1")["chat"]["id"] == "cht_1"),
    ("R1", lambda: sdk.get_request("req_1")["request_id"] == "req_1"),
    ("D1", lambda: sdk.get_agent_delegation("del_1")["id"] == "del_1"),
    ("D3", lambda: sdk.list_thread_delegations("thread-1")["delegations"][0]["id"] == "del_1"),
    ("D2", lambda: sdk.cancel_agent_delegation("del_1")["status"] == "cancelled"),
    ("TA1", lambda: sdk.list_tool_action_approvals("ws_1", status="pending", agent_id="agt_1", limit=10)["approvals"][0]["id"] == "appr_1"
        and sdk.get_tool_action_approval("ws_1", "appr_1")["approval"]["id"] == "appr_1"
        and sdk.decide_tool_action_approval("ws_1", "appr_1", "allow_once")["approval"]["decision"] == "allow_once"),
    ("S1", lambda: stream(sdk.invoke_prompt_stream, deployment="s", metadata={"plan": "enterprise"}) == hello),
    ("S2", lambda: stream(sdk.invoke_agent_stream, agent="s", message="m", metadata={"plan": "enterprise"}, tool_approval="auto_approve") == hello),
    ("S3", lambda: [one["response"] for one in asyncio.run(collect(sdk.ainvoke_prompt_stream(deployment="s")))] == ["Hello"]
        and [one["response"] for one in asyncio.run(collect(sdk.ainvoke_agent_stream(agent="s", message="m")))] == ["Hello"]),
    ("E1", lambda: status_of(sdk.invoke_prompt, deployment="broken") == 500),
    ("E2", lambda: status_of(lambda: list(anonymous.invoke_prompt_stream(deployment="d"))) == 401),
    ("SSE1", lambda: [one["type"] for one in sdk.invoke_prompt_stream(deployment="sse1")] == ["response", "response", "usage"]),
    ("SSE2", lambda: [one["response"] for one in sdk.invoke_prompt_stream(deployment="sse2")] == ["A", "B"]),
    ("SSE3", lambda: [one["response"] for one in sdk.invoke_prompt_stream(deployment="sse3")] == ["Hi"]),
    ("SSE4", lambda: [one["response"] for one in sdk.invoke_prompt_stream(deployment="sse4")] == ["before", "after"]),
    ("SSE5", lambda: [one["response"] for one in sdk.invoke_prompt_stream(deployment="sse5")] == ["keep"]),
]
for name, condition in matrix:
    check(f"matrix {name}", condition(), "differs from the test of the SDK")

public = {name for name, member in inspect.getmembers(FetchHive, callable) if not name.startswith("_")}
check("every public method was called", called == public, public - called)
print(f"   ok: {len(called)}/{len(public)} public methods, {len(matrix)} rows of the test matrix of the SDK")
