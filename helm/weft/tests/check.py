#!/usr/bin/env python3
"""The chart -> true when it renders, fits the cluster's schemas, keeps its rules and looks as it did before.

Every example and every case is linted and rendered by Helm 3 and by Helm 4, whose results must be the same; every object is
checked against the schema of its kind (a kind without one is an error), then against rules.py and settings.py, then against
its golden file. No cluster is needed, and none is asked.

    check.py            checks
    check.py --write    renews the golden files; look at the difference before you commit it
    check.py ha ...     only these cases, or `servers`, `refusals`, `with-consul`

WEFT_HELM3                 a Helm 3 program
WEFT_HELM4_PYTHON          a Python with helm-python-sdk (Helm 4), PyYAML and jsonschema
WEFT_KUBERNETES_VALIDATE   the program kubernetes-validate
WEFT_BIN                the program weft; without it the names of settings are not checked
WEFT_CLAUDE                the program claude; without it that command of the notes is not checked
WEFT_CONSUL_CHART          a copy of Consul's official chart; without it tests/consul stands in for examples/with-consul
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import notes
import rules
import settings

HERE = Path(__file__).resolve().parent
CHART = HERE.parent
SERVICES = CHART.parent.parent / "services"
# What the chart must say of a server as its service.toml does.
TOLD = ("port", "policy", "key", "schemes")
# The oldest version that the chart takes, and a new one.
VERSIONS = ("1.30", "1.37")
# Keys are random where no cluster remembers them.
RANDOM = re.compile(r"^(  [a-z]+\.key: )[A-Za-z0-9+/]{43}=$", re.M)
RANDOM_JSON = re.compile(r'("[a-z]+\.key": )"[A-Za-z0-9+/]{43}="')
HELM3_ARGUMENTS = ["rel", str(CHART), "--namespace", "ns", "--kube-version", "1.35.0"]

# What values must not be able to say: --set arguments, and a word of the answer.
REFUSED = (
    ("servers.filesystem.replicas=2", "sharedState"),
    ("servers.filesystem.replicas=2,servers.filesystem.sharedState=true", "existingClaim"),
    ("servers.database.replicas=2,servers.database.sharedState=true", "servers.database.config"),
    ("servers.memory.autoscaling.enabled=true,servers.memory.sharedState=true", "servers.memory.config"),
    ("servers.database.replicas=2,servers.database.sharedState=true,servers.database.data.existingClaim=c", "servers.database.config"),
    ("servers.database.replicas=2,servers.database.sharedState=true,servers.database.config=a = 1,servers.database.state.existingClaim=c", "state.size"),
    ("ingress.enabled=true,ingress.host=a.example", "gateway.door.enabled"),
    ("gateway.door.enabled=true", "tokens.existingSecret"),
    ("gateway.door.enabled=true,gateway.door.tokens.existingSecret=t,gateway.tls.existingSecret=t", "gateway.keys"),
    ("gateway.tls.existingSecret=t,gateway.tls.certManager.enabled=true", "choose one"),
    ("gateway.tls.certManager.enabled=true", "issuerRef.name"),
    ("gateway.tls.clientCA.existingSecret=c", "gateway.tls.existingSecret"),
    ("gateway.tls.existingSecret=t,gateway.tls.clientCA.existingSecret=c", "auth.certificate"),
    ("gateway.tls.existingSecret=t,gateway.tls.clientCRL.existingSecret=c", "gateway.tls.clientCA"),
    ("gateway.tls.existingSecret=t,gateway.tls.clientAuth=required", "gateway.tls.clientCA"),
    ("gateway.tls.clientAuth=maybe", "clientAuth"),
    ("gateway.tls.certificate=t", "certificate"),
    ("gateway.service.type=NodePort", "gateway.keys.existingSecret"),
    ("gateway.service.type=LoadBalancer,gateway.tls.existingSecret=t", "gateway.keys.existingSecret"),
    ("gateway.service.type=LoadBalancer,gateway.keys.existingSecret=k", "gateway.allowPlainOutside"),
    ("ingress.enabled=true,ingress.host=a.example,gateway.keys.existingSecret=k", "ingress.tlsSecret"),
    ("image.perServer=true,image.digest=sha256:" + "0" * 64, "image.tag"),
    ("meshInjection=true", "gateway.keys.existingSecret"),
    ("identity.source=consul", "registry.kind"),
    ("identity.source=secret", "identity.secretName"),
    ("registry.kind=consul,registry.consul.intentions=true", "identity.source"),
    ("registry.kind=etcd", "registry.kind"),
    ("registry.kind=consul,gateway.kind=Deployment", "StatefulSet"),
    ("servers.UPPER.port=1", "servers"),
    *((f"servers.{taken}.port=1,servers.{taken}.policy=round_robin", taken) for taken in ("gateway", "gateway-admin", "test", "authority", "dashboard")),
    ("servers.filesystem.colour=red", "colour"),
    ("ipFamily=IPv5", "ipFamily"),
    ("gateway.replicas=-1", "replicas"),
    ("servers.search.schemes={" + ",".join(f"scheme-{number}" for number in range(9)) + "}", "schemes"),
)

HELM4 = """
import json, sys, helm_python as helm, yaml
chart, path, lint = sys.argv[1], sys.argv[2], sys.argv[3] == "lint"
values = yaml.safe_load(open(path)) if path else {}
if lint:
    report = helm.lint(chart, values=values, strict=True)
    print(json.dumps([one["error"] for one in report["messages"] if one["severity"] > 1 and "icon" not in one["error"]]))
