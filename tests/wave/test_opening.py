"""Opening a wave: planned once, taken up as it was, refused by name where it is not the same."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from batcher.clock import SystemClock
from batcher.drs.outcome import ErrorKind, Fate
from batcher.errors import UserError
from batcher.journal.errors import WaveRefused
from batcher.journal.files import WaveFiles
from batcher.journal.ops import Happened, Settled
from batcher.journal.port import MutableRecord
from batcher.journal.sqlite.chunk import Packer
from batcher.journal.sqlite.keeper import SqliteReader
from batcher.life.entry_columns import EntryColumns
from batcher.life.events import Answered, Intended
from batcher.life.result import Status
from batcher.manifest import RunDefaults, open_manifest
from batcher.wave.opening import BadManifest, OpenedWave, open_wave
from batcher.wave.request import Request
from tests.wave.made import DATA, NOON, trouble

Open = Callable[..., OpenedWave]
INTENT = Intended(at=NOON, asked=frozenset({DATA}))


def manifest_of(path: Path, entries: int, **more: Any) -> Path:
    data = {"conflict_policy": "keep", "compare_type": "lines", "compare_object_infos": [{"db_name": "db"}], **more}
    lines = ({"job_id": f"job-{index}", "data_level_compare_info": data} for index in range(entries))
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    path = manifest_of(tmp_path / "manifest.jsonl", 4)
    return Request(
        manifest=open_manifest(path),
        defaults=RunDefaults(
            endpoint="https://drs.example.invalid", project_id="p", x_language=None, insecure_http=False
        ),
        files=WaveFiles.of(tmp_path / "results.jsonl"),
    )


def opened(request: Request) -> OpenedWave:
    return open_wave(request, SystemClock())


def settle(record: MutableRecord, index: int, status: Status) -> None:
    line = orjson.dumps({"index": index, "status": status}) + b"\n"
    record.commit([Settled(index=index, status=status, line=line)])


def test_a_new_wave_is_planned_whole(request_of: Request) -> None:
    wave = opened(request_of)
    assert (wave.found.resumed, wave.found.settled, wave.found.in_doubt, wave.found.to_go) == (False, 0, 0, 4)
    assert wave.start.last_sign_s is None
    assert wave.facts["digest"] == request_of.manifest.digest
    wave.close()


def test_what_was_found_is_counted(request_of: Request) -> None:
    """Settled, in doubt, and to go: an entry that waits for its next attempt is not in doubt."""
    wave = opened(request_of)
    refused = Answered(
        at=NOON,
        sent_at=NOON,
        halves={DATA: trouble(Fate.NOT_RECEIVED, ErrorKind.NETWORK)},
        http_status=None,
        request_id=None,
    )
    settle(wave.record, 0, Status.CREATED)
    wave.record.commit([Happened(index=1, event=INTENT)])
    wave.record.commit([Happened(index=2, event=INTENT), Happened(index=2, event=refused)])
    wave.close()
    again = opened(request_of)
    assert (again.found.resumed, again.found.settled, again.found.in_doubt, again.found.to_go) == (True, 1, 1, 2)
    assert again.start.last_sign_s is not None
    again.close()


def test_a_second_process_is_refused(request_of: Request) -> None:
    wave = opened(request_of)
    with pytest.raises(WaveRefused, match="another batcher is running this wave: it holds"):
        opened(request_of)
    with pytest.raises(WaveRefused, match="another batcher is running this wave"):
        opened(replace(request_of, restart=True))
    wave.close()
    opened(request_of).close()  # no stale lock is left


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"defaults": {"project_id": "q"}}, "begun with project_id p, and now it is q"),
        ({"defaults": {"endpoint": "https://other.invalid"}}, "begun with endpoint https://drs.example.invalid"),
        ({"allow_duplicates": True}, "begun without --allow-duplicates"),
        ({"skip_invalid": True}, "begun without --skip-invalid"),
        ({"digest": "sha256:0"}, "is not the manifest that was approved"),
    ],
)
def test_another_scope_or_another_way_is_refused(request_of: Request, changes: dict[str, Any], said: str) -> None:
    opened(request_of).close()
    if "defaults" in changes:
        changes = {"defaults": replace(request_of.defaults, **changes["defaults"])}
    with pytest.raises(WaveRefused, match=said):
        opened(replace(request_of, **changes))


def test_a_changed_manifest_is_refused(request_of: Request, tmp_path: Path) -> None:
    opened(request_of).close()
    changed = open_manifest(manifest_of(tmp_path / "manifest.jsonl", 5))
    with pytest.raises(WaveRefused, match="is not the manifest that this wave was begun with"):
        opened(replace(request_of, manifest=changed))


def test_findings_leave_nothing_behind(request_of: Request, tmp_path: Path) -> None:
    bad = open_manifest(manifest_of(tmp_path / "bad.jsonl", 3, compare_type="rows"))
    with pytest.raises(BadManifest) as caught:
        opened(replace(request_of, manifest=bad))
    assert len(caught.value.findings) >= 3
    assert not request_of.files.journal.exists()


def test_results_of_something_else_are_not_touched(request_of: Request) -> None:
    assert request_of.files.results is not None
    request_of.files.results.write_bytes(b"precious\n")
    with pytest.raises(WaveRefused, match="belongs to something else"):
        opened(request_of)
    assert request_of.files.results.read_bytes() == b"precious\n"


def test_retry_failed_takes_up_what_failed_and_nothing_else(request_of: Request) -> None:
    wave = opened(request_of)
    for index, status in enumerate((Status.CREATED, Status.FAILED, Status.PARTIAL)):
        settle(wave.record, index, status)
    wave.close()
    opened(request_of).close()
    again = opened(replace(request_of, retry_failed=True))
    assert again.found.settled == 1
    assert [entry.index for entry, _ in again.record.open_entries(0, -1, 500)] == [1, 2]
    assert request_of.files.results is not None
    assert [orjson.loads(line)["index"] for line in request_of.files.results.read_bytes().splitlines()] == [0]
    again.close()


def test_what_is_unsettled_is_looked_at_again_by_every_run(request_of: Request) -> None:
    wave = opened(request_of)
    wave.record.commit([Happened(index=1, event=INTENT)])
    settle(wave.record, 1, Status.UNSETTLED)
    wave.close()
    again = opened(request_of)
    assert (again.found.settled, again.found.in_doubt) == (0, 1)
    again.close()


def test_restart_keeps_the_old_files_aside(request_of: Request, tmp_path: Path) -> None:
    wave = opened(request_of)
    settle(wave.record, 0, Status.CREATED)
    wave.close()
    again = opened(replace(request_of, restart=True))
    assert again.found.settled == 0
    assert len(again.found.said) >= 2
    assert len(list(tmp_path.glob("results.jsonl.journal.*Z"))) == 1
    again.close()


def test_restart_says_what_the_old_wave_may_have_made_and_keeps_two_of_a_second_apart(
    request_of: Request, tmp_path: Path
) -> None:
    """Also after a kill, whose last commits are in the log beside the journal."""
    for kept in (1, 2):
        wave = opened(replace(request_of, restart=True))
        wave.record.commit([Happened(index=0, event=INTENT)])
        settle(wave.record, 1, Status.UNSETTLED)
        settle(wave.record, 2, Status.CREATED)
        wave.lock.release()  # it was killed
        again = opened(replace(request_of, restart=True))
        said = " ".join(again.found.said)
        assert "the old wave created 1 entry" in said
        assert "2 entries of the old wave are in doubt" in said
        again.close()
        wave.keeper.close()
        asides = [path for path in sorted(tmp_path.glob("results.jsonl.journal.*Z"))]
        assert len(asides) == 2 * kept - 1
        old = SqliteReader(asides[-1])
        assert old.wave().status_counts() == {Status.UNSETTLED: 1, Status.CREATED: 1}
        old.close()


def test_the_settings_in_force_are_on_record(request_of: Request) -> None:
    opened(replace(request_of, settings={"rate": "5/s"})).close()
    wave = opened(replace(request_of, settings={"rate": "9/s"}))
    assert wave.record.facts()["settings"] == {"rate": "9/s"}
    wave.close()


def test_a_folder_that_is_not_there_is_named(request_of: Request, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "results.jsonl"
    with pytest.raises(WaveRefused, match="there is no folder"):
        opened(replace(request_of, files=WaveFiles.of(nowhere)))


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_no_file_is_neither_written_to_nor_put_aside(
    request_of: Request, tmp_path: Path, restart: bool
) -> None:
    """A folder given for the results stays where it is, `--restart` or not."""
    folder = tmp_path / "results"
    folder.mkdir()
    wrong = replace(request_of, files=WaveFiles.of(folder), restart=restart)
    with pytest.raises(WaveRefused, match=r"is a folder: name a file in it, such as .*results\.jsonl"):
        opened(wrong)
    with pytest.raises(WaveRefused, match="no ordinary file"):
        opened(replace(wrong, files=WaveFiles(Path("/dev/null"), tmp_path / "null.journal")))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("results")] == ["results"]


def test_large_entries_are_planned_a_few_megabytes_at_a_time(
    tmp_path: Path, request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a thousand of them, which with labels of a megabyte each are a gigabyte."""
    manifest = tmp_path / "large.jsonl"
    label = "x" * 1_000_000
    manifest.write_text("".join(f'{{"job_id": "j-{n}", "object_level_compare_type": "objects", '
                                f'"labels": {{"why": "{label}"}}}}\n' for n in range(12)))  # fmt: skip
    chunks: list[int] = []
    packed = Packer.packed

    def counted(packer: Packer, columns: EntryColumns) -> Iterator[tuple[Sequence[int], bytes]]:
        chunks.append(len(columns))
        return packed(packer, columns)

    monkeypatch.setattr(Packer, "packed", counted)
    opened(replace(request_of, manifest=open_manifest(manifest))).close()
    assert chunks == [5, 5, 2]


