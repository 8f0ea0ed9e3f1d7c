"""Every path of the service: who may ask for it, and what everybody else is told."""

import asyncio
from pathlib import Path

import orjson
import pytest

from batcher import masking
from batcher.clock import SystemClock
from batcher.service.roles import Role
from batcher.service.routes import ROUTES
from batcher.service.tokens import new_token
from batcher.simulator.server import Simulator
from tests.service.serving import CSV, csv, serving


async def test_each_path_is_open_to_its_role_and_those_above(cloud: Simulator, tmp_path: Path) -> None:
    tokens, data = tmp_path / "tokens", tmp_path / "data"
    known = {role: new_token(tokens, role.word, role, SystemClock.now()) for role in Role}
    async with serving(data, tokens=tokens) as service:
        headers = {**CSV, "Authorization": f"Bearer {known[Role.SUBMIT]}"}
        wave = await service.submit(csv(3), "start=false", headers=headers)

        async def asked(method: str, path: str, token: str | None) -> int:
            path = path.format(id=wave["id"], index=0, file="none.js")
            named = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with service.client.request(method, path, headers=named) as answer:
                if answer.status >= 400:
                    assert answer.content_type == "application/problem+json"
                    assert orjson.loads(await answer.read())["status"] == answer.status
                assert answer.status < 500
                return answer.status

        for route in ROUTES:
            if route.role is None:
                if "session" not in route.path:
                    assert await asked(route.method, route.path, None) in (200, 404)
                continue
            assert await asked(route.method, route.path, None) == 401, route
            for role in Role:
                is_refused = await asked(route.method, route.path, known[role]) == 403
                assert is_refused == (role < route.role), (route.method, route.path, role)
        for file in (data / "audit.jsonl", tokens):
            kept = await asyncio.to_thread(file.read_bytes)
            assert not any(token.encode() in kept for token in known.values())


async def test_a_token_in_an_odd_place_is_not_kept(
    cloud: Simulator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tokens, data = tmp_path / "tokens", tmp_path / "data"
    token = new_token(tokens, "ann", Role.READ, SystemClock.now())
    masking._registered.clear()  # the service never saw it being made
    places: list[tuple[str, dict[str, str]]] = [
        (f"/v1/waves/{token}", {}),
        (f"/{token}/{'x' * 150}", {}),
        (f"/{'x' * 170}/{token}", {}),
        (f"/v1/waves/{token}/stop", {"Authorization": f"Bearer {token}"}),
        (f"/v1/waves?{token}", {"Authorization": f"Bearer {token}"}),
        ("/v1/waves", {"Authorization": token}),
        ("/v1/waves", {"Authorization": f"Basic {token}"}),
        ("/v1/audit", {"Authorization": f"Bearer {token}", "X-Forwarded-For": token}),
        ("/v1/waves", {"Authorization": f"Bearer {token}", "Idempotency-Key": token, "User-Agent": token}),
    ]
    async with serving(data, tokens=tokens) as service:
        for path, headers in places:
            for method in ("GET", "POST"):
                async with service.client.request(method, path, headers=headers) as answer:
                    assert answer.status >= 200
    said = "".join(capfd.readouterr())
    assert "service.request" in said
    assert token[-12:] not in said
    assert token[8:20] not in said
    for file in await asyncio.to_thread(lambda: [path for path in data.rglob("*") if path.is_file()]):
        assert token[8:20].encode() not in await asyncio.to_thread(file.read_bytes), file


@pytest.mark.parametrize("spoil", ["gone", "broken", "open to others"])
async def test_a_service_that_cannot_tell_who_may_what_is_not_ready(
    cloud: Simulator, tmp_path: Path, spoil: str
) -> None:
    tokens = tmp_path / "tokens"
    known = {"Authorization": f"Bearer {new_token(tokens, 'ann', Role.READ, SystemClock.now())}"}
    async with serving(tmp_path / "data", tokens=tokens) as service:
        text = tokens.read_bytes()
        for wanted in (200, 503, 200):
            async with service.client.get("/v1/waves", headers=known) as answer:
                assert answer.status == wanted
            async with service.client.get("/readyz") as answer:
                assert answer.status == wanted
                assert ("tokens file" in await answer.text()) == (wanted == 503)
                assert str(tmp_path) not in await answer.text()
            match spoil:
                case _ if wanted == 503:
                    tokens.write_bytes(text)
                    tokens.chmod(0o600)
                case "gone":
                    tokens.unlink()
                case "broken":
                    tokens.write_bytes(text + b"one line too many, which is no token\n")
                case _:
                    tokens.chmod(0o622)
