"""Where a service is, and what opens it: its address, the token, and the way there."""

import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from batcher.drs.discreet import Discreet
from batcher.drs.endpoints import is_loopback
from batcher.errors import UserError
from batcher.homes import expanded
from batcher.masking import register_secret

URL, TOKEN_FILE, TOKEN = "BATCHER_SERVICE", "BATCHER_SERVICE_TOKEN_FILE", "BATCHER_SERVICE_TOKEN"
_LONGEST = 512  # characters of a token


class Access(Discreet, frozen=True, kw_only=True):
    """A service at *url* (no slash at its end), its *token* (None: none is sent), and the way there, as `run` has it:
    *ca_bundle* replaces the system's authorities, *proxy* those of the environment."""

    hidden = frozenset({"token", "proxy"})

    url: str
    token: str | None = None
    ca_bundle: str | None = None
    proxy: str | None = None


def access(
    service: str | None = None,
    *,
    token: str | None = None,
    token_file: Path | str | None = None,
    ca_bundle: Path | str | None = None,
    proxy: str | None = None,
    insecure_http: bool = False,
) -> Access:
    """The service that is meant, by what is given and else by the environment: `BATCHER_SERVICE`, and
    `BATCHER_SERVICE_TOKEN_FILE` or `BATCHER_SERVICE_TOKEN`.

    Raises `UserError` where there is none, or where its token would travel in the clear: http is for this machine, and
    elsewhere only where *insecure_http* allows it.
    """
    text = service if service is not None else os.environ.get(URL, "")
    if not text.strip():
        raise UserError(f"there is no service to speak to: give --service URL, or set {URL}.")
    url = address(text, insecure_http=insecure_http)
    return Access(
        url=url,
        token=_token(token, token_file),
        ca_bundle=None if ca_bundle is None else os.fspath(ca_bundle),
        proxy=proxy,
    )


def address(text: str, *, insecure_http: bool) -> str:
    """*text* as a service's address, without a slash at its end. Raises `UserError`."""
    text = text.strip()
    if "@" in text:  # first, and without the text: it may hold a password
        raise UserError(f"the service's address carries no user name: give its token by {TOKEN_FILE} or {TOKEN}.")
    parts = _split(text)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(f"the service's address {text!r} is no web address: write https://HOST.")
    if parts.query or parts.fragment:
        raise UserError(f"the service's address {text!r} goes on after its path: leave out what follows ? or #.")
    if parts.scheme == "http" and not insecure_http and not is_loopback(host):
        raise UserError(
            f"the service's address {text!r} is not https, so the token would travel in the clear: write https://…, "
            "or allow it with --insecure-http."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _split(text: str) -> SplitResult:
    if "://" not in text:
        raise UserError(f"the service's address {text!r} has no scheme: write https://{text or 'HOST'}.")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise UserError(f"the service's address {text!r} is no web address ({error}): write https://HOST.") from None
    return parts


def _token(given: str | None, file: Path | str | None) -> str | None:
    """The token, registered to be masked. Raises `UserError`, which does not quote it."""
    if given is not None:
        return _sound(given, "the token that was given")
    if file is None and (named := os.environ.get(TOKEN_FILE)):
        file = named
    if file is not None:
        path = expanded(Path(file))
        try:
            with path.open(encoding="utf-8") as opened:
                text = opened.read(64 * 1024)
        except OSError as error:
            raise UserError(f"cannot read the service's token from {path}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise UserError(f"{path} holds no token: it is not text.") from None
        return _sound(text, str(path))
    variable = os.environ.get(TOKEN)
    return _sound(variable, TOKEN) if variable else None


def _sound(text: str, origin: str) -> str:
    token = text.strip()
    register_secret(token)
    if not token or len(token) > _LONGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(f"{origin} holds no token of the service: it is one word, as `batcher token new` showed it.")
    return token
