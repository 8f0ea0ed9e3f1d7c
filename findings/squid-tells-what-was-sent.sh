#!/bin/sh
# Squid tells, in a header, a POST that reached nobody from one whose answer was lost; nginx says 502 to both.
set -eu
PATH=$PATH:/usr/sbin
command -v squid >/dev/null || { echo "cannot be tried here: squid is not installed" >&2; exit 77; }
command -v nginx >/dev/null || { echo "cannot be tried here: nginx is not installed" >&2; exit 77; }
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
def squid(behind, port, folder):
    os.makedirs("kept", exist_ok=True)
    os.chmod("kept", 0o777)
    with open("squid.conf", "w") as conf:
        conf.write(f"http_port 127.0.0.1:{port}\nhttp_access allow all\ncache deny all\naccess_log none\n"
                   f"cache_log {folder}/kept/log\npid_filename {folder}/kept/pid\ncoredump_dir {folder}/kept\n"
                   "shutdown_lifetime 0 seconds\n")
    return started(["squid", "-N", "-f", f"{folder}/squid.conf"], port)
def nginx(behind, port, folder):
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open("nginx.conf", "w") as conf:
        conf.write(f"daemon off; pid {folder}/nginx.pid; events {{}}\nhttp {{ access_log off; {paths}\n"
                   f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }} }}\n")
    return started(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/log"], port)

behind = server(lost=lambda path: path == "/lost")
for name, start in (("squid", squid), ("nginx", nginx)):
    for what, where in (("answer lost", behind), ("refused", free_port())):
        port = free_port()
        process = start(where, port, os.getcwd())
        url = f"http://127.0.0.1:{where}/lost" if name == "squid" else "/lost"
        status, headers = post(HTTPConnection("127.0.0.1", port, timeout=20), url)
        print(f"{name}: {what}: {status} {headers.get('X-Squid-Error', '').split(' ')[0]}".rstrip())
        process.terminate()
        process.wait()
print("received", len(received))
EOF
echo 'A proxy, and behind it a server that takes a POST and closes without an answer, or nobody at all.'
echo 'Expected: 503 where nobody got it and 502 where it was lost, or the other way round: they can be told apart.'
python3 look.py >seen
echo "Seen with squid $(squid -v | sed -n 's/.*Version //p' | head -n 1) and $(nginx -v 2>&1 | sed 's/.*: //'), from Debian:"
cat seen
cat <<'EOF'
What it means: behind nginx a 502 is both "nobody got it" and "it was done"; Varnish says 503 to both. So no status of a proxy
tells whether a POST may be sent again. Squid's X-Squid-Error does: ERR_CONNECT_FAIL is certain, while ERR_ZERO_SIZE_OBJECT
means that the request had gone.
Way out: send again at once only for ERR_CONNECT_FAIL and its like; look first for everything else.
EOF
[ "$(cat seen)" = 'squid: answer lost: 502 ERR_ZERO_SIZE_OBJECT
squid: refused: 503 ERR_CONNECT_FAIL
nginx: answer lost: 502
nginx: refused: 502
received 2' ]
