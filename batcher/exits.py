"""The exit codes of every command. Scripts branch on them, so a change here is a change of the product."""

from typing import Final

CREATED: Final = 0  # every entry is created; for other commands: done
INCOMPLETE: Final = 1  # the wave ended, some entries are not created, none is unsettled
USAGE: Final = 2  # bad usage, manifest or configuration; nothing was sent
STOPPED: Final = 3  # stopped early: credentials refused, --max-failures, journal or results not writable
UNSETTLED: Final = 4  # the wave ended, some entries are unsettled: a person must look before going on
DEFECT: Final = 70  # a defect in batcher itself (EX_SOFTWARE)
SIGHUP: Final = 129
SIGINT: Final = 130
SIGPIPE: Final = 141  # whoever read our output closed it
SIGTERM: Final = 143

OF_SIGNALS: Final = {"SIGHUP": SIGHUP, "SIGINT": SIGINT, "SIGTERM": SIGTERM}
