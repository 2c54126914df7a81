"""Tests invocations of the emulator with the official SDK: runs, callbacks, streams and errors."""

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


def check(name, passed, actual):
    print(f"   {'ok' if passed else 'FAILED'}: {name}: {actual}")
    if not passed:
        sys.exit(1)


def error_of(client):
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
check("the request id has the public prefix", run["request_id"].startswith("req_"), run["request_id"])
check("the output contains the inputs", "topic = enterprise AI" in run["output"], run["output"])

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
check("the event of the run arrives", event["event_type"] == "workflow.completed", event)
check("the event has the request id of the run", event["request_id"] == run["request_id"], event["request_id"])
check("the event contains the metadata", event["data"]["user_metadata"]["invoice_count"] == 12, event["data"]["user_metadata"])
expected = hmac.new(run["webhook_secret"].encode(), body, hashlib.sha256).hexdigest()
check("the signature equals that of Python's hmac", hmac.compare_digest(expected, signature), signature)

text = "weekly-report: topic = enterprise AI"
events = list(client.invoke_prompt_stream(deployment="weekly-report", inputs={"topic": "enterprise AI"}))
streamed = "".join(event["response"] for event in events if event["type"] == "response")
check("a prompt streams its response", streamed == text and len(events) > 3, [event["type"] for event in events])
end = events[-1]
check("the last event of a prompt is the usage", end["type"] == "usage" and end["usage"]["total_tokens"] > 0, end)
complete = client.invoke_prompt(deployment="weekly-report", inputs={"topic": "enterprise AI"})
check("the complete response equals the streamed one", (complete["response"], complete["usage"]) == (text, end["usage"]), complete["response"])

events = list(client.invoke_agent_stream(agent="researcher", message="What is new?", thread_id="t1"))
streamed = "".join(event["response"] for event in events if event["type"] == "response")
check("an agent streams its response", streamed == "researcher heard: What is new?", [event["type"] for event in events])
end = events[-1]
check("the usage of an agent has the thread id", (end["status"], end["thread_id"]) == ("completed", "t1"), end)

status, body = error_of(FetchHive(api_key="fhk_invalid", base_url=base_url))
check("an invalid key is rejected", (status, body) == (401, {"error": "Invalid access."}), (status, body))

capped = FetchHive(api_key="fhk_python", base_url=capped_url)
capped.invoke_workflow(deployment="weekly-report")
status, body = error_of(capped)
check("the daily cap is enforced", status == 429 and body["error_code"] == "api_rate_limit_exceeded", (status, body))
