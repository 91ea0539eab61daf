"""Rendered objects and the programs' own schemas -> settings that no program knows.

Apart because programs ignore variables that are not theirs: a misspelt one would be lost in silence. The schemas come from
the binary itself.
"""

import json
import subprocess
import tomllib

from rules import pods, of_kind

PREFIXES = {"gateway": "WEFT_GATEWAY_"}


def schema(weft, words):
    """What `weft ... --settings-schema` prints; None for a service that this binary does not have."""
    done = subprocess.run([weft, *words, "--settings-schema"], capture_output=True, text=True, timeout=30)
    return json.loads(done.stdout) if done.returncode == 0 else None


def spoken(command):
    """What `weft` is told to be the same program; None for one that is not ours."""
    if command[0] == "weft":
        return command[1:]
    alone = command[0].removeprefix("weft-")
    return None if alone == command[0] else ["gateway"] if alone == "gateway" else ["serve", alone]


def resolve(root, at):
    while "$ref" in at:
        found = root
        for step in at["$ref"].lstrip("#/").split("/"):
            found = found[step]
        at = found
    return at


def knows(root, path):
    at = root
    for name in path:
        at = resolve(root, at)
        if name not in at.get("properties", {}):
            return False
        at = at["properties"][name]
    return True


def strays(root, at, value, path=""):
    """The keys of a configuration file that a schema does not know, at any depth."""
    at = resolve(root, at)
    choices = [strays(root, one, value, path) for one in at.get("anyOf", []) + at.get("oneOf", []) if one.get("type") != "null"]
    if choices:
        return min(choices, key=len)
    if isinstance(value, list):
        return [stray for one in value for stray in strays(root, at.get("items", {}), one, path)]
    if not isinstance(value, dict):
        return []
    known, others = at.get("properties", {}), at.get("additionalProperties", True)
    found = []
    for key, inner in value.items():
        if key in known or isinstance(others, dict):
            found += strays(root, known.get(key, others), inner, f"{path}{key}.")
        elif others is False:
            found.append(path + key)
    return found


def unknown(objects, weft):
    """Complaints about variables and configuration files."""
    configs = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    for owner, labels, spec in pods(objects):
        container = spec["containers"][0]
        part, command = labels["app.kubernetes.io/component"], container["command"]
        if part == "test" or (words := spoken(command)) is None:
            continue
        root = schema(weft, words)
        if root is None:
            continue
        prefix = PREFIXES.get(part, "WEFT_")
        for name in [one["name"] for one in container["env"] if one["name"].startswith(prefix)]:
            if not knows(root, name.removeprefix(prefix).lower().split("__")):
                yield f"{owner}: {name} is no setting"
        volume = [one["configMap"]["name"] for one in spec["volumes"] if one["name"] == "config"]
        for text in [configs[name]["config.toml"] for name in volume]:
            yield from (f"{owner}: {key} is no setting" for key in strays(root, root, tomllib.loads(text)))
