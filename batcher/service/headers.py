"""Headers of every answer: what a browser must not do with it."""

import base64
import re
from collections.abc import Iterable
from hashlib import sha256
from html import unescape

from aiohttp import web

# The page's script and styles are files of their own, so nothing inline is ever run. Data that people hand in goes out
# with a type that is no script's, and with nosniff.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

ALWAYS = {
    "Content-Security-Policy": DATA_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}

SERVER = "batcher"  # without versions, which aiohttp would tell


def add_headers(response: web.StreamResponse) -> None:
    """What every answer says; where *response* says it otherwise, that stays."""
    response.headers["Server"] = SERVER
    for name, value in ALWAYS.items():
        response.headers.setdefault(name, value)


_INLINE = re.compile(r"<(script|style)([^>]*)>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
_STYLED = re.compile(r"""<[a-z][^<>]*\sstyle="([^"]*)\"""", re.IGNORECASE)


def policy_of(html: str) -> str:
    """The policy of a page that has everything in itself, such as the report: what stands in it runs, nothing else."""
    pieces: dict[str, list[str]] = {"script": [], "style": []}
    for kind, given, text in _INLINE.findall(html):
        if "src=" not in given:
            pieces[kind.lower()].append(text)
    styled = [unescape(style) for style in _STYLED.findall(_INLINE.sub("", html))]
    attributes = f"'unsafe-hashes' {_hashes(styled)}" if styled else "'none'"  # so hashes speak of attributes, too
    return (
        f"default-src 'none'; script-src {_hashes(pieces['script'])}; style-src-elem {_hashes(pieces['style'])}; "
        f"style-src-attr {attributes}; "
        "img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(texts: Iterable[str]) -> str:
    hashes = dict.fromkeys(base64.b64encode(sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
