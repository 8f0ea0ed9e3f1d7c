"""The request of an entry as it will leave, for people to look at, to send by hand, or to put into a support case."""

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from batcher.cli.show.terminal import note
from batcher.errors import UserError
from batcher.text import counted

if TYPE_CHECKING:
    from batcher.manifest import Entry, Finding
    from batcher.manifest.grouped import GroupedFindings


class Wanted(Struct, frozen=True, kw_only=True):
    """Which entries: the one at *index*, that with *key*, or all of the job *job_id*."""

    index: int | None = None
    key: str | None = None
    job_id: str | None = None

    def means(self, item: "Entry | Finding") -> bool:
        """Whether *item* is one of them, or tells what is wrong with one."""
        if self.index is not None:
            return item.index == self.index
        return item.job_id == self.job_id if self.job_id is not None else item.key == self.key

    def __str__(self) -> str:
        if self.index is not None:
            return f"entry {self.index} (counted from 0)"
        return f"entry of the job {self.job_id!r}" if self.job_id is not None else f"entry with the key {self.key!r}"


def print_requests(
    items: "Iterable[Entry | Finding]", wanted: Wanted, file: str, *, curl: bool
) -> "tuple[GroupedFindings, int]":
    """Print the requests of those of a manifest's *items* that are *wanted*; what is wrong with these, and how many
    were printed. What is wrong with others keeps none of them back, and is only counted. Raises `UserError`."""
    import orjson

    from batcher.manifest import Entry
    from batcher.manifest.grouped import GroupedFindings
    from batcher.run_defaults import UNNAMED_PROJECT

    theirs, others, count = GroupedFindings(), 0, 0
    for item in items:
        if not isinstance(item, Entry):
            if wanted.means(item) or item.index is None:
                theirs.add(item)
            else:
                others += 1
        elif wanted.means(item):
            if item.project_id == UNNAMED_PROJECT:
                raise UserError(
                    "the project is asked of IAM when the wave runs: name it with --project-id to see requests."
                )
            count += 1
            click.echo(as_curl(item) if curl else orjson.dumps(as_json(item), option=orjson.OPT_INDENT_2))
    if not count and not theirs.count:
        raise UserError(f"{file} has no {wanted}.")
    if others:
        note(
            f"{counted(others, 'finding')} about other entries: batcher check without --show, --key or --job tells them"
        )
    if curl and count:
        note("it creates the comparison, and the next run does not know: it would create another one")
    return theirs, count


def as_json(entry: "Entry") -> dict[str, Any]:
    """The request as plain data; the credential is not in it."""
    import orjson

    from batcher.drs.transport import USER_AGENT
    from batcher.drs.v3.client import create_request

    request = create_request(entry.endpoint, entry.project_id, entry.body, entry.x_language)
    return {
        "key": entry.key,
        "index": entry.index,
        "line": entry.line,
        "method": request.method,
        "url": request.url,
        "headers": {"User-Agent": USER_AGENT, **request.headers},
        "body": orjson.loads(request.body),
    }


def as_curl(entry: "Entry") -> str:
    """A command for a POSIX shell that sends the same bytes. The token is taken from BATCHER_TOKEN when it runs, and
    goes to curl through a pipe: it is in no list of processes."""
    from batcher.drs.v3.client import create_request

    request = create_request(entry.endpoint, entry.project_id, entry.body, entry.x_language)
    headers = [word for name, value in request.headers.items() for word in ("-H", f"{name}: {value}")]
    command = ["curl", "-sS", "--globoff", "-X", request.method, *headers, "-H", "@-"]
    words = shlex.join([*command, "--data-raw", request.body.decode(), request.url])
    return f"printf 'X-Auth-Token: %s\\n' \"$BATCHER_TOKEN\" | {words}"
