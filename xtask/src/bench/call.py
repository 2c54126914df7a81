"""The call of `cargo xtask bench call` by the official SDK: prints the processor time of one call, in nanoseconds."""

import sys
import time

from fetch_hive_sdk import FetchHive

url, calls = sys.argv[1], int(sys.argv[2])
client = FetchHive(api_key="fhk_0123456789abcdef0123456789abcdef", base_url=url + "/v1")


def run(times):
    for _ in range(times):
        reply = client.invoke_workflow(
            deployment="weekly-report", inputs={"topic": "enterprise AI", "audience": "board"}
        )
        assert reply["request_id"], reply


run(20)
began = time.process_time_ns()
run(calls)
print((time.process_time_ns() - began) / calls)
