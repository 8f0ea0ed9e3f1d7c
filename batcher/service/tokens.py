"""The service's bearer tokens: made once, shown once, kept as hashes in a file of the operator's.

The file has a line a token, and may have comments:

    # name  role    hash of the token                                                  made
    portal  submit  sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 2026-11-30T02:00:00Z

A token is 256 random bits. That is why one round of SHA-256 is right here, where a password needs a slow hash: there is
no list of likely tokens to try, and 2^256 hashes are out of reach at any speed. A slow hash would only let whoever
sends wrong tokens spend the service's time.
"""

import fcntl
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import platformdirs
from msgspec import Struct

from batcher.clock import utc
from batcher.errors import UserError
from batcher.life.result import rfc3339
from batcher.masking import register_secret
from batcher.service.roles import WORDS, Role
from batcher.text import printable
from batcher.whole import whole

PREFIX = "batcher_"  # so that people, and scanners of code, know one when they see it
LONGEST = 512  # characters of what may be a token
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class TokensUnusable(UserError):
    """The tokens file cannot be read or trusted: nobody is let in by it. The text says why, and the mend."""


class TokenLine(Struct, frozen=True, kw_only=True):
    """A line of the file: the hash of a token, and whose it is."""

    name: str
    role: Role
    hash: bytes
    made_at: str

    def line(self) -> str:
        """As it stands in the file."""
        return f"{self.name} {self.role.word} sha256:{self.hash.hex()} {self.made_at}"


def hash_of(token: str) -> bytes:
    """What is kept of *token*; see the module for why this is enough."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def found(token: str, tokens: Iterable[TokenLine]) -> TokenLine | None:
    """The one of *tokens* that *token* is. Takes the same time whichever it is, and whether it is one."""
    theirs, match = hash_of(token[:LONGEST]), None
    for each in tokens:
        if hmac.compare_digest(each.hash, theirs):
            match = each
    return match


def parse(text: str, place: str) -> list[TokenLine]:
    """The tokens in *text*. Raises `TokensUnusable` with *place* and line for what is not a token's line."""
    tokens: dict[str, TokenLine] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        problem = _problem(fields, tokens)
        if problem is not None:
            raise TokensUnusable(f"{place}, line {number}: {problem}.")
        name, role, hashed, *made = fields
        tokens[name] = TokenLine(
            name=name,
            role=WORDS[role],
            hash=bytes.fromhex(hashed.removeprefix("sha256:")),
            made_at=made[0] if made else "",
        )
    return list(tokens.values())


def _problem(fields: list[str], before: Iterable[str]) -> str | None:
    if not 3 <= len(fields) <= 4:
        return "a line has a name, a role, a hash and the time it was made; make one with batcher token new"
    name, role, hashed = fields[:3]
    if not _NAME.fullmatch(name):
        return f"{printable(name, 80)!r} is no name: letters, digits and . _ @ -, at most 64"
    if name in before:
        return f"the name {name!r} is there twice"
    if role not in WORDS:
        return f"{printable(role, 40)!r} is no role: {', '.join(WORDS)}"
    if not _HASH.fullmatch(hashed):
        return "the hash is sha256: and 64 hexadecimal digits"
    return None


