"""The manifest's bytes: opened once, digested, and given out as text, with an exact word on bytes that are none."""

import codecs
import hashlib
import io
import os
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from batcher.manifest.errors import ManifestError
from batcher.nearest import nearest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT = "-"
_CHUNK = 1 << 18
_AROUND = 1 << 12
_PIECE = 1 << 18
_UTF16_MEND = "Save it as UTF-8, or say what it is: --encoding utf-16"
# Where process substitution and redirections show up as files.
_DESCRIPTORS = ("/dev/", "/proc/")
_SIGNATURES = {
    b"PK\x03\x04": "a spreadsheet or zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF": "a PDF",
    b"SQLite format 3\x00": "an SQLite database (a journal?)",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow (Feather)",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"{\\rtf": "rich text",
}
_TABLES = ("Parquet", "Arrow (Feather)", "Avro", "ORC")
_FROM_TABLES = (
    "Export it, for example with DuckDB: COPY (FROM 'wave.parquet') TO 'wave.csv'; nested columns as JSONL, "
    "TO 'wave.jsonl' (FORMAT json)"
)
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<table")


class Source:
    """One manifest file, or standard input. *name* is how messages call it; *digest* is that of its bytes."""

    def __init__(self, path: Path | str, encoding: str | None) -> None:
        """Open and digest the file, reading it once. Raises `ManifestError`."""
        self.name = "standard input" if str(path) == STANDARD_INPUT else str(path)
        self.encoding = _encoding(encoding)
        self._given_encoding = encoding is not None
        self._file = self._open(path)
        weakref.finalize(self, self._file.close)
        self.digest = self._digest()

    @contextmanager
    def text(self, *, newline: str) -> Iterator[IO[str]]:
        """The file from its beginning, as text; *newline* as `open` has it.

        Raises `ManifestError` on bytes that are no text, and where the bytes are no longer those of `digest`.
        """
        with self._reading() as raw:
            text = io.TextIOWrapper(io.BufferedReader(raw, _CHUNK), self.encoding, newline=newline)
            try:
                yield text
                if not text.read(1):
                    self._check_digest(raw)
            finally:
                text.detach()

    def pieces(self) -> Iterator[str]:
        """The file as text, piece by piece, wherever lines end. Raises what `text` does, after all that is sound."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        with self._reading() as raw:
            more = True
            while more:
                chunk, before = raw.read(_PIECE), decoder.getstate()
                more = bool(chunk)
                try:
                    piece = decoder.decode(chunk, final=not more)
                except UnicodeDecodeError as error:
                    unsound = len(error.object) - error.start
                    decoder.setstate(before)
                    yield decoder.decode(chunk[: max(len(chunk) - unsound, 0)])
                    raise
                yield piece
            self._check_digest(raw)

    @contextmanager
    def _reading(self) -> Iterator["_Digesting"]:
        """The file's bytes from their beginning; what goes wrong with them becomes a `ManifestError`."""
        self._file.seek(0)
        try:
            yield _Digesting(self._file)
        except UnicodeDecodeError as error:
            raise self._undecodable(error) from None
        except UnicodeError as error:  # UTF-16 that does not begin with its byte order mark
            raise ManifestError(self.name, f"the file is not {self.encoding}: {error}", "Name its encoding") from None
        except OSError as error:
            raise self._unreadable(error) from None

    def _check_digest(self, raw: "_Digesting") -> None:
        if raw.digest() != self.digest:
            raise ManifestError(self.name, "the file changed while it was being read", "Run the same command again")

    def _open(self, path: Path | str) -> BinaryIO:
        try:
            if str(path) == STANDARD_INPUT:
                return self._spooled(sys.stdin.buffer)
            mode = Path(path).stat().st_mode
            if stat.S_ISDIR(mode):
                raise ManifestError(self.name, "this is a folder", "Name the manifest file in it")
            if not stat.S_ISREG(mode):
                return self._piped(path)
            return Path(path).open("rb")  # kept open, so that what is read is what was digested
        except FileNotFoundError:
            raise ManifestError(
                self.name, "there is no such file", "Look at its name and at the current folder"
            ) from None
        except PermissionError:
            raise ManifestError(self.name, "this user may not read the file", "Change its mode or its owner") from None
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError | ValueError) -> ManifestError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return ManifestError(self.name, f"the file cannot be read: {reason}", "Look at its name, its mode and its disk")

    def _piped(self, path: Path | str) -> BinaryIO:
        if not os.path.abspath(path).startswith(_DESCRIPTORS):  # noqa: PTH100 - resolve() would leave /dev/fd
            raise ManifestError(
                self.name,
                "this is a pipe or a device, not a file",
                "Name a file, or hand the manifest over on standard input: batcher check - --format csv < PIPE",
            )
        with Path(path).open("rb") as pipe:
            return self._spooled(pipe)

    def _spooled(self, stream: BinaryIO) -> BinaryIO:
        """What can be read only once, kept in an unnamed file so that it can be digested first."""
        try:
            spool = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the source
        except OSError as error:
            raise self._no_room(error) from None
        while chunk := stream.read(_CHUNK):
            try:
                spool.write(chunk)
            except OSError as error:
                spool.close()
                raise self._no_room(error) from None
        try:
            spool.flush()
        except OSError as error:
            raise self._no_room(error) from None
        return spool

    def _no_room(self, error: OSError) -> ManifestError:
        problem = f"it cannot be kept in a temporary file while it is checked: {error.strerror}"
        return ManifestError(self.name, problem, "Set TMPDIR to a folder with room, or name a file")

    def _digest(self) -> str:
        sha = hashlib.sha256()
        place = 0
        narrow = not self.encoding.replace("-", "_").startswith(("utf_16", "utf_32"))
        try:
            self._file.seek(0)
            while chunk := self._file.read(_CHUNK):
                sha.update(chunk)
                if not place:
                    self._refuse_foreign(chunk, narrow=narrow)
                if narrow and (nul := chunk.find(0)) >= 0:
                    line, column = self._position(place + nul)
                    raise ManifestError(
                        self.name,
                        "there is a NUL byte here, so this is no text file, or a damaged one",
                        "Write the file anew",
                        line=line,
                        column=column,
                    )
                place += len(chunk)
        except OSError as error:
            raise self._unreadable(error) from None
        if not place:
            raise ManifestError(self.name, "the file is empty", "A manifest has at least one entry")
        return f"sha256:{sha.hexdigest()}"

    def _refuse_foreign(self, head: bytes, *, narrow: bool) -> None:
        """Files that are something else by their first bytes."""
        for signature, what in _SIGNATURES.items():
            if head.startswith(signature):
                mend = _FROM_TABLES if what in _TABLES else "Save it as CSV, JSON or JSONL in UTF-8"
                raise ManifestError(self.name, f"this is {what}, not text", mend)
        if not narrow:
            return
        if head.lstrip(codecs.BOM_UTF8 + b" \t\r\n")[:20].lower().startswith(_PAGES):
            mend = "Is it a login page, or a workbook saved as a page? Get the file itself, as CSV, JSON or JSONL"
            raise ManifestError(self.name, "this is a page (HTML or XML)", mend)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ManifestError(self.name, "the file is in UTF-16", _UTF16_MEND)
        sample = head[:4096]
        if len(sample) >= 4 and (not any(sample[1::2]) or not any(sample[0::2])):
            order = "le" if not any(sample[1::2]) else "be"
            raise ManifestError(self.name, "the file looks like UTF-16", f"{_UTF16_MEND}-{order}")

    def _position(self, place: int) -> tuple[int, int]:
        """The 1-based line, and the 1-based byte in it, of the byte at *place*."""
        self._file.seek(0)
        line, begin, done = 1, 0, 0
        while done < place and (chunk := self._file.read(min(_CHUNK, place - done))):
            line += chunk.count(b"\n")
            if (last := chunk.rfind(b"\n")) >= 0:
                begin = done + last + 1
            done += len(chunk)
        return line, place - begin + 1

    def _undecodable(self, error: UnicodeDecodeError) -> ManifestError:
        found = self._first_undecodable()
        line = column = None
        what = error.object[error.start : error.start + 1]
        if found is not None:
            place, what = found
            line, column = self._position(place)
        guess = self._guess(found[0]) if found is not None else None
        if guess is not None:
            name, word = guess
            mend = f"With --encoding {name} it reads “{word}” here; otherwise name its encoding, or save it as UTF-8"
        elif self._given_encoding:
            mend = f"It is not in {self.encoding}: name its true encoding with --encoding, or save it as UTF-8"
        else:
            mend = "Save the file as UTF-8, or name its encoding with --encoding"
        told = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
        return ManifestError(
            self.name, f"the byte 0x{what.hex() or '??'} is not {told}", mend, line=line, column=column
        )

    def _guess(self, place: int) -> tuple[str, str] | None:
        """The encoding that the lines around *place* look like, and a word that shows it."""
        from batcher.manifest.formats.guess_encoding import guess_encoding

        begin = max(place - _AROUND, 0)
        self._file.seek(begin)
        lines = self._file.read(_CHUNK).split(b"\n")
        if begin:
            del lines[0]  # a part of a line may begin inside of a sign
        if len(lines) > 1:
            del lines[-1]
        return guess_encoding(b"\n".join(lines))

    def _first_undecodable(self) -> tuple[int, bytes] | None:
        """Offset of the first byte that is not in the encoding, and that byte; found by reading once more."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        self._file.seek(0)
        done = 0
        while True:
            chunk = self._file.read(_CHUNK)
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder was given what it had kept of earlier chunks, then this one; utf-8-sig drops its mark.
                shift = len(error.object) - (kept + len(chunk))
                return done - kept + error.start - shift, error.object[error.start : error.start + 1]
            if not chunk:
                return None
            done += len(chunk)


class _Digesting(io.RawIOBase):
    """Reads through, and digests what went by."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        count = self._file.readinto(view)  # type: ignore[attr-defined] # every binary file of ours has it
        self._sha.update(view[:count])
        return int(count)

    def digest(self) -> str:
        return f"sha256:{self._sha.hexdigest()}"


def _encoding(name: str | None) -> str:
    """The codec's name. UTF-8 always means with or without a byte order mark."""
    if name is None:
        return "utf-8-sig"
    try:
        codec = codecs.lookup(name)
        "".encode(name)  # refuses codecs from bytes to bytes, such as hex
    except (LookupError, ValueError, TypeError):
        near = nearest(name, ("utf-8", "utf-16", "cp1252", "iso-8859-1", "iso-8859-15", "gb18030", "big5"))
        hint = f"Did you mean {near}?" if near else "Python's names are used, such as cp1252, utf-16 or gb18030."
        raise ManifestError(f"--encoding {name}", "there is no such text encoding", hint) from None
    return "utf-8-sig" if codec.name == "utf-8" else codec.name
