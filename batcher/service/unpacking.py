"""Bodies that are packed for the way (`Content-Encoding`): unpacked in pieces of bounded size, and only as a whole.

aiohttp unpacks by itself, but takes a gzip body that was cut off for a shorter one: half a manifest would be a smaller
manifest. So bodies come as they are, and are unpacked here.
"""

import zlib
from collections.abc import Iterator

from batcher.service.problem import Problem

CODINGS = "gzip, deflate"
_PIECE = 256 * 1024  # bytes, unpacked, at once
_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS + 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Plain:
    """A body that is not packed."""

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """What *packed*, the next bytes of the body, holds."""
        if packed:
            yield packed

    def end(self) -> None:
        """The body has ended."""


class Packed:
    """A body that is packed as *coding* says: `gzip` or `deflate`."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inner = zlib.decompressobj(_GZIP) if coding == "gzip" else None  # None: its first byte tells
        self._is_whole = False  # what came so far may be all

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """What *packed*, the next bytes of the body, holds. Raises `Problem` 400."""
        piece = b""
        while packed or len(piece) == _PIECE:  # after a full piece there may be more to come, of no further input
            inner = self._next(packed)
            try:
                piece = inner.decompress(packed, _PIECE)
            except zlib.error:
                raise self._wrong() from None
            self._is_whole = inner.eof
            packed = inner.unused_data if inner.eof else inner.unconsumed_tail
            if inner.eof and not packed:
                if piece:
                    yield piece
                return
            if piece:
                yield piece

    def _next(self, packed: bytes) -> "zlib._Decompress":
        if self._inner is None:  # some senders of deflate leave the zlib header out
            self._inner = zlib.decompressobj(_ZLIB if packed[0] & 0xF == zlib.DEFLATED else _BARE)
        elif self._inner.eof:
            if self._coding != "gzip":
                raise self._wrong()
            self._inner = zlib.decompressobj(_GZIP)  # a gzip body may have several members
        return self._inner

    def end(self) -> None:
        """The body has ended. Raises `Problem` 400 where it was cut off."""
        if not self._is_whole:
            raise self._wrong()

    def _wrong(self) -> Problem:
        return Problem(
            400,
            f"The body is no whole {self._coding} as its Content-Encoding says: it was cut off or damaged. Nothing of "
            "it was kept: send it again, or as it is, without Content-Encoding.",
            headers={"Connection": "close"},
        )


def unpacking(coding: str) -> Plain | Packed:
    """How a body with *coding* as its Content-Encoding, "" for none, is unpacked. Raises `Problem` 415."""
    name = coding.strip().lower().removeprefix("x-")
    if name in ("", "identity"):
        return Plain()
    if name not in CODINGS.split(", "):
        raise Problem(
            415,
            f"The Content-Encoding {coding[:40]!r} is not known: send the body as it is, or with one of {CODINGS}.",
            headers={"Accept-Encoding": CODINGS, "Connection": "close"},
        )
    return Packed(name)
