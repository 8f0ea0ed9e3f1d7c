"""The keepers that `test_contract.py` holds to the contract. A new one is one more line in `KEEPERS`."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from batcher.journal.memory import MemoryKeeper
from batcher.journal.port import Journal, Keeper, MutableRecord
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.sqlite.keeper import SqliteKeeper
from tests.journal.made import in_rows
from tests.journal.postgres.cluster import needed, prepared

_IN_MEMORY: dict[Path, MemoryKeeper] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of keeper: how its database in a folder is opened, anew each time, on what an earlier one left.

    *many*: it has many waves. *survives* the process that has it, so that one can be killed. *in_files*: all of it is
    in files of that folder, whose power can be cut. *examples*: of waves that are drawn, as each takes its time.
    """

    open: Callable[[Path], Keeper]
    many: bool = False
    survives: bool = False
    in_files: bool = False
    examples: int = 40

    def wave(self, keeper: Keeper, wave: str = "tested") -> MutableRecord:
        """The record of the tested wave, made where there is none yet."""
        if not self.many:
            return keeper.wave()
        try:
            return keeper.new_wave(wave)
        except Exception:  # noqa: BLE001 - it is there; if not, this says so
            return keeper.wave(wave)

    def journal(self, keeper: Keeper, wave: str = "tested") -> Journal:
        """The same while it runs."""
        self.wave(keeper, wave)
        return keeper.journal(wave if self.many else None)


def _in_memory(folder: Path, *, many: bool) -> MemoryKeeper:
    return _IN_MEMORY.setdefault(folder, MemoryKeeper(many=many))


def _in_rows(folder: Path) -> SqliteKeeper:
    if not (folder / "journal").exists():
        in_rows(folder / "journal")
    return SqliteKeeper(folder / "journal")


def _in_postgres(folder: Path) -> PostgresKeeper:
    """As in a folder: what a killed process had asked the server to do is done or undone by the time it is opened."""
    cluster = needed()
    address = prepared(cluster, schema=f"b{sha256(bytes(folder)).hexdigest()[:16]}")
    while cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", address.schema):
        pass
    return PostgresKeeper(address, program=address.schema)


KEEPERS = {
    "memory": Kind(lambda folder: _in_memory(folder, many=False)),
    "memory, many": Kind(lambda folder: _in_memory(folder, many=True), many=True),
    "sqlite": Kind(lambda folder: SqliteKeeper(folder / "journal"), survives=True, in_files=True),
    "sqlite, in rows": Kind(_in_rows, examples=20),
    "sqlite, many": Kind(
        lambda folder: SqliteKeeper(folder / "journal", many=True), many=True, survives=True, in_files=True
    ),
    "postgres": Kind(_in_postgres, many=True, survives=True, examples=12),
}