else:
    files = helm.Chart.load(chart).render(values=values, name="rel", namespace="ns")
    texts = [text for name, text in files.items() if not name.endswith(".txt")]
    notes = [text for name, text in files.items() if name.endswith("NOTES.txt")]
    print(json.dumps({"notes": notes[0], "objects": [one for text in texts for one in yaml.safe_load_all(text) if one]}))
"""

YAML = "import json, sys, yaml; print(json.dumps([one for one in yaml.safe_load_all(sys.stdin) if one]))"

SCHEMAS = """
import json, sys, jsonschema
schema, objects = json.load(open(sys.argv[1])), json.load(sys.stdin)
found = [(one, error) for one in objects for error in jsonschema.Draft7Validator(schema).iter_errors(one)]
print(json.dumps([f"{one['kind']}/{one['metadata']['name']}: {error.json_path}: {error.message}" for one, error in found]))
"""


# Objects that passed already: most are the same in several cases, and a schema is slow to read.
PASSED = set()


def tool(name):
    value = os.environ.get(name)
    if not value or not shutil.which(value):
        sys.exit(f"{name} names no program; see the beginning of {Path(__file__).name}")
    return value


def run(words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **more)


def python(code, *words, given=None):
    """What a script prints as JSON, run by the Python that has Helm 4."""
    done = run([tool("WEFT_HELM4_PYTHON"), "-c", code, *words], input=given)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def cases():
    """Name and values file of everything that is rendered; the chart's own values come first."""
    found = [("values", None)]
    for folder in ("examples", "tests/cases"):
        found += [(path.stem, path) for path in sorted((CHART / folder).glob("*.yaml"))]
    return found


def helm3(command, path, *more):
    values = ["--values", str(path)] if path else []
    if command == "lint":
        return run([tool("WEFT_HELM3"), "lint", "--strict", str(CHART), *values])
    return run([tool("WEFT_HELM3"), "template", *HELM3_ARGUMENTS, *values, *more])


def render(path):
    """The text of Helm 3, its objects, and the objects and notes of Helm 4."""
    done = helm3("template", path)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip())
    text = RANDOM.sub(r"\1AAAA", done.stdout)
    three = python(YAML, given=text)
    four = json.loads(RANDOM_JSON.sub(r'\1"AAAA"', json.dumps(python(HELM4, str(CHART), str(path or ""), "render"))))
    return text, three, four["objects"], four["notes"]


def linted(path):
    done = helm3("lint", path)
    if done.returncode != 0:
        yield f"helm 3 lint: {done.stdout.strip()}"
    yield from (f"helm 4 lint: {error}" for error in python(HELM4, str(CHART), str(path or ""), "lint"))


def same(three, four):
    if sorted(three, key=rules.named) != sorted(four, key=rules.named):
        yield "Helm 3 and Helm 4 render different objects"


