"""A token does not leave for a cloud that shares only a region's name with the operator's own."""

import pytest

from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.other_cloud import another_cloud
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.endpoints import endpoint_of_region
from batcher.drs.transport import AiohttpTransport
from batcher.errors import UserError


@pytest.mark.parametrize(
    ("region", "environ", "names"),
    [
        ("ru-moscow-1", {}, None),
        ("ru-moscow-1", {"HW_CLOUD": "hc.sbercloud.ru"}, "HW_CLOUD"),
        ("ru-moscow-1", {"HW_CLOUD": "myhuaweicloud.com"}, None),
        ("ru-moscow-1", {"OS_AUTH_URL": "https://iam.ru-moscow-1.hc.sbercloud.ru/v3"}, "OS_AUTH_URL"),
        ("eu-west-0", {"HW_AUTH_URL": "https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3"}, "HW_AUTH_URL"),
        ("eu-west-101", {"HW_AUTH_URL": "https://iam.eu-west-101.myhuaweicloud.eu/v3"}, None),
        ("eu-west-101", {"HW_AUTH_URL": "https://iam.myhuaweicloud.com:443/v3"}, None),
        ("eu-de", {"OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3"}, None),
        ("cn-north-4", {"OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3"}, "OS_AUTH_URL"),
        ("cn-north-4", {"HUAWEICLOUD_SDK_REGION_DRS_CN_NORTH_4": "drs.example.org"}, "HUAWEICLOUD_SDK_REGION_DRS"),
        ("cn-north-4", {"BATCHER_IAM_ENDPOINT": "http://127.0.0.1:8642"}, None),
    ],
)
def test_what_the_environment_names(region: str, environ: dict[str, str], names: str | None) -> None:
    found = another_cloud(endpoint_of_region(region), environ)
    assert (found is None) == (names is None)
    assert found is None or names is None or names in found


async def test_it_stops_before_a_token_leaves_unless_the_endpoint_was_named() -> None:
    environ = {"BATCHER_TOKEN": "t", "HW_CLOUD": "hc.sbercloud.ru"}
    endpoint = endpoint_of_region("ru-moscow-1")
    async with AiohttpTransport(limit=1, connect_timeout_s=1.0, total_timeout_s=1.0) as transport:
        sources = CredentialSources(environ=environ, endpoints=frozenset())
        with pytest.raises(UserError, match="--endpoint"):
            CredentialFinder(sources, transport).find(endpoint, "p")
        sources = CredentialSources(environ=environ, endpoints=frozenset({endpoint}))
        assert CredentialFinder(sources, transport).find(endpoint, "p")
