"""The project of a region, where nobody has named it: IAM is asked; none or several are listed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.projects import find_project_id
from batcher.drs.auth.sources import CredentialSources
from batcher.errors import UserError
from batcher.simulator import iam
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.auth.iam_server import Asked, IamServer, error, serving, token, transport

KINDS: list[Mapping[str, str]] = [
    {"BATCHER_TOKEN": "token-a"},
    {"BATCHER_AK": "AK1", "BATCHER_SK": "sk1"},
    {"BATCHER_USERNAME": "ann", "BATCHER_PASSWORD": "pw", "BATCHER_DOMAIN": "acme"},
]


def projects(*found: tuple[str, str]) -> web.Response:
    return web.json_response({"projects": [{"id": id_, "name": name} for id_, name in found], "links": {}})


async def asked_for(
    server: IamServer, environ: Mapping[str, str], home: Path, region: str | None = "eu-west-101"
) -> str:
    async with transport() as wire:
        finder = CredentialFinder(CredentialSources(environ=environ, home=home), wire)
        return await find_project_id(finder, server.url, region)


@pytest.mark.parametrize("environ", KINDS, ids=["token", "key", "user"])
async def test_the_region_s_project_is_found_with_any_credential(environ: Mapping[str, str], tmp_path: Path) -> None:
    def answer(asked: Asked) -> web.Response:
        if asked.path.startswith("/v3/auth/tokens"):
            assert asked.json["auth"]["scope"] == {"project": {"name": "eu-west-101"}}
            return token(project="p-eu")
        assert asked.path == "/v3/projects?name=eu-west-101&page=1&per_page=1000"
        assert "X-Auth-Token" in asked.headers or "X-Sdk-Date" in asked.headers
        assert "X-Project-Id" not in asked.headers
        return projects(("p-eu", "eu-west-101"))

    async with serving(answer) as server:
        assert await asked_for(server, environ, tmp_path) == "p-eu"
        assert len(server.asked) == 1


async def test_the_simulator_takes_the_signature_of_the_question(tmp_path: Path) -> None:
    keys = {"AK1": iam.SimulatedAccessKey("sk1")}
    config = ServiceConfig(iam=iam.IamConfig(mode="aksk", keys=keys, project_ids={"eu-west-101": ("p-eu",)}))
    async with Simulator(config) as cloud, transport() as wire:
        finder = CredentialFinder(CredentialSources(environ=KINDS[1], home=tmp_path), wire)
        assert await find_project_id(finder, cloud.url, "eu-west-101") == "p-eu"


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, None),
        ({"HW_REGION_NAME": "sa-brazil-1"}, "sa-brazil-1"),
        ({"OS_REGION_NAME": "af-south-1"}, "af-south-1"),
        ({"OS_REGION_NAME": "af-south-1", "OS_PROJECT_NAME": "af-south-1_sub"}, "af-south-1_sub"),
    ],
)
async def test_without_a_region_its_name_comes_from_other_tools(
    environ: Mapping[str, str], name: str | None, tmp_path: Path
) -> None:
    async with serving(lambda _: projects(("p1", "x"))) as server:
        assert await asked_for(server, {**KINDS[0], **environ}, tmp_path, region=None) == "p1"
        assert (f"name={name}&" in server.asked[0].path) if name else ("name=" not in server.asked[0].path)


async def test_entries_of_another_region_than_the_run_s_get_their_own_region_s_project(tmp_path: Path) -> None:
    async with serving(lambda _: projects(("p1", "x"))) as server:
        environ = {**KINDS[0], "BATCHER_IAM_ENDPOINT": server.url}
        async with transport() as wire:
            finder = CredentialFinder(CredentialSources(environ=environ, home=tmp_path), wire)
            assert await find_project_id(finder, "https://drs.sa-brazil-1.myhuaweicloud.com", "eu-west-101") == "p1"
        assert "name=sa-brazil-1&" in server.asked[0].path


async def test_where_iam_is_not_known_the_project_can_still_be_named(tmp_path: Path) -> None:
    async with transport() as wire:
        finder = CredentialFinder(CredentialSources(environ=KINDS[1], home=tmp_path), wire)
        with pytest.raises(
            UserError, match=r"--iam-endpoint or BATCHER_IAM_ENDPOINT\. Or name the project: --project-id"
        ):
            await find_project_id(finder, "https://drs.private.example", None)


async def test_several_projects_are_listed_and_none_is_chosen(tmp_path: Path) -> None:
    async with serving(lambda _: projects(("p1", "eu-west-101"), ("p2", "eu-west-101_dev"))) as server:
        with pytest.raises(UserError) as told:
            await asked_for(server, KINDS[0], tmp_path)
    assert "p1  eu-west-101\n  p2  eu-west-101_dev" in str(told.value)
    assert "--project-id" in str(told.value)
    assert told.value.exit_code == 2


async def test_no_project_is_said(tmp_path: Path) -> None:
    async with serving(lambda _: projects()) as server:
        with pytest.raises(UserError, match="no project named eu-west-101"):
            await asked_for(server, KINDS[0], tmp_path)


async def test_all_pages_are_read(tmp_path: Path) -> None:
    pages: Sequence[list[tuple[str, str]]] = [[(f"p{n}", "x") for n in range(1000)], [("last", "x")]]

    async with serving(lambda asked: projects(*pages["page=2" in asked.path])) as server:
        with pytest.raises(UserError, match="last  x"):
            await asked_for(server, KINDS[0], tmp_path)
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "told", "exit_code"),
    [
        (lambda: error(401, "The username or password is wrong."), "The credential was refused", 3),
        (lambda: error(403, "not authorized"), "Or name the project: --project-id", 3),
        (lambda: error(503), "IAM cannot answer just now", 3),
        (lambda: web.Response(text="<html>proxy"), "something on the way answers .* the proxy and the IAM endpoint", 3),
        (lambda: web.json_response({"projects": "none"}), "without what was asked for", 3),
    ],
)
async def test_what_iam_refuses_is_explained(answer: object, told: str, exit_code: int, tmp_path: Path) -> None:
    async with serving(lambda _: answer()) as server:  # type: ignore[operator]
        with pytest.raises(UserError, match=told) as refused:
            await asked_for(server, KINDS[0], tmp_path)
    assert refused.value.exit_code == exit_code
