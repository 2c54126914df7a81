"""Tests the emulator with schemathesis.

Fails on a server error, a response that violates the contract, or an operation that never succeeds.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

import httpx

contract_file, url, log_file, work, config = sys.argv[1:6]
work = pathlib.Path(work)
KNOWN = "11111111-1111-4111-8111-111111111111"
SECRET = "whsec_known"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

contract = json.loads(pathlib.Path(contract_file).read_text())
operations = [
    (method.upper(), path, operation["operationId"])
    for path, item in contract["paths"].items()
    for method, operation in item.items()
]
for item in contract["paths"].values():
    for operation in item.values():
        for response in operation["responses"].values():
            # schemathesis validates the events of a stream, but the contract describes its text.
            if "text/event-stream" in response.get("content", {}):
                schema = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}
                response["content"]["text/event-stream"]["schema"] = schema
hive = contract["paths"]["/hive-agent/invoke"]["post"]["requestBody"]["content"]["application/json"]
mode = {"enabled": True, "callback_url": "http://127.0.0.1:9/callback"}
hive["example"] = {"hive_agent": "h", "objective": "o", "async": mode}
file = work / "openapi.json"
file.write_text(json.dumps(contract))


def seed():
    """Creates records with the known id, so that requests for them succeed."""
    with httpx.Client(base_url=url.removesuffix("/v1") + "/_emulator/records/") as client:
        for path, record in [
            (f"agent/{KNOWN}/{KNOWN}", {"name": "a", "slug": "a"}),
            (f"chat/{KNOWN}/{KNOWN}/{KNOWN}", {"name": "c", "status": "active", "generated_at": "2026-01-01T00:00:00Z"}),
            (f"knowledge_base/{KNOWN}/{KNOWN}", {"name": "k", "search_type": "hybrid", "search_chunk_limit": 5,
                "search_score_threshold": "0.0", "status": "active", "description": None,
                "generated_at": "2026-01-01T00:00:00Z"}),
            (f"knowledge_base_item/{KNOWN}/{KNOWN}/{KNOWN}", {"name": "i", "knowledge_base_id": KNOWN, "item_type": "custom",
                "status": "active", "data_content": "words"}),
            (f"approval/{KNOWN}/{KNOWN}", {"status": "pending", "decision": None, "summary": "s"}),
            (f"delegation/{KNOWN}", {"status": "running", "kind": "workflow", "target": {}, "parent_request_id": "req_1",
                "tool_call_id": "call_1"}),
            (f"run/{KNOWN}", {"request_id": KNOWN, "status": "completed", "request_type": "workflow"}),
        ]:
            client.put(path, json=record).raise_for_status()


def run(name, *options):
    print(f"   -- {name}", flush=True)
    command = [sys.executable.replace("python", "schemathesis"), "--config-file", config, "run", str(file), "--url", url, "-H",
               "Authorization: Bearer fhk_schemathesis", "--checks", CHECKS, "--request-timeout", "15", "--no-color",
               "--warnings", "off", "--continue-on-failure", *options]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    summary = done.stdout.partition(" SUMMARY ")[2]
    shown = [line for line in summary.splitlines() if re.search(r"Selected|Tested|generated|❌|Seed", line)]
    print("\n".join("      " + line.strip() for line in shown))
    if done.returncode != 0:
        print(done.stdout[-6000:], done.stderr[-2000:])
    return done.returncode == 0


fixed = pathlib.Path(config)
names = {"workspace_id", "agent_id", "chat_id", "knowledge_base_id", "id", "thread_id"}
fixed.write_text("")
passed = run("random ids", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "40")
lines = ["[parameters]"] + [f'"path.{name}" = "{KNOWN}"' for name in sorted(names)]
lines += ['"path.workflow_endpoint_id" = "known"', '"path.prompt_endpoint_id" = "known"', '"path.service" = "bing_search"',
          f'"header.X-Fetch-Hive-Webhook-Secret" = "{SECRET}"']
fixed.write_text("\n".join(lines) + "\n")
seed()
passed &= run("existing records", "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--exclude-method", "DELETE")
# Deleting a record also deletes the records that belong to it, so those are deleted first.
for name in ["deleteAgentChat", "deleteKnowledgeBaseItem", "deleteAgent", "deleteKnowledgeBase"]:
    seed()
    passed &= run(name, "--phases", "coverage,fuzzing", "--max-examples", "5", "--include-operation-id", name)

seen = collections.defaultdict(collections.Counter)
patterns = [
    (method, re.compile("/v1" + re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)) + r"(\?\S*)?$"), name)
    for method, path, name in sorted(operations, key=lambda row: row[1].count("{"))
]
calls = 0
for line in pathlib.Path(log_file).read_text(errors="replace").splitlines():
    found = re.match(r"\S+ ([A-Z]+) (\S*) (\d+|-) \d+ ms", line)
    if not found:
        continue
    calls += 1
    for method, pattern, name in patterns:
        if method == found[1] and pattern.match(found[2]):
            seen[name][found[3]] += 1
            break
errors = {name: dict(counts) for name, counts in seen.items() if any(status >= "5" for status in counts)}
never_succeeded = [name for _, _, name in operations if not any(status.startswith("2") for status in seen[name])]
succeeded = sum(counts[status] for counts in seen.values() for status in counts if status.startswith("2"))
print(f"   {calls} calls, {succeeded} succeeded, {len(operations) - len(never_succeeded)}/{len(operations)} operations succeeded at least once")
if errors or never_succeeded:
    print(f"   FAILED: server errors {errors}; never succeeded: {never_succeeded}")
sys.exit(0 if passed and not errors and not never_succeeded else 1)
