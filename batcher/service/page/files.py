"""The page's files, read once: what a browser may have of them, by name."""

from functools import cache
from importlib.resources import files

_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}
_OF_THE_REPORT = {"report.css": "page.css", "parts.js": "parts.js"}  # the report's page and this one look alike
INDEX = "index.html"


@cache
def page_files() -> dict[str, tuple[bytes, str]]:
    """Each file by its name: what is in it, and its content type."""
    found: dict[str, tuple[bytes, str]] = {}
    for file in files("batcher.service").joinpath("page", "files").iterdir():
        ending = file.name.rpartition(".")[2]
        if ending in _TYPES:
            found[file.name] = file.read_bytes(), _TYPES[ending]
    for name, theirs in _OF_THE_REPORT.items():
        body = files("batcher.report").joinpath("page", theirs).read_bytes()
        found[name] = body, _TYPES[name.rpartition(".")[2]]
    return found
