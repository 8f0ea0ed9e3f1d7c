"""Chats and mail, by apprise, which knows some hundred of them. It is an extra: loaded where somebody asks for it."""

import importlib
import io
import logging
from types import ModuleType

from batcher.errors import UserError
from batcher.masking import mask_text

_MISSING = "chats and mail need the package apprise, which is not installed: pip install 'drs-batcher[chat]'"


def require() -> None:
    """Raises `UserError` where apprise is not installed."""
    _apprise()


def unknown(addresses: str) -> int | None:
    """The line of the first of *addresses*, one a line, that apprise does not know; None: it knows them all."""
    apprise = _apprise()
    for number, line in enumerate(addresses.splitlines(), 1):
        if line.strip() and apprise.Apprise.instantiate(line.strip(), suppress_exceptions=True) is None:
            return number
    return None


def send(addresses: str, title: str, text: str) -> str | None:
    """Tell all of *addresses*, one a line; why it did not work, None where it did. Blocks."""
    apprise = _apprise()
    chats = apprise.Apprise()
    for line in addresses.splitlines():
        if line.strip() and not chats.add(line.strip()):
            return "apprise does not know an address in the list"
    with apprise.LogCapture(level=logging.WARNING) as said:
        if chats.notify(body=text, title=title):
            return None
        assert isinstance(said, io.StringIO)  # noqa: S101 - so it is, unless a name is given
        reason = " ".join(said.getvalue().split())
    return mask_text(reason) or "apprise could not send it"


def _apprise() -> ModuleType:
    try:
        loaded = importlib.import_module("apprise")
    except ImportError:
        raise UserError(_MISSING) from None
    log = logging.getLogger("apprise")  # by itself it would write to stderr, addresses included
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return loaded
