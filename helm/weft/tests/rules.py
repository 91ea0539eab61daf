"""Rendered objects -> what is wrong with them: the rules of this chart that no schema of Kubernetes knows.

Apart from check.py because these are pure functions: a list of objects in, a list of complaints out.
"""

import json

SCALED = ("Deployment", "StatefulSet")
CHART_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")


def named(object_):
    return f"{object_['kind']}/{object_['metadata']['name']}"


def of_kind(objects, *kinds):
    return [object_ for object_ in objects if object_["kind"] in kinds]


def pods(objects):
    """Every pod that would run: its owner's name, its labels and its spec."""
    for object_ in of_kind(objects, *SCALED):
        template = object_["spec"]["template"]
        yield named(object_), template["metadata"]["labels"], template["spec"]
    for object_ in of_kind(objects, "Pod"):
        yield named(object_), object_["metadata"]["labels"], object_["spec"]


def restricted(objects, _):
    """Pod Security Standards, level restricted, and a read-only root besides."""
    for owner, _, spec in pods(objects):
        whole = spec["securityContext"]
        if whole.get("runAsNonRoot") is not True or not whole.get("runAsUser"):
            yield f"{owner}: runs as root"
        if whole.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{owner}: has no seccomp profile"
        for container in spec["containers"]:
            own = container["securityContext"]
            wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            if own != wanted:
                yield f"{owner}: {container['name']} is not confined"
            if "memory" not in container["resources"]["limits"]:
                yield f"{owner}: {container['name']} has no memory limit"


