"""Calls the tools of `fetch-hive mcp`, and checks what a client sees."""

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

passed = 0


def check(condition, what):
    global passed
    assert condition, what
    passed += 1


def fields(model):
    """The fields as on the wire, which have the same names in all versions of the package."""
    return model.model_dump(by_alias=True, mode="json")


async def call(session, tool, arguments, **options):
    return fields(await session.call_tool(tool, arguments, **options))


async def run(session):
    await session.initialize()
    tools = {tool["name"]: tool for tool in fields(await session.list_tools())["tools"]}
    report = tools["weekly_report"]
    check(report["inputSchema"]["required"] == ["topic"], report)
    hints = report["annotations"]
    check("charged" in report["description"] and not hints["readOnlyHint"] and not hints["idempotentHint"], report)

    result = await call(session, "weekly_report", {"topic": "AI"})
    content = result["structuredContent"]
    check(not result["isError"] and content["output"] == "Report on AI" and content["request_id"], result)

    result = await call(session, "researcher", {"message": "news?"})
    text = result["content"][0]["text"]
    check(text == "Nothing new." and result["structuredContent"]["tokens"] > 0, result)

    result = await call(session, "weekly_report", {})
    check(result["isError"] and "Nothing was started" in result["content"][0]["text"], result)

    result = await call(session, "broken", {})
    text = result["content"][0]["text"]
    check(result["isError"] and "no sources" in text and "is charged" in text, result)

    reports = []

    async def on_progress(progress, total, message):
        reports.append(message)

    slow = asyncio.create_task(session.call_tool("slow", {}, progress_callback=on_progress))
    while not reports:
        await asyncio.sleep(0.1)
    check("running for" in reports[0], reports)
    await cancel(session)
    slow.cancel()
    # The server records the cancelled call before it ends.
    await asyncio.sleep(1)


async def cancel(session):
    """Tells the server to cancel the last call. Version 2 does so when its task is cancelled."""
    last = getattr(session, "_request_id", None)
    if last is None:
        return
    from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification

    params = CancelledNotificationParams(requestId=last - 1, reason="test")
    method = "notifications/cancelled"
    await session.send_notification(ClientNotification(CancelledNotification(method=method, params=params)))


async def main():
    command, config = sys.argv[1:]
    server = StdioServerParameters(command=command, args=["mcp", "--config", config], env=dict(os.environ))
    async with stdio_client(server) as (read, write):
        async with ClientSession(read, write) as session:
            await asyncio.wait_for(run(session), 60)
    print(f"{passed} checks passed")


asyncio.run(main())