def test_a_journal_that_is_a_link_leading_nowhere_is_refused_and_in_nobody_elses_way(
    request_of: Request, tmp_path: Path
) -> None:
    """Whoever only wants the verdicts does not ask for it."""
    request_of.files.journal.symlink_to(request_of.files.journal)  # itself
    files = WaveFiles.of(tmp_path / "results.jsonl")
    assert files.verdicts == tmp_path / "results.verdicts.jsonl"
    with pytest.raises(WaveRefused, match="a link that leads nowhere"):
        opened(replace(request_of, files=files))


def test_the_files_of_a_wave_are_told_from_what_was_typed(tmp_path: Path) -> None:
    real = tmp_path / "store" / "night.jsonl"
    real.parent.mkdir()
    real.touch()
    link = tmp_path / "r.jsonl"
    link.symlink_to(real)
    files = WaveFiles.of(link)
    assert (files.results, files.journal, files.is_named) == (real, real.with_name("night.jsonl.journal"), False)
    assert (files.lock.name, files.log.name) == ("night.jsonl.journal.lock", "night.jsonl.journal-wal")
    assert WaveFiles.of(Path("r.jsonl")).socket == Path("r.jsonl.journal.sock").absolute()
    assert WaveFiles.of(link, tmp_path / "j").journal == tmp_path / "j"
    assert WaveFiles.of_output("sha256:00", tmp_path / "j").told == ()
    with pytest.raises(UserError, match="name a file with -o"):
        _ = WaveFiles.of_output("sha256:00", tmp_path / "j").verdicts
