"""A cloud that is never the bottleneck: one asyncio protocol, no framework, answers made from a template.

Run as a program it prints its port and serves until its standard input ends. Its clock is not batcher's: it counts
what arrives by its own, which is what a limit is counted by.
"""

import asyncio
import json
import random
import sys
import time
from email.utils import formatdate
from typing import cast

_NONE = b'{"compare_task_list_results":{"compare_task_list":[],"compare_task_list_count":0}}'
_LISTED = (
    b'{"job_id":"%s","object_level_compare_results":{"compare_task_id":"task-%s","object_compare_overview":[{'
    b'"object_type":"TABLE","object_compare_result":"CONSISTENT","source_count":7,"target_count":7,"diff_count":0}]},'
    b'"compare_task_list_results":{"compare_task_list_count":1,"compare_task_list":[{"compare_task_id":"task-%s",'
    b'"compare_type":"object_comparison","compare_task_status":"SUCCESSFUL","create_time":"1764000000000",'
    b'"end_time":"1764000060000"}]}}'
)


class Cloud(asyncio.Protocol):
    """Answers create-compare-task with a new task each, query-compare-result with an empty list,
    or, where it names a comparison, with that one, which has ended and agrees."""

    arrivals: list[float] = []  # noqa: RUF012 - one list for all connections
    date = b""
    jitter_s = 0.0
    delay_s = 0.0

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        while (head_end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:head_end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            end = head_end + 4 + length
            if len(buffer) < end:
                break
            self._answer(head, buffer[head_end + 4 : end])
            buffer = buffer[end:]
        self._buffer = buffer

    def _answer(self, head: bytes, body: bytes) -> None:
        if b"/arrivals" in head.split(b"\r\n", 1)[0]:
            said = json.dumps(self.arrivals).encode()
            self.arrivals.clear()
        elif b"query-compare-result" in head:
            job = _job_in(body)
            said = _LISTED % (job, job, job) if b"object_level_compare_id" in body else _NONE
        else:
            self.arrivals.append(time.monotonic())
            job = _job_in(body)
            said = b'{"job_id":"%s","object_level_compare_create_result":{"compare_task_id":"task-%s"}}' % (job, job)
        answer = (
            b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\nX-Request-Id: %d\r\nContent-Length: %d"
            b"\r\n\r\n%s" % (self.date, len(self.arrivals), len(said), said)
        )
        if self.jitter_s or self.delay_s:
            delay_s = self.delay_s + random.random() * self.jitter_s
            asyncio.get_running_loop().call_later(delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _job_in(body: bytes) -> bytes:
    return body[body.find(b'"job_id":') + 9 :].lstrip()[1:].split(b'"', 1)[0]


async def serve(jitter_s: float, delay_s: float) -> None:
    """Serve until standard input ends; answers take *delay_s*, and up to *jitter_s* more."""
    Cloud.jitter_s, Cloud.delay_s = jitter_s, delay_s
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Cloud, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    while not ended.done():
        Cloud.date = formatdate(usegmt=True).encode()
        await asyncio.wait({ended}, timeout=0.5)


if __name__ == "__main__":
    asyncio.run(serve(*(float(word) for word in sys.argv[1:3])))
