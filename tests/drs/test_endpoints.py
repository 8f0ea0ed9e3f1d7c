"""Regions and endpoints."""

from urllib.parse import urlsplit

import pytest
from huaweicloudsdkdrs.v3.region.drs_region import DrsRegion
from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.endpoints import (
    endpoint_of_region,
    iam_endpoint_of,
    is_loopback,
    normalise_endpoint,
    region_of_endpoint,
    regions,
)


@pytest.mark.parametrize("region", sorted(DrsRegion.static_fields))
def test_every_region_of_the_official_sdk_is_known(region: str) -> None:
    told = DrsRegion.static_fields[region]
    assert told.endpoints == [endpoint_of_region(region)]


def test_regions_that_do_not_follow_the_pattern() -> None:
    assert endpoint_of_region("eu-west-101") == "https://drs.eu-west-101.myhuaweicloud.eu"
    assert iam_endpoint_of("eu-west-101") == "https://iam.eu-west-101.myhuaweicloud.eu"
    assert endpoint_of_region("eu-west-0") == "https://drs.eu-west-0.myhuaweicloud.com"
    assert endpoint_of_region("eu-de") == "https://drs.eu-de.otc.t-systems.com"
    assert iam_endpoint_of("eu-nl") == "https://iam.eu-nl.otc.t-systems.com"


def test_the_table_holds_normal_forms_of_two_services_in_one_domain() -> None:
    for name, region in regions().items():
        assert region["drs"] == normalise_endpoint(region["drs"], insecure_http=False)
        assert region["iam"] == region["drs"].replace("//drs.", "//iam.")
        assert name in region["drs"]
        assert region_of_endpoint(region["drs"]) == name
    assert region_of_endpoint("https://drs.example.com") is None


@pytest.mark.parametrize(
    ("region", "hint"),
    [
        ("cn-nort-4", "did you mean cn-north-4?"),
        ("EU_WEST_101", "did you mean eu-west-101?"),
        ("nowhere", "known are ae-ad-1, "),
        ("https://drs.example.com", "no region but an address"),
        ("drs.cn-north-4.myhuaweicloud.com", "no region but an address"),
        ("", "not known"),
    ],
)
def test_an_unknown_region_is_named_with_the_nearest_and_the_way_out(region: str, hint: str) -> None:
    with pytest.raises(ValueError, match="--endpoint https://") as caught:
        endpoint_of_region(region)
    assert hint in str(caught.value)
    assert repr(region) in str(caught.value)
    with pytest.raises(ValueError, match="BATCHER_IAM_ENDPOINT=https://"):
        iam_endpoint_of(region)


def test_letter_case_and_blanks_do_not_matter() -> None:
    assert endpoint_of_region(" CN-North-4 ") == endpoint_of_region("cn-north-4")


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("https://drs.example.com", "https://drs.example.com"),
        ("  HTTPS://DRS.Example.COM:443/  ", "https://drs.example.com"),
        ("https://drs.example.com.", "https://drs.example.com"),
        ("https://drs.example.com:8443", "https://drs.example.com:8443"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://127.9.9.9:1", "http://127.9.9.9:1"),
    ],
)
def test_the_normal_form_is_scheme_host_and_port_if_it_matters(given_: str, normal: str) -> None:
    assert normalise_endpoint(given_, insecure_http=False) == normal


@pytest.mark.parametrize(
    ("given_", "hint"),
    [
        ("http://drs.example.com", "--insecure-http"),
        ("http://10.0.0.1", "--insecure-http"),
        ("http://127.0.0.1.example.com", "--insecure-http"),
        ("http://localhost.example.com", "--insecure-http"),
        ("drs.example.com", "write https://drs.example.com"),
        ("cn-north-4", "--region"),
        ("", "write https://HOST"),
        ("ftp://drs.example.com", "write https://HOST"),
        ("https://", "names no host"),
        ("https:///v3", "names no host"),
        ("https://drs.example.com/v3/p", "write https://drs.example.com"),
        ("https://drs.example.com?x=1", "write https://drs.example.com"),
        ("https://drs.example.com#x", "write https://drs.example.com"),
        ("https://drs.example.com:99999", "no web address"),
        ("https://drs.example.com:port", "no web address"),
        ("https://[::1", "no web address"),
        ("https://drs example.com", "names no host"),
        ("https://dräs.example.com", "names no host"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_way_out(given_: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at below
        normalise_endpoint(given_, insecure_http=False)
    assert hint in str(caught.value)


@pytest.mark.parametrize("given_", ["https://user:hunter2@drs.example.com", "user:hunter2@drs.example.com"])
def test_a_password_in_an_endpoint_is_refused_and_not_repeated(given_: str) -> None:
    with pytest.raises(ValueError, match="no user name or password") as caught:
        normalise_endpoint(given_, insecure_http=True)
    assert "hunter2" not in str(caught.value)


def test_plain_http_elsewhere_is_for_those_who_ask_for_it() -> None:
    assert normalise_endpoint("http://drs.example.com:80", insecure_http=True) == "http://drs.example.com"


@given(st.text("aZ0.:/[]@#?%- \\\té", max_size=30).map("https://".__add__) | st.text("htps:/.a[]% \n", max_size=20))
def test_any_text_is_an_endpoint_in_its_normal_form_or_a_sentence(text: str) -> None:
    try:
        normal = normalise_endpoint(text, insecure_http=True)
    except ValueError:
        return
    parts = urlsplit(normal)
    assert parts.hostname
    assert f"{parts.scheme}://{parts.netloc}" == normal
    assert normalise_endpoint(normal, insecure_http=True) == normal


@pytest.mark.parametrize(
    ("host", "loopback"), [("LOCALHOST", True), ("::1", True), ("127.0.0.2", True), ("8.8.8.8", False), ("a", False)]
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
