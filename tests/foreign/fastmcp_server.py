"""A FastMCP server with a little of everything, on stdio or HTTP: fastmcp_server.py stdio | http PORT"""

import asyncio
import sys
from dataclasses import dataclass

from fastmcp import Context, FastMCP

server = FastMCP("foreign")


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool
async def slow(steps: int, ctx: Context) -> str:
    """Works in steps and tells of each."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps)
        await asyncio.sleep(0.05)
    return f"{steps} steps done"


@server.resource("note://today")
def note() -> str:
    """A note."""
    return "Water the plants."


@server.prompt
def greet(name: str) -> str:
    """Greets somebody."""
    return f"Say hello to {name}."


if sys.argv[1] == "http":
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False)
else:
    server.run(show_banner=False)
