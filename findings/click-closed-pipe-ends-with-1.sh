#!/bin/sh
# click ends a command whose reader has left with exit code 1, also where it was told to leave errors to the program.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib click==8.5.1 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: click could not be installed" >&2; exit 77; }
cat >look.py <<'CODE'
import os
import sys

import click


@click.command()
def verdict() -> None:
    for _ in range(2):
        click.echo("GO\n" * 50_000)
    sys.exit(0)


reading, writing = os.pipe()
os.close(reading)  # whoever read has left, as `head -1` does
os.dup2(writing, 1)
try:
    verdict.main([], standalone_mode=False)
except BaseException as error:
    print(f"{type(error).__name__} {getattr(error, 'code', error)}", file=sys.stderr)
CODE
echo 'A command with standalone_mode=False, whose standard output is a pipe that nobody reads any more.'
echo 'Expected: BrokenPipeError comes out of main(), as every other error does in this mode.'
PYTHONPATH=lib python3 look.py 2>seen || true
echo "Seen with click 8.5.1:"
cat seen
cat <<'TEXT'
What it means: a program that gives its exit codes a meaning cannot tell a closed pipe from its own "1". A gate that says GO
to `gate | head -1` ends with 1, which a pipeline reads as NO-GO; a submitter that has done all its work seems to have failed,
and is begun again. Way out: have standard output swallow the error itself, and decide on the exit code at the end.
TEXT
[ "$(head -1 seen)" = "SystemExit 1" ]