def tokens(objects, _):
    """A token of the cluster only for the gateway, and only where Kubernetes is the registry."""
    for account in of_kind(objects, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{named(account)}: mounts its token"
    for owner, labels, spec in pods(objects):
        registry = [one.get("value", "") for one in spec["containers"][0].get("env", []) if one["name"].endswith("REGISTRY")]
        needs = labels["app.kubernetes.io/component"] == "gateway" and registry[0].startswith("k8s://")
        if spec.get("automountServiceAccountToken") is not needs:
            yield f"{owner}: automountServiceAccountToken should be {needs}"


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def selectors(objects, _):
    """What selects pods selects some, and with all three labels, so that it never selects another release's."""
    known = [labels for _, labels, _ in pods(objects)]
    for object_ in of_kind(objects, "Service", "PodDisruptionBudget", *SCALED):
        selector = object_["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        if not all(label in selector for label in CHART_LABELS):
            yield f"{named(object_)}: selects too much"
        if not any(matches(selector, labels) for labels in known):
            yield f"{named(object_)}: selects no pod"
    for object_ in of_kind(objects, "NetworkPolicy"):
        if not any(matches(object_["spec"]["podSelector"].get("matchLabels", {}), labels) for labels in known):
            yield f"{named(object_)}: selects no pod"
    for object_ in of_kind(objects, "HorizontalPodAutoscaler"):
        target = object_["spec"]["scaleTargetRef"]
        if not any(named(other) == f"{target['kind']}/{target['name']}" for other in objects):
            yield f"{named(object_)}: scales nothing"


def denied(objects, _):
    """Where there are network policies, one denies everything to every pod of the release."""
    policies = of_kind(objects, "NetworkPolicy")
    for owner, labels, _ in pods(objects):
        mine = [one["spec"] for one in policies if matches(one["spec"]["podSelector"]["matchLabels"], labels)]
        types = {type_ for spec in mine for type_ in spec["policyTypes"]}
        if policies and types != {"Ingress", "Egress"}:
            yield f"{owner}: is not closed"


def ports(objects, _):
    """Every port that is meant by its name is one of a container."""
    known = {port["name"] for _, _, spec in pods(objects) for one in spec["containers"] for port in one.get("ports", [])}
    for service in of_kind(objects, "Service"):
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in known:
                yield f"{named(service)}: no container has the port {port['targetPort']}"


def volumes(objects, external):
    """What is mounted is a volume, and what a volume takes from the release is in it."""
    here = {named(one) for one in objects}
    here |= {f"Secret/{one['spec']['secretName']}" for one in of_kind(objects, "Certificate")}
    claims = {named(one): one["spec"].get("volumeClaimTemplates", []) for one in of_kind(objects, "StatefulSet")}
    for owner, _, spec in pods(objects):
        given = {volume["name"] for volume in spec.get("volumes", [])}
        given |= {claim["metadata"]["name"] for claim in claims.get(owner, [])}
        used = {mount["name"] for one in spec["containers"] for mount in one.get("volumeMounts", [])}
        if used != given:
            yield f"{owner}: mounts {sorted(used)} but has {sorted(given)}"
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                yield from missing(owner, f"Secret/{volume['secret']['secretName']}", here | external)
            if "configMap" in volume:
                yield from missing(owner, f"ConfigMap/{volume['configMap']['name']}", here)
        if "serviceAccountName" in spec:
            yield from missing(owner, f"ServiceAccount/{spec['serviceAccountName']}", here)


def missing(owner, wanted, here):
    if wanted not in here:
        yield f"{owner}: needs {wanted}, which is neither in the release nor named by the values"


def identities(objects, _):
    """Each member's certificate carries its one name; one that clients see is no member's."""
    for one in of_kind(objects, "Certificate"):
        part, spec = one["metadata"]["labels"]["app.kubernetes.io/component"], one["spec"]
        if "uris" not in spec and "client auth" not in spec.get("usages", []) and (spec.get("dnsNames") or spec.get("ipAddresses")):
            continue
        if not spec.get("isCA") and [uri.rsplit("/svc/", 1)[-1] for uri in spec["uris"]] != [part]:
            yield f"{named(one)}: its name is not that of {part}"


def drains(objects, _):
    """The cluster waits longer than a replica takes to end."""
    for object_ in of_kind(objects, *SCALED):
        spec = object_["spec"]["template"]["spec"]
        container = spec["containers"][0]
        env = {one["name"]: one.get("value") for one in container["env"]}
        finish = int(env.get("WEFT_GATEWAY_TIMEOUTS__DRAIN_SECONDS") or env["WEFT_HOST__GRACE_S"])
        if spec["terminationGracePeriodSeconds"] <= container["lifecycle"]["preStop"]["sleep"]["seconds"] + finish:
            yield f"{named(object_)}: is killed before it has drained"


def apart(objects, _):
    """No sidecar is injected, unless callers must prove who they are: through one, all of them come from loopback."""
    wanted = {"sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none", "linkerd.io/inject": "disabled",
              "consul.hashicorp.com/connect-inject": "false"}  # fmt: skip
    asks = any(one["name"] == "WEFT_GATEWAY_AUTH__MODE" for _, _, spec in pods(objects) for one in spec["containers"][0].get("env", []))
    for object_ in of_kind(objects, "Pod", *SCALED):
        meta = object_["spec"].get("template", object_)["metadata"]
        said = {**meta["labels"], **meta.get("annotations", {})}
        given = {key: said[key] for key in wanted if key in said}
        if given != wanted and (given or not asks):
            yield f"{named(object_)}: a sidecar may be injected, since it says {given}"


def guarded(objects, _):
    """A gateway with TLS that asks who calls is not told to do without; its Service says what it speaks."""
    for owner, labels, spec in pods(objects):
        if labels["app.kubernetes.io/component"] != "gateway":
            continue
        names = {one["name"].removeprefix("WEFT_GATEWAY_") for one in spec["containers"][0]["env"]}
        alone = {"TLS__CERT", "TLS__KEY", "AUTH__MODE"} <= names
        if alone == ("AUTH__INSECURE" in names):
            yield f"{owner}: auth.insecure should be {'absent' if alone else 'set'}"
        wanted = "https" if "TLS__CERT" in names else "http"
        said = [port["appProtocol"] for one in of_kind(objects, "Service") for port in one["spec"]["ports"] if "appProtocol" in port]
        if said != [wanted]:
            yield f"{owner}: speaks {wanted}, but its Service says {said}"


def dashboards(objects, _):
    """A dashboard is whole, leaves it to its reader which Prometheus is asked, and carries a label that Grafana's sidecar knows."""
    for one in of_kind(objects, "ConfigMap"):
        for name, text in one["data"].items():
            if not name.endswith(".json"):
                continue
            sources = {panel["datasource"]["uid"] for panel in json.loads(text)["panels"] if "datasource" in panel}
            if sources != {"${datasource}"} or "grafana_dashboard" not in one["metadata"]["labels"]:
                yield f"{named(one)}: asks {sources}, or has no label"


def administered(objects, _):
    """The console is open where network policies say who reaches it, and nowhere else."""
    for owner, labels, spec in pods(objects):
        if labels["app.kubernetes.io/component"] == "gateway":
            opened = any(one["name"] == "WEFT_GATEWAY_AUTH__OPEN_ADMIN" for one in spec["containers"][0]["env"])
            if opened != bool(of_kind(objects, "NetworkPolicy")):
                yield f"{owner}: auth.open_admin is {opened}"


def lengths(objects, _):
    """Names fit where Kubernetes writes them: with a hash behind them into a label of a pod, as names in the DNS."""
    for object_ in objects:
        room = {"StatefulSet": 63 - len("-0123456789"), "Service": 63}.get(object_["kind"], 253)
        if len(object_["metadata"]["name"]) > room:
            yield f"{named(object_)}: the name is longer than {room}"
        for key, value in object_["metadata"]["labels"].items():
            if len(value) > 63:
                yield f"{named(object_)}: the label {key} is longer than 63"


RULES = (administered, lengths, dashboards, apart, guarded, restricted, tokens, selectors, denied, ports, volumes, identities, drains)


def complaints(objects, external):
    """All that is wrong; `external` are secrets that the values name and the release does not make, as `Secret/<name>`."""
    return [text for rule in RULES for text in rule(objects, external)]
