"""`batcher auth`: which credential each scope uses, and what the cloud says to it, on a real socket."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from batcher.cli.main import run
from batcher.simulator import iam
from batcher.simulator.config import CloudConfig
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig

IAM = iam.IamConfig(
    mode="any",
    tokens=frozenset({"MARK-good-token"}),
    users={"ann": iam.SimulatedUser("MARK-pass-word", "acme")},
    keys={"MARK-GOOD-AK": iam.SimulatedAccessKey("MARK-good-sk")},
    project_ids={"eu-west-101": ("p-eu",)},
)
TWO_PROJECTS = (
    "job_id,object_level_compare_type,project_id\n"
    "11112222-0000-0000-0000-00000000jb01,objects,p1\n"
    "11112222-0000-0000-0000-00000000jb02,objects,p2\n"
    "11112222-0000-0000-0000-00000000jb03,objects,p2\n"
)


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def standings(self) -> dict[str, str]:
        return {scope["project_id"]: scope["standing"] for scope in json.loads(self.out)["scopes"]}

    @property
    def causes(self) -> set[str]:
        return {scope["cause"] for scope in json.loads(self.out)["scopes"]}


@pytest.fixture
def cloud() -> Iterator[ThreadedSimulator]:
    with ThreadedSimulator(ServiceConfig(iam=IAM)) as simulator:
        yield simulator


@pytest.fixture
def auth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the command in an empty folder, with an environment of its own."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")  # a cell's text stays on one line
    monkeypatch.chdir(tmp_path)

    def said(*args: str, **environ: str) -> Said:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = run(["auth", *args])
        captured = capsys.readouterr()
        assert "MARK" not in captured.out + captured.err
        return Said(code, captured.out, captured.err)

    return said


CREDENTIALS = [
    {"BATCHER_TOKEN": "MARK-good-token"},
    {"HUAWEICLOUD_SDK_AK": "MARK-GOOD-AK", "HUAWEICLOUD_SDK_SK": "MARK-good-sk"},
    {"OS_USERNAME": "ann", "OS_PASSWORD": "MARK-pass-word", "OS_DOMAIN_NAME": "acme"},
]


@pytest.mark.parametrize("environ", CREDENTIALS, ids=["token", "key", "user"])
def test_every_scope_of_a_manifest_is_asked_once(
    environ: dict[str, str], cloud: ThreadedSimulator, auth: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "wave.csv").write_text(TWO_PROJECTS)
    said = auth("wave.csv", "--endpoint", cloud.url, "--json", **environ)
    assert said.standings == {"p1": "taken", "p2": "taken"}
    assert said.code == 0
    assert "create request can show" in said.out
    calls = [event.call for event in cloud.ledger if isinstance(event, RequestSeen)]
    assert calls == ["batch-status"] * 2, "one harmless request for each"


@pytest.mark.parametrize("environ", CREDENTIALS, ids=["token", "key", "user"])
def test_without_a_manifest_and_a_project_iam_is_asked(
    environ: dict[str, str], cloud: ThreadedSimulator, auth: Callable[..., Said]
) -> None:
    said = auth("--endpoint", cloud.url, HW_REGION_NAME="eu-west-101", **environ)
    assert said.code == 0
    assert "p-eu" in said.out
    assert "taken" in said.out


WRONG = [
    ({"BATCHER_TOKEN": "MARK-bad-token"}, "token invalid"),
    ({"BATCHER_AK": "MARK-GOOD-AK", "BATCHER_SK": "MARK-bad-sk"}, "secret key wrong"),
    ({"BATCHER_AK": "MARK-NO-AK", "BATCHER_SK": "MARK-bad-sk"}, "access key unknown"),
    (
        {"BATCHER_USERNAME": "ann", "BATCHER_PASSWORD": "MARK-wrong", "BATCHER_DOMAIN": "acme"},
        "user name or password wrong",
    ),
]


@pytest.mark.parametrize(("environ", "cause"), WRONG, ids=[cause for _, cause in WRONG])
def test_each_wrong_credential_says_which_it_is_and_what_to_do(
    environ: dict[str, str], cause: str, cloud: ThreadedSimulator, auth: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "wave.csv").write_text(TWO_PROJECTS)
    said = auth("wave.csv", "--endpoint", cloud.url, "--json", **environ)
    assert said.code == 3
    assert said.standings == {"p1": "refused", "p2": "refused"}
    assert said.causes == {cause}
    at_drs = "BATCHER_USERNAME" not in environ  # a wrong password is refused by IAM, and DRS is not asked
    assert any(scope["request_id"] for scope in json.loads(said.out)["scopes"]) is at_drs
    table = auth("wave.csv", "--endpoint", cloud.url, **environ)
    assert table.code == 3
    assert f"refused: {cause}"[:20] in table.out


def test_a_token_of_another_project_is_the_wrong_project(auth: Callable[..., Said], tmp_path: Path) -> None:
    """A token that IAM gave out for p1, used for p2: the very thing that one token and two projects end in."""
    with ThreadedSimulator(ServiceConfig(iam=IAM)) as cloud:
        token = token_for(cloud, "p1")
        (tmp_path / "token").write_text(token)
        (tmp_path / "wave.csv").write_text(TWO_PROJECTS)
        said = auth("wave.csv", "--endpoint", cloud.url, "--token-file", "token", "--json")
        assert token not in said.out + said.err
    assert said.standings == {"p1": "taken", "p2": "refused"}
    assert said.causes == {None, "wrong project"}
    assert said.code == 3


@pytest.mark.parametrize(("ahead_s", "side"), [(1200.0, "20m behind"), (-1200.0, "20m ahead of")])
def test_a_wrong_clock_is_said(ahead_s: float, side: str, auth: Callable[..., Said]) -> None:
    key = {"BATCHER_AK": "MARK-GOOD-AK", "BATCHER_SK": "MARK-good-sk"}
    with ThreadedSimulator(ServiceConfig(iam=IAM), clock_offset_s=ahead_s) as cloud:
        said = auth("--endpoint", cloud.url, "--project-id", "p1", "--json", **key)
    assert (said.code, said.causes) == (3, {"clock wrong"})
    assert f"clock is {side} the cloud's" in said.out


def test_an_expired_token_is_said(auth: Callable[..., Said]) -> None:
    with ThreadedSimulator(ServiceConfig(iam=replace(IAM, token_life_s=0.0))) as cloud:
        token = token_for(cloud, "p1")
        said = auth("--endpoint", cloud.url, "--project-id", "p1", "--json", BATCHER_TOKEN=token)
    assert (said.code, said.causes) == (3, {"token expired"})


def test_a_locked_key_is_said_and_correcting_the_secret_key_is_not_enough(
    cloud: ThreadedSimulator, auth: Callable[..., Said]
) -> None:
    args = ("--endpoint", cloud.url, "--project-id", "p1", "--json")
    wrong = {"BATCHER_AK": "MARK-GOOD-AK", "BATCHER_SK": "MARK-bad-sk"}
    for _ in range(iam.FAILURES_TO_LOCK):
        assert auth(*args, **wrong).causes == {"secret key wrong"}
    said = auth(*args, BATCHER_AK="MARK-GOOD-AK", BATCHER_SK="MARK-good-sk")
    assert (said.code, said.causes) == (3, {"access key locked"})
    assert "wait five minutes" in said.out


def test_no_permission_is_said(auth: Callable[..., Said]) -> None:
    denied = ServiceConfig(iam=IAM, cloud=CloudConfig(denied=frozenset({"batch-status"})))
    with ThreadedSimulator(denied) as cloud:
        said = auth("--endpoint", cloud.url, "--project-id", "p1", "--json", BATCHER_TOKEN="MARK-good-token")
    assert (said.code, said.causes) == (3, {"no permission"})


def test_a_cloud_that_cannot_be_asked_is_neither_taken_nor_refused(auth: Callable[..., Said]) -> None:
    said = auth("--endpoint", "http://127.0.0.1:1", "--project-id", "p1", "--json", BATCHER_TOKEN="MARK-good-token")
    assert (said.code, said.standings) == (1, {"p1": "unknown"})
    assert "could not be asked" in said.out


def test_no_credential_and_no_scope_are_usage_errors(auth: Callable[..., Said], tmp_path: Path) -> None:
    nothing = auth("--region", "eu-west-101", "--project-id", "p1")
    assert nothing.code == 2
    assert "Looked for, in this order" in nothing.err
    nowhere = auth()
    assert nowhere.code == 2
    assert "--region" in nowhere.err
    (tmp_path / "wave.csv").write_text("job_id\nx\n")
    unsound = auth("wave.csv", "--region", "eu-west-101", "--project-id", "p1", BATCHER_TOKEN="MARK-good-token")
    assert unsound.code == 2
    assert "batcher check wave.csv" in unsound.err
    (tmp_path / "wave.csv").write_text(TWO_PROJECTS)
    regionless = auth("wave.csv", BATCHER_TOKEN="MARK-good-token")
    assert regionless.code == 2
    assert "Give --region or --endpoint" in regionless.err, "the first finding is what is wrong with all of them"


def test_a_file_that_others_can_read_is_remarked(
    cloud: ThreadedSimulator, auth: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("MARK-good-token")
    for mode, remarked in ((0o644, True), (0o600, False)):
        (tmp_path / "token").chmod(mode)
        said = auth("--endpoint", cloud.url, "--project-id", "p1", "--token-file", "token")
        assert ("chmod 600" in said.out) is remarked
        assert said.code == 0


def token_for(cloud: ThreadedSimulator, project_id: str) -> str:
    """A token for *project_id* from the simulated IAM."""
    import asyncio

    from batcher.drs.auth.iam import IssuedToken, User, issued_token, project_scope, token_request
    from batcher.drs.auth.secret import Secret
    from tests.auth.iam_server import transport

    async def ask() -> str:
        request = token_request(
            cloud.url,
            User(name="ann", domain="acme"),
            Secret("MARK-pass-word"),
            project_scope(project_id=project_id),
        )
        async with transport() as wire:
            issued = issued_token(await wire.send(request))
        assert isinstance(issued, IssuedToken)
        return issued.token.reveal()

    return asyncio.run(ask())
