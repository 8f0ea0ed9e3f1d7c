"""Where a scope's IAM is: passwords go there and nowhere else."""

from urllib.parse import urlsplit

from batcher.drs.endpoints import iam_endpoint_of, is_loopback, normalise_endpoint, region_of_endpoint


def derived_iam_endpoint(endpoint: str) -> str | None:
    """The IAM that belongs to the DRS *endpoint* (normalised); None where the region table does not know it.

    A host that is not in the table is not guessed at: a password would go to whoever owns it. On loopback one
    address serves both, as the simulator does.
    """
    region = region_of_endpoint(endpoint)
    if region is not None:
        return iam_endpoint_of(region)
    return endpoint if is_loopback(urlsplit(endpoint).hostname or "") else None


def normalise_iam_endpoint(url: str, *, insecure_http: bool = False) -> str:
    """*url* as scheme, host and port. Other tools' names end in `/v3`, which is dropped. Raises `ValueError`."""
    text = url.strip().rstrip("/")
    return normalise_endpoint(text.removesuffix("/v3"), insecure_http=insecure_http)
