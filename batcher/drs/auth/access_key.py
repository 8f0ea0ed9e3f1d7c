"""Access keys, permanent and temporary: nothing of them is sent but a signature over each request."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from batcher.clock import SystemClock
from batcher.drs.auth.key_guard import KeyGuard
from batcher.drs.auth.secret import Hidden, Secret, SecretSource
from batcher.drs.auth.signing import DATE_HEADER, host_of, sdk_date, signature
from batcher.drs.cloud import HttpRequest, Refusal

AUTHORIZATION = "Authorization"
PROJECT_HEADER = "X-Project-Id"
SECURITY_TOKEN_HEADER = "X-Security-Token"  # noqa: S105 - a header's name


class _Values(Struct, frozen=True):
    """The key as read at one moment."""

    ak: Secret
    sk: Secret
    security_token: Secret | None


class AccessKey:
    """A key and, if it is a temporary one, its security token, from wherever they are."""

    def __init__(self, ak: SecretSource, sk: SecretSource, security_token: SecretSource | None = None) -> None:
        self._ak, self._sk, self._security_token = ak, sk, security_token

    @property
    def sources(self) -> tuple[SecretSource, ...]:
        """Where its parts are from."""
        return tuple(source for source in (self._ak, self._sk, self._security_token) if source is not None)

    def describe(self) -> str:
        """ "access key from BATCHER_AK and BATCHER_SK"."""
        pair = f"{self._ak.origin} and {self._sk.origin}"
        if self._security_token is None:
            return f"access key from {pair}"
        return f"temporary access key from {pair}, with {self._security_token.origin}"

    def current(self) -> _Values:
        """The key as its sources have it now."""
        token = self._security_token
        return _Values(self._ak.current(), self._sk.current(), None if token is None else token.current())

    def reload(self) -> _Values:
        """The key, its files read again."""
        token = self._security_token
        return _Values(self._ak.reload(), self._sk.reload(), None if token is None else token.reload())


class AccessKeyCredential:
    """Signs each request of one scope anew, since a signature holds its time.

    *project_id* None is for calls to IAM that belong to no project. *now* is Unix seconds.
    """

    at_hand = False  # each time, the cloud may have refused the key meanwhile

    def __init__(
        self, key: AccessKey, project_id: str | None, guard: KeyGuard, *, now: Callable[[], float] = SystemClock.now
    ) -> None:
        self._key = key
        self._project_id = project_id
        self._guard = guard
        self._now = now
        self._values = key.current()
        guard.goes_with(self._values.ak.reveal(), self._values)

    def describe(self) -> str:
        """Kind and origin."""
        return self._key.describe()

    async def prepare(self) -> Refusal | None:
        """Take up changed files; a key that the cloud has refused is not used again."""
        self._take(self._key.current())
        return self._guard.refusal(self._values.ak.reveal())

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The signature over method, address, body, project and time, with the headers it covers.

        What else the request carries is not signed, so that a proxy which changes it breaks nothing.
        """
        values = self._values
        added = {DATE_HEADER: sdk_date(self._now())}
        if self._project_id is not None:
            added[PROJECT_HEADER] = self._project_id
        if values.security_token is not None:
            added[SECURITY_TOKEN_HEADER] = values.security_token.reveal()
        covered = {name: value for name, value in request.headers.items() if name.lower() == "content-type"}
        seal = signature(
            method=request.method,
            url=request.url,
            headers={**covered, **added, "Host": host_of(request.url)},
            body=request.body,
            access_key=values.ak.reveal(),
            secret_key=values.sk.reveal(),
        )
        return {**added, AUTHORIZATION: Hidden(seal)}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """Whether the key has been changed where it is kept; the same one is not tried again."""
        changed = self._take(self._key.reload())
        return changed or f"Access={self._values.ak.reveal()}," not in used.get(AUTHORIZATION, "")

    def _take(self, values: _Values) -> bool:
        if values == self._values:
            return False
        self._values = values
        self._guard.goes_with(values.ak.reveal(), values)
        return True
