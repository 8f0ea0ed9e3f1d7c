"""Handing a wave in to a service and following it from the command line, as `conduct` does with one that runs here."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import orjson

from batcher import logs, streams
from batcher.cli import exits
from batcher.cli.conduct import TalliedOutput, count, summary
from batcher.cli.failures import told as telling
from batcher.cli.loops import quickest_loop
from batcher.cli.service_options import words
from batcher.cli.show.at_the_end import accepted_by, check_end, tell_end, telling_stop
from batcher.cli.show.blockers import at_service
from batcher.cli.show.ending import print_ending, print_next_at_service
from batcher.cli.show.following import level_of
from batcher.cli.show.progress import progress
from batcher.cli.show.terminal import Screen, colors_on, note, screen
from batcher.cli.signals import Detached, until_signal
from batcher.client.attachment import Attachment, attachment_of
from batcher.client.errors import ServiceLost, ServiceRefused
from batcher.client.followed_wave import FollowedWave
from batcher.client.places import FilePlace, GivenPlace, Place, provisional_result, provisional_verdict
from batcher.client.service import MOST_AT_ONCE, Service, ServiceWave
from batcher.client.told import end_of, follow_end_of, follow_status_of
from batcher.clock import SystemClock, utc, utc_now
from batcher.errors import UserError
from batcher.gate.told import ToldGate
from batcher.journal.files import WaveFiles, followed
from batcher.life.result import rfc3339
from batcher.report.tally import Tally
from batcher.settings import RunSettings
from batcher.text import counted, printable
from batcher.wave.opening import BadManifest
from batcher.wave.sink import ReaderGone
from batcher.zone import zone_of

if TYPE_CHECKING:
    from batcher.cli.show.follow_end import FollowSummary

FIRST_CONTACT_S = 60.0  # that the service may not answer when a wave is handed in
FOLLOWING_S = 3600.0  # and later, as long as `run` waits for a cloud


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed in, and where its results go (None: standard output); *given* are the settings for the service,
    *command* is what was typed. *is_named*: somebody has said where the results go."""

    manifest: Path
    results: Path | None
    is_named: bool
    format: str | None
    encoding: str | None
    name: str | None
    priority: int
    start: bool
    profile: str | None
    given: Mapping[str, Any]
    restart: bool
    command: str


def submit(asked: Submission, service: Service, settings: RunSettings, *, follow: bool, as_json: bool) -> int:
    """Hand the wave in, and with *follow* see it to its end; the exit code.

    Raises `UserError`, with everything that is to be said.
    """
    check_end(settings)
    err = screen()
    logs.configure(settings.log_format, level_of(settings), color=colors_on(err.stream), brief=not settings.quiet)
    with telling(as_json=as_json and follow), telling_stop(settings, "submit"), ExitStack() as stack:
        attachment = stack.enter_context(_attached(asked))
        client = service.client
        client.patience_s = FIRST_CONTACT_S

        async def work() -> Callable[[], int]:
            async with service:
                wave, is_new = await _handed_in(asked, service, attachment, settings, err)
                if not follow:
                    return lambda: _print_taken(asked, wave, err, as_json=as_json, is_new=is_new)
                client.patience_s = FOLLOWING_S
                submitted = _SubmittedWave(asked, wave, attachment, settings, err, is_new=is_new)
                with _left_there(wave):
                    return await submitted.run(as_json=as_json)

        with streams.never_waiting(), asyncio.Runner(loop_factory=quickest_loop()) as runner:
            ended = runner.run(until_signal(work()))
        if isinstance(ended, Detached):
            _print_left(ended, asked, client.access.url, attachment.wave, err)
            return exits.OF_SIGNALS[ended.signal.name]
        return ended()


@contextmanager
def _left_there(wave: ServiceWave) -> Iterator[None]:
    """Whatever ends the following of a *wave* that was taken stops us early, and not the wave."""
    try:
        yield
    except UserError as error:
        is_gone = isinstance(error, ServiceRefused) and error.status == 404
        rest = "" if is_gone else f" Wave {wave.id} goes on at the service: the same command follows it on."
        raise UserError(f"{error.message}{rest}", exit_code=exits.STOPPED) from error


# --- handing it in --------------------------------------------------------------------------------------


def _attached(asked: Submission) -> Attachment:
    if asked.results is not None:
        results = followed(asked.results)
        return Attachment(attachment_of(results), results)
    beside = WaveFiles.of_output(_digest(asked.manifest)).journal
    return Attachment(beside.with_name(f"{beside.name}.service.json"), None)


def _digest(manifest: Path) -> str:
    from hashlib import file_digest

    try:
        with manifest.open("rb") as file:
            return f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise UserError(f"cannot read {manifest}: {error.strerror}.") from None


