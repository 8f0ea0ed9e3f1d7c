"""The OpenAPI document, made from the table of routes and from the models that validate."""

from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from batcher._version import __version__
from batcher.service.given import TAKEN
from batcher.service.models import ListEntries, NewWave, ProblemModel
from batcher.service.page.models import CheckManifest
from batcher.service.routes import PROBLEM, ROUTES, Route, RouteAnswer
from batcher.settings import RunSettings

Names = dict[Any, str]
_TEXT = {"type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"}  # of parameters
_REF = "#/components/schemas/{model}"
_PATH = {
    "id": {"type": "string", "pattern": "^[a-z0-9]{12}$", "description": "The wave's id."},
    "file": {"type": "string", "description": "Its name, as the page names it."},
    "index": {"type": "integer", "minimum": 0, "maximum": 999_999_999, "description": "The entry's 0-based place."},
}
# Statuses that any path can have: of the door, and of trouble with the disk or the database.
_ALWAYS = (400, 403, 417, 421, 422, 429, 431, 500, 503)


@cache
def document() -> dict[str, Any]:
    """The description of every path, OpenAPI 3.1."""
    modes = sorted(
        {(model, mode) for route in ROUTES for model, mode in _models(route)}, key=lambda one: one[0].__name__
    )
    refs, definitions = models_json_schema([*modes, (ProblemModel, "serialization")], ref_template=_REF)
    names: Names = {model: schema["$ref"] for (model, _), schema in refs.items()}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "batcher",
            "version": __version__,
            "description": "Bulk creation of Huawei Cloud DRS comparison tasks: each created once, none lost.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(route: Route) -> list[tuple[type[BaseModel], Any]]:
    found: list[tuple[type[BaseModel], Any]] = []
    if route.body is not None:
        found.append((route.body, "validation"))
    for answer in route.answers.values():
        found += [(model, "serialization") for model in answer.content.values() if model is not None]
    return found


def _operation(route: Route, names: Names) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.what,
        "parameters": [*_in_path(route), *_in_query(route), *_in_headers(route)],
        "responses": {
            **{str(status): _answer(answer, names, route) for status, answer in route.answers.items()},
            **{str(status): _error(status, names) for status in _errors(route)},
        },
    }
    if route.role is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"Takes the role `{route.role.word}`."
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": names[route.body]}}},
        }
    if route.upload:
        operation["requestBody"] = {
            "required": True,
            "description": "The manifest, as `batcher run` takes it.",
            "content": {kind: {"schema": {"type": "string", "minLength": 1}} for kind in route.upload},
        }
    return operation


def _errors(route: Route) -> list[int]:
    found = {*_ALWAYS, *route.errors}
    if route.role is not None:
        found.add(401)
    if route.body is not None:
        found |= {408, 413, 415}
    return sorted(found)


def _answer(answer: RouteAnswer, names: Names, route: Route) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for kind, model in answer.content.items():
        if model is None:
            content[kind] = {} if kind.endswith("json") else {"schema": {"type": "string"}}
        elif kind == "application/x-ndjson":
            content[kind] = {"schema": {"type": "string", "description": f"A line each: {names[model]}."}}
        else:
            content[kind] = {"schema": {"$ref": names[model]}}
    told: dict[str, Any] = {"description": answer.what, "content": content}
    if route.answer_headers:
        told["headers"] = {
            name: {"description": what, "schema": {"type": "string"}} for name, what in route.answer_headers.items()
        }
    return told


def _error(status: int, names: Names) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": {"$ref": names[ProblemModel]}}},
    }


def _in_path(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in _PATH.items()
        if f"{{{name}}}" in route.path
    ]


def _in_query(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    found = []
    for name, own in schema["properties"].items():
        if route.query is ListEntries and name == "label":
            continue
        described = {key: value for key, value in own.items() if key not in ("description", "title")}
        if "$ref" in described:
            described = {**schema["$defs"][described.pop("$ref").rpartition("/")[2]], **described}
        if "anyOf" in described:  # what is left out is null, and nobody writes that into an address
            (plain,) = [one for one in described.pop("anyOf") if one.get("type") != "null"]
            if "$ref" in plain:
                plain = schema["$defs"][plain["$ref"].rpartition("/")[2]]
            described = {**{k: v for k, v in described.items() if k != "default"}, **plain}
        if described.get("type") == "string" and "enum" not in described:
            described = {**_TEXT, **described}
        found.append({"name": name, "in": "query", "schema": described, "description": own.get("description", "")})
    if route.query in (NewWave, CheckManifest):
        found += [_setting(name) for name in TAKEN]
    if route.query is ListEntries:
        labels = {
            "type": "object",
            "propertyNames": {"pattern": "^label\\.."},
            "additionalProperties": {"type": "string"},
        }
        what = "Labels that the entries have: `label.NAME=VALUE`."
        found.append(
            {"name": "label", "in": "query", "style": "form", "explode": True, "schema": labels, "description": what}
        )
    return found


def _setting(name: str) -> dict[str, Any]:
    what = RunSettings.model_fields[name].description or ""
    return {
        "name": name,
        "in": "query",
        "schema": {"type": "string"},
        "description": f"Setting of `batcher run`. {what}",
    }


def _in_headers(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "schema": _TEXT, "description": what} for name, what in route.headers.items()
    ]
