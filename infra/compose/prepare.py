#!/usr/bin/env python3
"""A fresh clone -> the files that compose.yaml needs: secrets, folders and .env. Secrets that are there already stay.

    prepare.py                          Consul, a gateway, the servers with embedded stores
    prepare.py backends | watch | full  the profiles of compose.yaml; with backends and full the servers use the stores

Apart from compose.yaml because secrets are made once, on the machine that uses them, and are in no repository. The folder of
the secrets is closed; the files in it are readable, because each container reads them as a user of its own.
"""

import os
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The user of the images; whoever prepares is the owner of the served files, unless that is root.
IMAGE_USER = 65532
PROFILES = ("small", "backends", "watch", "full")
# Whose database it is, and what an administrator must add to it.
DATABASES = {"database": "", "memory": "CREATE EXTENSION vector;\n", "vectors": "CREATE EXTENSION vector;\n"}


def write(name, content):
    path = HERE / "secrets" / name
    if not path.exists():
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o644)
    return path.read_bytes()


def word(name):
    """A password of its own file, for who wants nothing else in it."""
    return write(name, secrets.token_urlsafe(24)).decode()


def folders(uid, gid):
    for name in ("secrets", "data", "state", "state/filesystem"):
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        if os.getuid() == 0 and name != "secrets":
            os.chown(folder, uid, gid)
    (HERE / "secrets").chmod(0o700)


def postgres():
    """Roles that are no administrators, each with a database of its own; the image runs it when it begins with an empty volume."""
    script = ""
    for name, more in DATABASES.items():
        # As the address has it: what is there already stays.
        url = write(f"{name}-url", f"postgres://weft_{name}:{secrets.token_urlsafe(24)}@postgres:5432/{name}").decode()
        password = url.split(":")[2].split("@")[0]
        script += f"CREATE ROLE weft_{name} LOGIN PASSWORD '{password}';\nCREATE DATABASE {name} OWNER weft_{name};\n"
        script += f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;\n\\connect {name}\n{more}"
    write("postgres-roles.sql", script)


def environment(profile, uid, gid):
    """What compose.yaml is told; lines that somebody else has written stay."""
    path = HERE / ".env"
    ours = {
        "WEFT_USER": f"{uid}:{gid}",
        "COMPOSE_PROFILES": "" if profile == "small" else profile,
        "WEFT_STORES": "backends" if profile in ("backends", "full") else "embedded",
        "WEFT_GATEWAYS": "two" if profile == "full" else "one",
        "WEFT_CPUS": min(os.cpu_count() or 1, 4),
    }
    lines = path.read_text().splitlines() if path.exists() else []
    # Whose files are served is said once.
    if any(line.startswith("WEFT_USER=") for line in lines):
        del ours["WEFT_USER"]
    kept = [line for line in lines if line.split("=")[0] not in ours]
    path.write_text("".join(f"{line}\n" for line in [*kept, *(f"{key}={value}" for key, value in ours.items())]))


def main():
    profile = sys.argv[1] if len(sys.argv) > 1 else "small"
    if profile not in PROFILES or len(sys.argv) > 2:
        sys.exit(f"usage: prepare.py [{'|'.join(PROFILES)}]")
    uid, gid = os.getuid() or IMAGE_USER, os.getgid() or IMAGE_USER
    folders(uid, gid)
    write("session.key", secrets.token_bytes(32))
    write("seal.key", secrets.token_bytes(32))
    word("postgres-password")
    postgres()
    write("redis.conf", f"requirepass {word('redis-password')}\n")
    write("qdrant.yaml", f"service:\n  api_key: {word('qdrant-key')}\n")
    write("neo4j-auth", f"neo4j/{word('neo4j-password')}")
    word("grafana-password")
    environment(profile, uid, gid)
    print("docker compose up --build --wait")
    print("docker compose exec gateway-1 weft keys create --name me --role writer")
    print('claude mcp add --transport http weft http://127.0.0.1:8080/mcp --header "Authorization: Bearer KEY"')


if __name__ == "__main__":
    main()
