"""The control socket: its owner's alone, one per wave, gone with it."""

import asyncio
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.errors import UserError
from batcher.journal.files import WaveFiles
from batcher.journal.wave_lock import WaveLock
from batcher.wave.control import ControlServer, NoWave, ask


def _handler(do: str, value: str | None) -> dict[str, Any]:
    if do == "rate" and value is None:
        raise ValueError("rate needs a value, such as 5/s")
    return {"did": do, "value": value}


async def _asked(journal: Path, do: str, value: str | None = None) -> dict[str, Any]:
    return await asyncio.to_thread(ask, WaveFiles.of_journal(journal), do, value)


async def test_ask_and_answer(tmp_path: Path) -> None:
    """What is asked reaches the handler, and its answer comes back."""
    async with ControlServer(WaveFiles.of_journal(tmp_path / "r.jsonl.journal"), _handler):
        assert await _asked(tmp_path / "r.jsonl.journal", "rate", "5/s") == {"did": "rate", "value": "5/s"}


async def test_a_refusal_is_an_error_with_its_mend(tmp_path: Path) -> None:
    """The handler's `ValueError` is the user's to mend."""
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler):
        with pytest.raises(UserError, match="needs a value"):
            await _asked(tmp_path / "j", "rate")


async def test_only_its_owner_may_use_it(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler) as server:
            assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_before_it_is_the_owners_alone_nobody_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between bind and chmod a connection is refused: nothing listens yet."""
    seen = []
    chmod = Path.chmod

    def look(path: Path, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as other, pytest.raises(ConnectionRefusedError):
            other.connect(str(path))
        seen.append(mode)
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", look)
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler):
        assert seen == [0o600]


async def test_it_is_gone_with_the_wave(tmp_path: Path) -> None:
    """Afterwards there is no socket, and asking says so."""
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler) as server:
        pass
    assert not server.path.exists()
    with pytest.raises(NoWave, match="no wave is running"):
        await _asked(tmp_path / "j", "status")


async def test_one_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    """After kill -9 the file is still there, and nobody listens."""
    path = WaveFiles.of_journal(tmp_path / "j").socket
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NoWave):
        await _asked(tmp_path / "j", "status")
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler):
        assert (await _asked(tmp_path / "j", "status"))["did"] == "status"


async def test_a_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    """Something that is no socket was not made by a wave."""
    path = WaveFiles.of_journal(tmp_path / "j").socket
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler):
            pass
    assert path.read_text() == "precious"


async def test_a_successors_socket_is_not_removed(tmp_path: Path) -> None:
    """A wave that ends late takes only its own socket with it."""
    late = ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler)
    await late.__aenter__()
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler):
        await late.__aexit__()
        assert (await _asked(tmp_path / "j", "status"))["did"] == "status"


async def test_a_long_path_falls_back_to_the_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path has about a hundred bytes; the fallback's folder is the owner's alone."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="b") as runtime:  # short: it holds a socket
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        async with ControlServer(WaveFiles.of_journal(folder / "j"), _handler) as server:
            assert server.path.is_relative_to(runtime)
            assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700
            assert (await _asked(folder / "j", "status"))["did"] == "status"


async def test_a_shared_runtime_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others could have made the folder, nothing is put into it."""
    with tempfile.TemporaryDirectory(prefix="b") as short:
        runtime = Path(short, "run")
        (runtime / "batcher").mkdir(parents=True)
        (runtime / "batcher").chmod(0o777)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        with pytest.raises(PermissionError, match="this user alone"):
            async with ControlServer(WaveFiles.of_journal(tmp_path / ("x" * 120) / "j"), _handler):
                pass


async def test_a_runtime_folder_too_deep_for_a_socket_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="b") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("y" * 120)))
        monkeypatch.setattr(tempfile, "tempdir", short)
        async with ControlServer(WaveFiles.of_journal(tmp_path / ("x" * 120) / "j"), _handler) as server:
            assert server.path.is_relative_to(short)


def test_a_wave_that_could_not_listen_is_told_from_none(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with pytest.raises(NoWave, match="no wave is running"):
        ask(WaveFiles.of_journal(journal), "status")
    lock = WaveLock(journal)
    with pytest.raises(UserError, match=r"is running, and does not listen: .*kill -TERM"):
        ask(WaveFiles.of_journal(journal), "status")
    lock.release()
    with pytest.raises(NoWave, match="no wave is running"):
        ask(WaveFiles.of_journal(journal), "status")


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b'{"do": 1}\n', b'{"do": "rate", "value": 5}\n'])
async def test_nonsense_gets_an_error_line(tmp_path: Path, line: bytes) -> None:
    """Whatever comes in, one JSON line goes out."""
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler) as server:
        reader, writer = await asyncio.open_unix_connection(server.path)
        writer.write(line)
        assert "error" in orjson.loads(await reader.readline())
        writer.close()


async def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    """More than a line's worth closes the connection, and the wave goes on taking orders."""
    async with ControlServer(WaveFiles.of_journal(tmp_path / "j"), _handler) as server:
        reader, writer = await asyncio.open_unix_connection(server.path)
        writer.write(b"x" * 200_000)
        assert await reader.read() == b""
        writer.close()
        assert (await _asked(tmp_path / "j", "status"))["did"] == "status"
