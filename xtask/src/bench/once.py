"""Runs one workflow with the official Python SDK, and prints its output."""

import sys

from fetch_hive_sdk import FetchHive

client = FetchHive(api_key="fhk_0123456789abcdef0123456789abcdef", base_url=sys.argv[1] + "/v1")
response = client.invoke_workflow(deployment="weekly-report", inputs={"topic": "enterprise AI", "audience": "board"})
print(response["output"])
