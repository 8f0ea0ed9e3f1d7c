"""What an entry's trouble says, without what differs from one entry to the next: troubles are grouped by it."""

import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 160
_OWN = ("job_id", "key", "request_id")
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
# Ids and names: eight signs or more, with a digit among them.
_ID = re.compile(r"\b(?=[\w-]*\d)[0-9A-Za-z][\w-]{7,}\b", re.ASCII)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_GAP = "…"


def said(line: Mapping[str, Any], message: str | None) -> str | None:
    """What *message* says of the result *line*; None: there is none.

    Ids, numbers and, of our own findings, the values that are wrong become gaps. Words stay: the same code has several
    causes, such as a paused job and an unfinished comparison.
    """
    if not message:
        return None
    text = " ".join(message[: 4 * _LONGEST].split())
    for name in _OWN:
        if isinstance(line[name], str) and line[name]:
            text = text.replace(line[name], _GAP)
    if line["status"] == "invalid":
        text = _QUOTED.sub(_GAP, text)
    text = _NUMBER.sub(_GAP, _ID.sub(_GAP, text))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + _GAP
