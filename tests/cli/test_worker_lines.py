"""Who runs a service's waves, as people read it."""

from typing import Any

from batcher.cli.show.workers import worker_lines

SCOPE = {"endpoint": "https://drs.example.com", "project_id": "p-1"}
WORKER: dict[str, Any] = {
    **{"id": "vm-1", "host": "vm", "pid": 7, "version": "1.2", "started_at": "2026-11-30T10:00:00.000Z"},
    **{"seen_at": "2026-11-30T10:00:05.000Z", "lanes": 4, "waves": ["w1"]},
    "scopes": [{**SCOPE, "epoch": 3, "lease_left_s": 11.6}],
    "refuses": [{**SCOPE, "project_id": "p-2", "why": "no credential:\nset one"}],
}


def test_each_has_its_scopes_and_what_it_refuses() -> None:
    alone = {**WORKER, "version": None, "lanes": None, "scopes": [{**SCOPE, "epoch": None, "lease_left_s": None}]}
    shown = [line.plain for line in worker_lines([WORKER, {**alone, "refuses": []}])]
    assert shown == [
        "vm-1  on vm, batcher 1.2, 4 lanes, seen 2026-11-30 10:00:05 UTC",
        "  https://drs.example.com p-1  epoch 3, lease 12 s left",
        "  does not take https://drs.example.com p-2: no credential: set one",
        "vm-1  on vm, seen 2026-11-30 10:00:05 UTC",
        "  https://drs.example.com p-1",
    ]


def test_nobody_is_there() -> None:
    (line,) = worker_lines([])
    assert "start one" in line.plain
