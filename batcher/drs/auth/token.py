"""A given token: sent as it is, read again when its file changes."""

from collections.abc import Mapping

from batcher.drs.auth.secret import SecretSource, SecretUnusable
from batcher.drs.cloud import HttpRequest, Refusal

TOKEN_HEADER = "X-Auth-Token"  # noqa: S105 - a header's name


class TokenCredential:
    """An IAM token that somebody else fetched, and may replace in its file while the wave runs."""

    at_hand = True  # each request looks at the file

    def __init__(self, source: SecretSource) -> None:
        self._source = source
        _check_shape(source.current().reveal(), source.origin)

    def describe(self) -> str:
        """ "token from BATCHER_TOKEN"."""
        return f"token from {self._source.origin}"

    async def prepare(self) -> Refusal | None:
        """Look whether the file has changed."""
        self._source.current()
        return None

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The token's header."""
        return {TOKEN_HEADER: self._source.current().reveal()}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """Whether the file has another token by now."""
        return self._source.reload().reveal() != used.get(TOKEN_HEADER)


def _check_shape(token: str, origin: str) -> None:
    """What people copy beside the token, told before the cloud refuses it. Raises `SecretUnusable`."""
    if token[:1] in "{[" or ":" in token:
        raise SecretUnusable(
            f"{origin} is no bare token. Put there only the value of the answer's X-Subject-Token header, "
            "without the header's name and without the body"
        )
    if not token.isascii() or not token.isprintable() or any(sign in token for sign in " \"'"):
        raise SecretUnusable(f"{origin} holds spaces, quotes or other signs that no token has. Copy the token alone")
