"""Tries to reach what a sandbox must not reach, and prints one line of tab-separated text for each attempt:
name, "reached" or "out of reach", and what was seen. Standard library only; the same file runs on the host as a control.

    echo '{"checks": ["dns", ...], "port": 40001, "file": "/path", "token": "text"}' | python3 look.py
"""

import glob
import json
import os
import socket
import sys

SECONDS = 1.0


def connect(host: str, port: int) -> str:
    with socket.create_connection((host, port), timeout=SECONDS):
        return f"connected to {host}:{port}"


def process_with(token: str, name: str) -> str:
    """Looks for the token in that file of every process but this one."""
    looked = 0
    for path in glob.glob(f"/proc/[0-9]*/{name}"):
        if path.split("/")[2] == str(os.getpid()):
            continue
        looked += 1
        try:
            with open(path, "rb") as file:
                if token.encode() in file.read():
                    return "found it in another process"
        except OSError:
            continue
    raise LookupError(f"not in any of the {looked} other processes in sight")


def entries(path: str) -> str:
    names = os.listdir(path)
    if not names:
        raise LookupError("empty")
    return f"{len(names)} entries"


def text_of(path: str) -> str:
    with open(path, "rb") as file:
        return f"{len(file.read())} bytes read"


def interfaces() -> str:
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not names:
        raise LookupError("loopback only")
    return ", ".join(names)


def main(options: dict) -> None:
    checks = {
        "dns": lambda: socket.getaddrinfo("example.com", 443)[0][4][0],
        "internet": lambda: connect("1.1.1.1", 443),
        "metadata": lambda: connect("169.254.169.254", 80),
        "listener": lambda: connect("127.0.0.1", options["port"]),
        "interfaces": interfaces,
        "home": lambda: entries("/root"),
        "shadow": lambda: text_of("/etc/shadow"),
        "file": lambda: text_of(options["file"]),
        "process": lambda: process_with(options["token"], "cmdline"),
        "environment": lambda: process_with(options["token"], "environ"),
    }
    for name in options["checks"]:
        try:
            print(name, "reached", checks[name](), sep="\t", flush=True)
        except (OSError, LookupError) as error:
            print(name, "out of reach", getattr(error, "strerror", None) or str(error), sep="\t", flush=True)


if __name__ == "__main__":
    main(json.load(sys.stdin))
