"""Every path of the service, once: what it asks for, who may, and what it answers. Routing, roles and the OpenAPI
document are made from this table.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from batcher.follow.verdict import VerdictLine
from batcher.life.result import Result
from batcher.service import models
from batcher.service.page import models as shown
from batcher.service.roles import Role

JSON, JSONL, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
METRICS, SVG = "text/plain", "image/svg+xml"
EVENTS, HTML, CSV, MARKDOWN = "text/event-stream", "text/html", "text/csv", "text/markdown"
VERBS = ("approve", "start", "pause", "resume", "stop", "retry-failed", "recheck")


class RouteAnswer(Struct, frozen=True):
    """One answer: what it means, and its content types, each with the model of the body; None: text, or a stream."""

    what: str
    content: Mapping[str, type[BaseModel] | None]


class Route(Struct, frozen=True, kw_only=True):
    """One path and method. *name* is that of the handler; *role* the least that may, None for everybody.

    *query* and *body* are the models that validate; *raw* says that its handler reads the body itself. *answers* are
    those of success; *errors* the statuses beside those that every path can have.
    """

    method: str
    path: str
    name: str
    role: Role | None
    what: str
    answers: Mapping[int, RouteAnswer]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    raw: bool = False
    upload: tuple[str, ...] = ()  # content types of a body that is streamed
    headers: Mapping[str, str] = {}  # request headers that it reads, with what they mean
    answer_headers: Mapping[str, str] = {}


def _json(what: str, model: type[BaseModel]) -> Mapping[int, RouteAnswer]:
    return {200: RouteAnswer(what, {JSON: model})}


def _verb(verb: str, role: Role, what: str, **more: Any) -> Route:
    return Route(
        method="POST",
        path=f"/v1/waves/{{id}}/{verb}",
        name=verb.replace("-", "_"),
        role=role,
        what=what,
        answers=more.pop("answers", _json("The wave.", models.WaveModel)),
        errors=(404, 409, 507, *more.pop("errors", ())),
        **more,
    )


_LINES: dict[str, Any] = {
    "role": Role.READ,
    "query": models.ReadLines,
    "errors": (404, 412),
    "headers": {"If-Match": "The `ETag` of an earlier answer: 412 where its lines were written anew since."},
    "answer_headers": {"ETag": "Names the lines: it changes when some were taken back, and `after` starts over."},
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/waves",
        name="submit",
        role=Role.SUBMIT,
        what="Hand in a manifest: it is checked, made durable, and run once.",
        query=models.NewWave,
        upload=("text/csv", JSON, JSONL),
        answers={
            201: RouteAnswer("The new wave. It survives any death of the service.", {JSON: models.WaveModel}),
            200: RouteAnswer("The same wave as before: `Idempotency-Key` was seen already.", {JSON: models.WaveModel}),
        },
        errors=(408, 409, 411, 413, 415, 422, 503, 507),
        headers={"Idempotency-Key": "Makes a repeat safe: the same key with the same manifest is the same wave."},
        answer_headers={"Location": "The wave's address."},
    ),
    Route(
        method="POST", path="/v1/check", name="check", role=Role.SUBMIT,
        what="Check a manifest as handing it in does, and show what would be sent. Nothing is kept.",
        query=shown.CheckManifest, upload=("text/csv", JSON, JSONL),
        answers=_json("It is sound.", shown.CheckedModel), errors=(408, 411, 413, 415, 422, 503, 507),
    ),
    Route(
        method="GET", path="/v1/waves", name="list_waves", role=Role.READ, what="The waves, the newest first.",
        query=models.ListWaves, answers=_json("Some waves.", models.WavesPage), errors=(422,),
    ),
    Route(
        method="GET", path="/v1/waves/{id}", name="wave", role=Role.READ, what="One wave.",
        answers=_json("The wave.", models.WaveModel), errors=(404,),
    ),
    Route(
        method="PATCH", path="/v1/waves/{id}", name="change", role=Role.SUBMIT, what="Change how it runs.",
        body=models.Change, answers=_json("The wave.", models.WaveModel), errors=(404, 409, 422, 507),
    ),
    _verb("approve", Role.APPROVE, "Let a held wave go: exactly the manifest with this digest, and not one's own.",
          body=models.Approval, errors=(422,)),
    _verb("start", Role.SUBMIT, "Run a held wave, or go on with a stopped one."),
    _verb("pause", Role.SUBMIT, "Create nothing until `resume`; what is in flight is settled."),
    _verb("resume", Role.SUBMIT, "Go on after `pause`."),
    _verb("stop", Role.SUBMIT, "Stop in order: nothing new is sent, what is in flight is settled."),
    _verb("retry-failed", Role.SUBMIT, "Take up the failed entries of a wave that has ended again."),
    _verb(
        "recheck", Role.SUBMIT, "Make a new wave of the comparisons that did not come out consistent.",
        answers={
            201: RouteAnswer("The new wave.", {JSON: models.WaveModel}),
            200: RouteAnswer("The same wave as before: `Idempotency-Key` was seen already.", {JSON: models.WaveModel}),
        },
        headers={"Idempotency-Key": "Makes a repeat safe, as of `POST /v1/waves`."},
        answer_headers={"Location": "The new wave's address."},
    ),
    Route(
        method="GET", path="/v1/waves/{id}/manifest", name="manifest", role=Role.READ,
        what="The manifest as it was handed in.", errors=(404,),
        answers={200: RouteAnswer("The manifest.", {"text/csv": None, JSON: None, JSONL: None})},
    ),
    Route(
        method="GET", path="/v1/waves/{id}/requests", name="requests", role=Role.READ, query=shown.ReadRequests,
        what="The create requests of its entries, exactly as they are sent.",
        answers=_json("Some requests.", shown.RequestsPage), errors=(404, 409, 422),
    ),
    Route(
        method="GET", path="/v1/waves/{id}/results", name="results", what="Result lines, as in a results file.",
        answers={200: RouteAnswer("A line each.", {JSONL: Result})}, **_LINES,
    ),
    Route(
        method="GET", path="/v1/waves/{id}/verdicts", name="verdicts", what="Verdict lines, as in a verdicts file.",
        answers={200: RouteAnswer("A line each.", {JSONL: VerdictLine})}, **_LINES,
    ),
    Route(
        method="GET", path="/v1/waves/{id}/entries", name="entries", role=Role.READ, query=models.ListEntries,
        what="Entries with their status and verdict.", answers=_json("Some entries.", models.EntriesPage),
        errors=(404, 422),
    ),
    Route(
        method="GET", path="/v1/waves/{id}/entries/{index}", name="entry", role=Role.READ,
        what="One entry: every attempt made for it, and why what came next was decided.",
        answers=_json("The entry.", models.Explained), errors=(404, 409),
    ),
    Route(
        method="POST", path="/v1/waves/{id}/entries/{index}/settle", name="settle", role=Role.SUBMIT,
        what="Decide what became of an unsettled entry.", body=models.SettleRequest,
        answers=_json("The entry.", models.Explained), errors=(404, 409, 422, 507),
    ),
    Route(
        method="GET", path="/v1/waves/{id}/events", name="events", role=Role.READ,
        what="What happens to a wave, as server-sent events.", errors=(404,),
        answers={200: RouteAnswer("Events: `wave`, `results`, `verdicts`, `entry`, `reset`.", {EVENTS: None})},
        headers={"Last-Event-ID": "The last event that was seen: those after it follow, or `reset`."},
    ),
    Route(
        method="GET", path="/v1/waves/{id}/causes", name="causes", role=Role.READ,
        what="What went wrong, by cause, with what to do about it.",
        answers=_json("All trouble.", shown.CausesModel), errors=(404,),
    ),
    Route(
        method="GET", path="/v1/waves/{id}/pace", name="pace", role=Role.READ,
        what="Create requests over time, from its first to its last.",
        answers=_json("The pace.", shown.PaceModel), errors=(404, 409),
    ),
    Route(
        method="GET", path="/v1/waves/{id}/gate", name="gate", role=Role.READ, query=models.ReadGate,
        what="GO or NO-GO over the wave, as `batcher gate --json`.",
        answers={200: RouteAnswer("The ruling.", {JSON: None})}, errors=(404, 409, 422),
    ),
    Route(
        method="GET", path="/v1/waves/{id}/report", name="report", role=Role.READ, query=models.ReadReport,
        what="The report, as `batcher report` writes it.", errors=(404, 409, 422),
        answers={200: RouteAnswer("The report.", {HTML: None, JSON: None, CSV: None, MARKDOWN: None})},
    ),
    Route(
        method="GET", path="/v1/scopes", name="scopes", role=Role.READ,
        what="Pace, limit and pauses of each scope in use.", answers=_json("The scopes.", models.ScopesModel),
    ),
    Route(
        method="GET", path="/v1/workers", name="workers", role=Role.READ, what="Which process runs what.",
        answers=_json("The workers.", models.WorkersModel),
    ),
    Route(
        method="GET", path="/v1/audit", name="audit", role=Role.ADMIN, what="Who did what, when and from where.",
        query=models.ReadAudit, answers=_json("Some lines.", models.AuditPage), errors=(422,),
    ),
    Route(
        method="POST", path="/v1/session", name="log_in", role=None, body=models.LogIn, raw=True,
        what="Open a browser's session with a token.", errors=(401, 408, 409, 413, 415),
        answers={201: RouteAnswer("Who that is; the cookie speaks from now on.", {JSON: models.Session})},
    ),
    Route(
        method="GET", path="/v1/session", name="session", role=None, what="Who the browser is logged in as.",
        answers=_json("Who.", models.Session), errors=(401,), raw=True,
    ),
    Route(
        method="DELETE", path="/v1/session", name="log_out", role=None, what="End the browser's session.",
        answers={204: RouteAnswer("It is over.", {})}, errors=(401,), raw=True,
    ),
    Route(
        method="GET", path="/metrics", name="metrics", role=Role.READ, what="Where the service stands, for Prometheus.",
        answers={200: RouteAnswer("Prometheus' text format, or OpenMetrics where it is asked for.", {METRICS: None})},
    ),
    Route(
        method="GET", path="/healthz", name="healthz", role=None, what="Whether the process is alive.",
        answers=_json("It is.", models.Health),
    ),
    Route(
        method="GET", path="/readyz", name="readyz", role=None, what="Whether it takes and runs waves.",
        answers=_json("It does.", models.Health), errors=(503,),
    ),
    Route(
        method="GET", path="/", name="page", role=None, what="The page for people.",
        answers={200: RouteAnswer("The page.", {HTML: None})},
    ),
    Route(
        method="GET", path="/page/{file}", name="page_file", role=None, what="A script, style or text of the page.",
        errors=(404,),
        answers={200: RouteAnswer("The file.", {"text/javascript": None, "text/css": None, JSON: None, SVG: None})},
    ),
    Route(
        method="GET", path="/v1/openapi.json", name="openapi", role=None, what="This description, OpenAPI 3.1.",
        answers={200: RouteAnswer("The document.", {JSON: None})},
    ),
)  # fmt: skip