def valid(objects):
    """Against the schemas of Kubernetes, or ours where the kind is none of Kubernetes'."""
    own = {}
    for one in objects:
        schema = HERE / "schemas" / f"{one['apiVersion'].replace('/', '_')}_{one['kind']}.json"
        if schema.exists():
            own.setdefault(schema, []).append(one)
    known = [one for one in objects if not any(one in group for group in own.values())]
    known = [one for one in known if json.dumps(one) not in PASSED]
    for schema, group in own.items():
        yield from python(SCHEMAS, str(schema), given=json.dumps(group))
    wrong = False
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("\n---\n".join(json.dumps(one) for one in known))
        file.flush()
        for version in VERSIONS:
            done = run([tool("WEFT_KUBERNETES_VALIDATE"), "-k", version, "--strict", file.name])
            lines = (done.stdout + done.stderr).splitlines()
            yield from (f"Kubernetes {version}: {line}" for line in lines if not line.startswith("INFO"))
            passed = sum(" passed for " in line for line in lines)
            wrong |= passed != len(known)
            if passed != len(known):
                yield f"Kubernetes {version}: {passed} of {len(known)} objects passed"
    if not wrong:
        PASSED.update(map(json.dumps, known))


def named_secrets(value):
    """Every secret that values name, as `Secret/<name>`."""
    if isinstance(value, list):
        return set().union(*map(named_secrets, value))
    if not isinstance(value, dict):
        return set()
    own = {f"Secret/{value[key]}" for key in ("existingSecret", "secret") if isinstance(value.get(key), str)}
    return own.union(*map(named_secrets, value.values()))


def golden(name, text, write):
    path = HERE / "golden" / name
    if write:
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        yield f"{path.relative_to(CHART)} is not what is rendered; look, then run check.py --write"


def case(name, path, write):
    """All that is wrong with one set of values."""
    try:
        text, three, four, said = render(path)
    except ValueError as error:
        return [f"does not render: {error}"]
    values = python(YAML, given=path.read_text())[0] if path else {}
    secrets = named_secrets(values)
    pattern = values.get("identity", {}).get("secretName", "")
    parts = {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in three}
    secrets |= {f"Secret/{pattern.replace('{name}', part)}" for part in parts}
    binary = os.environ.get("WEFT_BIN")
    # Each step may rely on what the ones before it have found to be well.
    steps = (
        lambda: [*linted(path), *same(three, four), *valid(three)],
        lambda: rules.complaints(three, secrets),
        lambda: settings.unknown(three, binary) if binary else [],
        lambda: notes.wrong(said, three),
        lambda: [*golden(f"{name}.yaml", text, write), *golden(f"{name}.txt", said, write)],
    )
    return next(filter(None, (list(step()) for step in steps)), [])


def manifests():
    """The servers of values.yaml are those of services/, with their names, ports, policies, keys and schemes."""
    values = python(YAML, given=(CHART / "values.yaml").read_text())[0]["servers"]
    wanted = {}
    for path in SERVICES.glob("*/service.toml"):
        manifest = tomllib.loads(path.read_text())
        # For tests alone, and not in the chart.
        if manifest["name"] != "echo":
            wanted[manifest["name"]] = {key: manifest.get(key) for key in TOLD}
    for name, own in values.items():
        got = {key: own.get(key) for key in TOLD}
        if name in wanted and got != wanted[name]:
            yield f"servers.{name} is {got}, but its service.toml says {wanted[name]}"
        if name not in wanted:
            yield f"servers.{name}: there is no such service"
    yield from (f"servers.{name} is missing" for name in wanted if name not in values)


# What they may say, and words of what is rendered then: branches that no case takes.
TAKEN = (
    ("gateway.service.type=LoadBalancer,gateway.keys.existingSecret=k,gateway.allowPlainOutside=true", "AUTH__INSECURE"),
    ("ingress.enabled=true,ingress.host=a.example,gateway.keys.existingSecret=k,gateway.allowPlainOutside=true", "AUTH__INSECURE"),
    ("gateway.service.type=NodePort,gateway.keys.existingSecret=k,gateway.tls.existingSecret=own", "secretName: own"),
    ("ingress.enabled=true,ingress.host=a.example,ingress.tlsSecret=i,gateway.keys.existingSecret=k,gateway.tls.existingSecret=t", "backend-protocol: HTTPS"),
    ("gateway.config=[[auth.certificate]],gateway.tls.existingSecret=t,gateway.tls.clientCA.existingSecret=c", "AUTH__MODE"),
    ("networkPolicy.enabled=false", "command: [weft, health,"),
    ("ipFamily=IPv6,registry.kind=consul,identity.source=consul", "consul://[$(HOST_IP)]:8500"),
    ("servers.database.replicas=2,servers.database.sharedState=true,servers.database.env.WEFT_SERVICE__EMBEDDED=false", "replicas: 2"),
)


