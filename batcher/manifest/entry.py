"""The entry: one create-compare-task request to make, checked and complete; and the finding: why one is not."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.drs.v3.request_body import (
    DataLevelBody,
    ObjectInfo,
    ObjectInfoWithToken,
    RequestBody,
    to_json,
    to_json_lines,
)

NO_LABELS: Mapping[str, str] = {}
_KEY_LETTER = "k"  # no number has it, so that a spreadsheet leaves a key of digits as it is
_KEY_DIGITS = 16
DEFAULT_KEY_LENGTH = len(_KEY_LETTER) + _KEY_DIGITS


class Terms(msgspec.Struct, frozen=True, kw_only=True, gc=False, cache_hash=True):
    """What a request asks for beside its job and its objects, and of which scope. Entries alike share one.

    *scope* is (endpoint, project_id); the endpoint is normalised: scheme and host, no trailing slash. Without
    *compare_type* there is no data-level half.
    """

    scope: tuple[str, str]
    x_language: str | None
    object_level_compare_type: str | None
    conflict_policy: str | None = None
    compare_type: str | None = None
    compare_mode: str | None = None
    start_time: str | None = None


class Entry(msgspec.Struct, gc=False):
    """One checked entry of a manifest. Nothing changes it: not frozen, it is made sooner.

    *index* is its 0-based place in the manifest; *line* the 1-based line of the file it begins on. Key and body are
    made when they are asked for: checking needs neither.
    """

    index: int
    line: int
    terms: Terms
    job_id: str
    own_key: str | None = None
    labels: Mapping[str, str] = NO_LABELS
    infos: list[ObjectInfo] | None = None
    infos_with_token: list[ObjectInfoWithToken] | None = None

    @classmethod
    def of_body(
        cls, body: Mapping[str, Any], *, endpoint: str, project_id: str, labels: Mapping[str, str] = NO_LABELS
    ) -> "Entry":
        """The entry that asks for *body*, the fields of a request. Raises `ValueError` where it cannot be sent."""
        request = CreateCompareTaskReq.model_validate(dict(body))
        return cls.of(request, index=0, line=0, endpoint=endpoint, project_id=project_id, labels=labels)

    @classmethod
    def of(
        cls,
        request: CreateCompareTaskReq,
        *,
        index: int,
        line: int,
        endpoint: str,
        project_id: str,
        key: str | None = None,
        x_language: str | None = None,
        labels: Mapping[str, str] = NO_LABELS,
    ) -> "Entry":
        """The entry that makes *request*. Without *key* it has its default one."""
        body = msgspec.convert(request, RequestBody, from_attributes=True)
        info = body.data_level_compare_info
        terms = Terms(
            scope=(endpoint, project_id),
            x_language=x_language,
            object_level_compare_type=body.object_level_compare_type,
            conflict_policy=None if info is None else info.conflict_policy,
            compare_type=None if info is None else info.compare_type,
            compare_mode=None if info is None else info.compare_mode,
            start_time=None if info is None else info.start_time,
        )
        return cls(
            index,
            line,
            terms,
            body.job_id,
            key,
            labels,
            None if info is None else info.compare_object_infos,
            None if info is None else info.compare_object_infos_with_token,
        )

    @property
    def endpoint(self) -> str:
        """Where the request goes."""
        return self.terms.scope[0]

    @property
    def project_id(self) -> str:
        """The project that the entry's job belongs to."""
        return self.terms.scope[1]

    @property
    def x_language(self) -> str | None:
        """The language asked for."""
        return self.terms.x_language

    @property
    def body(self) -> bytes:
        """The request as it is sent; made anew each time."""
        return to_json(_request_body(self))

    @property
    def key(self) -> str:
        """What results are found by: the entry's own key, or the default one; made anew each time."""
        return self.own_key or default_key(self.terms, self.body)

    @property
    def request(self) -> CreateCompareTaskReq:
        """The request as the model of the API has it; made anew each time."""
        return CreateCompareTaskReq.model_validate_json(self.body)


def bodies_of(entries: Sequence[Entry]) -> list[bytes]:
    """`Entry.body` of each of *entries*, in two thirds of the time."""
    return to_json_lines([_request_body(entry) for entry in entries]).split(b"\n")[:-1]  # JSON has none in a text


def keys_of(entries: Sequence[Entry], bodies: Sequence[bytes]) -> list[str]:
    """`Entry.key` of each of *entries*, which are of one scope and have these *bodies*."""
    own = [entry.own_key for entry in entries]
    if not any(own):
        return default_keys(entries[0].terms.scope, bodies)
    return [key or default_key(entries[0].terms, body) for key, body in zip(own, bodies, strict=True)]


def default_keys(scope: tuple[str, str], bodies: Sequence[bytes]) -> list[str]:
    """`default_key` of each of the requests with these *bodies*, all of that scope."""
    begun, keys = _begun_with(*scope).copy, list[str]()
    for body in bodies:
        digest = begun()
        digest.update(body)
        keys.append(_KEY_LETTER + digest.hexdigest()[:_KEY_DIGITS])
    return keys


def _request_body(entry: Entry) -> RequestBody:
    terms, info = entry.terms, None
    if terms.conflict_policy is not None and terms.compare_type is not None:
        info = DataLevelBody(
            terms.conflict_policy,
            terms.compare_type,
            terms.compare_mode,
            terms.start_time,
            entry.infos,
            entry.infos_with_token,
        )
    return RequestBody(entry.job_id, terms.object_level_compare_type, info)


def default_key(terms: Terms, body: bytes) -> str:
    """The key of an entry that names none: a digest of its scope and of the request *body* as it is sent.

    A wave that is there already keeps the keys that its journal has, whatever they are made of.
    """
    digest = _begun_with(*terms.scope).copy()
    digest.update(body)
    digits: str = digest.hexdigest()[:_KEY_DIGITS]
    return _KEY_LETTER + digits


@lru_cache(maxsize=64)
def _begun_with(endpoint: str, project_id: str) -> Any:
    """A hash to go on with in a copy, which is sooner made than a new one."""
    return sha256(f"{endpoint}\0{project_id}\0".encode())


class Finding(Struct, frozen=True, kw_only=True):
    """One thing wrong with a manifest, told so that it can be mended without reading the documentation.

    *line* is 1-based; *index* is the entry's 0-based place, None where the finding is about the whole file.
    *field* is a dotted path in the API's own names (`data_level_compare_info.start_time`) or a CSV header.
    *value* is the offending value as text, shortened; *mend* says what to do instead.
    *job_id*, *key*, scope and *labels* are set where the entry got far enough to have them (`--skip-invalid` reports
    them).
    """

    file: str
    line: int | None
    index: int | None
    field: str | None
    value: str | None
    problem: str
    mend: str
    column: int | None = None
    job_id: str | None = None
    key: str | None = None
    endpoint: str | None = None
    project_id: str | None = None
    labels: Mapping[str, str] = NO_LABELS
