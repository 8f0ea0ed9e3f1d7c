"""What newer Pythons refuse is found under every Python, so that the change that brings it does not pass."""

import ast
import re

from tests.packaging.checkout import ROOT, files


def test_no_statement_numbers_its_placeholders() -> None:
    """sqlite3 takes `?1` for a name: with a sequence of values it warns from Python 3.12 on, and fails from 3.14 on."""
    found = []
    for name in files():
        if not name.endswith(".py") or not name.startswith(("batcher/", "scripts/")):
            continue
        texts = (
            node for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))) if isinstance(node, ast.Constant)
        )
        # Also pieces of a statement, which name no verb.
        found += [f"{name}:{one.lineno}" for one in texts if re.search(r"(?:^|[\s(,=<>])\?[0-9]", str(one.value))]
    assert found == []
