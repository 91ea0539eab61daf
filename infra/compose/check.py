#!/usr/bin/env python3
"""compose.yaml -> true when Docker Compose resolves it in every profile, each container is confined, and the servers understand
the settings that prepare.py chooses.

No container is started. Everything is done in a copy, which prepare.py fills with secrets.

WEFT_COMPOSE   the program docker-compose (version 2)
WEFT_BIN    the program weft; without it the names of settings are not checked
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROFILES = ("small", "backends", "watch", "full")
# These write their own configuration at their start.
WRITERS = {"neo4j", "opensearch"}


def prepared(folder, profile):
    """The folder as prepare.py leaves it for a profile."""
    words = [sys.executable, str(folder / "prepare.py"), profile]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 or "claude mcp add" not in done.stdout:
        raise ValueError(f"prepare.py {profile}: {done.stdout}{done.stderr}")


def resolved(folder):
    words = [os.environ["WEFT_COMPOSE"], "config", "--format", "json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip())
    return json.loads(done.stdout)


def confined(name, service):
    """What one service is allowed beyond what it should be."""
    if service.get("cap_drop") != ["ALL"]:
        yield f"{name}: keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield f"{name}: may gain privileges"
    if not service.get("read_only") and name not in WRITERS:
        yield f"{name}: has a writable root"
    if service.get("privileged") or service.get("user") in ("root", "0"):
        yield f"{name}: is root"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    yield from (f"{name}: has no limit of {limit}" for limit in ("cpus", "memory", "pids") if limit not in limits)
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            yield f"{name}: publishes {port['target']} beyond this machine"
    for key, value in (service.get("environment") or {}).items():
        if "PASSWORD" in key and not key.endswith(("_FILE", "__FILE")):
            yield f"{name}: {key} is a secret in the environment: {value}"
    yield from (f"{name}: the image has no version" for _ in [0] if ":" not in service["image"] or service["image"].endswith(":latest"))


def asked(name, service):
    """Every program of Weft's own says whether it is healthy."""
    if (service.get("command") or [""])[0] in ("gateway", "serve") and not service.get("healthcheck"):
        yield f"{name}: has no health check"


def keys(schema, at, prefix):
    """Every setting of a schema, as the variable that sets it."""
    while "$ref" in at:
        at = schema["$defs"][at["$ref"].rsplit("/", 1)[1]]
    for key, value in at.get("properties", {}).items():
        yield prefix + key.upper()
        yield from keys(schema, value, f"{prefix}{key.upper()}__")


def known(name, service):
    """Variables of Weft's own programs that are no settings; programs themselves ignore them in silence."""
    binary, command = os.environ.get("WEFT_BIN"), service.get("command") or [""]
    if not binary or command[0] not in ("gateway", "serve"):
        return
    words = [binary, *command[:2], "--settings-schema"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        yield f"{name}: {done.stderr.strip()}"
        return
    schema = json.loads(done.stdout)
    settings = set(keys(schema, schema, "WEFT_GATEWAY_" if command[0] == "gateway" else "WEFT_"))
    yield from (f"{name}: {key} is no setting" for key in service["environment"] if key not in settings)


def addresses(services):
    """No two services have one address."""
    seen = {}
    for name, service in services.items():
        for network in (service.get("networks") or {}).values():
            address = (network or {}).get("ipv4_address")
            if address and seen.setdefault(address, name) != name:
                yield f"{name}: has the address of {seen[address]}"


def understood(name, service, secrets):
    """A server that does not start with the settings and the secrets that it is given."""
    binary, command = os.environ.get("WEFT_BIN"), service.get("command") or [""]
    if not binary or "--config" not in command:
        return
    given = {secret["source"]: Path(secrets[secret["source"]]["file"]) for secret in service.get("secrets", [])}
    mounted = {volume["target"]: Path(volume["source"]) for volume in service["volumes"] if volume["type"] == "bind"}
    at = Path(command[command.index("--config") + 1])
    text = (mounted[str(at.parent)] / at.name).read_text()
    asked = set(re.findall(r"file:/run/secrets/(\w+)", text))
    yield from (f"{name}: is not given the secret {secret}" for secret in sorted(asked - given.keys()))
    if asked - given.keys():
        return
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(re.sub(r"/run/secrets/(\w+)", lambda found: str(given[found[1]]), text))
        file.flush()
        words = [binary, *command[:2], "--config", file.name, "--tools"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            yield f"{name}: {done.stderr.strip()}"


def complaints(folder, profile):
    """How many services a profile has, and what is wrong with them."""
    prepared(folder, profile)
    whole = resolved(folder)
    services = whole["services"]
    found = [text for name, one in services.items() for check in (confined, asked, known) for text in check(name, one)]
    found += [text for name, one in services.items() for text in understood(name, one, whole["secrets"])]
    found += addresses(services)
    found += [f"the secret {name} has no file" for name, secret in whole["secrets"].items() if not Path(secret["file"]).is_file()]
    return len(services), found


def main():
    if not os.environ.get("WEFT_COMPOSE"):
        sys.exit("WEFT_COMPOSE names no program; see the beginning of check.py")
    count = 0
    with tempfile.TemporaryDirectory() as scratch:
        # Where the file looks for what is beside it.
        shutil.copytree(HERE.parent, Path(scratch) / "infra", ignore=shutil.ignore_patterns(".env", "secrets", "state", "data"))
        for profile in PROFILES:
            try:
                services, found = complaints(Path(scratch) / "infra" / HERE.name, profile)
            except ValueError as error:
                services, found = 0, [str(error)]
            count += len(found)
            print(f"{profile}: {services} services, {len(found)} complaints")
            for text in found:
                print(f"  {text}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
