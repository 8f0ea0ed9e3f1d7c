#!/bin/sh
# Varnish sends a POST without a body a second time if its kept connection ends without an answer, and answers 200.
set -eu
PATH=$PATH:/usr/sbin
command -v varnishd >/dev/null || { echo "cannot be tried here: varnishd is not installed" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
chmod 755 "$folder"
cd "$folder"
cat >look.py <<'EOF'
import atexit, re, socket, subprocess, threading, time
from http.client import HTTPConnection, RemoteDisconnected

received = []  # by the server, for all requests that arrived whole

def server(lost):
    """A server on loopback that answers {} to each POST, but closes without a word where *lost* says so."""
    listener = socket.create_server(("127.0.0.1", 0))
    def serve(connection):
        stream = connection.makefile("rb")
        while line := stream.readline():
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            stream.read(int(length[1]) if length else 0)
            path = line.split()[1].decode()
            received.append(path)
            if lost(path):
                break
            connection.sendall(b"HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}")
        connection.shutdown(socket.SHUT_RDWR)
    def accept():
        while True:
            threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]

def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]

def started(command, port):
    """*command*, once it listens on *port*."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(process.kill)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.1)
    raise SystemExit("cannot be tried here: it does not listen")

def post(connection, path, body="{}"):
    """(status, headers) of the answer to a POST; (None, {}) where the connection is closed without a word."""
    try:
        connection.request("POST", path, body=body, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())
    except (RemoteDisconnected, ConnectionError):
        return None, {}

import os
def varnish(behind, port, folder):
    with open("one.vcl", "w") as vcl:
        vcl.write(f'vcl 4.1;\nbackend one {{ .host = "127.0.0.1"; .port = "{behind}"; }}\n')
    return started(["varnishd", "-F", "-j", "none", "-s", "malloc,16m", "-n", f"{folder}/work",
                    "-f", f"{folder}/one.vcl", "-a", f"127.0.0.1:{port}"], port)

behind = server(lost=lambda path: path in ("/start", "/create") and received.count(path) == 1)
port = free_port()
process = varnish(behind, port, os.getcwd())
connection = HTTPConnection("127.0.0.1", port, timeout=20)
for path, body in (("/first", "{}"), ("/start", ""), ("/first", "{}"), ("/create", "{}")):
    status = post(connection, path, body)[0]
    if path != "/first":
        print(path, "body" if body else "no body", status, "received", received.count(path))
process.terminate()
process.wait()
EOF
echo 'Varnish with two lines of VCL, and behind it a server that takes a POST and closes without an answer, the first time.'
echo 'Expected: an error, and one request at the server: what is not idempotent is not sent again.'
python3 look.py >seen
echo "Seen with $(varnishd -V 2>&1 | sed -n 's/.*(\(varnish-[0-9.]*\).*/\1/p' | head -n 1), from Debian:"
cat seen
cat <<'EOF'
What it means: over a connection that it has used before, Varnish sends a POST again where it still can, which is whenever
the body is empty. "Start this", "run that again" and other calls without a body can happen twice and be answered once.
Way out: a body, if only {}: then it cannot be sent again, and 503 says that something went wrong.
EOF
[ "$(cat seen)" = '/start no body 200 received 2
/create body 503 received 1' ]
