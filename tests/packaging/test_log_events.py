"""Every event that is logged has a dotted name, and `docs/logging.md` says its level, its sentence and its fields."""

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field

from batcher.log_events import SENTENCES
from batcher.logger import LEVELS
from tests.packaging.checkout import ROOT

DOTTED = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")


@dataclass
class Logged:
    """What the source says of one event."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    open_ended: bool = False  # some fields are made while it runs


def is_logger(node: ast.expr) -> bool:
    """Whether *node* is a logger: the name `log`, or a call of `get_logger`."""
    match node:
        case ast.Name("log"):
            return True
        case ast.Call(ast.Name("get_logger") | ast.Attribute(attr="get_logger")):
            return True
    return False


def logged() -> tuple[dict[str, Logged], list[str]]:
    """All events that are logged, and the places where the event's name cannot be told."""
    events: dict[str, Logged] = defaultdict(Logged)
    unclear: list[str] = []
    for path in sorted((ROOT / "batcher").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = set()
        for node in ast.walk(tree):
            match node:
                case ast.Call(ast.Attribute(logger, level) as method, [ast.Constant(str(name))]) if is_logger(logger):
                    told.add(method)
                    event = events[name]
                    event.levels.add(level)
                    event.fields.update(keyword.arg for keyword in node.keywords if keyword.arg)
                    event.open_ended |= any(keyword.arg is None for keyword in node.keywords)
        unclear += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in LEVELS and is_logger(node.value) and node not in told
        ]
    return events, unclear


def documented() -> dict[str, tuple[set[str], str, set[str]]]:
    """Level, sentence and fields of each event in `docs/logging.md`."""
    rows = {}
    for line in (ROOT / "docs" / "logging.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            name, levels, sentence, fields = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name.strip("`")] = (set(levels.split(", ")), sentence, set(re.findall(r"`(\w+)`", fields)))
    return rows


def test_every_event_has_a_dotted_name() -> None:
    events, unclear = logged()
    assert unclear == []
    assert [name for name in events if not DOTTED.fullmatch(name)] == []


def test_every_event_is_documented_as_it_is_logged() -> None:
    events, _ = logged()
    rows = documented()
    assert sorted(rows) == list(rows) == sorted(events)
    for name, event in events.items():
        levels, sentence, fields = rows[name]
        assert (name, levels, sentence) == (name, event.levels, SENTENCES.get(name, ""))
        assert event.fields == fields or (event.open_ended and event.fields <= fields), name


def test_every_sentence_belongs_to_an_event() -> None:
    assert set(SENTENCES) <= set(logged()[0])
    assert sorted(SENTENCES) == list(SENTENCES)
