"""Every error of ours is in the tree that `batcher/errors.py` draws, where it is drawn."""

import importlib
import pkgutil
import re

import batcher
from batcher import errors

ROW = re.compile(r"^ {4}((?:[│├└─] ?|  )*)(\w+) ?(\*?)(?:  |$)")


def drawn() -> dict[str, tuple[str | None, bool]]:
    """Each error in the drawing: the one that it derives from, and whether it is exported."""
    tree: dict[str, tuple[str | None, bool]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if (row := ROW.match(line)) and ("─" in row[1] or not row[1]):
            depth = len(row[1]) // 4
            tree[row[2]] = (above[depth - 1] if depth else None, bool(row[3]))
            above[depth:] = [row[2]]
    return tree


def defined() -> dict[str, tuple[str | None, bool]]:
    """Each exception class that a module of ours defines, in the same form."""
    kinds: set[type[BaseException]] = set()
    for module in pkgutil.walk_packages(batcher.__path__, "batcher."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, BaseException):
                    kinds.add(value)
    ours = {kind for kind in kinds if kind.__module__.split(".")[0] == "batcher"}
    assert len({kind.__name__ for kind in ours}) == len(ours), "two errors have one name"
    return {
        kind.__name__: (kind.__base__.__name__ if kind.__base__ in ours else None, kind.__name__ in batcher.__all__)
        for kind in ours
    }


def test_the_tree_is_drawn_as_it_is() -> None:
    assert drawn() == defined()


def test_there_is_one_root() -> None:
    assert [name for name, (parent, _) in defined().items() if parent is None] == ["BatcherError"]
