"""Lists the tools and reads a file with the Python SDK: python_client.py MODE URL"""

import asyncio
import sys

from mcp import Client


async def main(mode: str, url: str) -> None:
    async with Client(url, mode=mode) as client:
        tools = await client.list_tools()
        print(*(tool.name for tool in tools.tools), sep="\n")
        result = await client.call_tool("filesystem_read_text_file", {"path": "hello.txt"})
        print(result.content[0].text)


asyncio.run(main(*sys.argv[1:]))
