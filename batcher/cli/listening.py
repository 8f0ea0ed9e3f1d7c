"""Where a service listens, as it is typed: HOST:PORT."""

import re

from batcher.errors import UserError

DEFAULT_LISTEN = "127.0.0.1:8080"


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of *listen*. Raises `UserError`."""
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", listen.strip())
    if match is None or int(match[3]) > 65535:
        place = f"such as {DEFAULT_LISTEN} or [::1]:8080"
        raise UserError(f"--listen {listen} is no place to listen: write HOST:PORT, {place}.")
    return match[1] or match[2], int(match[3])
