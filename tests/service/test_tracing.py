"""Traces, as a real collector's end of the wire sees them; and a service that none takes, or that has no means to."""

import gzip
import importlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from aiohttp import web

from batcher.service.models import State
from batcher.service.tracing import NoTraces, OpenTelemetry, tracer_for
from batcher.simulator.server import Simulator
from tests.service.serving import csv, serving

pytest.importorskip("opentelemetry.sdk")
SECRET = "collector-password-7"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """The exporter tries for a while yet, at moments drawn from `random`, which other tests of the process seed."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name == "traces" or thread.name.startswith("Otel"):
            thread.join(60.0)
            assert not thread.is_alive(), thread.name


class Collector:
    """Takes traces, as OTLP over HTTP."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.spans: list[Any] = []
        self.headers: list[str] = []
        self.services: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        messages = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        said = messages.ExportTraceServiceRequest.FromString(body)
        for group in said.resource_spans:
            self.services |= {
                attribute.value.string_value
                for attribute in group.resource.attributes
                if attribute.key == "service.name"
            }
            for scope in group.scope_spans:
                self.spans += scope.spans
        self.headers.append(request.headers.get("X-Password", ""))
        return web.Response(status=self.status)

    @asynccontextmanager
    async def serving(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/v1/traces", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-password={SECRET}")
            yield
        finally:
            await runner.cleanup()


def attributes(span: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value.string_value or attribute.value.int_value for attribute in span.attributes}


async def test_a_wave_its_attempts_and_requests_are_spans(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    async with collector.serving(monkeypatch):
        async with serving(tmp_path / "data") as service:
            wave = await service.submit(csv(3))
            await service.until(wave["id"], State.ENDED)
        spans = collector.spans
    assert collector.services == {"batcher"}
    assert set(collector.headers) == {SECRET}
    (run,) = [span for span in spans if span.name == "wave"]
    assert attributes(run) == {"batcher.wave": wave["id"]}
    attempts = [span for span in spans if span.name == "create-compare-task"]
    assert len(attempts) == 3
    assert {(span.trace_id, span.parent_span_id) for span in attempts} == {(run.trace_id, run.span_id)}
    assert sorted(attributes(span)["batcher.entry"] for span in attempts) == [0, 1, 2]
    assert {attributes(span)["batcher.outcome"] for span in attempts} == {"created"}
    assert all(attributes(span)["batcher.request_id"] for span in attempts)
    assert all(run.start_time_unix_nano <= s.start_time_unix_nano <= s.end_time_unix_nano for s in attempts)
    (submitted,) = [span for span in spans if span.name == "POST /v1/waves"]
    assert attributes(submitted)["http.response.status_code"] == 201


async def test_a_collector_that_is_not_there_holds_nothing_up(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("batcher.service.tracing._FLUSH_S", 0.3)
    with structlog.testing.capture_logs() as lines:
        async with serving(tmp_path / "data") as service:
            wave = await service.submit(csv(2))
            assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
    assert "traces.lost" in {line["event"] for line in lines}


def test_without_an_endpoint_there_are_none() -> None:
    for environ in (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ):
        assert isinstance(tracer_for(environ, lambda: 0.0), NoTraces)


def test_where_it_is_not_installed_the_service_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*given: Any) -> None:
        raise ImportError(*given)

    monkeypatch.setattr(OpenTelemetry, "__init__", without)
    with structlog.testing.capture_logs() as lines:
        tracer = tracer_for({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, lambda: 0.0)
    assert isinstance(tracer, NoTraces)
    assert "drs-batcher[traces]" in str(lines)
