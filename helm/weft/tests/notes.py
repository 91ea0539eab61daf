"""What Helm prints after an install -> lines that no program would take.

Apart because it looks at text that nobody runs in a test: every command must exist with its options, and what it names must be in
the release. kubectl is not at hand: its objects and ports are looked up in what was rendered.
"""

import os
import re
import shlex
import subprocess

from rules import named, of_kind, pods

# Where the help of a command comes from; what has no program here is looked at by its objects alone.
PROGRAMS = {"weft": "WEFT_BIN", "helm": "WEFT_HELM3", "claude": "WEFT_CLAUDE"}
# How many words name the command, and do not begin with a dash.
VERBS = {"helm": 1, "claude": 2}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
KNOWN = {}


def commands(text):
    """Each command of an indented line, split into words; pipes and what is sent to files are taken apart."""
    for line in text.splitlines():
        if line.startswith("  "):
            for part in line.strip().removesuffix("&").split(" | "):
                yield shlex.split(part.split(" > ")[0])


def help_of(program, verbs):
    """The help of a command, or None where it does not exist; asked once."""
    words = (os.environ.get(PROGRAMS[program]), *verbs)
    if words not in KNOWN:
        done = subprocess.run([*words, "--help"], capture_output=True, text=True, timeout=60)
        KNOWN[words] = done.stdout if done.returncode == 0 else None
    return KNOWN[words]


def unknown_options(words):
    program, rest = words[0], words[1:]
    if not os.environ.get(PROGRAMS[program]):
        return
    bare = [word for word in rest if not word.startswith("-")]
    verbs = bare[: VERBS.get(program, 2 if bare[0] == "keys" else 1)]
    text = help_of(program, verbs)
    if text is None:
        yield f"there is no {program} {' '.join(verbs)}"
        return
    own = rest[: rest.index("--")] if "--" in rest else rest
    yield from (f"{program} {' '.join(verbs)} has no {word}" for word in own if OPTION.fullmatch(word) and word not in OPTION.findall(text))
    if "--" in rest:
        yield from unknown_options(rest[rest.index("--") + 1 :])


def unknown_objects(words, objects):
    """kubectl: what it forwards to, and what it gets."""
    if "port-forward" in words:
        target, port = words[words.index("port-forward") + 1 :][:2]
        kind, name = target.split("/")
        owner = [one for one in objects if named(one).lower() == target]
        known = {port["containerPort"] for one, _, spec in pods(owner) for box in spec["containers"] for port in box["ports"]}
        if int(port.split(":")[1]) not in known:
            yield f"{kind} {name} has no port {port.split(':')[1]}"
    if "service" in words and not any(one["metadata"]["name"] == words[words.index("service") + 1] for one in of_kind(objects, "Service")):
        yield f"there is no service {words[words.index('service') + 1]}"
    if "secret" in words:
        wanted = words[words.index("secret") + (2 if "create" in words else 1)]
        used = {volume["secret"]["secretName"] for _, _, spec in pods(objects) for volume in spec.get("volumes", []) if "secret" in volume}
        if wanted not in used:
            yield f"no pod uses the secret {wanted}"


def wrong(text, objects):
    """Complaints about the notes of one release."""
    found = list(commands(text))
    if not any(words[:3] == ["claude", "mcp", "add"] for words in found):
        yield "the notes do not say how to connect"
    for words in found:
        if words[0] == "kubectl":
            yield from unknown_objects(words, objects)
        elif words[0] in PROGRAMS:
            yield from unknown_options(words)
        elif words[0] != "base64":
            yield f"the notes use {words[0]}, which is none of {', '.join(PROGRAMS)}, kubectl"
