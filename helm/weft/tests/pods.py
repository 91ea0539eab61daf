"""Rendered objects -> processes: what a cluster does to a pod, in small.

Apart from run.py because it knows nothing of what is asked of the processes: variables are filled in, volumes become folders,
certificates are made by openssl as cert-manager would make them.
"""

import base64
import re
import subprocess

import check
import rules

# Parts that run, at addresses of loopback: a gateway lets nobody else in.
ADDRESSES = {"gateway": "127.83.0.1", "filesystem": "127.83.0.2"}
# Where the agent of the pods' node is.
NODE = "127.83.0.9"
# Seconds to end.
PATIENCE = 30


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30)


def authority(folder):
    folder.mkdir()
    key, certificate = folder / "ca.key", folder / "ca.crt"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key),
            "-out", str(certificate), "-days", "2", "-subj", "/CN=weft.local")  # fmt: skip
    return folder


def issue(one, ca, folder):
    """What cert-manager would put into the secret of a Certificate."""
    kinds = {"uris": "URI", "dnsNames": "DNS", "ipAddresses": "IP"}
    names = ",".join(f"{kind}:{name}" for key, kind in kinds.items() for name in one["spec"].get(key, []))
    usages = {"server auth": "serverAuth", "client auth": "clientAuth"}
    wanted = ",".join(usages[usage] for usage in one["spec"]["usages"] if usage in usages)
    folder.mkdir(parents=True)
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName=critical,{names}\nextendedKeyUsage={wanted}\nkeyUsage=digitalSignature\n")
    request = folder / "request"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(folder / "tls.key"),
            "-out", str(request), "-subj", "/")  # fmt: skip
    openssl("x509", "-req", "-in", str(request), "-CA", str(ca / "ca.crt"), "-CAkey", str(ca / "ca.key"), "-CAcreateserial",
            "-out", str(folder / "tls.crt"), "-days", "1", "-extfile", str(extensions))  # fmt: skip
    (folder / "ca.crt").write_bytes((ca / "ca.crt").read_bytes())


class Pods:
    """The processes, and what they need."""

    def __init__(self, objects, folder):
        self.objects, self.folder, self.running = objects, folder, []
        self.secrets = {one["metadata"]["name"]: one.get("data", {}) for one in rules.of_kind(objects, "Secret")}
        self.configs = {one["metadata"]["name"]: one["data"] for one in rules.of_kind(objects, "ConfigMap")}
        ca = authority(folder / "authority")
        self.issued = {}
        for one in rules.of_kind(objects, "Certificate"):
            if not one["spec"].get("isCA"):
                self.issued[one["spec"]["secretName"]] = folder / "issued" / one["metadata"]["name"]
                issue(one, ca, self.issued[one["spec"]["secretName"]])

    def volume(self, part, name, volumes):
        """A volume's folder."""
        source = volumes.get(name, {})
        secret = source.get("secret", {}).get("secretName")
        if secret in self.issued:
            return self.issued[secret]
        folder = self.folder / part / name
        folder.mkdir(parents=True, exist_ok=True)
        if secret:
            for item in source["secret"]["items"]:
                (folder / item["path"]).write_bytes(base64.b64decode(self.secrets[secret][item["key"]]))
        for key, text in self.configs.get(source.get("configMap", {}).get("name"), {}).items():
            (folder / key).write_text(text)
        return folder

    def start(self, part, more):
        """The first container of a part, with its variables filled in and its mounts where their folders are."""
        spec = next(spec for _, labels, spec in rules.pods(self.objects) if labels["app.kubernetes.io/component"] == part)
        container, address = spec["containers"][0], ADDRESSES[part]
        volumes = {one["name"]: one for one in spec["volumes"]}
        mounts = {one["mountPath"]: str(self.volume(part, one["name"], volumes)) for one in container["volumeMounts"]}
        given = {"POD_IP": address, "HOST_IP": NODE, "POD_INDEX": "0", "POD_NAMESPACE": "ns", "POD_NAME": f"{part}-0"}

        def here(text):
            text = re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], text).replace("0.0.0.0", address)
            return re.sub(rf"(?<![^:=])({'|'.join(mounts)})(?=/|$)", lambda found: mounts[found[1]], text)

        environment = {one["name"]: here(one["value"]) for one in container["env"] if "value" in one}
        words = [here(word) for word in container["command"] + container.get("args", [])]
        log = (self.folder / f"{part}.log").open("w")
        command = [check.tool("WEFT_BIN"), *words[1:]]
        self.running.append(subprocess.Popen(command, env={**environment, **more}, stdout=log, stderr=log, cwd=self.folder))

    def stop(self):
        codes = []
        for process in reversed(self.running):
            process.terminate()
        for process in reversed(self.running):
            try:
                codes.append(process.wait(PATIENCE))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append("killed")
        return codes
