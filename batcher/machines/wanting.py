"""Wanting the verdicts of a wave in a shared database, which whoever has its scopes finds; and bounds on what runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from batcher.clock import Clock
from batcher.errors import UserError
from batcher.follow.followed_entry import followed, line_of
from batcher.journal.errors import WaveRefused
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.verdicts import KeptVerdict, want_verdicts
from batcher.life.result import Result
from batcher.manifest import AlikeEntries, Entry, Judged, Manifest, RunDefaults
from batcher.settings import RunSettings

_PAGE = 500
_OF_RUNNING = ("max_running", "max_running_per")


def have_followed(
    keeper: PostgresKeeper, record: PostgresWrittenRecord, watch_timeout_s: float | None, clock: Clock
) -> None:
    """Have the comparisons of the wave of *record* be followed from now on by whoever has its scopes, for no longer
    than *watch_timeout_s* after its last entry is settled. Blocks. Raises `JournalFailed`.

    Entries that are in no scope, as they are not valid, get their verdict here: nobody is to look at anything.
    """
    verdicts, after = keeper.verdicts(record.number), -1
    while lines := verdicts.undecided(None, after, _PAGE):
        made = [line_of(followed(Result.model_validate_json(line), None), clock.now()) for _, line in lines]
        verdicts.record([KeptVerdict(one.index, one.verdict.value, one.to_line()) for one in made])
        after = lines[-1][0]
    want_verdicts(keeper.link, record.number, watch_timeout_s=watch_timeout_s)


def bounds_running(settings: RunSettings) -> bool:
    """Whether entries are held back while enough comparisons of the wave are running."""
    return settings.max_running is not None or bool(settings.max_running_per)


def refuse_other_bounds(record: PostgresWrittenRecord, facts: Mapping[str, Any], settings: RunSettings) -> None:
    """A wave that is running goes on by its own settings, but not with more comparisons at once than is asked for here.

    Raises `WaveRefused`.
    """
    wanted = settings.model_dump(mode="json", include={*_OF_RUNNING})
    has = facts.get("settings") or {}
    if bounds_running(settings) and any(wanted[name] != has.get(name) for name in _OF_RUNNING):
        raise WaveRefused(
            f"{record.name} is running without the --max-running or --max-running-per that is asked for here, and goes "
            "on by the settings it has: stop it first, with `batcher control … stop`, or leave the option out"
        )


def refuse_several_scopes(settings: RunSettings, scopes: int) -> None:
    """How many comparisons of a wave are running is known where its only scope is held. Raises `UserError`."""
    if bounds_running(settings) and scopes > 1:
        raise UserError(
            "--max-running and --max-running-per count the comparisons of the whole wave, and this one has several "
            "scopes (endpoint and project), which different machines run at the same moment: none of them could keep "
            "it exactly. Give each scope a wave of its own, or leave the option out; nothing was sent"
        )


class OneScopeManifest(Manifest):
    """A manifest that is refused at its second scope, where that is what the settings take."""

    def __init__(self, manifest: Manifest, settings: RunSettings) -> None:
        super().__init__(manifest._source, manifest.format)
        self._of = manifest
        self._settings = settings

    def read_batches(self, defaults: RunDefaults, *, now: float, allow_duplicates: bool = False) -> Iterator[Judged]:
        """What `Manifest.read_batches` gives. Raises `UserError`."""
        batches = self._of.read_batches(defaults, now=now, allow_duplicates=allow_duplicates)
        return self._of_one_scope(batches) if bounds_running(self._settings) else batches

    def _of_one_scope(self, batches: Iterator[Judged]) -> Iterator[Judged]:
        scopes: set[tuple[str, str]] = set()
        for judged in batches:
            sound = [judged] if isinstance(judged, AlikeEntries) else (one for one in judged if isinstance(one, Entry))
            for item in sound:
                if item.terms.scope not in scopes:
                    scopes.add(item.terms.scope)
                    refuse_several_scopes(self._settings, len(scopes))
            yield judged
