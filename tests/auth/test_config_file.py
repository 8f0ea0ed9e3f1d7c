"""Credentials in the config file: where they are, by name; for all scopes, or for the project of a profile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.drs.auth.find import CredentialFinder
from batcher.settings import load
from batcher.settings.credentials import credential_sources
from batcher.settings.errors import SettingsError
from tests.auth.wire import Wire

ENDPOINT = "https://drs.eu-west-101.myhuaweicloud.eu"


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Which credential a project gets by a config file, described."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("token-f")

    def describe(text: str, project_id: str = "p1", endpoint: str = ENDPOINT, **load_options: str) -> str:
        config = tmp_path / "batcher.toml"
        config.write_text(text)
        loaded = load({}, config=config, **load_options)
        sources = credential_sources(loaded.settings, loaded.config)
        return CredentialFinder(sources, Wire()).find(endpoint, project_id).describe()

    return describe


PROFILES = """
token_file = "{token}"

[profiles.prod]
project_id = "p1"
ak_env = "PROD_AK"
sk_env = "PROD_SK"

[profiles.test]
project_id = "p2"
username = "ann"
domain = "acme"
password_env = "TEST_PASSWORD"
iam_endpoint = "https://iam.example.com/v3"

[profiles.fast]
rate = "50/s"
"""


def test_each_project_gets_its_own_profile_chosen_or_not(
    described: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PROD_AK", "PROD_SK", "TEST_PASSWORD"):
        monkeypatch.setenv(name, f"value-of-{name}")
    text = PROFILES.format(token=tmp_path / "token")
    assert described(text, "p1") == (
        "access key from environment variable PROD_AK (ak_env) and environment variable PROD_SK (sk_env)"
    )
    assert described(text, "p2").startswith("user ann of acme, password from environment variable TEST_PASSWORD")
    assert described(text, "p3") == f"token from file {tmp_path / 'token'} (token_file)"
    assert described(text, "p2", profile="fast").startswith("user ann of acme")


def test_a_profile_may_give_its_endpoint_to_a_token(
    described: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that only a manifest names gets no token; the operator's own config file may name it."""
    monkeypatch.setenv("STACK_TOKEN", "token-s")
    section = '[profiles.stack]\nproject_id = "p1"\ntoken_env = "STACK_TOKEN"\n'
    stack = "https://drs.stack.example"
    with pytest.raises(Exception, match="nobody but the file names"):
        described(section, "p1", stack)
    assert "STACK_TOKEN" in described(section + f'endpoint = "{stack}"\n', "p1", stack)


@pytest.mark.parametrize("name", ["token", "sk", "password", "security_token"])
@pytest.mark.parametrize("section", ["", "[profiles.prod]\n"])
def test_a_secret_itself_has_no_place_in_the_file(described: Callable[..., str], name: str, section: str) -> None:
    with pytest.raises(SettingsError) as told:
        described(f'{section}{name} = "MARK-of-a-secret"\n')
    assert f"name the file it is in: {name}_file" in str(told.value)
    assert "MARK-of-a-secret" not in str(told.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("token_file = 5", "token_file must be text"),
        ('iam_endpont = "https://x"', "Did you mean 'iam_endpoint'?"),
        ('[profiles.a]\nproject_id = "p"\ntoken_env = "X"\nregion = "nowhere-1"', "nowhere-1"),
    ],
)
def test_what_is_odd_is_told_with_its_place(described: Callable[..., str], line: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        described(line)


def test_an_unset_variable_is_named(described: Callable[..., str]) -> None:
    with pytest.raises(Exception, match="names the environment variable NOT_SET_AK, which is not set"):
        described('[profiles.a]\nproject_id = "p1"\nak_env = "NOT_SET_AK"\nsk_env = "NOT_SET_SK"')
