#!/bin/sh
# aiohttp takes no answer with a header field of more than 8,190 bytes: a 201 with a long token is an error without a status.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib aiohttp==3.14.5 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: aiohttp could not be installed" >&2; exit 77; }
cat >look.py <<'CODE'
import asyncio

import aiohttp


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    token = b"t" * int(asked.split(b" ")[1].strip(b"/"))
    writer.write(b"HTTP/1.1 201 Created\r\nX-Subject-Token: " + token + b"\r\nContent-Length: 2\r\n\r\n{}")
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
    port = server.sockets[0].getsockname()[1]
    for name, options in (("by default", {}), ("max_field_size=65536", {"max_field_size": 65536})):
        for length in (8_000, 9_000, 20_000):
            async with aiohttp.ClientSession(**options) as session:
                try:
                    async with session.post(f"http://127.0.0.1:{port}/{length}") as response:
                        print(name, length, "->", response.status, len(response.headers["X-Subject-Token"]))
                except aiohttp.ClientError as error:
                    print(name, length, "->", type(error).__name__, getattr(error, "status", ""))
    server.close()


asyncio.run(main())
CODE
echo 'A server that answers POST with 201 and a token of 8,000, 9,000 and 20,000 bytes in X-Subject-Token, as IAM services do.'
echo 'Expected: the answer; or an error that says that a header is too long.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with aiohttp 3.14.5:'
cat seen
cat <<'TEXT'
What it means: tokens grow with the roles of their user, so a login that works in the test account fails in production, and
looks like a broken server: the token was issued, its answer cannot be read, and the status in the error is the client's own 400,
not the server's 201. Who retries issues one token after the other. The same for any POST: it was done, and its answer is an
error. Way out: max_field_size (and, for the status line, max_line_size) as large as what the service may send.
TEXT
grep -q '^by default 8000 -> 201 8000$' seen && grep -q '^by default 9000 -> ' seen &&
    ! grep -q '^by default 9000 -> 201' seen && grep -q '^max_field_size=65536 20000 -> 201 20000$' seen
