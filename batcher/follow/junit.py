"""A ruling as JUnit XML, which pipelines show by themselves: a suite for each results file, a case for each entry."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from batcher.errors import UserError
from batcher.follow.gate import Blocker, Passed, Ruling, Waved
from batcher.follow.reasons import name_of
from batcher.follow.verdict import Verdict


def write_junit(path: Path, ruling: Ruling, entries: Iterable[Waved]) -> None:
    """Write *ruling* on *entries* to *path*. Raises `UserError`."""
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(_document(ruling, entries))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.") from None


def _document(ruling: Ruling, entries: Iterable[Waved]) -> Iterator[str]:
    blockers: dict[tuple[str, str], list[Blocker]] = defaultdict(list)
    for blocker in ruling.blockers:
        blockers[blocker.file, blocker.key].append(blocker)
    passed: dict[str, list[Passed]] = defaultdict(list)
    for one in ruling.passed:
        passed[one.key].append(one)
    suites: dict[str, list[Waved]] = defaultdict(list)
    for entry in entries:
        suites[entry.file].append(entry)
    count, failures = sum(map(len, suites.values())), len(blockers)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites name="batcher gate" tests="{count}" failures="{failures}">\n'
    for file, members in suites.items():
        stopped = sum((file, entry.key) in blockers for entry in members)
        yield f'  <testsuite name={_attribute(file)} tests="{len(members)}" failures="{stopped}">\n'
        for entry in members:
            yield from _case(entry, blockers.get((file, entry.key), ()), passed.get(entry.key, ()))
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _case(entry: Waved, blockers: Iterable[Blocker], passed: Iterable[Passed]) -> Iterator[str]:
    name = f"{entry.job_id} ({entry.key})" if entry.job_id else entry.key
    yield f"    <testcase classname={_attribute(entry.file)} name={_attribute(name)}"
    inner = [*map(_failure, blockers), *_accepted(passed)]
    yield ">\n" + "".join(inner) + "    </testcase>\n" if inner else "/>\n"


def _failure(blocker: Blocker) -> str:
    kind = (blocker.verdict or Verdict.UNKNOWN).value
    lines = "\n".join(map(name_of, blocker.differences))
    return f'      <failure type="{kind}" message={_attribute(blocker.why)}>{_text(lines)}</failure>\n'


def _accepted(passed: Iterable[Passed]) -> Iterator[str]:
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
