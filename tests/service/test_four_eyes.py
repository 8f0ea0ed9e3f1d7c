"""With --approval a wave is run only when somebody else has approved exactly its manifest."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.service.models import State
from batcher.service.roles import Role
from batcher.service.tokens import new_token
from batcher.simulator.ledger import creations
from batcher.simulator.server import Simulator
from tests.service.serving import CSV, Serving, csv, serving


async def said(service: Serving, method: str, path: str, token: str, status: int, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    async with service.client.request(method, path, headers=headers, **more) as answer:
        body = orjson.loads(await answer.read())
        assert answer.status == status, body
        return body


async def test_held_until_another_than_its_submitter_approves_its_digest(cloud: Simulator, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    ann, bob, eve = (
        new_token(tokens, name, role, SystemClock.now())
        for name, role in (("ann", Role.ADMIN), ("bob", Role.APPROVE), ("eve", Role.READ))
    )
    async with serving(tmp_path / "data", tokens=tokens, approval=True) as service:
        await said(service, "POST", "/v1/waves", eve, 403, data=csv(3), headers=CSV)
        wave = await said(service, "POST", "/v1/waves", ann, 201, data=csv(3), headers=CSV)
        path = f"/v1/waves/{wave['id']}"
        assert (wave["state"], wave["submitted_by"], wave["approved_by"]) == ("held", "ann", None)
        assert "waits to be approved" in (await said(service, "POST", f"{path}/start", ann, 409))["detail"]
        right, wrong = {"digest": wave["digest"]}, {"digest": f"sha256:{'0' * 64}"}
        await said(service, "POST", f"{path}/approve", ann, 403, json=right)
        await said(service, "POST", f"{path}/approve", eve, 403, json=right)
        await said(service, "POST", f"{path}/approve", bob, 409, json=wrong)
        await said(service, "POST", f"{path}/approve", bob, 422, json={"digest": "it"})
        assert list(creations(cloud.ledger)) == []
        approved = await said(service, "POST", f"{path}/approve", bob, 200, json=right)
        assert (approved["state"], approved["approved_by"]) == ("queued", "bob")
        await said(service, "POST", f"{path}/approve", bob, 409, json=right)
        service.client.headers["Authorization"] = f"Bearer {eve}"
        assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
        await said(service, "GET", "/v1/audit", eve, 403)
        lines = (await said(service, "GET", "/v1/audit", ann, 200))["lines"]
        assert [(line["who"], line["action"]) for line in lines if line["outcome"] == "done"] == [
            ("ann", "submit"),
            ("bob", "approve"),
        ]


async def test_a_held_wave_that_was_stopped_waits_for_its_approval_again(cloud: Simulator, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    ann, bob = (new_token(tokens, name, Role.APPROVE, SystemClock.now()) for name in ("ann", "bob"))
    async with serving(tmp_path / "data", tokens=tokens, approval=True) as service:
        wave = await said(service, "POST", "/v1/waves", ann, 201, data=csv(3), headers=CSV)
        path, right = f"/v1/waves/{wave['id']}", {"digest": wave["digest"]}
        assert (await said(service, "POST", f"{path}/stop", ann, 200))["state"] == "stopped"
        await said(service, "POST", f"{path}/approve", bob, 409, json=right)
        again = await said(service, "POST", f"{path}/start", ann, 200)
        assert (again["state"], again["needs_approval"], again["exit_code"]) == ("held", True, None)
        await said(service, "POST", f"{path}/start", ann, 409)
        await said(service, "POST", f"{path}/approve", ann, 403, json=right)
        assert list(creations(cloud.ledger)) == []
        assert (await said(service, "POST", f"{path}/approve", bob, 200, json=right))["state"] == "queued"


async def test_it_is_not_served_in_a_way_in_which_that_means_nothing(cloud: Simulator, tmp_path: Path) -> None:
    for options, said in (
        ({"approval": True}, "--approval needs --tokens"),
        ({"host": "0.0.0.0"}, "without tokens a service listens on this machine only"),
        ({"tokens": tmp_path / "none"}, "is not there"),
    ):
        with pytest.raises(UserError, match=said):
            async with serving(tmp_path / "data", **options):
                pass
