"""`check --show`, `--key` and `--job`: the request of an entry, as it will leave."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.cli.conftest import Batcher, Cloud
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.cli.conftest import cloud as cloud

UGLY = """shop's "best" $HOME `id` \\ 50% 数据库 !x"""  # no shell may touch it
TOKEN = "to$ken`%s\\n!"
ENTRIES = (
    {"job_id": "job-1", "key": "one", "data_level_compare_info": {"conflict_policy": "keep", "compare_type": "lines"}},
    {"job_id": "job-2", "key": "two", "object_level_compare_type": "objects", "x_language": "zh-cn"},
    {"job_id": "job-2", "key": "again", "object_level_compare_type": "objects"},
    {"job_id": "job-3", "key": "bad", "object_level_compare_type": "object"},
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Four entries, of which the last is wrong."""
    ENTRIES[0]["data_level_compare_info"]["compare_object_infos"] = [{"db_name": UGLY}]  # type: ignore[index]
    path = tmp_path / "wave.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES))
    return path


class Recorder(ThreadingHTTPServer):
    """Takes down each request that creates something, and passes all on to the simulated cloud at *url*."""

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = url
        self.seen: list[tuple[str, dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/create-compare-task"):
            self.server.seen.append((self.path, dict(self.headers), body))
        kept = {name: value for name, value in self.headers.items() if name != "Host"}
        with urlopen(Request(self.server.url + self.path, body, kept)) as answer:  # noqa: S310 - on loopback
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is told."""


@pytest.fixture
def recorder(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A cloud that keeps the bytes of what it was sent, to which the environment points."""
    with Recorder(cloud().url) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("BATCHER_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("BATCHER_TOKEN", TOKEN)
        yield server
        server.shutdown()


def sent_by_shell(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=dict(os.environ))
    return done.stdout


def test_what_is_shown_is_what_run_sends(batcher: Batcher, recorder: Recorder, manifest: Path) -> None:
    shown = batcher("check", manifest, "--show", 0).json
    manifest.write_text(manifest.read_text().splitlines()[0])
    assert batcher("run", manifest, "-o", "r.jsonl").code == 0
    path, headers, body = recorder.seen[0]
    assert shown["url"].endswith(path)
    assert json.dumps(shown["body"]) == json.dumps(json.loads(body))  # the order of the fields, too
    assert shown["headers"].items() <= headers.items()
    assert shown["method"] == "POST"


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="takes bash and curl")
@pytest.mark.parametrize("key", ["one", "two"])
def test_the_command_sends_the_same_bytes(batcher: Batcher, recorder: Recorder, manifest: Path, key: str) -> None:
    shown = batcher("check", manifest, "--key", key).json
    command = batcher("check", manifest, "--key", key, "--curl").out
    assert TOKEN not in command
    sent_by_shell(command)
    path, headers, body = recorder.seen[0]
    assert shown["url"].endswith(path)
    assert body == json.dumps(shown["body"], separators=(",", ":"), ensure_ascii=False).encode()
    assert headers["X-Auth-Token"] == TOKEN
    del shown["headers"]["User-Agent"]
    assert shown["headers"].items() <= headers.items()


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="takes bash and curl")
def test_the_command_creates_a_comparison(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    answer = json.loads(sent_by_shell(batcher("check", manifest, "--show", 1, "--curl").out))
    assert answer["object_level_compare_create_result"]["compare_task_id"]


def test_a_job_shows_each_of_its_entries(batcher: Batcher, recorder: Recorder, manifest: Path) -> None:
    ended = batcher("check", manifest, "--job", "job-2", "--allow-duplicates")
    assert (ended.code, ended.out.count('"method": "POST"')) == (0, 2)
    assert "1 finding about other entries" in ended.err
    assert recorder.seen == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--show", "9"), "has no entry 9 (counted from 0)"),
        (("--job", "job-9"), "has no entry of the job 'job-9'"),
        (("--key", "nobody"), "has no entry with the key 'nobody'"),
        (("--key", "bad"), "must be objects. Write objects."),
        (("--key", "one", "--show", "0"), "give one of --show, --key and --job"),
        (("--curl",), "say which, with --show, --key or --job"),
        (("--show", "0", "--against", "other.csv"), "leave --show, --key and --job out"),
        (("--show", "0", "--curl", "--json"), "use one of the two"),
    ],
)
def test_what_cannot_be_shown(
    batcher: Batcher, recorder: Recorder, manifest: Path, asked: tuple[str, ...], said: str
) -> None:
    ended = batcher("check", manifest, *asked)
    assert (ended.code, ended.out, said in ended.err) == (2, "", True), ended.err


def test_the_project_must_be_known(batcher: Batcher, manifest: Path) -> None:
    ended = batcher("check", manifest, "--show", 0, "--region", "eu-west-101")
    assert (ended.code, "name it with --project-id" in ended.err) == (2, True)
