#!/usr/bin/env python3
"""The chart's pods -> processes on this machine, and true when calls through the gateway are answered.

Apart from check.py because it runs the real program with the environment, files and certificates that the chart gives it.
Three times: with Kubernetes as the registry, whose API server is a stand-in that shows the endpoint slices which Kubernetes would make of
the chart's Services (labels copied, annotations not); so again with TLS on the listener (listener.py); and with a real Consul that asks
for TLS and a token and denies by default.

WEFT_HELM3, WEFT_HELM4_PYTHON   as for check.py
WEFT_BIN                        the program weft
WEFT_CONSUL                     the program consul; without it the last run is left out
"""

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import check
import rules
from listener import Listener, secret
from pods import ADDRESSES, NODE, Pods

# Seconds for each question; the first is asked while programs start.
PATIENCE = 30
# Made up, for an agent that lives for seconds.
TOKEN = "5b1ed9cc-0000-4000-8000-000000000001"
# In words that Consul has known since 1.8.
AGENT = f"""
server = true
bootstrap_expect = 1
bind_addr = "{NODE}"
client_addr = "{NODE}"
data_dir = "data"
ports {{ http = -1 https = 8501 grpc = -1 }}
connect {{ enabled = true }}
ca_file = "consul-agent-ca.pem"
cert_file = "dc1-server-consul-0.pem"
key_file = "dc1-server-consul-0-key.pem"
acl {{ enabled = true default_policy = "deny" tokens {{ master = "{TOKEN}" agent = "{TOKEN}" }} }}
"""


class Cluster(BaseHTTPRequestHandler):
    """Lists and watches endpoint slices, and nothing else."""

    slices = []
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        if "/namespaces/ns/endpointslices" not in self.path:
            return self.send_error(404)
        if "watch=" in self.path:
            # Nothing ever changes.
            self.send_response(200)
            self.end_headers()
            return time.sleep(PATIENCE)
        body = {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "1"}, "items": self.slices}
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        return self.wfile.write(text)

    def log_message(self, *_):
        pass


