"""Marked secrets: values that can be found wherever they have got to."""

import base64
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

TOKEN = "MARKtokenMIIFx7Qq0a1b2c3d4"
AK = "MARKAKZ7PLQX0"
SK = "MARKskq8Vh2w/T+d5Yz"
SECURITY_TOKEN = "MARKsecuritygQpj9kA=="
PASSWORD = "MARKpass word#1&%$"
PROXY_PASSWORD = "MARKproxypw"
HOOK = "MARKhook/B00/x7Qq0"
ON_END = "MARKonend5Yz"
ALL = (TOKEN, AK, SK, SECURITY_TOKEN, PASSWORD, PROXY_PASSWORD, HOOK, ON_END)

BY_TOKEN: Mapping[str, str] = {"BATCHER_TOKEN": TOKEN}
BY_KEY: Mapping[str, str] = {"HUAWEICLOUD_SDK_AK": AK, "HUAWEICLOUD_SDK_SK": SK}
BY_TEMPORARY_KEY: Mapping[str, str] = {
    "HW_ACCESS_KEY": "MARKAKTEMP0",
    "HW_SECRET_KEY": SK,
    "HW_SECURITY_TOKEN": SECURITY_TOKEN,
}
BY_USER: Mapping[str, str] = {"OS_USERNAME": "ann", "OS_PASSWORD": PASSWORD, "OS_USER_DOMAIN_NAME": "acme"}
KINDS = {"token": BY_TOKEN, "key": BY_KEY, "temporary key": BY_TEMPORARY_KEY, "user": BY_USER}

_PIECE = 9  # characters of a secret that are too many to show


def spellings(secret: str) -> set[bytes]:
    """The secret as it is, cut off, and as it may be disguised: quoted for an address, escaped for JSON or HTML, in
    base64."""
    plain = secret.encode()
    spelt = {plain, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode()}
    spelt |= {plain[:_PIECE], plain[-_PIECE:]}
    spelt |= {secret.replace("&", "&amp;").encode(), secret.replace("/", "\\/").encode(), plain.hex().encode()}
    for shift in range(3):  # base64 of a text that holds the secret anywhere
        inner = base64.b64encode(b"\0" * shift + plain)
        spelt.add(inner[4 * bool(shift) : -4])
    return spelt


def leaks(texts: Iterable[tuple[str, bytes]], secrets: Iterable[str] = ALL) -> list[str]:
    """Where a secret shows: "results.jsonl: MARK…" for each."""
    wanted = [(secret, spelling) for secret in secrets for spelling in spellings(secret)]
    return [f"{name}: {secret[:12]}…" for name, text in texts for secret, spelling in wanted if spelling in text]


def written(folder: Path, *, but: frozenset[str] = frozenset()) -> list[tuple[str, bytes]]:
    """Every file below *folder*, with its bytes; those named in *but* are where secrets belong."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in but)
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in files]
