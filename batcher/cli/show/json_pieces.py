"""JSON to standard output, a piece at a time."""

import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from batcher.report.json_pieces import json_pieces
from batcher.streams import while_read

_PIECE = 256 * 1024


def print_json(value: Mapping[str, Any]) -> None:
    """Print *value* with an indent of two; iterators in it are read as they are printed."""
    out = sys.stdout.buffer
    sys.stdout.flush()
    for piece in while_read(json_pieces(value)):
        out.write(piece)
    out.write(b"\n")
    out.flush()


def print_file(file: BinaryIO, *, end: bytes = b"\n") -> None:
    """Print what *file* holds, from its beginning, which somebody else has written, and then *end*."""
    file.seek(0)
    out = sys.stdout.buffer
    sys.stdout.flush()
    for piece in while_read(iter(lambda: file.read(_PIECE), b"")):
        out.write(piece)
    out.write(end)
    out.flush()
