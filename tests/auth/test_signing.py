"""The signature is the official SDK's, byte for byte."""

from urllib.parse import quote, urlencode

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.drs.auth.signing import host_of, sdk_date, signature

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
SEGMENT = TEXT.filter(lambda text: "?" not in text and "#" not in text)
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9\-_]{0,15}", fullmatch=True).filter(
    lambda name: name.lower() not in {"host", "x-sdk-date", "content-type", "authorization"}
)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
KEY = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def by_sdk(
    method: str,
    host: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    access_key: str,
    secret_key: str,
) -> tuple[str, dict[str, str]]:
    """The SDK's Authorization header, and the headers it signed with what it added itself."""
    request = SdkRequest(
        method=method,
        schema="https",
        host=host,
        resource_path=path,
        query_params=list(query),
        header_params=dict(headers),
        body=body,
    )
    signed = Signer(BasicCredentials(access_key, secret_key)).sign(request)
    authorization = signed.header_params.pop("Authorization")
    return authorization, signed.header_params


def test_the_worked_example() -> None:
    """The vector of the reference, section 9.3."""
    assert signature(
        method="POST",
        url="https://drs.cn-north-4.myhuaweicloud.com/v3/p1/jobs/create-compare-task",
        headers={
            "Content-Type": "application/json",
            "Host": "drs.cn-north-4.myhuaweicloud.com",
            "X-Project-Id": "p1",
            "X-Sdk-Date": "20260101T000000Z",
        },
        body=b'{"job_id":"j1"}',
        access_key="AKEXAMPLE",
        secret_key="SKEXAMPLE",
    ) == (
        "SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=content-type;host;x-project-id;x-sdk-date, "
        "Signature=ca3495487676acf3fcbcd166c85f470872a4171ecb97c9f0226ac5e27ee6b0d5"
    )


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "put", "Delete"]),
    host=st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){1,2}(:[1-9][0-9]{1,3})?", fullmatch=True),
    segments=st.lists(SEGMENT, max_size=4),
    query=st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=4, unique_by=lambda pair: pair[0]),
    headers=st.dictionaries(NAME, VALUE, max_size=4),
    content_type=st.sampled_from([None, "application/json", "application/json;charset=utf8", "text/plain"]),
    body=st.binary(max_size=60),
    at=st.integers(0, 4_000_000_000),
    access_key=KEY,
    secret_key=KEY,
)
def test_equal_to_the_sdk_for_any_request(
    method: str,
    host: str,
    segments: list[str],
    query: list[tuple[str, str]],
    headers: dict[str, str],
    content_type: str | None,
    body: bytes,
    at: int,
    access_key: str,
    secret_key: str,
) -> None:
    if len({name.lower() for name in headers}) < len(headers):
        return  # two spellings of one header: no client of ours sends that
    path = "/" + "/".join(quote(segment, safe="~") for segment in segments)
    given_headers = {**headers, "X-Sdk-Date": sdk_date(at)}
    if content_type is not None:
        given_headers["Content-Type"] = content_type
    expected, signed_headers = by_sdk(method, host, path, query, given_headers, body, access_key, secret_key)
    url = f"https://{host}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    assert expected == signature(
        method=method,
        url=url,
        headers=signed_headers,
        body=body,
        access_key=access_key,
        secret_key=secret_key,
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://drs.example.com/v3", "drs.example.com"),
        ("https://DRS.Example.com:443/", "drs.example.com"),
        ("http://127.0.0.1:8790/x", "127.0.0.1:8790"),
        ("http://[::1]:80/x", "[::1]"),
        ("https://[::1]:8443/x", "[::1]:8443"),
    ],
)
def test_host_is_what_a_client_sends(url: str, host: str) -> None:
    assert host_of(url) == host


def test_dates_are_utc() -> None:
    assert sdk_date(1_767_225_600.9) == "20260101T000000Z"
