"""Editions of a wave's lines: what a reader is told them by, so that it begins anew where some were taken back."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batcher.logger import get_logger
from batcher.service.kept.errors import StoreFailed
from batcher.service.kept.register import Register, WaveRow
from batcher.service.running.runner import Runner

log = get_logger("batcher.service")
Known = tuple[int, int]  # the inode of a file, and the edition of its lines


class Editions:
    """The editions of all lines. They are kept in the wave's row; where there is no room for that, in memory, since
    whoever reads changes nothing and is not to be refused for it."""

    def __init__(self, register: Register, runner: Runner) -> None:
        self._register = register
        self._runner = runner
        self._unkept: dict[tuple[str, str], Known] = {}

    async def of(self, row: WaveRow, kind: str, path: Path) -> int:
        """The edition of the lines of that *kind*, in the file at *path*: another one where lines were taken back."""
        found = await asyncio.to_thread(_inode, path)
        now = self._next(row, kind, found)
        if row.editions.get(kind) != now:
            now = await self._kept(row, kind, found)
        return now[1]

    async def _kept(self, row: WaveRow, kind: str, found: int) -> Known:
        def decide(row: WaveRow) -> Mapping[str, Any]:
            return {"editions": {**row.editions, kind: self._next(row, kind, found)}}

        try:
            changed = await self._register.change(row.id, decide)
        except StoreFailed as error:
            log.error("service.store_failed", wave=row.id, error=str(error))
            now = self._unkept[row.id, kind] = self._next(row, kind, found)
            return now
        assert changed is not None  # noqa: S101 - waves are never removed
        self._unkept.pop((row.id, kind), None)
        self._runner.keep(changed)
        return changed.editions[kind]

    def _next(self, row: WaveRow, kind: str, found: int) -> Known:
        """What is known of the lines now that their file is the one with the inode *found*."""
        inode, edition = self._unkept.get((row.id, kind)) or row.editions.get(kind, (0, 0))
        return found, edition if inode in (0, found) else edition + 1  # 0: there were none that could be void


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