def refusals():
    """What cannot work is refused with a word that says what to do, and what is close to it is taken."""
    for arguments, word in REFUSED:
        done = helm3("template", None, "--set", arguments)
        if done.returncode == 0:
            yield f"--set {arguments} is taken, and should be refused"
        elif word not in done.stderr:
            yield f"--set {arguments}: the refusal does not name {word}: {done.stderr.strip()}"
    for arguments, words in TAKEN:
        done = helm3("template", None, "--set", arguments)
        if done.returncode != 0 or words not in done.stdout:
            yield f"--set {arguments} should render {words!r}: {done.stderr.strip()}"


def with_consul():
    """The example that brings Consul along: with Consul's own chart where there is a copy, else with a stand-in of its names."""
    copy = os.environ.get("WEFT_CONSUL_CHART", HERE / "consul")
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, "with-consul")
        shutil.copytree(CHART / "examples" / "with-consul", chart)
        shutil.copytree(CHART, chart / "charts" / "weft", ignore=lambda at, _: ("examples", "tests") if Path(at) == CHART else ())
        shutil.copytree(copy, chart / "charts" / "consul")
        done = run([tool("WEFT_HELM3"), "template", "rel", str(chart), "--namespace", "ns", "--kube-version", "1.35.0"])
        if done.returncode != 0:
            return [done.stderr.strip()]
    objects = python(YAML, given=done.stdout)
    ours = [one for one in objects if one["metadata"].get("labels", {}).get("helm.sh/chart", "").startswith("weft-")]
    kinds = {(one["spec"]["group"], one["spec"]["names"]["kind"]) for one in rules.of_kind(objects, "CustomResourceDefinition")}
    early = [one for one in objects if (one["apiVersion"].split("/")[0], one["kind"]) in kinds]
    found = [f"{rules.named(one)}: Helm refuses a kind that the same release makes" for one in early]
    names = {rules.named(one) for one in objects}
    found += [f"{wanted} is not rendered" for wanted in ("StatefulSet/rel-weft-gateway", "DaemonSet/consul-client") if wanted not in names]
    return found or [*valid(ours), *rules.complaints(ours, {"Secret/consul-ca-cert"})]


def absent():
    """Servers that are switched on and that the binary at hand does not have: worth knowing, and nothing of the chart's."""
    binary = os.environ.get("WEFT_BIN")
    values = python(YAML, given=(CHART / "values.yaml").read_text())[0]["servers"]
    on = [name for name, own in values.items() if own.get("enabled") is not False]
    return [name for name in on if binary and settings.schema(binary, ["serve", name]) is None]


def main():
    write = "--write" in sys.argv[1:]
    checks = [("servers", manifests), ("refusals", refusals), ("with-consul", with_consul)]
    checks += [(name, lambda name=name, path=path: case(name, path, write)) for name, path in cases()]
    chosen = [word for word in sys.argv[1:] if not word.startswith("--")]
    if unknown := set(chosen) - {name for name, _ in checks}:
        sys.exit(f"no case is called {', '.join(sorted(unknown))}")
    checks = [one for one in checks if not chosen or one[0] in chosen]
    count = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda one: list(one[1]()), checks))
    for (name, _), found in zip(checks, results):
        count += len(found)
        print(f"{name}: {'ok' if not found else f'{len(found)} complaints'}")
        for line in found:
            print(f"  {line}")
    if any(name == "with-consul" for name, _ in checks) and "WEFT_CONSUL_CHART" not in os.environ:
        print("note: with-consul was rendered with a stand-in for Consul's chart: WEFT_CONSUL_CHART names no copy")
    if absent():
        print(f"note: this weft does not serve {', '.join(absent())}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
