"""Telling others how it ended: a signed summary posted to a URL, a command with the summary on its standard input.

The body is JSON. Where there is a secret, `X-Batcher-Signature: sha256=HEX` is the HMAC-SHA256 of the value of
`X-Batcher-Timestamp` (Unix seconds), a dot and the body: who checks both knows who spoke, and that it is no replay.
"""

import hashlib
import hmac
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from batcher._version import __version__
from batcher.clock import Clock, utc
from batcher.drs.auth.secret import SecretUnusable, read_text
from batcher.drs.cloud import HttpRequest, Transport
from batcher.errors import UserError
from batcher.homes import expanded
from batcher.life.result import rfc3339
from batcher.masking import register_secret

_WAITS_S = (1.0, 2.0, 4.0, 8.0)  # between the attempts
_COMMAND_S = 60.0  # for the command at the end
SIGNATURE, TIMESTAMP = "X-Batcher-Signature", "X-Batcher-Timestamp"


def summary(event: str, text: str, facts: Mapping[str, Any], now: float) -> bytes:
    """The body: what ended (*event*), a sentence for people, and the facts."""
    return orjson.dumps({"event": event, "text": text, "at": rfc3339(utc(now)), "batcher": __version__, **facts})


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature header; see the module."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def notify_secret(environ: Mapping[str, str] | None = None) -> str | None:
    """The secret to sign with: BATCHER_NOTIFY_SECRET, or what stands in the file BATCHER_NOTIFY_SECRET_FILE.

    Raises `UserError`.
    """
    environ = os.environ if environ is None else environ
    secret = environ.get("BATCHER_NOTIFY_SECRET", "").strip()
    path = environ.get("BATCHER_NOTIFY_SECRET_FILE", "").strip()
    if not secret and path:
        try:
            secret = read_text(expanded(path), f"file {path} (BATCHER_NOTIFY_SECRET_FILE)").strip()
        except SecretUnusable as error:
            raise UserError(f"{error}.") from None
    if secret:
        register_secret(secret)
    return secret or None


async def post(transport: Transport, url: str, body: bytes, secret: str | None, clock: Clock) -> str | None:
    """Post *body* to *url*, again where that may help; returns why it did not work, None where it did.

    The URL's path is not shown: with many services it is the secret.
    """
    host = urlsplit(url).hostname
    said = ""
    for wait_s in (*_WAITS_S, None):
        headers = {"Content-Type": "application/json", TIMESTAMP: str(int(clock.now()))}
        if secret is not None:
            headers[SIGNATURE] = signature(secret, headers[TIMESTAMP], body)
        answer = await transport.send(HttpRequest(method="POST", url=url, headers=headers, body=body))
        status = answer.http_status
        if status is not None and 200 <= status < 300:
            return None
        said = answer.error or f"status {status}"
        passing = status is None or status == 429 or status >= 500
        if not passing or wait_s is None:
            break
        await clock.sleep(wait_s)
    return f"the summary could not be posted to {host}: {said}"


def run_command(command: str, body: bytes) -> str | None:
    """Run the shell command of `--on-end` with *body* on its standard input; returns why it did not work.

    What it prints goes to our stderr: our standard output is for data that was asked for.
    """
    try:
        process = subprocess.Popen(  # noqa: S602 - the operator's own command, asked for as one
            command, shell=True, stdin=subprocess.PIPE, stdout=2, start_new_session=True
        )
    except OSError as error:
        return f"the command of --on-end could not be run: {error}"
    with process:
        try:
            process.communicate(body, timeout=_COMMAND_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"the command of --on-end did not end within {_COMMAND_S:g} s and was killed"
    return f"the command of --on-end ended with exit code {process.returncode}" if process.returncode else None
