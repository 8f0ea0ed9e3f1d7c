"""Which way a request takes, by what was given and what the environment says."""

import pytest
from rich.pretty import pretty_repr
from yarl import URL

from batcher.drs.proxies import Proxies, UnusableProxy

HTTPS, HTTP = "https://drs.example.com/v3", "http://drs.example.com/v3"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_straight_where_nothing_is_said() -> None:
    assert Proxies(None).to(HTTPS).proxy is None


def test_the_given_one_beats_the_environment_and_its_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://other:1")
    monkeypatch.setenv("no_proxy", "*")
    assert Proxies("http://given:1").to(HTTPS).proxy == URL("http://given:1")


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://up:1"}, HTTPS, "http://up:1"),
        ({"https_proxy": "low:2"}, HTTPS, "http://low:2"),
        ({"https_proxy": "https://tls:3"}, HTTPS, "https://tls:3"),
        ({"http_proxy": "http://plain:4"}, HTTPS, None),
        ({"http_proxy": "http://plain:4"}, HTTP, "http://plain:4"),
        ({"all_proxy": "http://all:5"}, HTTPS, "http://all:5"),
        ({"https_proxy": "http://p:1", "no_proxy": "example.com"}, HTTPS, None),
        ({"https_proxy": "http://p:1", "no_proxy": "drs.example.com:443"}, HTTPS, None),
        ({"https_proxy": "http://p:1", "no_proxy": "other.com"}, HTTPS, "http://p:1"),
        ({"https_proxy": "http://p:1"}, "https://127.0.0.1:9/v3", None),
        ({"https_proxy": "http://p:1"}, "https://[::1]:9/v3", None),
    ],
)
def test_the_usual_variables(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Proxies(None).to(url).proxy == (None if proxy is None else URL(proxy))


@pytest.mark.parametrize("url", [HTTPS, HTTP])
def test_the_password_is_apart_from_the_address_and_does_not_show(url: str) -> None:
    way = Proxies("http://some%40body:hunter2@proxy:8080").to(url)
    assert way.proxy == URL("http://proxy:8080")
    assert "hunter2" not in repr(way)
    assert "hunter2" not in pretty_repr(way)
    sent = {"Proxy-Authorization": "Basic c29tZUBib2R5Omh1bnRlcjI="}
    assert (way.in_connect, way.in_request) == ((sent, {}) if url == HTTPS else (None, sent))


def test_what_is_no_http_proxy_is_said_without_its_password() -> None:
    with pytest.raises(UnusableProxy, match="http://HOST:PORT") as caught:
        Proxies("socks5://somebody:hunter2@proxy").to(HTTPS)
    assert "hunter2" not in str(caught.value)
