"""The simulated IAM and the gateway's door: tokens that end, signatures that must fit, keys that lock."""

import random
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given
from hypothesis import strategies as st

from batcher.simulator.iam import AuthMode, IamConfig, SimulatedAccessKey, SimulatedIam, SimulatedUser
from batcher.simulator.replies import Reply
from batcher.simulator.signatures import Claim, SignedRequest, canonical_request, is_signed_with, read_claim

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
VECTOR = SignedRequest(
    method="POST",
    path="/v3/p1/jobs/create-compare-task",
    query="",
    headers={
        "host": "drs.cn-north-4.myhuaweicloud.com",
        "content-type": "application/json",
        "x-project-id": "p1",
        "x-sdk-date": "20260101T000000Z",
    },
    body=b'{"job_id":"j1"}',
)
VECTOR_HEADERS = ("content-type", "host", "x-project-id", "x-sdk-date")
VECTOR_SIGNATURE = "ca3495487676acf3fcbcd166c85f470872a4171ecb97c9f0226ac5e27ee6b0d5"


def with_headers(request: SignedRequest, **headers: str) -> SignedRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SignedRequest(
        method=request.method,
        path=request.path,
        query=request.query,
        headers={**request.headers, **named},
        body=request.body,
    )


def signed(signature: str = VECTOR_SIGNATURE, access_key: str = "AKEXAMPLE", **headers: str) -> SignedRequest:
    claim = f"SDK-HMAC-SHA256 Access={access_key}, SignedHeaders={';'.join(VECTOR_HEADERS)}, Signature={signature}"
    return with_headers(VECTOR, authorization=claim, **headers)


def iam(mode: AuthMode = "any", **config: Any) -> SimulatedIam:
    keys = {"AKEXAMPLE": SimulatedAccessKey("SKEXAMPLE")}
    return SimulatedIam(IamConfig(**{"mode": mode, "keys": keys, **config}), random.Random(1))


def reason(reply: Reply | None) -> str:
    assert reply is not None
    assert (reply.status, reply.error_code) == (401, "APIGW.0301")
    text: str = orjson.loads(reply.body)["error_msg"]
    return text


# Signatures -----------------------------------------------------------------------------------------------


def test_the_published_vector_fits() -> None:
    claim = read_claim(signed().headers["authorization"])
    assert claim == Claim("AKEXAMPLE", VECTOR_HEADERS, VECTOR_SIGNATURE)
    assert is_signed_with("SKEXAMPLE", VECTOR, claim)
    assert not is_signed_with("SKOTHER", VECTOR, claim)


TEXT = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="/?#\\"), min_size=1, max_size=8
)


@given(
    segments=st.lists(TEXT.filter(lambda text: text not in (".", "..")), min_size=1, max_size=4),
    query=st.dictionaries(TEXT, TEXT, max_size=3),
    body=st.binary(max_size=40),
)
def test_what_the_official_sdk_signs_fits(segments: list[str], query: dict[str, str], body: bytes) -> None:
    path = "/" + "/".join(quote(segment, safe="~") for segment in segments)
    wire_query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items())
    request = SdkRequest(
        method="POST",
        schema="https",
        host="drs.example.com",
        resource_path=path,
        query_params=list(query.items()),
        header_params={"Content-Type": "application/json", "X-Sdk-Date": "20260101T000000Z"},
        body=body,
        stream=False,
    )
    made = Signer(BasicCredentials("AKEXAMPLE", "SKEXAMPLE", "p1")).sign(request)
    headers = {name.lower(): value for name, value in made.header_params.items()}
    arrived = SignedRequest(method="POST", path=path, query=wire_query, headers=headers, body=body)
    claim = read_claim(headers["authorization"])
    assert claim is not None
    assert is_signed_with("SKEXAMPLE", arrived, claim)


@pytest.mark.parametrize(
    "changed",
    [
        SignedRequest(method="PUT", path=VECTOR.path, query="", headers=VECTOR.headers, body=VECTOR.body),
        SignedRequest(method="POST", path="/v3/p2/jobs/x", query="", headers=VECTOR.headers, body=VECTOR.body),
        SignedRequest(method="POST", path=VECTOR.path, query="a=b", headers=VECTOR.headers, body=VECTOR.body),
        SignedRequest(method="POST", path=VECTOR.path, query="", headers=VECTOR.headers, body=b'{"job_id":"j2"}'),
        with_headers(VECTOR, x_project_id="p2"),
        with_headers(VECTOR, host="elsewhere"),
    ],
)
def test_a_request_changed_on_its_way_does_not_fit(changed: SignedRequest) -> None:
    assert not is_signed_with("SKEXAMPLE", changed, Claim("AKEXAMPLE", VECTOR_HEADERS, VECTOR_SIGNATURE))


def test_host_and_date_must_be_signed() -> None:
    for names in (("content-type", "x-sdk-date"), ("content-type", "host")):
        assert not is_signed_with("SKEXAMPLE", VECTOR, Claim("AKEXAMPLE", names, VECTOR_SIGNATURE))


def test_the_canonical_path_ends_with_a_slash_and_stays_encoded() -> None:
    request = SignedRequest(method="post", path="/a%20b/c~d", query="z=1&a=%C3%A4", headers={}, body=b"")
    assert canonical_request(request, ()).splitlines()[:3] == ["POST", "/a%20b/c~d/", "a=%C3%A4&z=1"]


