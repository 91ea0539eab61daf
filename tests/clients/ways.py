"""The Python SDK by the old ways in: ways.py sse URL | stdio COMMAND..., lists the tools and reads hello.txt."""

import asyncio
import sys

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main() -> None:
    way, rest = sys.argv[1], sys.argv[2:]
    if way == "sse":
        streams = sse_client(rest[0])
    else:
        streams = stdio_client(StdioServerParameters(command=rest[0], args=rest[1:]))
    async with streams as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            tools = await session.list_tools()
            print(" ".join(tool.name for tool in tools.tools))
            for _ in range(3):
                result = await session.call_tool("filesystem_read_text_file", {"path": "hello.txt"})
            print(result.content[0].text)


asyncio.run(main())
