"""The rooms of the house, and who may know whom: imports go one way, down this list, and never in a circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.packaging.checkout import ROOT

# A room may import from those before it. Modules at the top of `batcher/` that are not named here know nothing
# of ours but each other and `drs`, and everybody may use them.
ROOMS = (
    *("drs", "manifest", "life", "settings", "pace", "journal", "run_defaults", "scopes", "channel"),
    *("holding", "wave", "journals", "rescue"),
    *(
        "follow",
        "machines",
        "gate",
        "notify",
        "columns",
        "report",
        "discover",
        "doctor",
        "simulator",
        "rehearsal",
        "api",
    ),
    *("station", "client", "service", "cli"),
)
MOST_FILES = 28  # in one room
# Rooms that know the cloud by its port alone. A manifest is a list of requests, so that it knows how they are written.
OF_ANY_VERSION = ("life", "settings", "pace", "journal", "channel", "holding", "wave", "follow", "discover", "doctor")


def imports() -> Iterator[tuple[str, str, Path]]:
    """(importing room, imported room, file) of every import of ours."""
    package = ROOT / "batcher"
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "batcher":
                _, _, rest = (node.module or "").partition(".")
                for name in [rest.split(".")[0]] if rest else [alias.name for alias in node.names]:
                    yield room, name, path


def test_imports_go_one_way() -> None:
    rank = {room: number for number, room in enumerate(ROOMS)}
    wrong = [
        f"{path.relative_to(ROOT)} imports from {there}"
        for here, there, path in imports()
        if here != there and here not in ("__init__", "__main__") and rank.get(there, -1) > rank.get(here, -1)
    ]
    assert wrong == []


def test_the_engine_knows_no_version_of_the_api() -> None:
    """Another one could lie beside `drs/v3`, and nothing but `batcher.scopes` would change."""
    package = ROOT / "batcher"
    folders = [package / room for room in OF_ANY_VERSION] + [package / "drs" / "auth"]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    files += [*(package / "drs").glob("*.py"), package / "api.py"]
    nodes = [(path, node) for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    named = [(path, node.module or "") for path, node in nodes if isinstance(node, ast.ImportFrom)]
    assert [str(path.relative_to(ROOT)) for path, module in named if module.startswith("batcher.drs.v")] == []


def test_every_room_is_named_and_none_is_crowded() -> None:
    folders = [path for path in (ROOT / "batcher").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert {path.name for path in folders} <= set(ROOMS)
    files = {path.parent: 0 for path in (ROOT / "batcher").rglob("*.py")}
    for path in (ROOT / "batcher").rglob("*.py"):
        files[path.parent] += 1
    crowded = {str(folder.relative_to(ROOT)): count for folder, count in files.items() if count > MOST_FILES}
    assert crowded == {}
