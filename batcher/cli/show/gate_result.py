"""The gate's result on a screen: GO or NO-GO, what stands in the way, and what was accepted."""

from collections.abc import Iterator

from rich.text import Text

from batcher.cli.show.blockers import Advice, blocker_lines, is_command, of_files
from batcher.cli.show.terminal import say
from batcher.follow.reasons import name_of
from batcher.follow.verdict import Verdict
from batcher.gate.result import GateVerdict
from batcher.gate.told import AnyGate
from batcher.report.plain_console import AnyConsole
from batcher.text import counted, printable

_PASSED = 50  # shown; --json has them all
_WORDS = {GateVerdict.GO: "bold green", GateVerdict.NO_GO: "bold red", GateVerdict.UNKNOWN: "bold magenta"}
STYLES = {
    Verdict.CONSISTENT: "green",
    Verdict.INCONSISTENT: "red",
    Verdict.FAILED: "red",
    Verdict.TIMEOUT: "yellow",
    Verdict.CANCELLED: "yellow",
    Verdict.UNKNOWN: "magenta",
}


def print_gate(console: AnyConsole, gate: AnyGate, *, advice: Advice | None = of_files) -> None:
    """Print *gate*: the verdict first, then what a person has to look at, and, by *advice*, what to type."""
    console.print(headline(gate))
    console.print(_counts(gate))
    for line in _waves(gate):
        say(console, line)
    for line in blocker_lines(gate, advice):
        if is_command(line):
            console.print(line, soft_wrap=True)
        else:
            say(console, line)
    for line in _acceptances(gate):
        say(console, line)


def exit_code(gate: AnyGate) -> int:
    """The exit code that says it: 0 GO, 1 NO-GO, 2 it cannot be told."""
    return gate.exit_code


def headline(gate: AnyGate) -> Text:
    """GO or NO-GO, and how many entries stand in the way."""
    line = Text(gate.verdict.value, _WORDS[gate.verdict])
    stand = len(gate.blockers)
    labelled = f" with label {printable(str(gate.labels))}" if gate.labels else ""
    whole = counted(gate.entries, "entry", "entries") + labelled
    if gate.go:
        accepted = f", {counted(len(gate.passed), 'difference')} accepted" if gate.passed else ""
        line.append(f"  {whole}: nothing stands in the way{accepted}", "default")
    elif gate.verdict is GateVerdict.UNKNOWN:
        line.append(f"  {whole} seen, and it cannot be told whether these are all", "default")
    elif not gate.entries:
        line.append(f"  there are no entries{labelled}: nothing is proven", "default")
    else:
        line.append(f"  {stand:,} of {whole} {'stands' if stand == 1 else 'stand'} in the way", "default")
    return line


def _waves(gate: AnyGate) -> Iterator[Text]:
    """Of waves that were evaluated without their journal, or of which not all may have been seen, what to know."""
    for told in gate.unproven:
        yield Text(f"  {printable(told)}", "yellow")
    for wave in gate.waves:
        if wave.unproven is None and wave.note is not None:
            yield Text(f"  {printable(wave.note)}", "dim")


def _counts(gate: AnyGate) -> Text:
    parts = [
        Text(f"{verdict.value} {count:,}", STYLES[verdict])
        for verdict in (Verdict.CONSISTENT, *(verdict for verdict in Verdict if verdict is not Verdict.CONSISTENT))
        if (count := gate.verdicts.get(verdict, 0))
    ]
    if count := gate.verdicts.get(None, 0):
        parts.append(Text(f"not followed {count:,}", "magenta"))
    if gate.replaced:
        parts.append(Text(f"({counted(len(gate.replaced), 'earlier verdict')} replaced by reruns)", "dim"))
    return Text("  ") + Text("  ").join(parts)


def _acceptances(gate: AnyGate) -> Iterator[Text]:
    if gate.passed:
        yield Text("\nAccepted", "bold")
    for passed in gate.passed[:_PASSED]:
        acceptance = passed.acceptance
        said = f"  job {printable(passed.job_id or '?')}: {name_of(passed.difference)}"
        yield Text(f"{said}: {printable(acceptance.reason, 200)} (until {acceptance.expires})")
    if (more := len(gate.passed) - _PASSED) > 0:
        yield Text(f"  … and {more:,} more", "dim")
    if gate.expired:
        yield Text("\nAcceptances that have expired, and accept nothing", "bold yellow")
        for acceptance in gate.expired:
            yield Text(f"  line {acceptance.line}: {printable(str(acceptance))}, on {acceptance.expires}", "yellow")
    if gate.unused:
        yield Text("\nAcceptances of differences that are not there: a typing error, or healed", "bold yellow")
        for acceptance in gate.unused:
            yield Text(f"  line {acceptance.line}: {printable(str(acceptance))}", "yellow")
