"""What is written beside a wave is whole or not there, and never takes the place of a file that a wave needs."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.journal.files import WaveFiles, log_of
from batcher.whole import whole_text
from tests.cli.conftest import Batcher
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.report.waves import write_wave

RESULTS = Path("r.jsonl")
WRITERS = {
    "report --html": ("report", RESULTS, "--html"),
    "report --csv": ("report", RESULTS, "--csv"),
    "report --differences-csv": ("report", RESULTS, "--differences-csv"),
    "report --markdown": ("report", RESULTS, "--markdown"),
    "gate --junit": ("gate", RESULTS, "--junit"),
    "select -o": ("select", RESULTS, "--status", "created", "--force", "--format", "jsonl", "-o"),
    "select --recheck -o": ("select", RESULTS, "--recheck", "failed", "--force", "--format", "jsonl", "-o"),
    "results -o": ("results", WaveFiles.of(RESULTS).journal, "-o"),
}
CSV = "job_id,object_level_compare_type\njob-1,objects\n"
JSON = '{"defaults": {},\n "entries": [{"job_id": "job-1", "object_level_compare_type": "objects"}]}\n'


@pytest.fixture(autouse=True)
def wave(_elsewhere: None) -> None:
    """A wave of 40 entries, another one, and manifests in all forms."""
    write_wave(RESULTS, 40)
    write_wave(Path("other.jsonl"), 2)
    Path("wave-7.csv").write_text(CSV)  # what the journal says was run
    Path("manifest.csv").write_text("\ufeff" + CSV.replace(",", ";"))
    Path("manifest.txt").write_text(CSV, encoding="utf-16")
    Path("manifest.json").write_text(JSON)
    Path("manifest.jsonl").write_text('{"job_id": "job-1", "object_level_compare_type": "objects"}\n')
    for name in ("other.jsonl", "other.jsonl.journal", "other.verdicts.jsonl"):
        Path(f"renamed-{name.replace('.', '-')}").write_bytes(Path(name).read_bytes())
    log_of(Path("other.jsonl.journal")).write_bytes(b"")
    Path("link").symlink_to(RESULTS)


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().iterdir() if path.is_file()}


NEVER = [
    "r.jsonl.journal",
    "r.verdicts.jsonl",
    "other.jsonl.journal",
    "other.jsonl.journal-wal",
    "other.verdicts.jsonl",
    "renamed-other-jsonl-journal",
    "renamed-other-verdicts-jsonl",
]
MANIFESTS = ["manifest.csv", "manifest.txt", "manifest.json", "manifest.jsonl"]
OTHER_RESULTS = ["other.jsonl", "renamed-other-jsonl"]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("target", ["r.jsonl", "link", "wave-7.csv", *NEVER, *MANIFESTS, *OTHER_RESULTS])
def test_a_file_that_a_wave_needs_is_never_replaced(batcher: Batcher, writer: str, target: str) -> None:
    if writer.startswith("select") and target in MANIFESTS:
        return  # which --force replaces
    if writer == "results -o" and target in ("r.jsonl", "link", *OTHER_RESULTS):
        return  # which it brings in line, or keeps aside
    before = contents()
    ended = batcher(*WRITERS[writer], target)
    assert (ended.code, ended.out) == (2, "")
    assert "would replace" in ended.err
    assert contents() == before


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_written_before_is_written_again(batcher: Batcher, writer: str) -> None:
    target = Path("out.jsonl" if writer == "results -o" else "out")
    for _ in range(2):
        batcher(*WRITERS[writer], target)
        assert target.is_file()
        target.chmod(0o640)
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path for path in Path().iterdir() if path.name.endswith((".draft", ".part"))] == []


@pytest.mark.parametrize("writer", [writer for writer in WRITERS if writer != "results -o"])
def test_a_disk_that_is_full_leaves_what_was_there(
    batcher: Batcher, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").write_text("of before")
    before = contents()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    ended = batcher(*WRITERS[writer], "out")
    assert ended.code in (2, 3)
    assert "No space left" in ended.err
    assert contents() == before


@pytest.mark.parametrize("writer", [writer for writer in WRITERS if writer != "results -o"])
def test_a_link_is_followed_and_a_device_is_written_to(batcher: Batcher, writer: str) -> None:
    Path("pages").mkdir()
    Path("out").symlink_to("pages/out")
    batcher(*WRITERS[writer], "out")
    assert Path("out").is_symlink()
    assert Path("pages/out").is_file()
    batcher(*WRITERS[writer], "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_links_in_a_circle_are_an_error_and_stay(batcher: Batcher) -> None:
    """Python 3.13 no longer says so by itself: a file would take the link's place."""
    Path("out").symlink_to("back")
    Path("back").symlink_to("out")
    ended = batcher("report", RESULTS, "--html", "out")
    assert ended.code in (2, 3)
    assert "Too many levels of symbolic links" in ended.err
    assert Path("out").is_symlink()


def test_two_outputs_take_two_files(batcher: Batcher) -> None:
    ended = batcher("report", RESULTS, "--html", "out", "--csv", "./out")
    assert (ended.code, Path("out").exists()) == (2, False)
    assert "--html and --csv name the same file" in ended.err


def test_one_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "half of it"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_text(tmp_path / "page.html") as file:
        file.writelines(broken())
    assert not [path for path in tmp_path.iterdir() if "page" in path.name]
