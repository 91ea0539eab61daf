#!/usr/bin/env python3
"""Images -> true when they run confined, behind a Consul, and a call goes through both; and what memory they take.

A gateway and servers run as containers with a read-only root, no capabilities, no way to more privileges, our list of system
calls, user 65532 and 128 MB each; they find each other by a real Consul and take their certificates from it. Apart from check.py
of the compose file, which only reads: this needs root, podman and images that `cargo xtask image` has made.

    run.py weft:TAG                                    the image with every program: gateway and filesystem server
    run.py weft-gateway:TAG weft-filesystem:TAG ...    one program each: a gateway, and the servers behind it

WEFT_CONSUL   the program consul
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE, GATEWAY = "127.84.0.1", "127.84.0.9"
PATIENCE = 60
# What each server is asked through the gateway, how often, and a word of the answer.
ASKED = {
    "filesystem": ("read_text_file", {"path": "hello.txt"}, 1000, "hello from a container"),
    "database": ("query", {"connection": "main", "sql": "SELECT 'six' || 'teen' AS word"}, 1, "sixteen"),
    "vectorstore": ("list_collections", {}, 1, "structuredContent"),
    "memory": ("store", {"items": [{"text": "containers can remember"}]}, 1, "created"),
    "search": ("list_indices", {}, 1, "structuredContent"),
    "aiml": ("count_tokens", {"text": "one two three"}, 1, "structuredContent"),
}
CONFINED = [
    "--network=host", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", f"--security-opt=seccomp={HERE}/seccomp.json",
    "--user=65532:65532", "--memory=128m", "--memory-swap=128m", "--pids-limit=128",
    # Fewer than the engine's own defaults, which a machine that is itself a container may not allow.
    "--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096",
]  # fmt: skip
REGISTRY = f"consul://{NODE}:8500?check_s=1"


def podman(*words, check=True):
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=120, check=False)
    if check and done.returncode != 0:
        sys.exit(f"podman {' '.join(words)}: {done.stderr.strip()}")
    return done


def ask(url, body=None):
    request = urllib.request.Request(url, data=body, headers={"Host": "localhost", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return str(error)


def eventually(question, word):
    end = time.monotonic() + PATIENCE
    while word not in (answer := question()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


@contextlib.contextmanager
def consul():
    words = ["agent", "-dev", f"-bind={NODE}", f"-client={NODE}", "-grpc-port=-1", "-dns-port=-1", "-disable-host-node-id", "-log-level=err"]
    agent = subprocess.Popen([os.environ["WEFT_CONSUL"], *words], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: ask(f"http://{NODE}:8500/v1/status/leader"), ":")
        yield
    finally:
        agent.terminate()
        agent.wait(PATIENCE)


class Container:
    """One of them, gone at the end."""

    def __init__(self, name, image, address, options, variables):
        """`image` may have words behind it: what its program is told."""
        self.name, self.began = f"weft-run-{name}", time.monotonic()
        podman("rm", "--force", "--volumes", self.name, check=False)
        given = [f"--env={key}={value}" for key, value in variables.items()]
        # Both share the host's addresses, so that the check's own, 127.0.0.1, would be nobody's.
        health = json.dumps(["/program", *image[1:], "--health", f"{address}:8081"])
        # A volume takes the state's owner and mode from the image.
        podman("run", "--detach", f"--name={self.name}", f"--volume={self.name}:/var/lib/weft", f"--health-cmd={health}", *CONFINED, *options, *given, *image)
        self.pid = int(podman("inspect", "--format={{.State.Pid}}", self.name).stdout)

    def status(self):
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}

    def resident(self):
        return int(self.status()["VmRSS"].split()[0]) / 1024

    def confined(self):
        """What it is allowed beyond what it should be."""
        status = self.status()
        wanted = {"Uid": "65532", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
        yield from (f"{key} is {status[key]}" for key, value in wanted.items() if value not in status[key].split())
        roots = [line.split() for line in Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()]
        if not any(parts[4] == "/" and "ro" in parts[5].split(",") for parts in roots):
            yield "its root can be written"
        if podman("exec", self.name, "/bin/sh", "-c", "true", check=False).returncode == 0:
            yield "it has a shell"
        if limit(self.pid) not in ("134217728", None):
            yield f"its memory is bounded by {limit(self.pid)}"

    def healthy(self):
        """What the program says of the one that runs."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def stop(self):
        podman("stop", "--time=30", self.name)
        code = podman("inspect", "--format={{.State.ExitCode}}", self.name).stdout.strip()
        log = podman("logs", self.name)
        podman("rm", "--force", "--volumes", self.name)
        podman("volume", "rm", "--force", self.name, check=False)
        return code, log.stdout + log.stderr


