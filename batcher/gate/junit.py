"""The gate's result as JUnit XML, which pipelines show by themselves: a suite for each results file, a case for each
entry.

It keeps to what Jenkins' xUnit plugin, the strictest reader, lets through: its root knows no `skipped`.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from batcher.errors import UserError
from batcher.follow.reasons import name_of
from batcher.follow.verdict import Verdict
from batcher.gate.entries import Entries, WaveEntry, as_entries
from batcher.gate.evaluator import AcceptedDifference, Blocker, EvaluatedEntry
from batcher.gate.result import GateResult
from batcher.whole import whole_text

_BLOCKED, _REPLACED, _PASSED = 1, 2, 4  # what there is to say of an entry


def write_junit(path: Path, gate: GateResult, entries: Entries | Iterable[WaveEntry]) -> None:
    """Write *gate* on *entries*, those that it was given on, to *path*, whole or not at all. Raises `UserError`."""
    try:
        with whole_text(path) as file:
            file.writelines(_document(gate, as_entries(entries)))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.") from None


def _document(gate: GateResult, entries: Entries) -> Iterator[str]:
    marks = bytearray(len(entries))
    for places, mark in ((gate.blocking, _BLOCKED), (gate.replaced, _REPLACED), (gate.passing, _PASSED)):
        for place in places:
            marks[place] |= mark
    suites: dict[str, array[int]] = {}
    for place in range(len(entries)):
        suites.setdefault(entries.file_of(place), array("I")).append(place)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    unseen = {wave.file: said for wave in gate.waves if (said := wave.unproven) is not None}
    for file in unseen:
        suites.setdefault(file, array("I"))
    yield f'<testsuites name="batcher gate" {_totals(range(len(entries)), marks, errors=len(unseen))}>\n'
    with entries.reading() as entry_at:
        for file, places in suites.items():
            counts = f"{_totals(places, marks, errors=file in unseen)} {_skipped(places, marks)}"
            yield f"  <testsuite name={_attribute(file)} {counts}>\n"
            if file in unseen:
                yield from _unseen(file, unseen[file])
            for place in places:
                entry = entry_at(place)
                evaluated = gate.evaluation.evaluated(entry_at, place) if marks[place] & (_BLOCKED | _PASSED) else None
                yield from _case(entry, evaluated, replaced=bool(marks[place] & _REPLACED))
            yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _case(entry: WaveEntry, evaluated: EvaluatedEntry | None, *, replaced: bool) -> Iterator[str]:
    name = f"{entry.job_id} ({entry.key})" if entry.job_id else entry.key
    inner = [
        *(_failure(evaluated.blocker) if evaluated else ()),
        *_replaced(replaced),
        *(_accepted(evaluated.passed) if evaluated else ()),
    ]
    yield f"    <testcase classname={_attribute(_class(entry.file))} name={_attribute(name)}"
    yield ">\n" + "".join(inner) + "    </testcase>\n" if inner else "/>\n"


def _unseen(file: str, why: str) -> Iterator[str]:
    """A case of its own: nothing that was seen stands for what was not."""
    yield f'    <testcase classname={_attribute(_class(file))} name="every entry was seen">\n'
    yield f'      <error type="unproven" message={_attribute(why)}>{_text(why)}</error>\n    </testcase>\n'


def _totals(places: Collection[int], marks: bytearray, *, errors: int) -> str:
    failures = sum(marks[place] & _BLOCKED != 0 for place in places)
    return f'tests="{len(places) + errors}" failures="{failures}" errors="{errors:d}"'


def _skipped(places: Collection[int], marks: bytearray) -> str:
    return f'skipped="{sum(marks[place] & _REPLACED != 0 for place in places)}"'


def _class(file: str) -> str:
    """*file* as a class name. Readers take what stands before its last dot for a package, and `jsonl` for the class."""
    return file.removesuffix(".jsonl").replace(".", "_")


def _replaced(replaced: bool) -> Iterator[str]:
    if replaced:
        yield '      <skipped message="a later comparison took its place"/>\n'


def _failure(blocker: Blocker | None) -> Iterator[str]:
    if blocker is None:
        return
    kind = (blocker.verdict or Verdict.UNKNOWN).value
    # Some readers show the message, some the text: each has the reason, and the text all differences as well.
    lines = "\n".join([blocker.why, *map(name_of, blocker.differences)])
    yield f'      <failure type="{kind}" message={_attribute(blocker.why)}>{_text(lines)}</failure>\n'


def _accepted(passed: Iterable[AcceptedDifference]) -> Iterator[str]:
    lines = [f"accepted: {name_of(one.difference)}: {one.acceptance.reason}" for one in passed]
    if lines:
        yield f"      <system-out>{_text(chr(10).join(lines))}</system-out>\n"


def _attribute(value: str) -> str:
    return quoteattr(_sound(value))


def _text(value: str) -> str:
    return escape(_sound(value))


def _sound(value: str) -> str:
    """*value* without what XML 1.0 cannot hold in any form: control characters, lone surrogates, non-characters."""
    return "".join(
        sign if sign in "\t\n\r" or 0x20 <= ord(sign) <= 0xD7FF or 0xE000 <= ord(sign) <= 0xFFFD or ord(sign) > 0xFFFF
        else "\ufffd"
        for sign in value
    )  # fmt: skip