class TokensFile:
    """The tokens in the file at *path*, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] | None = None
        self._tokens: list[TokenLine] = []

    def tokens(self) -> list[TokenLine]:
        """All tokens, as the file has them now. Raises `TokensUnusable`: then nobody is let in."""
        stamp = self._looked_at()
        if stamp != self._stamp:
            self._stamp = None
            tokens = parse(_text(self.path), str(self.path))
            self._tokens, self._stamp = tokens, stamp
        return self._tokens

    def find(self, token: str) -> TokenLine | None:
        """The token that *token* is; None where it is none. Raises `TokensUnusable`."""
        return found(token, self.tokens())

    def holds(self, hashed: bytes) -> TokenLine | None:
        """The token with this hash, where it is still in the file. Raises `TokensUnusable`."""
        return next((each for each in self.tokens() if each.hash == hashed), None)

    def _looked_at(self) -> tuple[int, ...]:
        try:
            return _trusted(self.path)
        except OSError as error:
            raise TokensUnusable(_unreadable(self.path, error)) from None


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"tokens file {path} is not there: make a first token with batcher token new NAME --role admin."
    return f"tokens file {path} cannot be read: {error.strerror}."


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TokensUnusable(_unreadable(path, error)) from None
    except UnicodeDecodeError as error:
        raise TokensUnusable(f"tokens file {path} is not UTF-8 (at byte {error.start}).") from None


def _trusted(path: Path) -> tuple[int, ...]:
    """By what the file at *path* is known again. Raises OSError, and `TokensUnusable` where others may change it."""
    there = path.stat()
    if not stat.S_ISREG(there.st_mode):
        raise TokensUnusable(f"tokens file {path} is no file.")
    if there.st_uid not in (0, os.geteuid()):
        raise TokensUnusable(
            f"tokens file {path} belongs to somebody else, who could let anybody in: "
            "it has to be of the user who runs the service, or of root."
        )
    if there.st_mode & _OTHERS_MAY_WRITE:
        raise TokensUnusable(f"others may write tokens file {path}, and so let anybody in: chmod 600 {path}")
    folder = path.parent.stat()
    if folder.st_mode & _OTHERS_MAY_WRITE and not folder.st_mode & stat.S_ISVTX:
        raise TokensUnusable(
            f"others may write the folder {path.parent}, and so put another file in the place of the tokens file: "
            f"chmod go-w {path.parent}"
        )
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns


# What `batcher token` does ---------------------------------------------------------------------------------------


def default_path() -> Path:
    """Where `batcher token` keeps them unless told otherwise. Raises `UserError` for a user without a home."""
    try:
        return platformdirs.user_config_path("batcher") / "tokens"
    except RuntimeError:
        raise UserError(
            "nobody knows your home, so where are the tokens to be kept? Name a file: --tokens FILE"
        ) from None


def new_token(path: Path, name: str, role: Role, now: float) -> str:
    """Make a token called *name* and keep its hash at *path*; the token itself, which is kept nowhere.

    Raises `UserError`, OSError.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{printable(name, 80)!r} is no name for a token: letters, digits and . _ @ -, at most 64.")
    secret = PREFIX + secrets.token_urlsafe(32)
    register_secret(secret)
    token = TokenLine(name=name, role=role, hash=hash_of(secret), made_at=rfc3339(utc(now)))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(path):
        lines = _lines(path)
        if any(each.name == name for each in parse("\n".join(lines), str(path))):
            raise UserError(f"there is a token {name!r} in {path}: choose another name, or revoke that one first.")
        _write(path, [*lines, token.line()])
    return secret


def revoke(path: Path, name: str) -> TokenLine:
    """Take the token *name* out of the file at *path*; what it was. Raises `UserError`, OSError."""
    with _alone(path):
        tokens = {each.name: each for each in TokensFile(path).tokens()}
        if name not in tokens:
            raise UserError(f"there is no token {printable(name, 80)!r} in {path}: batcher token list shows all.")
        _write(path, [line for line in _lines(path) if line.partition("#")[0].split()[:1] != [name]])
    return tokens[name]


def _lines(path: Path) -> list[str]:
    """What stands at *path*, comments included; nothing where there is no file yet."""
    if not path.exists():
        return ["# Tokens of batcher serve: name, role, hash, when it was made. See batcher token --help."]
    TokensFile(path).tokens()  # it is sound, and nobody else's
    return _text(path).splitlines()


def _write(path: Path, lines: Iterable[str]) -> None:
    with whole(path) as fd:
        os.fchmod(fd, 0o600)
        with open(fd, "wb", closefd=False) as out:
            out.write("".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second `batcher token` from writing the file between our reading and our writing it.

    The lock is on the folder: the file itself is replaced.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: two at once are unlikely
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
