#!/usr/bin/env python3
"""A command line of `weft` -> the same in a confined container, for tests that start programs by the path of one.

    WEFT_BIN=infra/images/inside.py INSIDE_IMAGE=weft:TAG cargo test -p weft-tests --test it

The container has a read-only root, no capabilities, our list of system calls and 128 MB. It is the caller's user, because it sees
the tests' scratch folders at the same paths, and they are the caller's alone: run.py is what runs as 65532. Signals reach it as
they would reach the program; when this process is killed outright, so is the container.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
# What the caller's shell is about, and nothing that a container should be told.
NOT_PASSED = {"PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "TMPDIR", "LD_LIBRARY_PATH"}


def pid_file(name):
    return Path("/tmp", f"{name}.pid")


def confined(name):
    image = os.environ.get("INSIDE_IMAGE", "localhost/weft:test")
    passed = [f"--env={key}" for key in os.environ if key not in NOT_PASSED and not key.startswith(("CARGO", "RUST", "CONTAINERS_"))]
    return [
        "podman", "run", "--rm", "--interactive", f"--name={name}", f"--pidfile={pid_file(name)}", "--network=host", "--read-only", "--cap-drop=all",
        "--security-opt=no-new-privileges", f"--security-opt=seccomp={HERE}/seccomp.json", "--pids-limit=512",
        "--memory=128m", "--memory-swap=128m", f"--user={os.getuid()}:{os.getgid()}",
        "--volume=/tmp:/tmp", f"--volume={REPO}:{REPO}:ro", f"--workdir={os.getcwd()}", *passed, image, *sys.argv[1:],
    ]  # fmt: skip


def watch(parent, name):
    """Ends the container when the process that speaks for it is gone."""
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(parent)], [], [])
    # At once, as its caller expects; podman clears up behind it.
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file(name).read_text()), signal.SIGKILL)
    subprocess.run(["podman", "rm", "--force", "--time=0", "--ignore", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    pid_file(name).unlink(missing_ok=True)


def main():
    name = f"weft-inside-{os.getpid()}"
    parent = os.getpid()
    if os.fork() == 0:
        # Apart from the caller's signals and pipes, whose ends would stay open.
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        watch(parent, name)
        os._exit(0)
    words = confined(name)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
