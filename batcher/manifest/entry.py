"""The entry: one create-compare-task request to make, checked and complete; and the finding: why one is not."""

from collections.abc import Mapping
from dataclasses import dataclass

from batcher.drs.create_compare_task import CreateCompareTaskReq


@dataclass(slots=True, kw_only=True)
class Entry:
    """One checked entry of a manifest. Nothing changes it: not frozen, it is made in a third of the time.

    *index* is its 0-based place in the manifest; *line* the 1-based line of the file it begins on.
    *endpoint* is normalised (scheme and host, no trailing slash); scope is (endpoint, project_id).
    *body* is *request* as it is sent.
    """

    index: int
    line: int
    key: str
    endpoint: str
    project_id: str
    request: CreateCompareTaskReq
    body: bytes
    x_language: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong with a manifest, told so that it can be mended without reading the documentation.

    *line* is 1-based; *index* is the entry's 0-based place, None where the finding is about the whole file.
    *field* is a dotted path in the API's own names (`data_level_compare_info.start_time`) or a CSV header.
    *value* is the offending value as text, shortened; *mend* says what to do instead.
    *job_id* and *key* are set where the entry got far enough to have them (`--skip-invalid` reports them).
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
