"""What a client spends on schemas before its first word: on the whole mesh, on a virtual server, on a lean one.

Starts `weft up` over the filesystem server and twelve made-up servers with 200 tools (the list that the ranking is tested
with), asks each endpoint for its tools as a client does, and prints a table.

    python tests/tokens/measure.py --weft target/debug/weft [--tokenizer tokenizer.json]

Bytes are of the `tools/list` result as it comes. The prompt is what clients make of it for the model: name, description and
input schema of each tool, as compact JSON. Tokens are counted with a Hugging Face `tokenizer.json` (package `tokenizers`);
without one they are estimated as bytes / 4, and the table says so.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MADE_UP = REPOSITORY / "gateway/src/catalogue/rank/made_up.txt"
SETTINGS = """
[virtual.desk]
title = "Support desk"
tools = ["mail_*", "calendar_*", "filesystem_read_*"]
"""
CAPABILITIES = {"tools": {}}


def made_up():
    """Tools by service."""
    services = {}
    for line in MADE_UP.read_text().splitlines():
        service, name, description, arguments = line.split("|")
        properties = {argument: {"type": "string"} for argument in arguments.split()}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        tool = {"name": name, "description": description, "inputSchema": schema}
        services.setdefault(service, []).append(tool)
    return services


def serve(tools):
    """A server of the stateless era with these tools; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            common = {"resultType": "complete", "ttlMs": 60000, "cacheScope": "public"}
            results = {
                "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES},
                "tools/list": {"tools": tools},
            }
            answer = {"jsonrpc": "2.0", "id": message.get("id")}
            found = results.get(message["method"])
            if found is None:
                answer["error"] = {"code": -32601, "message": "no such method"}
            else:
                answer["result"] = common | found
            body = json.dumps(answer).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def ask(endpoint, method, params):
    """The raw bytes and the value of a result."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
    }
    if "name" in params:
        headers["mcp-name"] = params["name"]
    request = urllib.request.Request(endpoint, json.dumps(body).encode(), headers)
    raw = urllib.request.urlopen(request, timeout=30).read()
    return raw, json.loads(raw)["result"]


def prompt(tools):
    """What clients give to the model."""
    kept = ("name", "description", "inputSchema")
    return json.dumps([{key: tool[key] for key in kept if key in tool} for tool in tools], separators=(",", ":"))


def measure(base, count):
    """A row for each endpoint, and one for a task on the lean one."""
    rows = []
    for name, path in [("everything", "/mcp"), ("a part: mail, calendar, reading files", "/mcp/v/desk"), ("lean", "/mcp/v/lean")]:
        raw, result = ask(base + path, "tools/list", {})
        text = prompt(result["tools"])
        rows.append((name, f"`{path}`", len(result["tools"]), len(raw), len(text.encode()), count(text)))
    spoken = []
    for arguments in [
        {"name": "find_tools", "arguments": {"query": "send an email to the team"}},
        {"name": "describe_tool", "arguments": {"name": "mail_send_email"}},
    ]:
        _, result = ask(base + "/mcp/v/lean", "tools/call", arguments)
        spoken += [json.dumps(arguments, separators=(",", ":")), result["content"][0]["text"]]
    text = "\n".join(spoken)
    rows.append(("one search and one description there", "", "", "", len(text.encode()), count(text)))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--tokenizer")
    arguments = parser.parse_args()
    count, method = lambda text: len(text.encode()) // 4, "bytes / 4, an estimate"
    if arguments.tokenizer:
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(arguments.tokenizer)
        count, method = lambda text: len(tokenizer.encode(text).ids), "counted by a tokenizer"
    with tempfile.TemporaryDirectory() as folder:
        settings = pathlib.Path(folder, "gateway.toml")
        settings.write_text(SETTINGS)
        os.mkdir(pathlib.Path(folder, "root"))
        command = [arguments.weft, "up", "--root", f"{folder}/root", "--state", f"{folder}/state"]
        command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config", str(settings)]
        for service, tools in made_up().items():
            command += ["--add", f"{service}=http://127.0.0.1:{serve(tools)}/mcp"]
        weft = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            line = next(line for line in weft.stdout if line.startswith("endpoint"))
            base = line.split()[-1].removesuffix("/mcp")
            until = time.monotonic() + 30
            while len(ask(base + "/mcp", "tools/list", {})[1]["tools"]) < 218:
                assert time.monotonic() < until, "not all tools came"
                time.sleep(0.1)
            rows = measure(base, count)
        finally:
            weft.terminate()
            weft.wait()
    print(f"Tokens: {method}.\n")
    print("| what | endpoint | tools | `tools/list`, bytes | prompt, bytes | prompt, tokens |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in row) + " |")


if __name__ == "__main__":
    main()
