"""A wave's lines come over whole, in order and each once, however they are cut, broken off and written anew."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.client.errors import ServiceRefused, StreamBroken
from batcher.client.http import ServiceClient
from batcher.client.lines import bring, whole
from batcher.client.places import FilePlace, GivenPlace, Place, provisional_result
from tests.pace.server import virtual_clock
from tests.virtual import run

pieces = st.lists(st.binary(max_size=12), max_size=8)


class Reading(NamedTuple):
    """What becomes of one stream: so many lines are there, with *open* more of entries that the wave had not come to
    when it was stopped, before it went on. They come in pieces of *size*, and it breaks off behind so many bytes, if it
    does. *anew*: the lines are written anew before."""

    there: int
    open: int
    size: int
    breaks_at: int | None
    anew: bool


readings = st.builds(
    Reading, st.integers(0, 9), st.integers(0, 2), st.integers(1, 90), st.none() | st.integers(0, 400), st.booleans()
)


class Lines:
    """A service with the lines of one wave; the last *left* are of entries that stay open. Once all *readings* were
    made the wave has ended, and everything comes."""

    patience_s = 600.0
    access = SimpleNamespace(url="http://127.0.0.1:1")

    def __init__(self, count: int, left: int, readings: Sequence[Reading]) -> None:
        self._count, self.left = count, left
        self._readings = list(readings)
        self.edition = 1
        self.seen = 0  # lines of entries that are settled for good

    @property
    def lines(self) -> list[bytes]:
        """All lines, as they stand by now."""
        last = self._count - self.left
        return [self._line(index, "created" if index < last else "unsettled") for index in range(self._count)]

    def _line(self, index: int, status: str) -> bytes:
        told = {"index": index, "status": status, "said": "ü\u2028" * index, "edition": self.edition}
        return orjson.dumps(told) + b"\n"

    async def told(self) -> Mapping[str, Any]:
        """The wave."""
        return {"state": "running" if self._readings else "ended"}

    async def pause(self, failures: int, why: str) -> None:
        """Come again at once."""

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """What there is behind `after`, of the edition that was asked for."""
        reading = self._readings.pop(0) if self._readings else Reading(self._count, 0, 50, None, False)
        self.edition += reading.anew
        if headers.get("If-Match", str(self.edition)) != str(self.edition):
            raise ServiceRefused("written anew", status=412)
        self.seen = max(self.seen, min(reading.there, self._count - self.left))
        open_now = range(self.seen, min(self.seen + reading.open, self._count))
        there = self.lines[: self.seen] + [self._line(index, "not_submitted") for index in open_now]
        sent = b"".join((there if self._readings else self.lines)[int(query["after"]) :])

        async def cut() -> AsyncIterator[bytes]:
            whole = sent if reading.breaks_at is None else sent[: reading.breaks_at]
            for at in range(0, len(whole), reading.size):
                yield whole[at : at + reading.size]
            if reading.breaks_at is not None:
                raise StreamBroken("it broke off")

        yield str(self.edition), cut()


def brought(lines: Lines, place: Place) -> None:
    """Everything is brought to *place*."""

    async def main() -> None:
        clock = virtual_clock()
        end = await bring(cast("ServiceClient", lines), "/v1/waves/w/results", place, lines.told, clock)
        assert end["state"] == "ended"

    run(main, turns=100_000)
    place.close()


@given(st.data(), st.integers(0, 9), st.integers(0, 3), st.lists(readings, max_size=6), st.binary(max_size=9))
@settings(max_examples=200)
def test_a_file_has_in_the_end_what_the_service_has(
    data: st.DataObject, count: int, left: int, readings: list[Reading], torn: bytes
) -> None:
    """Also where an earlier process had brought a part of it, and died over a line; where the service has lost some
    since; and where somebody has changed the last line."""
    lines = Lines(count, min(left, count), readings)
    here = data.draw(st.integers(0, count - lines.left))
    before = lines.lines[:here]
    match data.draw(st.sampled_from(["as it was", "more", "changed"])):
        case "more":
            before += Lines(count + 2, 0, ()).lines[here:]
        case "changed" if before:
            before[-1] = before[-1].replace(b"created", b"CREATED")
    lines.seen = here
    with TemporaryDirectory() as folder:
        path = Path(folder, "results.jsonl")
        if before:
            path.write_bytes(b"".join(before) + torn.replace(b"\n", b""))
        edition = str(lines.edition) if before else None
        brought(lines, FilePlace(path, provisional_result, edition, lambda _: None))
        assert (path.read_bytes() if path.exists() else b"") == b"".join(lines.lines)


@given(st.integers(0, 9), st.integers(0, 3), st.lists(readings, max_size=6))
@settings(max_examples=150)
def test_who_is_handed_lines_gets_each_that_says_something_new(count: int, left: int, readings: list[Reading]) -> None:
    lines = Lines(count, min(left, count), readings)
    handed: list[bytes] = []
    brought(lines, GivenPlace(handed.append, provisional_result))
    latest = {orjson.loads(line)["index"]: line for line in handed}
    assert list(dict(sorted(latest.items())).values()) == lines.lines
    assert len(set(handed)) == len(handed)


@given(pieces)
def test_pieces_are_cut_anew_at_the_ends_of_lines(given: list[bytes]) -> None:
    async def main() -> list[bytes]:
        async def one_by_one() -> AsyncIterator[bytes]:
            for piece in given:
                yield piece

        return [lines async for lines in whole(one_by_one())]

    told, sent = run(main), b"".join(given)
    assert all(lines.endswith(b"\n") for lines in told)
    assert b"".join(told) == sent[: sent.rfind(b"\n") + 1]
