"""The entry point: the table of commands, and the guard that turns every way of ending into an exit code."""

import errno
import gc
import os
import sys
import traceback
from typing import NoReturn

import click

from batcher import open_files, streams, zone
from batcher._version import __version__
from batcher.cli import exits, interruptions
from batcher.cli.lazy import LazyCommand, LazyGroup
from batcher.cli.show.terminal import tell
from batcher.cli.timezone import zone_in_force
from batcher.errors import UserError

SECTIONS = {
    "Submitting a wave": {
        "init": LazyCommand("batcher.cli.commands.init", "Write a first config file."),
        "doctor": LazyCommand("batcher.cli.commands.doctor", "Check settings, the way, clock, permissions and disk."),
        "discover": LazyCommand(
            "batcher.cli.commands.discover", "Write the manifest that compares the jobs there are."
        ),
        "auth": LazyCommand(
            "batcher.cli.commands.auth", "Show which credential is used, and whether the cloud takes it."
        ),
        "check": LazyCommand("batcher.cli.commands.check", "Check a manifest; touches no network."),
        "preflight": LazyCommand(
            "batcher.cli.commands.preflight", "Ask the cloud which entries could be submitted now."
        ),
        "rehearse": LazyCommand("batcher.cli.commands.rehearse", "Run a manifest against a simulated cloud."),
        "run": LazyCommand("batcher.cli.commands.run", "Create the comparison tasks of a manifest."),
        "control": LazyCommand("batcher.cli.commands.control", "Steer a running wave: status, pause, rate, stop."),
    },
    "After a wave": {
        "status": LazyCommand("batcher.cli.commands.status", "Show how several waves stand, and what to do next."),
        "watch": LazyCommand("batcher.cli.commands.watch", "Follow what was created to its verdicts."),
        "gate": LazyCommand("batcher.cli.commands.gate", "Say GO or NO-GO over one or several waves."),
        "report": LazyCommand("batcher.cli.commands.report", "Summarise a results file."),
        "explain": LazyCommand("batcher.cli.commands.explain", "Show every attempt made for an entry, and why."),
        "select": LazyCommand("batcher.cli.commands.select", "Write some entries as a manifest for the next wave."),
        "settle": LazyCommand("batcher.cli.commands.settle", "Decide what became of an unsettled entry."),
        "results": LazyCommand("batcher.cli.commands.results", "Write the result lines again from the journal."),
        "journal": LazyCommand("batcher.cli.commands.journal", "Check a journal, and save what can be read of it."),
    },
    "The service": {
        "serve": LazyCommand("batcher.cli.commands.serve", "Serve waves over HTTP, approved, run and watched live."),
        "backup": LazyCommand("batcher.cli.commands.backup", "Copy the service's data while it runs."),
        "submit": LazyCommand("batcher.cli.commands.client.submit", "Hand a wave in to a service, and follow it."),
        "waves": LazyCommand("batcher.cli.commands.client.waves", "Show a service's waves at a glance."),
        "token": LazyCommand("batcher.cli.commands.token", "Make, list and revoke the service's tokens."),
        "worker": LazyCommand(
            "batcher.cli.commands.machines.worker", "Run the waves of a database, on one of its machines."
        ),
        "database": LazyCommand(
            "batcher.cli.commands.machines.database", "Look at a PostgreSQL database, and prepare it."
        ),
    },
    "Trying out and wiring up": {
        "demo": LazyCommand("batcher.cli.commands.demo", "See it work: a sample wave through a simulated cloud."),
        "simulate": LazyCommand("batcher.cli.commands.simulate", "Serve a simulated DRS and IAM on loopback."),
        "schema": LazyCommand("batcher.cli.commands.schema", "Print the JSON Schema of results or manifests."),
        "help": LazyCommand("batcher.cli.commands.help", "Show all of a command's help; documentation, man pages."),
        "completion": LazyCommand("batcher.cli.commands.completion", "Print the shell completion script."),
    },
}

_EPILOG = """\b
Start with:
  batcher demo
  batcher check wave.csv --region eu-west-101 --project-id 0123…
  batcher run wave.csv --region eu-west-101 --project-id 0123…

\b
Credentials come from the environment: BATCHER_TOKEN, BATCHER_TOKEN_FILE, …
Exit codes: 0 all created, 1 some not, 2 usage, 3 stopped, 4 some unsettled.
Documentation: less "$(batcher help --docs)/runbook.md"
"""


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="batcher", message="%(prog)s %(version)s")
def cli() -> None:
    """Create Huawei Cloud DRS comparison tasks in bulk: each once, none lost, never over the limit."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit; see `batcher.cli.exits`."""
    if os.name == "nt":
        sys.exit("batcher runs on Linux and macOS. On Windows, run it in WSL (https://aka.ms/wsl) or in its container.")
    streams.secure()
    code = _read(run(args))
    try:
        streams.finish()
    except KeyboardInterrupt:
        code = exits.SIGINT
    interruptions.end_at_once()
    gc.freeze()  # or the interpreter, on its way out, would look through all that was loaded for garbage: 0.1 s
    sys.exit(code)


