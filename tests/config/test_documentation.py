"""docs/configuration.md says what the settings say."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings_tables", ROOT / "scripts" / "_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_settings() -> None:
    """If this fails: scripts/document-settings."""
    page = PAGE.read_text(encoding="utf-8")
    assert _script().with_tables(page) == page


def test_the_flags_are_those_of_the_settings() -> None:
    """If this fails: scripts/document-settings."""
    table = ROOT / "batcher" / "cli" / "option_table.py"
    assert _script().option_table() == table.read_text(encoding="utf-8")


def test_it_names_no_file_that_is_not_there() -> None:
    for name in ("default", "production", "simulator"):
        assert f"config/{name}.toml" in PAGE.read_text(encoding="utf-8")
        assert (ROOT / "config" / f"{name}.toml").is_file()
