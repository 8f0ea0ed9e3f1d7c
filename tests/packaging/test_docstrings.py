"""A docstring says what a thing means to somebody who sees it alone: in a sentence, with nouns, and not elsewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.packaging.checkout import ROOT

CRYPTIC = re.compile(
    r"""
    (\S+\s+){0,1}\S+$                 # a word or two
    | See\s(`|the\smodule)             # it stands somewhere else
    | (It|Its|They|Their|Them)\b      # who?
    | (Where|How|When|What|Whether)\s(it|they)\b
    | Those\s(with|without)\b
    | (The\s(same|others?)|All\sof\sthem|Both|So)[.,;:]
    | Nothing\sleft\swhere
    """,
    re.VERBOSE,
)


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Each public name that *path* defines, and the first line of what is said of it."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if child.name.startswith("_"):
                    continue
                name = f"{prefix}{child.name}"
                if text := ast.get_docstring(child):
                    yield name, text.splitlines()[0]
                yield from inside(child, f"{name}.")

    yield from inside(ast.parse(path.read_text(encoding="utf-8")), "")


def test_no_docstring_is_cryptic() -> None:
    package = ROOT / "batcher"
    cryptic = [
        f"{path.relative_to(package)}: {name}: {said}"
        for path in sorted(package.rglob("*.py"))
        for name, said in docstrings(path)
        if CRYPTIC.match(said)
    ]
    assert cryptic == []