def test_a_signature_lets_in_and_another_key_does_not() -> None:
    assert iam().let_in(NOW, signed(), "p1", "r") is None
    assert "AK is not existed" in reason(iam().let_in(NOW, signed(access_key="AKOTHER"), "p1", "r"))


@pytest.mark.parametrize(("late_s", "let_in"), [(900, True), (901, False), (-900, True), (-901, False)])
def test_the_clock_may_be_off_by_fifteen_minutes(late_s: int, let_in: bool) -> None:
    refusal = iam().let_in(NOW + late_s, signed(), "p1", "r")
    assert (refusal is None) is let_in
    if refusal is not None:
        assert "signature expired" in reason(refusal)


def test_five_bad_signatures_lock_the_key_for_five_minutes() -> None:
    of = iam()
    for n in range(5):
        assert "verify aksk signature fail" in reason(of.let_in(NOW + n, signed("0" * 64), "p1", "r"))
    assert "reach the limit" in reason(of.let_in(NOW + 5, signed(), "p1", "r"))
    assert of.let_in(NOW + 4 + 300, signed(), "p1", "r") is None


def test_a_good_signature_forgets_the_bad_ones_before() -> None:
    of = iam()
    for _ in range(4):
        of.let_in(NOW, signed("0" * 64), "p1", "r")
    assert of.let_in(NOW, signed(), "p1", "r") is None
    of.let_in(NOW, signed("0" * 64), "p1", "r")
    assert of.let_in(NOW, signed(), "p1", "r") is None


def test_a_temporary_key_needs_its_security_token_and_ends() -> None:
    keys = {"AKEXAMPLE": SimulatedAccessKey("SKEXAMPLE", security_token="STEXAMPLE", expires_at=NOW + 60)}
    of = iam(keys=keys)
    assert "security token" in reason(of.let_in(NOW, signed(), "p1", "r"))
    assert of.let_in(NOW, signed(x_security_token="STEXAMPLE"), "p1", "r") is None
    assert "has ended" in reason(of.let_in(NOW + 60, signed(x_security_token="STEXAMPLE"), "p1", "r"))


# Tokens ---------------------------------------------------------------------------------------------------


def login(password: str, **project: str) -> bytes:
    user = {"name": "u", "password": password, "domain": {"name": "acct"}}
    scope = {"scope": {"project": project}} if project else {}
    return orjson.dumps({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, **scope}})


def with_token(token: str) -> SignedRequest:
    return with_headers(VECTOR, x_auth_token=token)


def test_a_token_is_given_scoped_and_ends() -> None:
    of = iam(users={"u": SimulatedUser("pw", "acct")}, token_life_s=100.0)
    reply = of.create_token(NOW, login("pw", id="p1"))
    assert reply.status == 201
    token = reply.headers["X-Subject-Token"]
    body = orjson.loads(reply.body)["token"]
    assert body["expires_at"] == "2026-01-01T00:01:40.000000Z"
    assert body["project"]["id"] == "p1"
    assert of.let_in(NOW + 99, with_token(token), "p1", "r") is None
    assert "token expired" in reason(of.let_in(NOW + 100, with_token(token), "p1", "r"))
    other = of.let_in(NOW, with_token(token), "p2", "r")
    assert other is not None
    assert (other.status, other.error_code) == (403, "DRS.M00261")


def test_a_wrong_password_gets_no_token() -> None:
    of = iam(users={"u": SimulatedUser("pw", "acct")})
    reply = of.create_token(NOW, login("other", id="p1"))
    assert (reply.status, reply.subject_token) == (401, None)
    assert orjson.loads(reply.body)["error"]["code"] == 401


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"auth":{"identity":7}}', b'{"auth":{"identity":{}}}'])
def test_a_malformed_login_is_a_400(body: bytes) -> None:
    assert iam().create_token(NOW, body).status == 400


def test_tokens_all_end_at_once_when_told() -> None:
    of = iam(users={"u": SimulatedUser("pw", "acct")})
    token = of.create_token(NOW, login("pw", id="p1")).headers["X-Subject-Token"]
    of.expire_tokens()
    assert "decrypt token fail" in reason(of.let_in(NOW, with_token(token), "p1", "r"))
    assert of.let_in(NOW, with_token("simulated-token"), "p1", "r") is None


def test_a_project_is_found_by_its_name_and_scopes_a_token() -> None:
    of = iam(users={"u": SimulatedUser("pw", "acct")}, project_ids={"eu": ("p1",), "two": ("a", "b"), "none": ()})
    assert [project["id"] for project in orjson.loads(of.find_projects("two").body)["projects"]] == ["a", "b"]
    token = of.create_token(NOW, login("pw", name="eu")).headers["X-Subject-Token"]
    assert of.let_in(NOW, with_token(token), "p1", "r") is None
    assert of.create_token(NOW, login("pw", name="two")).status == 400
    (made,) = orjson.loads(of.find_projects("anything").body)["projects"]
    assert len(made["id"]) == 32


@pytest.mark.parametrize(
    ("mode", "request_", "let_in"),
    [
        ("off", VECTOR, True),
        ("token", VECTOR, False),
        ("token", signed(), False),
        ("token", with_token("simulated-token"), True),
        ("aksk", with_token("simulated-token"), False),
        ("aksk", signed(), True),
        ("any", with_token("simulated-token"), True),
        ("any", signed(), True),
        ("any", VECTOR, False),
    ],
)
def test_the_mode_says_which_credentials_count(mode: AuthMode, request_: SignedRequest, let_in: bool) -> None:
    assert (iam(mode).let_in(NOW, request_, "p1", "r") is None) is let_in
