"""Where credentials are looked for, in which order, and what is said when there is none."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.options import CredentialOptions, ScopeProfile
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.cloud import HttpRequest
from batcher.errors import UserError
from tests.auth.wire import Wire

ENDPOINT = "https://drs.eu-west-101.myhuaweicloud.eu"
REQUEST = HttpRequest(method="POST", url=f"{ENDPOINT}/v3/p1/jobs/batch-status", headers={}, body=b"{}")

# Each place with a complete credential, first things first, and how it is described.
PLACES: list[tuple[Mapping[str, str], str]] = [
    ({"BATCHER_TOKEN": "token-a"}, "token from BATCHER_TOKEN"),
    ({"BATCHER_AK": "AK1", "BATCHER_SK": "sk1"}, "access key from BATCHER_AK and BATCHER_SK"),
    (
        {"BATCHER_USERNAME": "ann", "BATCHER_PASSWORD": "pw", "BATCHER_DOMAIN": "acme"},
        "user ann of acme, password from BATCHER_PASSWORD",
    ),
    (
        {"HUAWEICLOUD_SDK_AK": "AK2", "HUAWEICLOUD_SDK_SK": "sk2", "HUAWEICLOUD_SDK_SECURITY_TOKEN": "st2"},
        "temporary access key from HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, with HUAWEICLOUD_SDK_SECURITY_TOKEN",
    ),
    ({"HW_AUTH_TOKEN": "token-b"}, "token from HW_AUTH_TOKEN"),
    ({"HW_ACCESS_KEY": "AK3", "HW_SECRET_KEY": "sk3"}, "access key from HW_ACCESS_KEY and HW_SECRET_KEY"),
    (
        {"HW_USER_NAME": "bob", "HW_USER_PASSWORD": "pw", "HW_DOMAIN_NAME": "acme"},
        "user bob of acme, password from HW_USER_PASSWORD",
    ),
    ({"OS_TOKEN": "token-c"}, "token from OS_TOKEN"),
    ({"OS_ACCESS_KEY": "AK4", "OS_SECRET_KEY": "sk4"}, "access key from OS_ACCESS_KEY and OS_SECRET_KEY"),
    (
        {"OS_USERNAME": "eve", "OS_PASSWORD": "pw", "OS_USER_DOMAIN_NAME": "acme"},
        "user eve of acme, password from OS_PASSWORD",
    ),
]


def found(environ: Mapping[str, str], home: Path, *, project_id: str = "p1", **sources: object) -> str:
    everything = CredentialSources(environ=environ, home=home, **sources)  # type: ignore[arg-type]
    return CredentialFinder(everything, Wire()).find(ENDPOINT, project_id).describe()


@pytest.mark.parametrize("first", range(len(PLACES)))
def test_the_first_complete_place_wins(first: int, tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    for names, _ in PLACES[first:]:
        environ |= names
    assert found(environ, tmp_path) == PLACES[first][1]


def test_the_sdk_profile_lies_between_its_variables_and_those_of_terraform(tmp_path: Path) -> None:
    profile = tmp_path / ".huaweicloud" / "credentials"
    profile.parent.mkdir()
    profile.write_text("[basic]\nak = AK5\nsk = s%k5\nsecurity_token = st5\n[global]\nak = other\n")
    assert found(PLACES[4][0], tmp_path) == (
        f"temporary access key from ak in {profile} and sk in {profile}, with security_token in {profile}"
    )
    assert "HUAWEICLOUD_SDK_AK" in found(PLACES[3][0], tmp_path)


def test_the_sdk_profile_may_be_named(tmp_path: Path) -> None:
    profile = tmp_path / "mine.ini"
    profile.write_text("[basic]\nak=AK5\nsk=sk5\n")
    environ = {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(profile)}
    assert str(profile) in found(environ, tmp_path)
    with pytest.raises(UserError, match="which is no file"):
        found({"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(tmp_path / "none")}, tmp_path)


def test_a_broken_sdk_profile_is_named_by_line_and_not_quoted(tmp_path: Path) -> None:
    profile = tmp_path / "mine.ini"
    profile.write_text("[basic]\nak=AK5\nsk secret-without-an-equals-sign\n")
    with pytest.raises(UserError) as error:
        found({"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(profile)}, tmp_path)
    assert f"{profile}, line 3" in str(error.value)
    assert "secret-without" not in str(error.value)


def test_flags_come_before_everything(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("token-f\n")
    environ = {**PLACES[0][0], "MY_TOKEN": "token-m"}
    by_file = CredentialOptions(token_file=token_file)
    by_variable = CredentialOptions(token_env="MY_TOKEN")
    assert found(environ, tmp_path, options=by_file) == f"token from file {token_file} (--token-file)"
    assert found(environ, tmp_path, options=by_variable) == "token from environment variable MY_TOKEN (--token-env)"


def test_every_secret_of_ours_may_be_in_a_file(tmp_path: Path) -> None:
    environ = {}
    for name in ("AK", "SK", "SECURITY_TOKEN"):
        path = tmp_path / name
        path.write_text(f"value-of-{name}\n")
        environ[f"BATCHER_{name}_FILE"] = str(path)
    assert "(BATCHER_SECURITY_TOKEN_FILE)" in found(environ, tmp_path)


def test_a_profile_is_chosen_by_its_project_and_beats_the_environment(tmp_path: Path) -> None:
    profiles = tuple(
        ScopeProfile(
            name=name,
            origin=f"batcher.toml, [profiles.{name}]",
            project_id=project_id,
            options=CredentialOptions(ak_env=f"{name}_AK", sk_env=f"{name}_SK"),
        )
        for name, project_id in (("ONE", "p1"), ("TWO", "p2"))
    )
    environ = {**PLACES[0][0], "ONE_AK": "AK1", "ONE_SK": "sk1", "TWO_AK": "AK2", "TWO_SK": "sk2"}
    for project_id, expected in (("p1", "ONE_AK"), ("p2", "TWO_AK"), ("p3", "BATCHER_TOKEN")):
        assert expected in found(environ, tmp_path, project_id=project_id, profiles=profiles)


def test_a_profile_of_another_endpoint_is_not_this_scope_s(tmp_path: Path) -> None:
    profile = ScopeProfile(
        name="one",
        origin="batcher.toml, [profiles.one]",
        project_id="p1",
        options=CredentialOptions(token_env="MY_TOKEN"),
        endpoint="https://drs.elsewhere.example",
    )
    environ = {**PLACES[0][0], "MY_TOKEN": "token-m"}
    assert found(environ, tmp_path, profiles=(profile,)) == "token from BATCHER_TOKEN"


def test_the_config_file_s_user_goes_with_the_environment_s_password(tmp_path: Path) -> None:
    in_file = CredentialOptions(username="ann", domain="acme")
    environ = {"BATCHER_PASSWORD": "pw"}
    assert found(environ, tmp_path, file_options=in_file) == "user ann of acme, password from BATCHER_PASSWORD"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"BATCHER_AK": "AK1"}, r"BATCHER_AK\[_FILE\] is there, but not BATCHER_SK\[_FILE\]"),
        ({"BATCHER_PASSWORD": "pw", "BATCHER_DOMAIN": "d"}, "but not BATCHER_USERNAME"),
        ({"BATCHER_SK": "sk", **PLACES[4][0]}, r"BATCHER_SK\[_FILE\] is there, but not BATCHER_AK"),
        ({"BATCHER_TOKEN": "a", "BATCHER_TOKEN_FILE": "b"}, "both set. Keep the one you mean"),
        ({"BATCHER_TOKEN": "X-Subject-Token: MII"}, "is no bare token"),
        ({"BATCHER_TOKEN": '{"token": {}}'}, "is no bare token"),
        ({"BATCHER_TOKEN": '"MII"'}, "Copy the token alone"),
    ],
)
def test_half_or_odd_credentials_of_ours_are_errors(environ: Mapping[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        found(environ, tmp_path)


def test_half_a_credential_of_another_tool_is_passed_over_and_told_in_the_end(tmp_path: Path) -> None:
    half = {"HW_ACCESS_KEY": "AK3"}
    assert found({**half, **PLACES[7][0]}, tmp_path) == "token from OS_TOKEN"
    with pytest.raises(UserError, match="Terraform: HW_ACCESS_KEY is there, but not HW_SECRET_KEY"):
        found(half, tmp_path)


def test_nothing_found_lists_everything_that_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        found({}, tmp_path)
    told = str(error.value)
    names = "--token-file BATCHER_TOKEN BATCHER_AK HUAWEICLOUD_SDK_AK .huaweicloud HW_ACCESS_KEY OS_PASSWORD"
    positions = [told.index(name) for name in names.split()]
    assert positions == sorted(positions)
    assert f"project p1 at {ENDPOINT}" in told
    assert error.value.exit_code == 2


def test_what_is_wrong_for_many_scopes_is_said_once(tmp_path: Path) -> None:
    finder = CredentialFinder(CredentialSources(environ={}, home=tmp_path), Wire())
    with pytest.raises(UserError) as error:
        finder.find_all((ENDPOINT, f"p{number}") for number in range(5))
    assert str(error.value).count("Looked for") == 1
    assert "and 4 more scopes" in str(error.value)


@pytest.mark.parametrize(
    "given",
    ["hunter2-" + "x" * 60, "abcDEF0123456789abcDEF0123456789abcDEF01", "sw0rdfish!"],
)
def test_a_secret_given_where_a_name_belongs_is_not_repeated(given: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        found({}, tmp_path, options=CredentialOptions(token_env=given))
    assert given not in str(error.value)


def test_standard_input_is_read_once_for_all_scopes(tmp_path: Path) -> None:
    sources = CredentialSources(
        options=CredentialOptions(token_file=Path("-")), environ={}, home=tmp_path, stdin=io.StringIO("token-s\n")
    )
    finder = CredentialFinder(sources, Wire())
    credentials = finder.find_all([(ENDPOINT, "p1"), (ENDPOINT, "p2")])
    assert [one.headers(REQUEST)["X-Auth-Token"] for one in credentials.values()] == ["token-s", "token-s"]


def test_standard_input_serves_one_secret(tmp_path: Path) -> None:
    options = CredentialOptions(ak_file=Path("-"), sk_file=Path("-"))
    with pytest.raises(UserError, match="cannot both be read from standard input"):
        found({}, tmp_path, options=options, stdin=io.StringIO("x"))


ELSEWHERE = "https://drs.attacker.example"


@pytest.mark.parametrize("environ", [PLACES[0][0], PLACES[2][0]])
def test_a_host_that_only_the_manifest_names_gets_no_token_and_no_password(
    environ: Mapping[str, str], tmp_path: Path
) -> None:
    environ = {**environ, "BATCHER_IAM_ENDPOINT": "https://iam.eu-west-101.myhuaweicloud.eu"}
    sources = CredentialSources(environ=environ, home=tmp_path, endpoints=frozenset())
    with pytest.raises(UserError, match=f"nobody but the file names {ELSEWHERE}"):
        CredentialFinder(sources, Wire()).find(ELSEWHERE, "p1")
    named = CredentialSources(environ=environ, home=tmp_path, endpoints=frozenset({ELSEWHERE}))
    assert CredentialFinder(named, Wire()).find(ELSEWHERE, "p1").describe()


def test_a_password_is_not_sent_to_an_iam_that_is_guessed(tmp_path: Path) -> None:
    sources = CredentialSources(environ=PLACES[2][0], home=tmp_path, endpoints=frozenset({ELSEWHERE}))
    with pytest.raises(UserError, match="a credential is not sent to a guess"):
        CredentialFinder(sources, Wire()).find(ELSEWHERE, "p1")


@pytest.mark.parametrize(
    ("more", "iam_host"),
    [
        ({}, "iam.eu-west-101.myhuaweicloud.eu"),
        ({"OS_AUTH_URL": "https://os.example:443/v3"}, "os.example"),
        ({"OS_AUTH_URL": "https://os.example/v3", "BATCHER_IAM_ENDPOINT": "https://ours.example"}, "ours.example"),
    ],
)
async def test_passwords_go_to_the_iam_that_is_named_else_the_region_s(
    more: Mapping[str, str], iam_host: str, tmp_path: Path
) -> None:
    wire = Wire()
    sources = CredentialSources(environ={**PLACES[9][0], **more}, home=tmp_path)
    await CredentialFinder(sources, wire).find(ENDPOINT, "p1").prepare()
    assert {request.url for request in wire.requests} == {f"https://{iam_host}/v3/auth/tokens?nocatalog=true"}


async def test_a_profile_s_iam_goes_before_the_environment_s_and_after_the_flag_s(tmp_path: Path) -> None:
    options = CredentialOptions(username="a", domain="d", password_env="PW", iam_endpoint="https://profile.example")
    profile = ScopeProfile(name="one", origin="[profiles.one]", project_id="p1", options=options)
    environ = {"PW": "pw", "BATCHER_IAM_ENDPOINT": "https://ours.example"}
    for flags, host in (
        (CredentialOptions(), "profile"),
        (CredentialOptions(iam_endpoint="https://flag.example"), "flag"),
    ):
        wire = Wire()
        sources = CredentialSources(environ=environ, home=tmp_path, profiles=(profile,), options=flags)
        await CredentialFinder(sources, wire).find(ENDPOINT, "p1").prepare()
        assert wire.requests[0].url.startswith(f"https://{host}.example/")


@pytest.mark.parametrize("address", ["http://iam.example.com", "iam.example.com", "https://iam.example.com/v2/x"])
def test_an_iam_address_that_cannot_be_used_is_said_with_its_origin(address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="BATCHER_IAM_ENDPOINT: "):
        found({**PLACES[2][0], "BATCHER_IAM_ENDPOINT": address}, tmp_path)


def test_describing_shows_no_secret(tmp_path: Path) -> None:
    secrets = {"token-a", "AK1", "sk1", "pw", "AK2", "sk2", "st2", "token-b", "AK3", "sk3", "token-c", "AK4", "sk4"}
    for environ, _ in PLACES:
        words = set(found(environ, tmp_path).replace(",", " ").split())
        assert not words & secrets
