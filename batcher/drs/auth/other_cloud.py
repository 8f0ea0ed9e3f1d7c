"""A region's name does not identify a cloud: `ru-moscow-1` is Cloud.ru's as well, `eu-west-0` is Orange's.

Where the environment names another cloud than the one that the region table means, a token must not leave for it.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from batcher.drs.endpoints import is_loopback, region_of_endpoint, regions

_ADDRESSES = ("BATCHER_IAM_ENDPOINT", "HW_AUTH_URL", "OS_AUTH_URL", "HUAWEICLOUD_SDK_IAM_ENDPOINT")
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")


def another_cloud(endpoint: str, environ: Mapping[str, str]) -> str | None:
    """What in *environ* speaks against the cloud of *endpoint*, which the region table named; None: nothing does."""
    region = region_of_endpoint(endpoint)
    if region is None:
        return None
    entry = regions()[region]
    own = {_cloud_of(urlsplit(address).hostname or "") for address in (entry["drs"], entry["iam"])}
    for name, host in _named(region, environ):
        if host and not is_loopback(host) and _cloud_of(host) not in own:
            return (
                f"{name} names {host}, and region {region} means {endpoint} here, which is another cloud. Say which "
                "it is: --endpoint https://…"
            )
    return None


def _named(region: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables that name a cloud, each with the host or domain that it names."""
    if cloud := environ.get("HW_CLOUD", "").strip().lower():
        yield "HW_CLOUD", cloud
    sdk = f"HUAWEICLOUD_SDK_REGION_DRS_{region.upper().replace('-', '_')}"
    for name in (*_ADDRESSES, sdk):
        value = environ.get(name, "").partition(",")[0].strip()
        if value:
            address = value if "://" in value else f"https://{value}"
            try:
                yield name, (urlsplit(address).hostname or "").lower()
            except ValueError:
                continue  # whoever uses it says what is wrong with it


def _cloud_of(host: str) -> str:
    """The part of *host* that tells clouds apart: without service, region and top-level domain."""
    labels = host.lower().rstrip(".").split(".")
    if labels[0] in ("iam", "drs"):
        labels = labels[1:]
    if len(labels) > 2 and (_REGION.fullmatch(labels[0]) or labels[0] in regions()):
        labels = labels[1:]
    return ".".join(labels[:-1]) or host
