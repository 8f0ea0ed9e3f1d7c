"""What is found on a machine: no home, few open files, names that nobody can have."""

import resource
from functools import partial
from pathlib import Path

import pytest

from batcher.cli import main
from batcher.simulator.server import ThreadedSimulator
from tests.cli.commands import lines_of, write_manifest
from tests.cli.conftest import Batcher, Cloud, environment_for
from tests.forked import ran
from tests.surroundings import BYTES, LONG, limited, nameless

RUN = ("run", "wave.csv", "-o", "results.jsonl")


@pytest.mark.parametrize("home", [None, "/", "/nowhere"])
def test_a_wave_needs_no_home_and_its_user_no_name(tmp_path: Path, home: str | None) -> None:
    write_manifest(tmp_path / "wave.csv", ["job-1"])
    tmp_path.chmod(0o777)
    homeless = {} if home is None else {"HOME": home}
    without = ("XDG_CONFIG_HOME", *(("HOME",) if home is None else ()))
    with ThreadedSimulator() as simulator:
        environ = environment_for(simulator) | homeless
        ended = ran(RUN, tmp_path, environ, before=nameless, without=without)
        assert (ended.code, ended.err.count("error")) == (0, 0)
        to_stdout = ran(("run", "wave.csv", "-o", "-"), tmp_path, environ, before=nameless, without=without)
    assert to_stdout.code == 2
    assert "Name another place with --journal" in to_stdout.err
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(("most", "code", "told"), [
    (20, 2, "at most 20 files may be open at once, and batcher needs 32: raise ulimit -n"),
    (40, 0, "fewer requests go out at once"),
])  # fmt: skip
def test_few_open_files_make_a_wave_narrower(tmp_path: Path, most: int, code: int, told: str) -> None:
    write_manifest(tmp_path / "wave.csv", [f"job-{number}" for number in range(60)])
    with ThreadedSimulator() as simulator:
        environ = environment_for(simulator) | {"BATCHER_RATE": "off", "BATCHER_CONCURRENCY": "50"}
        ended = ran(RUN, tmp_path, environ, before=partial(limited, resource.RLIMIT_NOFILE, most))
    assert ended.code == code, ended.err
    assert told in ended.err
    if code == 0:
        assert {line["status"] for line in lines_of(tmp_path / "results.jsonl")} == {"created"}
        assert "Too many open files" not in ended.err


@pytest.mark.parametrize(("name", "told"), [
    (f"{LONG}.jsonl", "is longer than a file's name can be"),
    ("", "is empty: name a file"),
    (".", "is a folder"),
    (f"{BYTES}.jsonl", "is not UTF-8"),
])  # fmt: skip
def test_a_name_that_no_file_has_is_bad_usage(
    batcher: Batcher, cloud: Cloud, manifest: Path, name: str, told: str
) -> None:
    simulator = cloud()
    ended = batcher("run", manifest, "-o", name)
    assert (ended.code, simulator.ledger) == (2, [])
    assert told in ended.err


def test_windows_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.cli.main.os.name", "nt")
    with pytest.raises(SystemExit, match=r"Linux and macOS\. On Windows, run it in WSL"):
        main.main(["--version"])