async def _handed_in(
    asked: Submission, service: Service, attachment: Attachment, settings: RunSettings, err: Screen
) -> tuple[ServiceWave, bool]:
    """The wave, and whether it was handed in just now."""
    if asked.restart:
        for kept in attachment.put_aside():
            err.say((f"kept aside: {printable(str(kept))}", "yellow"))
    key = attachment.key(service.client.access.url, _digest(asked.manifest))
    if attachment.wave is not None:
        if asked.given and _plain(asked.given) != attachment.given:
            note("the wave was handed in before: settings that are typed now change nothing. See batcher control.")
        try:
            return await service.wave(attachment.wave), False
        except (ServiceLost, ServiceRefused):
            raise
        except UserError as error:
            raise UserError(
                f"{error.message} {attachment.path} says that it was handed in there. If it is really gone, "
                "--restart hands the manifest in anew, which may submit entries a second time."
            ) from error
    try:
        wave = await service.submit(
            asked.manifest,
            name=asked.name,
            priority=asked.priority,
            start=asked.start,
            profile=asked.profile,
            key=key,
            format=asked.format,
            encoding=asked.encoding,
            **_for_the_service(asked.given, settings),
        )
    except ServiceLost as error:
        if not error.sent:
            attachment.forget()
            raise ServiceLost(f"{error.message} Nothing was handed in.", sent=False) from error
        raise ServiceLost(
            f"{error.message} Whether the wave was taken is not known: the same command again finds out, and hands it "
            "in once.",
            sent=True,
        ) from error
    except (BadManifest, UserError) as error:
        if isinstance(error, BadManifest) or error.exit_code == exits.USAGE:
            attachment.forget()  # it was not taken
        raise
    attachment.note(wave=wave.id, entries=wave.told["entries"], given=_plain(asked.given))
    return wave, True


def _plain(given: Mapping[str, Any]) -> dict[str, str]:
    """Settings as they are kept, to be compared with what is typed the next time."""
    return {name: str(value) for name, value in given.items()}


def _for_the_service(given: Mapping[str, Any], settings: RunSettings) -> dict[str, Any]:
    """Settings as they are meant here: a time of day is one of our zone, and not of the service's."""
    told = dict(given)
    if (text := told.get("deadline")) is not None:
        from batcher.settings.deadline import Deadline

        try:
            deadline = Deadline.parse(str(text))
        except ValueError:
            return told  # the service says what is wrong with it
        if deadline.of_day is not None:
            now = utc_now()
            told["deadline"] = rfc3339(utc(now.timestamp() + deadline.seconds_from(now, zone_of(settings.timezone))))
    return told


def _print_taken(asked: Submission, wave: ServiceWave, err: Screen, *, as_json: bool, is_new: bool) -> int:
    if as_json:
        click.echo(orjson.dumps(wave.told, option=orjson.OPT_INDENT_2))
        return exits.CREATED
    click.echo(wave.id)
    err.say(f"{_said_of(wave, is_new=is_new)}. To follow it:")
    err.offer((f"  {asked.command} --follow", "bold"))
    return exits.CREATED


def _said_of(wave: ServiceWave, *, is_new: bool) -> str:
    told = wave.told
    entries = counted(told["entries"], "entry", "entries")
    how = "a new wave" if is_new else "attached to the wave"
    reason = f" ({printable(told['reason'])})" if told["reason"] else ""
    waits = ": it waits to be approved or started" if told["state"] == "held" else ""
    return (
        f"{how} {wave.id} ({printable(told['name'])}) at {wave.client.access.url}, {entries}, "
        f"{told['state']}{reason}{waits}"
    )


def _print_left(ended: Detached, asked: Submission, url: str, wave: str | None, err: Screen) -> None:
    """What became of it, and how to come back."""
    name = ended.signal.name
    if wave is None:
        err.say((f"{name}: whether the wave was taken is not known. The same again finds out:", "yellow"))
        err.offer((f"  {asked.command}", "bold"))
        return
    err.say((f"{name}: no longer followed. Wave {wave} goes on at the service.", "yellow"))
    for why, typed in (
        ("the same again: follows it on", asked.command),
        ("to stop it", f"batcher control {words(url, wave)} stop"),
    ):
        err.offer((f"  # {why}", "dim"))
        err.offer((f"  {typed}", "bold"))


# --- following it ---------------------------------------------------------------------------------------


