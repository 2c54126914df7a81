"""Measures a workflow call with the official Python SDK. Prints its CPU time in nanoseconds."""

import sys
import time

from fetch_hive_sdk import FetchHive

url, calls = sys.argv[1], int(sys.argv[2])
client = FetchHive(api_key="fhk_0123456789abcdef0123456789abcdef", base_url=url + "/v1")


def run(times):
    for _ in range(times):
        response = client.invoke_workflow(
            deployment="weekly-report", inputs={"topic": "enterprise AI", "audience": "board"}
        )
        assert response["request_id"], response


run(20)
start = time.process_time_ns()
run(calls)
print((time.process_time_ns() - start) / calls)
