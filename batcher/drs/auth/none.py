"""No credential, for a scope of which nothing is left to be sent."""

from collections.abc import Mapping

from batcher.drs.cloud import HttpRequest, Refusal


class NoCredential:
    """Lets nothing out: a wave that is done is opened without looking for credentials."""

    at_hand = False

    def describe(self) -> str:
        """That there is none."""
        return "no credential"

    async def prepare(self) -> Refusal | None:
        """Never ready: why nothing can be sent."""
        return Refusal("No credential was looked for, since nothing was left to be sent. Run the same command again")

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """No header that lets anything in."""
        return {}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """Nothing newer is ever found."""
        return False


NO_CREDENTIAL = NoCredential()