class _SubmittedWave:
    """One following of a wave, from its start text to its exit code."""

    def __init__(
        self,
        asked: Submission,
        wave: ServiceWave,
        attachment: Attachment,
        settings: RunSettings,
        err: Screen,
        *,
        is_new: bool,
    ) -> None:
        self._asked = asked
        self._wave = wave
        self._attachment = attachment
        self._settings = settings
        self._err = err
        self._is_new = is_new
        self._files = None if asked.results is None else WaveFiles.of(asked.results)
        self._output = TalliedOutput() if asked.results is None else None
        self._acceptances = accepted_by(settings)

    async def run(self, *, as_json: bool) -> Callable[[], int]:
        """Follow it to its end; what is returned says how it went, and gives the exit code."""
        if not self._settings.quiet:
            self._print_start()
        try:
            told, tally = await self._bring()
        except ReaderGone:
            self._err.say(
                (f"whoever read the results went away. Wave {self._wave.id} goes on at the service.", "yellow")
            )
            return lambda: exits.SIGPIPE
        gate = await self._ruling(told)
        return lambda: self._told(told, tally, gate, as_json=as_json)

    def _print_start(self) -> None:
        asked = self._asked
        where = "" if asked.is_named else f", results in {printable(str(asked.results))}"
        self._err.say((printable(str(asked.manifest)), "bold"), f"  {_said_of(self._wave, is_new=self._is_new)}{where}")
        self._err.say()

    async def _bring(self) -> tuple[Mapping[str, Any], Tally]:
        """Bring all lines here; the wave at its end, and what they count to. Raises `SinkFailed`, `ServiceLost`."""
        places = self._places()
        try:
            told = await self._follow(places)
            tally = self._tally()
            results = places[0]
            if self._output is None and _is_wrong(tally, told):
                results.restart()  # what is there is not what the service has: somebody's hand was in it
                self._wave.told = told
                told = await self._follow(places)
                tally = self._tally()
            return told, tally
        finally:
            for place in filter(None, places):
                place.close()

    def _places(self) -> tuple[Place, Place | None]:
        """Where results and verdicts go."""
        if self._output is not None:
            return GivenPlace(self._output.write, provisional_result), None
        assert self._files is not None  # noqa: S101 - one of the two
        assert self._files.results is not None  # noqa: S101 - and that is where they go
        attachment = self._attachment
        results = FilePlace(
            self._files.results,
            provisional_result,
            attachment.edition("results"),
            lambda edition: attachment.note(results=edition),
        )
        verdicts = FilePlace(
            self._files.verdicts,
            provisional_verdict,
            attachment.edition("verdicts"),
            lambda edition: attachment.note(verdicts=edition),
        )
        return results, verdicts

    async def _follow(self, places: tuple[Place, Place | None]) -> Mapping[str, Any]:
        following = FollowedWave(self._wave.client, self._wave.told, *places)
        async with progress(following.status, self._err, quiet=self._settings.quiet):
            return await following.run()

    def _tally(self) -> Tally:
        if self._output is not None:
            return self._output.tally
        assert self._files is not None  # noqa: S101
        assert self._files.results is not None  # noqa: S101
        return count(self._files.results) if self._files.results.exists() else Tally()

    async def _ruling(self, told: Mapping[str, Any]) -> ToldGate | None:
        """What the service's gate says; None where nothing was followed, or what is accepted was said here."""
        if follow_status_of(told) is None or self._settings.allow_inconsistent is not None:
            return None
        return await self._wave.gate(most=MOST_AT_ONCE)

    def _told(self, told: Mapping[str, Any], tally: Tally, gate: ToldGate | None, *, as_json: bool) -> int:
        end = end_of(told, SystemClock.now())
        code = told["exit_code"] if told["exit_code"] is not None else exits.STOPPED
        quiet, err, results = self._settings.quiet, self._err, self._asked.results
        title = str(results or self._asked.manifest)
        if not quiet:
            print_ending(err, end, tally, title=title)
        said: dict[str, Any] = summary(end, tally, results=results)
        said |= {"exit_code": code, "wave": self._wave.id, "service": self._wave.client.access.url}
        text = f"{self._asked.manifest}: {end.status.created:,} of {end.status.entries:,} created"
        verdicts = self._judged(told, gate)
        if verdicts is not None:
            said |= verdicts.as_json()
            text += f"; {verdicts.text}"
            if self._acceptances and code == exits.INCOMPLETE:
                whole = end.status.created == end.status.entries
                code = verdicts.exit_code or (exits.CREATED if whole else exits.INCOMPLETE)
            said["exit_code"] = code
            if not quiet:
                err.say()
                name = words(self._wave.client.access.url, self._wave.id)
                names = (str(self._asked.results), told["name"])
                verdicts.print(err.console, advice=at_service(dict.fromkeys(names, name)))
        if not quiet:
            wave = words(self._wave.client.access.url, self._wave.id)
            print_next_at_service(err, end, tally, wave=wave, judged=verdicts is not None)
        if as_json:
            click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
        tell_end(self._settings, "submit", text, said)
        return code

    def _judged(self, told: Mapping[str, Any], gate: ToldGate | None) -> "FollowSummary | None":
        """The *gate*'s word, or that over the lines that are here; None where nothing was followed."""
        if follow_status_of(told) is None or self._files is None or self._files.results is None:
            return None
        from batcher.cli.show.follow_end import FollowSummary

        end = follow_end_of(told, self._files.verdicts)
        if gate is not None:
            return FollowSummary(end, gate)
        return FollowSummary.of(self._files.results, end, self._acceptances)


def _is_wrong(tally: Tally, told: Mapping[str, Any]) -> bool:
    """Whether the lines that are here cannot be the wave's: some are doubled, or some of all are missing."""
    written = sum(tally.by_status.values())
    return bool(tally.repeated) or (told["state"] == "ended" and written != told["entries"])
