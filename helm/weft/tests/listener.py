"""A gateway that serves clients with TLS itself -> what it needs from outside, and the questions that show who is let in.

Apart from run.py because all of it is that one scenario's: keys, an authority of clients with a list of what it took back, and
requests over TLS. The listener is bound to every address, so that the gateway would not start without TLS and authentication.
"""

import base64
import http.client
import json
import socket
import ssl

import check
from pods import ADDRESSES, openssl

HOST = "weft.example"
PATIENCE = 5
LISTS = """
[ca]
default_ca = clients
[clients]
certificate = {0}/ca.crt
private_key = {0}/ca.key
database = {0}/revoked.txt
crlnumber = {0}/lists.number
new_certs_dir = {0}
default_md = sha256
default_crl_days = 7
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid:always
"""


def secret(name, **data):
    return {"kind": "Secret", "metadata": {"name": name}, "data": {key: base64.b64encode(value).decode() for key, value in data.items()}}


def free_port():
    with socket.socket() as found:
        found.bind(("0.0.0.0", 0))
        return found.getsockname()[1]


def clients(folder):
    """An authority, the certificates of two clients, and a list that says that the second is taken back."""
    folder.mkdir()
    (folder / "lists.cnf").write_text(LISTS.format(folder))
    (folder / "revoked.txt").touch()
    (folder / "lists.number").write_text("01\n")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt"), "-days", "2", "-subj", "/CN=clients")
    for name in ("ann", "eve"):
        (folder / "names").write_text(f"subjectAltName=DNS:{name}.ops.example\nextendedKeyUsage=clientAuth\n")
        openssl("req", "-new", *new, "-keyout", str(folder / f"{name}.key"), "-out", str(folder / "request"), "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", str(folder / "request"), "-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"),
                "-CAcreateserial", "-out", str(folder / f"{name}.crt"), "-days", "1", "-extfile", str(folder / "names"))  # fmt: skip
    openssl("ca", "-config", str(folder / "lists.cnf"), "-revoke", str(folder / "eve.crt"))
    openssl("ca", "-config", str(folder / "lists.cnf"), "-gencrl", "-out", str(folder / "ca.crl"))


class Listener:
    """One gateway's listener, as its clients see it."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        clients(folder / "clients")
        keys = folder / "keys.json"
        made = check.run([check.tool("WEFT_BIN"), "keys", "create", "--quiet", "--keys", str(keys), "--name", "ann", "--role", "writer"])
        self.key = made.stdout.strip()

    def secrets(self):
        """What the values name."""
        authority, revoked = self.folder / "clients" / "ca.crt", self.folder / "clients" / "ca.crl"
        yield secret("weft-keys", **{"keys.json": (self.folder / "keys.json").read_bytes()})
        yield secret("clients", **{"ca.crt": authority.read_bytes(), "ca.crl": revoked.read_bytes()})

    def connect(self, client):
        raw = socket.create_connection((ADDRESSES["gateway"], self.port), PATIENCE)
        trusted = ssl.create_default_context(cafile=self.folder / "authority" / "ca.crt")
        if client:
            trusted.load_cert_chain(self.folder / "clients" / f"{client}.crt", self.folder / "clients" / f"{client}.key")
        return trusted.wrap_socket(raw, server_hostname=HOST)

    def ask(self, client=None, plain=False, headers=None):
        """Lists the files: status, and headers and body or what went wrong."""
        connection = http.client.HTTPConnection(ADDRESSES["gateway"], self.port, timeout=PATIENCE)
        given = {"Host": HOST, "Content-Type": "application/json", **(headers or {})}
        try:
            if not plain:
                connection.sock = self.connect(client)
            connection.request("POST", "/mcp/v1/tools/filesystem_list_directory", json.dumps({"path": "."}), given)
            answer = connection.getresponse()
            return answer.status, f"{answer.headers}{answer.read().decode()}"
        except (OSError, http.client.HTTPException) as error:
            return 0, f"{type(error).__name__}: {error}".lower()
        finally:
            connection.close()

    def questions(self):
        """Name, question and the word of its answer."""
        (self.folder / "filesystem" / "data" / "hello.txt").write_text("hello")
        bearer = {"Authorization": f"Bearer {self.key}"}
        return (
            ("a key lets its caller in", lambda: self.ask(headers=bearer), "hello.txt"),
            ("without one there is a challenge", self.ask, "www-authenticate"),
            ("a client certificate lets its caller in", lambda: self.ask("ann"), "hello.txt"),
            ("one that was taken back does not", lambda: self.ask("eve"), "revoked"),
            ("plain HTTP is not spoken", lambda: self.ask(plain=True, headers=bearer), "badstatusline"),
        )
