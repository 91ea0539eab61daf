"""Calls with a key by the Python SDK: python_key.py MODE URL, the key in the variable KEY"""

import asyncio
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(mode: str, url: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ['KEY']}"}
    async with httpx2.AsyncClient(headers=headers) as http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        result = await client.call_tool("filesystem_read_text_file", {"path": "hello.txt"})
        print("read:", result.content[0].text)
        try:
            result = await client.call_tool("filesystem_write_file", {"path": "new.txt", "content": "x"})
            print("write:", "refused" if result.is_error else "done")
        except Exception as error:  # noqa: BLE001
            print("write: refused", error)
    try:
        async with Client(url, mode=mode) as client:
            await client.list_tools()
            print("without: done")
    except BaseException as error:  # noqa: BLE001
        print("without: refused", type(error).__name__)


asyncio.run(main(*sys.argv[1:]))
