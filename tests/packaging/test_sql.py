"""What our SQL leaves alone, so that every Python from 3.11 on runs it."""

import ast
import re
from collections.abc import Iterator

from tests.packaging.checkout import ROOT


def texts() -> Iterator[tuple[str, str]]:
    """Every text in the product's code, with the place it stands at."""
    for path in sorted((ROOT / "batcher").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_no_value_has_a_number() -> None:
    """`?1` with values in a row warns from Python 3.12 on, and fails from 3.14 on."""
    assert [place for place, text in texts() if re.search(r"[\s(=<>,]\?[1-9]", text)] == []
