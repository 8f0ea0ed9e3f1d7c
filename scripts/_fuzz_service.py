"""Fuzzes the service: requests made from its own OpenAPI document by schemathesis, against a real service.

No answer may be a 5xx, and none may be other than the document says. Some waves are there (one that has ended, one
that runs, one that is held), and most requests name one of them. Streams that do not end are left out.
schemathesis is installed, as pinned here, into an environment of its own. Ends with 0 if nothing was found. With
--database the waves are in a PostgreSQL that is started for it, and gone after that.
"""

import argparse
import subprocess
import sys
import venv
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _serving import BATCHER, request, service, simulator

SCHEMATHESIS = "schemathesis==4.32.5"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method"
)
# Streams without an end; and `follow`, which makes one of lines.
CONFIG = """\
headers = {{ Authorization = "Bearer {token}" }}
request-timeout = 20.0
generation.max-examples = {examples}

[parameters]
"path.id" = {{ dictionary = "waves", probability = 0.8 }}
"path.index" = {{ dictionary = "places", probability = 0.8 }}
"query.follow" = false

[dictionaries.waves]
values = [{waves}]

[dictionaries.places]
values = [0, 1, 2]

[[operations]]
include-operation-id = "events"
enabled = false
"""


def main() -> int:
    """What schemathesis ended with; 1 where the service itself logged an error."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=int, default=180, help="for which it goes on; default: %(default)s")
    asked.add_argument("--seed", type=int, help="of the requests; by default another one each time")
    asked.add_argument("--venv", type=Path, help="where schemathesis is installed, or is to be, and stays")
    asked.add_argument("--database", action="store_true", help="a service over a database, with a worker of its own")
    given = asked.parse_args()
    with TemporaryDirectory(prefix="batcher-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        program = _installed(given.venv or folder / "venv")
        database = _database(stack) if given.database else None
        return _fuzzed(folder, program, given.seconds, given.seed, database)


def _database(stack: ExitStack) -> str:
    """The address of a database that is prepared, on a server that is there until *stack* is left."""
    from tests.journal.postgres.cluster import Cluster, prepared

    cluster = Cluster.make()
    stack.callback(cluster.remove)
    return str(prepared(cluster))


def _installed(folder: Path) -> Path:
    """schemathesis in an environment of its own."""
    program = folder / "bin" / "schemathesis"
    if not program.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", SCHEMATHESIS], check=True)
    return program


def _fuzzed(folder: Path, program: Path, seconds: int, seed: int | None, database: str | None) -> int:
    tokens = folder / "tokens"
    command = [*BATCHER, "token", "new", "fuzzer", "--role", "admin", "--tokens", str(tokens), "--json"]
    token = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split('"token": "')[1].split('"')[0]
    )
    with (
        simulator(folder, "--speed", "1000") as cloud,
        service(folder, cloud.url, "--tokens", str(tokens), database=database, BATCHER_RATE="20/s") as served,
    ):
        bearer = {"Authorization": f"Bearer {token}"}
        waves = []
        for number, query in enumerate(("rate=20/s", "rate=1/s", "start=false")):
            rows = "".join(f"job-{number}-{row},objects\n" for row in range(600 if number == 1 else 6))
            body = f"job_id,object_level_compare_type\n{rows}".encode()
            told = request("POST", f"{served.url}/v1/waves?{query}", body, Content_Type="text/csv", **bearer)
            waves.append(told["id"])
        config = folder / "schemathesis.toml"
        named = ", ".join(f'"{wave}"' for wave in waves)
        config.write_text(CONFIG.format(token=token, waves=named, examples=50), encoding="utf-8")
        command = [
            str(program), "--config-file", str(config), "run", f"{served.url}/v1/openapi.json", "--checks", CHECKS,
            "--max-time", str(seconds), "--continue-on-failure", "--warnings", "off",
            *([] if seed is None else ["--seed", str(seed)]),
        ]  # fmt: skip
        code = subprocess.run(command, check=False, cwd=folder).returncode
        alive = request("GET", f"{served.url}/healthz")["status"]
        ended = served.end()
    errors = [line for line in served.log.read_text().splitlines() if " error " in line or "Traceback" in line]
    print(f"the service is {alive} after that, ended with {ended}, and logged {len(errors)} errors")
    print("\n".join(errors[:20]))
    return code or ended or bool(errors)


if __name__ == "__main__":
    sys.exit(main())
