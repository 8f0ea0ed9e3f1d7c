"""Surroundings that a command may find itself in: variables, streams, limits, homes and folders, as bad as they get."""

import ctypes
import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.forked import Plumbing

NOBODY = 54321  # a user whom no one knows


SOUND = Plumbing()


@dataclass(frozen=True, slots=True)
class World:
    """What a command finds: variables (None: not set), streams, and what was done to its process and folder first."""

    name: str
    environ: Mapping[str, str | None] = field(default_factory=dict)
    plumbing: Plumbing = SOUND
    before: Callable[[], None] | None = None


def _capabilities(kept: int) -> None:
    """Of what root may do, keep only the capabilities in the mask *kept* (capabilities(7))."""
    if os.geteuid() == 0 or kept:
        header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(kept, kept, 0)
        assert ctypes.CDLL(None).capset(header, data) == 0


def locked() -> None:
    """Nobody may enter the home, nor write in the folder; modes hold for root as well."""
    Path("home").chmod(0)
    Path().chmod(0o555)
    _capabilities(0)


def nameless() -> None:
    """From here on a user whom the system does not know, as in many containers; who may read everything."""
    if os.geteuid() == 0:
        keep_capabilities = 8
        assert ctypes.CDLL(None).prctl(keep_capabilities, 1) == 0
        os.setuid(NOBODY)
        _capabilities(0b100)  # to read where modes do not allow it


def limited(kind: int, most: int) -> None:
    resource.setrlimit(kind, (most, most))


def gone() -> None:
    """The folder we are in is removed."""
    here = Path.cwd()
    (here / "below").mkdir()
    os.chdir(here / "below")
    (here / "below").rmdir()


BYTES = "a\udcff\udcfeb"  # as an environment has bytes that are no UTF-8
CONTROL = "a\x1b[31m\x07b"
LONG = "x" * 300
NONE: Mapping[str, str | None] = {"BATCHER_TOKEN": None}


def _key(name: str, value: str) -> Mapping[str, str | None]:
    return {**NONE, "BATCHER_AK": "AKAKAKAK", "BATCHER_SK": "sksksksk", name: value}


WORLDS = (
    *(World(f"{name} {state}", plumbing=Plumbing(**{name: state}))  # type: ignore[arg-type]
      for name in ("stdin", "stdout", "stderr") for state in ("closed", "full", "broken")),
    World("no stream", plumbing=Plumbing("closed", "closed", "closed")),
    World("no room at all", plumbing=Plumbing("null", "full", "full")),
    *(World(f"{name}={value!r}", {name: value}) for name, values in {
        "HOME": (None, "", "/", "/dev/null", "/nowhere", LONG, "relative", BYTES),
        "XDG_CONFIG_HOME": ("/dev/null", "", BYTES, LONG), "XDG_STATE_HOME": ("/dev/null/x", BYTES, LONG),
        "XDG_RUNTIME_DIR": ("/nowhere", LONG), "TMPDIR": ("/nowhere",), "PATH": (None, ""),
        "LANG": ("xx_YY.nothing",), "LC_ALL": ("C", "POSIX"), "PYTHONIOENCODING": ("ascii", "latin-1", "utf-16"),
        "TERM": (None, "dumb", "nothing"), "COLUMNS": ("0", "-3", "many", "99999999"), "TZ": ("nothing", BYTES),
        "FORCE_COLOR": ("1", "x"), "NO_COLOR": ("1",),
        "BATCHER_TOKEN": (BYTES, CONTROL, "a\nb", " ", "é", "x" * 70_000, "{}"),
        "BATCHER_TOKEN_FILE": ("wave.csv", "/dev/null", "/dev/zero", "nowhere", BYTES, LONG, ".", "~nobody-at-all/x"),
        "BATCHER_RATE": (BYTES, CONTROL, "9" * 400, "1/s/s", "-1/s", "٣/s"),
        "BATCHER_CONCURRENCY": ("0", "9" * 5000, BYTES), "BATCHER_DEADLINE": (BYTES, "25:00", "9" * 400),
        "BATCHER_TIMEOUT": ("nan", "inf", "-1", "1e400"), "BATCHER_PROFILE": (BYTES, "none"),
        "BATCHER_CONFIG": (".", "wave.csv", "nowhere", "/dev/null", BYTES, LONG, "~nobody-at-all/x"),
        "BATCHER_CA_BUNDLE": ("wave.csv", ".", "nowhere", BYTES, LONG, "/dev/null"),
        "BATCHER_PROXY": ("http://h:99999", "http://h:x", "http://[::1", BYTES, "socks5://h:1", "h:1", "http://a b:1"),
        "HTTP_PROXY": ("nothing", BYTES), "http_proxy": ("http://h:99999", "socks5://h:1", BYTES, CONTROL),
        "no_proxy": (BYTES, "*", ","),
        "BATCHER_ENDPOINT": (BYTES, CONTROL, "http://[::1", "https://h/path", "x", "http://127.0.0.1:99999"),
        "BATCHER_REGION": (BYTES, "nowhere"), "BATCHER_PROJECT_ID": ("../..", BYTES, CONTROL, LONG),
        "BATCHER_NOTIFY": (BYTES, "https://", "http://127.0.0.1:99999/x", "https://[::1"),
        "BATCHER_ON_END": (BYTES, "exit 7", "kill -9 $$"), "BATCHER_NOTIFY_SECRET_FILE": ("nowhere", BYTES),
        "BATCHER_ALLOW_INCONSISTENT": (".", "wave.csv", "nowhere", BYTES), "BATCHER_LOG_FORMAT": ("xml",),
        "BATCHER_RAET": ("1",), "HUAWEICLOUD_SDK_CREDENTIALS_FILE": (".", "wave.csv", BYTES),
    }.items() for value in values),
    *(World(f"{name} {value!r}", _key(name, value)) for name in ("BATCHER_AK", "BATCHER_SK", "BATCHER_SECURITY_TOKEN")
      for value in (BYTES, CONTROL, "é", "a b")),
    *(World(f"{name} {value!r}", {**NONE, "BATCHER_USERNAME": "ann", "BATCHER_PASSWORD": "pass-word",
                                  "BATCHER_DOMAIN": "acme", name: value})
      for name in ("BATCHER_USERNAME", "BATCHER_PASSWORD", "BATCHER_DOMAIN", "BATCHER_IAM_ENDPOINT")
      for value in (BYTES, CONTROL)),
    World("no credential", NONE),
    World("a locked folder", before=locked),
    World("a locked folder, without a home", {"HOME": None}, before=locked),
    World("a user without a name", before=nameless),
    World("a user without a name and a home", {"HOME": None, "XDG_CONFIG_HOME": None}, before=nameless),
    World("a folder that is gone", before=gone),
    *(World(f"{most} open files", before=partial(limited, resource.RLIMIT_NOFILE, most)) for most in (12, 20, 40)),
    *(World(f"files of {most} bytes", before=partial(limited, resource.RLIMIT_FSIZE, most)) for most in (0, 4096)),
)  # fmt: skip
