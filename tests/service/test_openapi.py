"""The document describes what the service does: made from the table of routes, and held to real answers."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
from aiohttp import ClientResponse

from batcher.service.models import State
from batcher.service.openapi import document
from batcher.service.routes import ROUTES
from batcher.simulator.server import Simulator
from tests.service.serving import CSV, csv, serving
from tests.service.test_read import MIXED


def test_every_route_is_described_and_every_reference_leads_somewhere() -> None:
    told = orjson.loads(orjson.dumps(document()))
    assert told["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert len({route.name for route in ROUTES}) == len(ROUTES)

    def follow(value: Any) -> None:
        match value:
            case {"$ref": reference}:
                assert reference.removeprefix("#/components/schemas/") in told["components"]["schemas"]
            case dict():
                for inner in value.values():
                    follow(inner)
            case list():
                for inner in value:
                    follow(inner)

    follow(told)
    for schema in told["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_answers_are_as_described(cloud: Simulator, tmp_path: Path) -> None:
    told = document()

    async def check(answer: ClientResponse, method: str, path: str) -> None:
        answers, kind = told["paths"][path][method]["responses"], answer.content_type
        assert str(answer.status) in answers, (path, answer.status)
        content = answers[str(answer.status)]["content"]
        assert kind in content, (path, kind)
        body = await answer.read()
        schema = {**content[kind].get("schema", {}), "components": told["components"]}
        if kind.endswith(("/json", "+json")):
            jsonschema.validate(orjson.loads(body), schema)
        elif kind == "application/x-ndjson":
            name = "Result" if path.endswith("results") else "VerdictLine"
            for line in body.splitlines() if path.endswith(("results", "verdicts")) else ():
                jsonschema.validate(
                    orjson.loads(line), {**schema, "$ref": f"#/components/schemas/{name}", "type": "object"}
                )

    async with serving(tmp_path / "data") as service:
        wave = await service.submit(MIXED, "wait=true&attempts=1")
        await service.until(wave["id"], State.ENDED)
        names = {"id": wave["id"], "index": "0", "file": "icon.svg"}
        for route in ROUTES:
            if route.method != "GET" or route.name in ("events", "session"):
                continue
            for values in (names, {"id": "nosuchwave00", "index": "7", "file": "nosuch.js"}):
                async with service.client.get(route.path.format(**values)) as answer:
                    await check(answer, "get", route.path)
        for query in ("odd=1", "rate=fast", "priority=high"):
            async with service.client.post(f"/v1/waves?{query}", data=csv(1), headers=CSV) as answer:
                await check(answer, "post", "/v1/waves")
        asked = {"digest": "x", "as": "failed"}
        for route in ROUTES:
            if route.method == "POST" and "{id}" in route.path:
                async with service.client.post(route.path.format(**names), json=asked) as answer:
                    await check(answer, "post", route.path)
