"""One word means one thing: no two classes of the package have the same name."""

import ast
from collections import defaultdict

from tests.packaging.checkout import ROOT


def test_no_two_classes_have_one_name() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    package = ROOT / "batcher"
    for path in sorted(package.rglob("*.py")):
        home = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(home)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
