"""No credential, for a scope of which nothing is left to be sent."""

from collections.abc import Mapping

from batcher.drs.cloud import HttpRequest, Refusal


class NoCredential:
    """Lets nothing out: a wave that is done is opened without looking for credentials."""

    def describe(self) -> str:
        """What it is."""
        return "no credential"

    async def prepare(self) -> Refusal | None:
        """See `Credential`."""
        return Refusal("No credential was looked for, since nothing was left to be sent. Run the same command again")

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """See `Credential`."""
        return {}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """See `Credential`."""
        return False


NO_CREDENTIAL = NoCredential()
