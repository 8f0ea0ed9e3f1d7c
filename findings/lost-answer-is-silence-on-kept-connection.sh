#!/bin/sh
# Apache and HAProxy answer a POST whose answer was lost with 502, but on a kept connection with silence.
set -eu
PATH=$PATH:/usr/sbin
command -v apache2 >/dev/null || { echo "cannot be tried here: apache2 is not installed" >&2; exit 77; }
command -v haproxy >/dev/null || { echo "cannot be tried here: haproxy is not installed" >&2; exit 77; }
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

APACHE = "LoadModule {0}_module /usr/lib/apache2/modules/mod_{0}.so\n"
def apache(behind, port, folder):
    modules = "".join(map(APACHE.format, ("mpm_event", "authz_core", "proxy", "proxy_http")))
    with open("apache.conf", "w") as conf:
        conf.write(f"{modules}ServerName localhost\nServerRoot {folder}\nDefaultRuntimeDir {folder}\n"
                   f"PidFile {folder}/pid\nErrorLog {folder}/log\nUser nobody\nGroup nogroup\n"
                   f"Listen 127.0.0.1:{port}\nProxyPass / http://127.0.0.1:{behind}/\n")
    return started(["apache2", "-DFOREGROUND", "-f", f"{folder}/apache.conf"], port)

def haproxy(behind, port, folder):
    with open("haproxy.conf", "w") as conf:
        conf.write("defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
                   f"frontend front\n bind 127.0.0.1:{port}\n default_backend back\n"
                   f"backend back\n server one 127.0.0.1:{behind}\n")
    return started(["haproxy", "-db", "-f", f"{folder}/haproxy.conf"], port)

import os
behind = server(lost=lambda path: path == "/lost")
for name, start in (("Apache", apache), ("HAProxy", haproxy)):
    port = free_port()
    process = start(behind, port, os.getcwd())
    fresh, kept = HTTPConnection("127.0.0.1", port, timeout=20), HTTPConnection("127.0.0.1", port, timeout=20)
    on_fresh = post(fresh, "/lost")[0]
    post(kept, "/first")
    on_kept = post(kept, "/lost")[0]
    print(f"{name}: on a fresh connection {on_fresh}, on a kept one {on_kept}")
    process.terminate()
    process.wait()
print("received", *received)
EOF
echo 'A reverse proxy, and behind it a server that takes a POST and closes without an answer.'
echo 'Expected: 502 Bad Gateway, whichever connection the client used.'
python3 look.py >seen
echo "Seen with $(apache2 -v | sed -n 's/.*: //p' | head -n 1) and $(haproxy -v | head -n 1 | cut -d ' ' -f 1-3), from Debian:"
cat seen
cat <<'EOF'
What it means: "the connection was closed before an answer came" looks like a kept connection that had gone stale, and many
clients send the request again for that (curl does, a POST as well). Here the server had taken it. So one lost answer
behind the proxy becomes two requests, without any retry that somebody configured.
Way out: a client that must not repeat treats a closed connection as "may have happened", on kept connections too.
EOF
[ "$(cat seen)" = 'Apache: on a fresh connection 502, on a kept one None
HAProxy: on a fresh connection 502, on a kept one None
received /lost /first /lost /lost /first /lost' ]