def run(args: list[str] | None = None) -> int:
    """Run the command line; the exit code. Every error has been told on stderr."""
    calm_collector()
    os.environ.setdefault(PLUGINS, "__all__")
    zone.choose_by(zone_in_force)
    try:
        interruptions.raise_again()
        open_files.require()
        _require_text(sys.argv[1:] if args is None else args)
        code = cli.main(args, prog_name="batcher", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else exits.CREATED
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _interrupted()
    except click.ClickException as error:
        return _click_error(error)
    except UserError as error:
        _error(error.message)
        return error.exit_code
    except OSError as error:
        return _os_error(error)
    except Exception as error:  # noqa: BLE001 - the top of the program: whatever comes here is told, none is lost
        return _interrupted() if interruptions.is_one(error) else _defect(error)


def _require_text(words: list[str]) -> None:
    """Names and values go into JSON, into SQLite and to the cloud: none of these takes bytes that are no UTF-8."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise UserError(f"{shown[:200]!r} is not UTF-8, and batcher takes only such names and values.") from None


def _read(code: int) -> int:
    """*code*, or the one that says that asked-for data did not get to whoever asked for it.

    It takes the place of those that speak of what is in that data, not of those that say that something else is wrong.
    """
    trouble = streams.trouble()
    if trouble is None or code not in (exits.CREATED, exits.INCOMPLETE):
        return code
    if streams.is_reader_gone(trouble):
        return exits.SIGPIPE
    _error(f"cannot write to standard output: {trouble.strerror}. Make room, or write somewhere else.")
    return exits.STOPPED


# pydantic reads the metadata of every installed package for plugins of its own: a twentieth of the start, for nothing.
PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
_LOADED = 100_000  # objects: a little more than a run has loaded when its first request leaves
_NEW = 20_000


def calm_collector() -> None:
    """Look for cyclic garbage less often: thousands of short-lived objects are in use at once, and hardly any cycle.

    By default a fifth of a wave's time would go into looking, and an eighth of its start: what is loaded stays, so
    the first look comes only after that.
    """
    gc.set_threshold(_LOADED, 20, 20)
    if _after_the_first_look not in gc.callbacks:
        gc.callbacks.append(_after_the_first_look)


def _after_the_first_look(phase: str, _: dict[str, int]) -> None:
    if phase == "stop":
        gc.callbacks.remove(_after_the_first_look)
        gc.set_threshold(_NEW, 20, 20)


def _interrupted() -> int:
    interruptions.settle()
    tell("interrupted")
    return exits.SIGINT


def _error(message: str) -> None:
    tell(message, label="error", color="red")


_NO_ROOM = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE})
# What is wrong with a name that somebody typed, or with what is found under it.
_OF_NAMES = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP,
     errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV, errno.ESTALE}
)  # fmt: skip


def _os_error(error: OSError) -> int:
    """A trouble of the system's that nobody has put into words of its own."""
    if error.errno in _NO_ROOM:
        name = f" {error.filename}" if error.filename else ""
        _error(f"cannot write{name}: {error.strerror}. Make room, or write somewhere else.")
        return exits.STOPPED
    if error.errno in _NO_MORE_FILES:
        _error("too many files are open: raise the limit (ulimit -n), or take a lower --concurrency.")
        return exits.STOPPED
    if error.errno not in _OF_NAMES:
        return _defect(error)
    if error.filename:
        _error(f"{error.filename} cannot be used: {error.strerror}.")
    elif not _is_folder_there():
        _error("the current folder is gone: change into one that is there.")
    else:
        _error(f"{error.strerror}.")
    return exits.USAGE


def _is_folder_there() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - nothing else is wanted
    except OSError:
        return False
    return True


def _click_error(error: click.ClickException) -> int:
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        tell(message)
        return exits.USAGE
    _error(message)
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        tell(f"See {context.command_path} --help.")
    return exits.USAGE


def _defect(error: Exception) -> int:
    from batcher.masking import mask_text, register_environment

    register_environment()
    trace = mask_text("".join(traceback.format_exception(error)))
    _error(
        f"this is a defect in batcher {__version__}, not in what you typed. What was on disk is safe: "
        "the same command goes on from there. Please report it with the text below."
    )
    tell(trace.rstrip("\n"))
    return exits.DEFECT
