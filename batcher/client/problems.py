"""What a service's "no" means to whoever asked: RFC 9457 problem details, or what something in between says."""

from collections.abc import Iterator
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
    findings = told.get("findings")
    sound = told.get("sound")
    return ServiceRefused(
        f"{_who(status, url)}: {printable(detail, 2000)}",
        status=status,
        findings=[one for one in findings if isinstance(one, dict)] if isinstance(findings, list) else [],
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
        return {}
    return told if isinstance(told, dict) else {}


def findings_of(error: ServiceRefused, file: str) -> GroupedFindings:
    """The findings of a refused manifest, as `check` has them; *file* is what it is called here."""
    return GroupedFindings(_findings(error, file))


def _findings(error: ServiceRefused, file: str) -> Iterator[Finding]:
    for told in error.findings:
        known: dict[str, Any] = {name: told.get(name) for name in _TOLD}
        for name in _TEXTS:
            known[name] = None if known[name] is None else str(known[name])
        for name in ("line", "index", "column"):
            known[name] = known[name] if isinstance(known[name], int) else None
        known["problem"], known["mend"] = known["problem"] or "is not valid", known["mend"] or "Change it"
        yield Finding(file=file, **known)