def limit(pid):
    """The bound of the kernel's own books; None where they are not mounted."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in (f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes", f"/sys/fs/cgroup{path}/memory.max"):
            if controllers in ("memory", "") and Path(file).exists():
                return Path(file).read_text().strip()
    return None


def server(service, image, address, data):
    variables = {
        "WEFT_HOST__LISTEN": f"{address}:8501", "WEFT_HOST__ADMIN": f"{address}:8081", "WEFT_HOST__STATE": "/var/lib/weft",
        "WEFT_HOST__REGISTRY": REGISTRY, "WEFT_HOST__IDENTITY": f"consul://{NODE}:8500",
    }  # fmt: skip
    options = []
    if service == "filesystem":
        variables["WEFT_SERVICE__ROOT"], options = "/data", [f"--volume={data}:/data:ro"]
    return Container(service, image, address, options, variables)


def gateway(image):
    variables = {
        "WEFT_GATEWAY_LISTEN": f"{GATEWAY}:8080", "WEFT_GATEWAY_ADMIN": f"{GATEWAY}:8081", "WEFT_GATEWAY_STATE": "/var/lib/weft",
        "WEFT_GATEWAY_REGISTRY": REGISTRY, "WEFT_GATEWAY_IDENTITY": f"consul://{NODE}:8500",
    }  # fmt: skip
    return Container("gateway", image, GATEWAY, [], variables)


def calls(service):
    """Asks a server through the gateway; gives the first wrong answer, or None."""
    tool, arguments, count, word = ASKED[service]
    url, body = f"http://{GATEWAY}:8080/mcp/v1/tools/{service}_{tool}", json.dumps(arguments).encode()
    answers = (ask(url, body) for _ in range(count))
    return next((answer for answer in answers if word not in answer), None)


def parts(images, data):
    """Name, address and how to start it: the servers, and last the gateway."""
    if len(images) == 1:
        front, behind = [images[0], "gateway"], {"filesystem": [images[0], "serve", "filesystem"]}
    else:
        front, behind = [images[0]], {image.split(":")[0].rsplit("weft-")[-1]: [image] for image in images[1:]}
    for number, (service, image) in enumerate(behind.items(), 11):
        address = f"127.84.0.{number}"
        yield service, address, lambda service=service, image=image, address=address: server(service, image, address, data)
    yield "gateway", GATEWAY, lambda: gateway(front)


def started(name, address, make):
    """One of them, and what is wrong with it."""
    one = make()
    answer = eventually(lambda: ask(f"http://{address}:8081/ready"), "ready")
    print(f"{name}: ready after {time.monotonic() - one.began:.2f} s, {one.resident():.1f} MiB resident, {limit(one.pid)} bytes allowed")
    return one, [*([] if "ready" in answer else [f"{name}: is not ready: {answer}"]), *(f"{name}: {what}" for what in one.confined())]


def main():
    images = sys.argv[1:]
    if not images or not os.environ.get("WEFT_CONSUL"):
        sys.exit(__doc__)
    failed, containers = [], {}
    with tempfile.TemporaryDirectory() as data, consul():
        os.chmod(data, 0o755)
        Path(data, "hello.txt").write_text("hello from a container")
        try:
            for name, address, make in parts(images, data):
                containers[name], wrong = started(name, address, make)
                failed += wrong
            for service in containers.keys() - {"gateway"}:
                tool = ASKED[service][0]
                listed = eventually(lambda tool=tool: ask(f"http://{GATEWAY}:8081/api/v1/status"), f'"{tool}"')
                failed += [] if f'"{tool}"' in listed else [f"the gateway does not know {service}: {listed}"]
                wrong = calls(service)
                failed += [f"{service}: a call is answered by {wrong}"] if wrong else []
            for name, one in containers.items():
                print(f"{name}: {one.resident():.1f} MiB resident after the calls")
                failed += [] if one.healthy() else [f"{name}: its health check fails"]
        finally:
            for name, one in reversed(containers.items()):
                code, log = one.stop()
                failed += [] if code == "0" else [f"{name}: ended with {code}"]
                print(log if failed else f"{name}: ended in order")
    for what in failed:
        print(f"FAILED {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
