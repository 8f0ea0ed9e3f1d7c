#!/bin/sh
# Varnish invites to send a POST again whose answer was lost: 503 with Retry-After: 5, as if it had never been sent.
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

behind = server(lost=lambda path: path == "/lost")
told = {}
for name, where in (("taken, answer lost", behind), ("refused", free_port())):
    port = free_port()
    process = varnish(where, port, f"{os.getcwd()}")
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    status, headers = post(connection, "/lost")
    print(f"{name}: {status}, Retry-After: {headers.get('Retry-After')}")
    process.terminate()
    process.wait()
print("received", *received)
EOF
echo 'Varnish with two lines of VCL; behind it a server that takes a POST and closes without an answer, or nobody at all.'
echo 'Expected: Retry-After, if at all, where the request reached nobody.'
python3 look.py >seen
echo "Seen with $(varnishd -V 2>&1 | sed -n 's/.*(\(varnish-[0-9.]*\).*/\1/p' | head -n 1), from Debian:"
cat seen
cat <<'EOF'
What it means: status and headers are the same for a request that was carried out and for one that nobody got. Retry-After
says when to ask again (RFC 9110, 10.2.3): whoever follows it with a POST does the thing twice.
Way out: behind such a proxy a 503 is "may have happened": look first, whatever Retry-After says.
EOF
[ "$(cat seen)" = 'taken, answer lost: 503, Retry-After: 5
refused: 503, Retry-After: 5
received /lost' ]
