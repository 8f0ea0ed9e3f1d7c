"""A ruling as JUnit XML, which pipelines show by themselves: a suite for each results file, a case for each entry."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from batcher.errors import UserError
from batcher.follow.gate import Blocker, Passed, Ruling, Waved
from batcher.follow.reasons import name_of
from batcher.follow.verdict import Verdict

Case = tuple[str, int]  # file and index of an entry


def write_junit(path: Path, ruling: Ruling, entries: Iterable[Waved]) -> None:
    """Write *ruling* on *entries* to *path*. Raises `UserError`."""
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(_document(ruling, entries))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.") from None


def _document(ruling: Ruling, entries: Iterable[Waved]) -> Iterator[str]:
    blockers = {(blocker.file, blocker.index): blocker for blocker in ruling.blockers}
    passed: dict[Case, list[Passed]] = defaultdict(list)
    for one in ruling.passed:
        passed[one.file, one.index].append(one)
    suites: dict[str, list[Case]] = defaultdict(list)
    names: dict[Case, str] = {}
    for entry in entries:
        case = (entry.file, entry.index)
        suites[entry.file].append(case)
        names[case] = f"{entry.job_id} ({entry.key})" if entry.job_id else entry.key
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites name="batcher gate" {_totals(names, blockers, ruling)}>\n'
    for file, cases in suites.items():
        yield f"  <testsuite name={_attribute(file)} {_totals(cases, blockers, ruling)}>\n"
        for case in cases:
            inner = [*_failure(blockers.get(case)), *_replaced(case in ruling.replaced), *_accepted(passed[case])]
            yield f"    <testcase classname={_attribute(file)} name={_attribute(names[case])}"
            yield ">\n" + "".join(inner) + "    </testcase>\n" if inner else "/>\n"
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _totals(cases: Collection[Case], blockers: Collection[Case], ruling: Ruling) -> str:
    failures = sum(case in blockers for case in cases)
    skipped = sum(case in ruling.replaced for case in cases)
    return f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="{skipped}"'


def _replaced(replaced: bool) -> Iterator[str]:
    if replaced:
        yield '      <skipped message="a later comparison took its place"/>\n'


def _failure(blocker: Blocker | None) -> Iterator[str]:
    if blocker is None:
        return
    kind = (blocker.verdict or Verdict.UNKNOWN).value
    lines = "\n".join(map(name_of, blocker.differences))
    yield f'      <failure type="{kind}" message={_attribute(blocker.why)}>{_text(lines)}</failure>\n'


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
