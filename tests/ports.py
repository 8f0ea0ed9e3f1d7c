"""Ports on loopback for servers that take none by themselves, or that come back where they were."""

import secrets
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LEAST = 10_000


def free_port() -> int:
    """A port that nobody has, and that nobody is given who asks the system for any.

    One from port 0 is anybody's as soon as it is let go: of another server, or of a connection that goes out, which
    then has it when the server starts, or starts again.
    """
    below = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    while True:
        port = _LEAST + secrets.randbelow(below - _LEAST)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
