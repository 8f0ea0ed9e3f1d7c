"""The second net: whatever is about to be shown is searched once more, by value, by name and by shape."""

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.failures import classify_call
from batcher.masking import (
    MASK,
    is_secret_name,
    mask,
    mask_text,
    mask_values,
    register_environment,
    register_secret,
)

SECRET = st.text(min_size=6, max_size=40).filter(lambda text: "*" not in text)


@settings(deadline=None)
@given(secret=SECRET, before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_registered_value_never_shows(secret: str, before: str, after: str) -> None:
    register_secret(secret)
    assert secret not in mask_text(f"{before} {secret} {after}")
    assert json.dumps(secret)[1:-1] not in mask_text(json.dumps({"value": secret}))
    assert quote(secret, safe="") not in mask_text(f"https://h/?q={quote(secret, safe='')}")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("X-Auth-Token: MIIabc", "X-Auth-Token: ***"),
        ('{"password": "hunter", "name": "ann"}', '{"password": "***", "name": "ann"}'),
        ("BATCHER_SK=abc;next", "BATCHER_SK=***;next"),
        ("Authorization: SDK-HMAC-SHA256 Access=A, Signature=00", "Authorization: ***"),
        ("got Signature=0123456789abcdef0123", "got Signature=***"),
        ("proxy http://me:pw@host:3128 refused", "proxy http://***@host:3128 refused"),
        ("-HTTP://me:pw@host", "-HTTP://***@host"),
        ("cloud.X-Auth-Token=MIIabc", "cloud.X-Auth-Token=***"),
        ("x-security-token:gQpj|x-sdk-date", "x-security-token:***"),
        ('"min_token": "5", "max_token": "9"', '"min_token": "5", "max_token": "9"'),
        ("job_id 1111, project p1", "job_id 1111, project p1"),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_nothing_else(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "name", ["X-Auth-Token", "X-Subject-Token", "BATCHER_SK", "HW_ACCESS_KEY", "password", "ak", "Authorization"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)
    assert mask({name: "value"}) == {name: MASK}


@pytest.mark.parametrize("name", ["min_token", "compare_object_infos_with_token", "key", "task", "X-Project-Id"])
def test_other_names_are_left_alone(name: str) -> None:
    assert mask({name: "value"}) == {name: "value"}


@pytest.mark.parametrize("before", ["", "x" * 150, "x" * 990, "x" * 1990])
@pytest.mark.parametrize("body", [b'{"error_code":"APIGW.0301","error_msg":"got %s"}', b"<html><p>got %s</p></html>"])
def test_a_secret_that_is_cut_off_shows_no_part_of_it(before: str, body: bytes) -> None:
    """Tokens are several kB, and of what the cloud says no more than a line or two is kept."""
    token = "MII" + "Qq0Zx7" * 500
    register_secret(token)
    quoted = body.replace(b"%s", f"{before} {token} and so on".encode())
    answer = Answer(stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, http_status=401, body=quoted)
    trouble = classify_call(answer)
    assert trouble is not None
    assert "got" in (trouble.error_msg or "")
    assert "Qq0Zx7" not in (trouble.error_msg or "")


@pytest.mark.parametrize("piece", ["a.", "x-y_", "ab+", "token ", "token=", "a://", "_token.", '"', "password\n"])
def test_long_text_is_masked_in_a_moment(piece: str) -> None:
    """A cloud may answer anything. Ten times as long takes ten times as long, not a hundred times."""
    assert cpu_s(piece * 4000) < 30 * cpu_s(piece * 400)


def cpu_s(text: str) -> float:
    """CPU time for *text*, the least of a few, and never next to nothing: no machine is too busy for it."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        mask_text(text)
        spent.append(time.process_time() - before)
    return max(min(spent), 1e-4)


def test_data_is_masked_at_any_depth() -> None:
    register_secret("deeply-hidden")
    data = {"a": [{"b": ("x deeply-hidden y", b"deeply-hidden")}], "n": 1, "none": None, "sk": ["s"]}
    assert mask(data) == {"a": [{"b": ["x *** y", "***"]}], "n": 1, "none": None, "sk": MASK}


def test_secrets_of_the_environment_are_registered_by_their_names() -> None:
    register_environment({"HW_SECRET_KEY": "value-one", "OS_REGION_NAME": "value-two", "MY_PASSWORD": "value-three"})
    assert mask_text("value-one value-two value-three") == "*** value-two value-three"


@pytest.mark.parametrize("length", [8, 9, 40, 2999])
def test_a_piece_of_a_secret_at_either_end_of_it_is_masked_too(length: int) -> None:
    """A gateway that quotes a token cuts it short."""
    token = "MII" + "".join(f"{number:x}Zx" for number in range(1000))[:2997]
    register_secret(token)
    assert mask_text(f"bad token {token[:length]}… here") == "bad token ***… here"
    assert mask_text(f"bad token …{token[-length:]}, here") == "bad token …***, here"
    assert mask_text(f"{token[:length]} {token[:length]}") == "*** ***"


def test_words_that_a_password_has_in_it_are_left_alone() -> None:
    register_secret("simulated-token")
    assert mask_text("batcher simulate") == "batcher simulate"


def test_every_spelling_of_an_address_is_known() -> None:
    register_secret("a/b+c=d&e f-0123456789")
    for spelt in (
        "a/b%2Bc%3Dd%26e%20f-0123456789",
        "a%2fb%2bc%3dd%26e%20f-0123456789",
        "a%2Fb%2Bc%3Dd%26e+f-0123456789",
    ):
        assert mask_text(f"GET /?q={spelt}") == "GET /?q=***"


def test_a_password_in_an_address_is_known_by_itself_and_as_a_header_has_it() -> None:
    register_environment({"https_proxy": "http://me:p%40w%2Fsecret@proxy.example:3128"})
    assert mask_text("p@w/secret, p%40w%2Fsecret, Basic bWU6cEB3L3NlY3JldA==") == "***, ***, Basic ***"


def test_what_we_say_ourselves_keeps_its_names_and_loses_its_values() -> None:
    register_secret("MARK-of-a-secret-0123456789")
    line = '{"at":"https://drs.example.com","BATCHER_TOKEN":"MARK-of-a-secret-0123456789","to":"a@b"}'
    assert mask_values(line) == line.replace("MARK-of-a-secret-0123456789", "***")
    assert mask_values("--token-file: is empty; http://me:pw@h:1") == "--token-file: is empty; http://***@h:1"
