"""What stands at the top of the repository, so that nothing gathers there."""

from tests.packaging.checkout import ROOT, files

EXPECTED = {
    *(".ci", ".dockerignore", ".gitignore", "batcher", "config", "docs", "findings", "scripts", "tests"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "README.md", "pyproject.toml"),
    *("requirements.lock", "requirements-build.lock", "requirements-dev.lock"),
}


def test_exactly_the_expected_entries() -> None:
    assert {name.partition("/")[0] for name in files()} == EXPECTED


def test_scripts_can_be_executed() -> None:
    scripts = [ROOT / name for name in files() if name.startswith(("scripts/", ".ci/")) and not name.endswith(".py")]
    scripts += [ROOT / name for name in files() if name.startswith("findings/") and name.endswith(".sh")]
    assert scripts
    assert [path.name for path in scripts if not path.stat().st_mode & 0o111] == []
