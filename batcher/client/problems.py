"""What a service's "no" means to whoever asked: RFC 9457 problem details, or what something in between says."""

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

import orjson

from batcher.client.errors import ServiceRefused
from batcher.manifest import Finding
from batcher.manifest.grouped import GroupedFindings
from batcher.text import printable

_PROBLEM = "application/problem+json"
_TOLD = ("line", "index", "column", "field", "value", "problem", "mend")
_TEXTS = ("field", "value", "problem", "mend")


def refused(url: str, status: int, content_type: str, location: str | None, body: bytes) -> ServiceRefused:
    """The error that an answer with this *status*, other than 2xx, is."""
    if 300 <= status < 400:
        to = f" to {printable(location, 200)}" if location else ""
        return ServiceRefused(
            f"{url} leads elsewhere{to} (HTTP {status}). That is not followed, for the token is for no other host: "
            "give the service's own address.",
            status=status,
        )
    told = _object(body) if content_type == _PROBLEM else {}
    detail = told.get("detail")
    if not isinstance(detail, str):
        return ServiceRefused(
            f"{url} answers HTTP {status}, and not as a service of batcher does: is it the right address?",
            status=status,
        )
    findings, count, sound = told.get("findings"), told.get("count"), told.get("sound")
    return ServiceRefused(
        f"{_who(status, url)}: {printable(detail, 2000)}",
        status=status,
        findings=[one for one in findings if isinstance(one, dict)] if isinstance(findings, list) else [],
        count=count if isinstance(count, int) else None,
        sound=sound if isinstance(sound, int) else None,
    )


def _who(status: int, url: str) -> str:
    if status == 401:
        return f"the service at {url} does not know who asks"
    return f"the service at {url} refuses"


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _beginning(body)
    return told if isinstance(told, dict) else {}


def _beginning(body: bytes) -> dict[str, Any]:
    """What can be read of a problem document that breaks off among its findings, which stand last; else nothing."""
    head, found, rest = body.partition(_FINDINGS)
    if not found:
        return {}
    findings: list[Any] = []
    try:
        told = orjson.loads(head + found + b"]}")
        text, at = rest.decode(errors="replace"), 0
        while True:
            finding, at = _DECODER.raw_decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]
            findings.append(finding)
    except ValueError:
        pass  # it is the one that breaks off
    return {**told, "findings": findings} if findings and isinstance(told, dict) else {}


_FINDINGS = b'"findings":['  # within a text its quotes would be escaped
_DECODER = JSONDecoder()
_SPACE = re.compile(r"[\s,]*")


def findings_of(error: ServiceRefused, file: str) -> GroupedFindings:
    """The findings of a refused manifest, as `check` has them; *file* is what it is called here."""
    found = GroupedFindings(_findings(error, file))
    found.left_out += error.count - found.count
    found.count = error.count
    return found


def _findings(error: ServiceRefused, file: str) -> Iterator[Finding]:
    for told in error.findings:
        known: dict[str, Any] = {name: told.get(name) for name in _TOLD}
        for name in _TEXTS:
            known[name] = None if known[name] is None else str(known[name])
        for name in ("line", "index", "column"):
            known[name] = known[name] if isinstance(known[name], int) else None
        known["problem"], known["mend"] = known["problem"] or "is not valid", known["mend"] or "Change it"
        yield Finding(file=file, **known)
