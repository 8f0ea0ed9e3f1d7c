"""What docs/architecture.md leads through is there: every module that it names, every class, and every method."""

import ast
import re

from tests.packaging.checkout import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def members() -> dict[str, set[str]]:
    """What each class of the package defines by itself."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "batcher").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name] = {
                    one.name if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) else ast.unparse(one.target)
                    for one in node.body
                    if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign)
                }
    return found


def test_the_modules_that_are_named_are_there() -> None:
    named = set(re.findall(r"(?<![\w./])(?:batcher/)?([a-z_0-9]+(?:/[a-z_0-9]+)*\.py)\b", TEXT))
    assert len(named) > 30
    ours = [path.as_posix() for folder in ("batcher", "tests", "scripts") for path in (ROOT / folder).rglob("*.py")]
    assert sorted(name for name in named if not any(path.endswith(f"/{name}") for path in ours)) == []


def test_the_methods_that_are_named_are_there() -> None:
    classes = members()
    named = set(re.findall(r"`([A-Z]\w+)\.(\w+)`", TEXT))
    assert len(named) > 10
    assert sorted(f"{name}.{method}" for name, method in named if method not in classes.get(name, ())) == []
