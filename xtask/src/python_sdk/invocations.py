"""The official SDK against the emulator: a direct run, a callback run, streams, a wrong key, the daily cap."""

import hashlib
import hmac
import http.server
import json
import queue
import sys
import threading

import httpx
from fetch_hive_sdk import FetchHive

base_url, capped_url = sys.argv[1:3]
deliveries = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        deliveries.put((body, self.headers["x-fetch-hive-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def check(what, holds, seen):
    print(f"   {'ok' if holds else 'FAILED'}: {what}: {seen}")
    if not holds:
        sys.exit(1)


def refusal(client):
    try:
        client.invoke_workflow(deployment="weekly-report")
    except httpx.HTTPStatusError as error:
        return error.response.status_code, error.response.json()
    return None, None


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()

client = FetchHive(api_key="fhk_python", base_url=base_url)
run = client.invoke_workflow(deployment="weekly-report", variant="default", inputs={"topic": "enterprise AI"})
check("a direct run completes", run["run_status"] == "completed", run)
check("its request id is public", run["request_id"].startswith("req_"), run["request_id"])
check("its output is made from the inputs", "topic = enterprise AI" in run["output"], run["output"])

run = client.invoke_workflow(
    deployment="weekly-report",
    inputs={"topic": "enterprise AI"},
    async_mode=True,
    callback_url=f"http://127.0.0.1:{receiver.server_port}/callback",
    metadata={"customer_id": "cus_123", "invoice_count": 12},
)
check("a callback run is accepted", run["run_status"] == "running" and run["webhook_secret"], run["run_status"])
body, signature = deliveries.get(timeout=30)
event = json.loads(body)
check("its event arrives", event["event_type"] == "workflow.completed", event)
check("the event names the run", event["request_id"] == run["request_id"], event["request_id"])
check("the metadata comes back", event["data"]["user_metadata"]["invoice_count"] == 12, event["data"]["user_metadata"])
expected = hmac.new(run["webhook_secret"].encode(), body, hashlib.sha256).hexdigest()
check("the signature is that of Python's hmac", hmac.compare_digest(expected, signature), signature)

text = "weekly-report: topic = enterprise AI"
events = list(client.invoke_prompt_stream(deployment="weekly-report", inputs={"topic": "enterprise AI"}))
spoken = "".join(event["response"] for event in events if event["type"] == "response")
check("a prompt streams its answer", spoken == text and len(events) > 3, [event["type"] for event in events])
end = events[-1]
check("its last event is its usage", end["type"] == "usage" and end["usage"]["total_tokens"] > 0, end)
whole = client.invoke_prompt(deployment="weekly-report", inputs={"topic": "enterprise AI"})
check("the whole answer is the same", (whole["response"], whole["usage"]) == (text, end["usage"]), whole["response"])

events = list(client.invoke_agent_stream(agent="researcher", message="What is new?", thread_id="t1"))
spoken = "".join(event["response"] for event in events if event["type"] == "response")
check("an agent streams its answer", spoken == "researcher heard: What is new?", [event["type"] for event in events])
end = events[-1]
check("its usage names the thread", (end["status"], end["thread_id"]) == ("completed", "t1"), end)

status, body = refusal(FetchHive(api_key="fhk_invalid", base_url=base_url))
check("a wrong key is refused", (status, body) == (401, {"error": "Invalid access."}), (status, body))

capped = FetchHive(api_key="fhk_python", base_url=capped_url)
capped.invoke_workflow(deployment="weekly-report")
status, body = refusal(capped)
check("the daily cap holds", status == 429 and body["error_code"] == "api_rate_limit_exceeded", (status, body))
