"""Every event of a service, from what happens to a wave to a receiver that checks it with the specification's own
library, and to a chat."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from batcher.service.given import ServedProfiles
from batcher.service.models import State
from batcher.service.roles import Role
from batcher.simulator.faults import Script
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.service.conftest import CLOUD
from tests.service.serving import csv, eventually, serving
from tests.service.tiny import made

pytestmark = pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")  # what apprise imports
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DIFFERS = b"job_id,compare_type,conflict_policy,compare_object_infos,key\ndiffers-1,lines,cancel,shop,d\n"


class Listener:
    """Takes webhooks and chats; *told* are the webhooks that could be checked, by their event, *said* the chats."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.said: list[str] = []

    async def hook(self, request: web.Request) -> web.Response:
        """Take a webhook, as the specification's library would have it."""
        body, headers = await request.text(), dict(request.headers)
        message = Webhook(SECRET).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body + " ", headers)
        self.told[message["type"]] = message
        return web.Response(status=204)

    async def chat(self, request: web.Request) -> web.Response:
        """Take what apprise posts."""
        self.said.append((await request.json())["message"])
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen; the address."""
        app = web.Application()
        app.router.add_post("/hook-of-secret-path", self.hook)
        app.router.add_post("/chat-of-secret-path", self.chat)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_all_five_events_are_told_signed_and_in_words(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, config, tokens = Listener(), tmp_path / "service.toml", tmp_path / "tokens"
    anna, ben = made(tokens, "anna", Role.SUBMIT), made(tokens, "ben", Role.APPROVE)
    with structlog.testing.capture_logs() as lines:
        async with listener.listening() as at:
            monkeypatch.setenv("HOOK_SECRET", SECRET)
            monkeypatch.setenv("CHAT", f"json://{at}/chat-of-secret-path")
            config.write_text(
                f'[notifications.portal]\nurl = "http://{at}/hook-of-secret-path"\nsecret_env = "HOOK_SECRET"\n'
                '[notifications.team]\napprise_env = "CHAT"\n'
            )
            own = ServedProfiles(config=config)
            async with serving(tmp_path / "data", service=own, tokens=tokens, approval=True) as service:
                wave = await service.submit(DIFFERS, "wait=true", headers=anna)
                service.client.headers.update(ben)
                await service.post(f"/v1/waves/{wave['id']}/approve", {"digest": wave["digest"]})
                assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 1
                other = await service.submit(csv(2), headers=anna)
                await service.post(f"/v1/waves/{other['id']}/stop")
                await service.until(other["id"], State.STOPPED)
                await eventually(lambda: len(listener.told) == 4 and len(listener.said) >= 5)
            async with Simulator(ServiceConfig(cloud=CLOUD, faults=Script(creates=("reset-after",)))) as lossy:
                monkeypatch.setenv("BATCHER_ENDPOINT", lossy.url)
                async with serving(tmp_path / "lossy", service=own) as service:
                    wave = await service.submit(csv(1, first=50), "reconcile=off")
                    assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 4
                    await eventually(lambda: len(listener.told) == 5 and len(listener.said) >= 7)
    assert {name: told["data"]["wave"]["state"] for name, told in listener.told.items()} == {
        "wave.approval_asked": "held",
        "wave.ended": "ended",
        "wave.no_go": "ended",
        "wave.stopped": "stopped",
        "wave.unsettled": "ended",
    }
    words = "\n".join(listener.said)
    for said in (
        "waits for somebody else's approval",
        "has ended: 1 created",
        "NO-GO",
        "has stopped",
        "1 entry is unsettled",
    ):
        assert said in words
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("*/*") if path.is_file())
    assert "secret-path" not in str(lines)
    assert "whsec" not in str(lines)
    assert b"secret-path" not in kept
    assert b"whsec" not in kept