def slice_of(part, service, address):
    """The slice that Kubernetes makes of a Service."""
    meta = service["metadata"]
    labels = {**meta["labels"], "kubernetes.io/service-name": meta["name"]}
    ports = [{"name": one["name"], "port": one["port"], "protocol": "TCP"} for one in service["spec"]["ports"]]
    endpoint = {"addresses": [address], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": f"{part}-0"}}
    return {"metadata": {"name": f"{meta['name']}-x", "namespace": "ns", "labels": labels}, "addressType": "IPv4", "endpoints": [endpoint], "ports": ports}


@contextmanager
def kubernetes(objects, folder):
    """The stand-in, the variables that lead the gateway to it, and what is asked."""
    services = {one["metadata"]["labels"].get("weft.dev/service"): one for one in rules.of_kind(objects, "Service")}
    Cluster.slices = [slice_of(part, services[part], address) for part, address in ADDRESSES.items() if part in services]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = {"cluster": {"server": f"http://127.0.0.1:{server.server_port}"}, "name": "c"}
    context = {"context": {"cluster": "c", "user": "u", "namespace": "ns"}, "name": "c"}
    config = {"clusters": [cluster], "contexts": [context], "current-context": "c", "users": [{"name": "u", "user": {}}]}
    (folder / "kubeconfig").write_text(json.dumps(config))
    yield {"KUBECONFIG": str(folder / "kubeconfig")}, lambda: questions(folder)
    server.shutdown()


@contextmanager
def served(objects, folder):
    """As above, with what a listener with TLS needs, and its own questions."""
    listener = Listener(folder)
    objects += listener.secrets()
    with kubernetes(objects, folder) as (variables, _):
        yield {**variables, "WEFT_GATEWAY_LISTEN": f"0.0.0.0:{listener.port}"}, listener.questions


@contextmanager
def consul(objects, folder):
    """An agent at the address of the node, and the secrets that the values name."""
    program = check.tool("WEFT_CONSUL")

    def run(*words, **more):
        return subprocess.run([program, *words], cwd=folder, capture_output=True, timeout=30, **more)

    run("tls", "ca", "create", check=True)
    run("tls", "cert", "create", "-server", "-dc", "dc1", "-additional-ipaddress", NODE, check=True)
    (folder / "agent.hcl").write_text(AGENT)
    authority = (folder / "consul-agent-ca.pem").read_bytes()
    objects += [secret("consul-ca-cert", **{"tls.crt": authority}), secret("weft-consul-token", token=TOKEN.encode())]
    log = (folder / "consul.log").open("w")
    agent = subprocess.Popen([program, "agent", "-config-file=agent.hcl"], cwd=folder, stdout=log, stderr=log)
    environment = {**os.environ, "CONSUL_HTTP_ADDR": f"https://{NODE}:8501", "CONSUL_CACERT": "consul-agent-ca.pem", "CONSUL_HTTP_TOKEN": TOKEN}
    try:
        eventually(lambda: run("operator", "raft", "list-peers", env=environment), lambda done: done.returncode == 0)
        # What ServiceIntentions of the chart say.
        for one in rules.of_kind(objects, "ServiceIntentions"):
            for source in one["spec"]["sources"]:
                run("intention", "create", f"-{source['action']}", source["name"], one["spec"]["destination"]["name"], env=environment, check=True)
        yield {}, lambda: questions(folder)
    finally:
        agent.terminate()
        agent.wait(PATIENCE * 3)


def ask(url, body=None, host="localhost"):
    request = urllib.request.Request(url, data=body, headers={"Host": host, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def eventually(question, wanted):
    """The first answer that is wanted, or the last."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = question()
        if wanted(answer) or time.monotonic() > end:
            return answer
        time.sleep(0.1)


def questions(folder):
    """Name, question and the word of its answer."""
    gateway, server = ADDRESSES["gateway"], ADDRESSES["filesystem"]
    (folder / "filesystem" / "data" / "hello.txt").write_text("hello")
    listing = json.dumps({"path": "."}).encode()
    binary = check.tool("WEFT_BIN")
    return (
        ("the gateway is ready", lambda: ask(f"http://{gateway}:8081/ready"), "ready"),
        ("the server is ready", lambda: ask(f"http://{server}:8081/ready"), "ready"),
        ("a call reaches the server", lambda: ask(f"http://{gateway}:8080/mcp/v1/tools/filesystem_list_directory", listing), "hello.txt"),
        ("Prometheus is let in by the pod's address", lambda: ask(f"http://{gateway}:8081/metrics", host=f"{gateway}:8081"), "weft_gateway_calls_total"),
        ("the test is let in by the Service's name", lambda: ask(f"http://{gateway}:8081/api/v1/status", host="rel-weft-gateway-admin:8081"), '"filesystem"'),
        ("who the server must be is known", lambda: ask(f"http://{gateway}:8081/api/v1/status"), 'filesystem","eras":"dual"'),
        ("other hosts are not let in", lambda: ask(f"http://{gateway}:8081/metrics", host="evil.example"), "not served here"),
        ("weft status is content", lambda: (0, check.run([binary, "status", "--admin", f"{gateway}:8081"]).stdout), "healthy"),
    )


def probes(objects):
    """What the kubelet asks, in the words of the chart: name, question and the status of its answer."""
    for _, labels, spec in rules.pods(objects):
        part = labels["app.kubernetes.io/component"]
        if part not in ADDRESSES:
            continue
        container = spec["containers"][0]
        known = {one["name"]: one["containerPort"] for one in container["ports"]}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            get = container[kind]["httpGet"]
            url = f"http://{ADDRESSES[part]}:{known[get['port']]}{get['path']}"
            host = {one["name"]: one["value"] for one in get["httpHeaders"]}["Host"]
            yield f"the {kind} of {part}", lambda url=url, host=host: (0, str(ask(url, host=host)[0])), "200"


def scenario(values, registry):
    """Runs the pods of one set of values; the number of questions that were not answered well."""
    objects = check.render(values)[1]
    for one in rules.of_kind(objects, "Secret"):
        # check.py makes the random keys equal, for comparison.
        one["data"] = {key: base64.b64encode(secrets.token_bytes(32)).decode() for key in one["data"]}
    failed = 0
    with tempfile.TemporaryDirectory() as name, registry(objects, Path(name)) as (variables, asked):
        folder = Path(name)
        pods = Pods(objects, folder)
        try:
            pods.start("filesystem", {})
            pods.start("gateway", variables)
            for what, question, word in [*asked(), *probes(objects)]:
                answer = eventually(question, lambda answer, word=word: word in answer[1])
                good = word in answer[1]
                failed += not good
                print(f"  {what}: {'ok' if good else answer}")
        finally:
            codes = pods.stop()
            failed += any(codes)
            print(f"  they end in order: {'ok' if not any(codes) else codes}")
        if failed:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()}", file=sys.stderr)
    return failed


def main():
    scenarios = [("examples/small.yaml", kubernetes), ("tests/cases/tls.yaml", served)]
    if os.environ.get("WEFT_CONSUL"):
        scenarios.append(("examples/consul.yaml", consul))
    chosen = sys.argv[1:]
    failed = 0
    for name, registry in scenarios:
        if chosen and Path(name).stem not in chosen:
            continue
        print(name)
        failed += scenario(check.CHART / name, registry)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
