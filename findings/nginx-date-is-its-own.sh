#!/bin/sh
# nginx puts its own time into Date, in place of the server's; Apache, HAProxy and others pass it on.
set -eu
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null || { echo "cannot be tried here: nginx is not installed" >&2; exit 77; }
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
def nginx(behind, port, folder):
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open("nginx.conf", "w") as conf:
        conf.write(f"daemon off; pid {folder}/nginx.pid; events {{}}\nhttp {{ access_log off; {paths}\n"
                   f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }} }}\n")
    return started(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/log"], port)

behind = server(lost=lambda path: False)
for name, start in (("nginx", nginx), ("Apache", apache), ("HAProxy", haproxy)):
    port = free_port()
    process = start(behind, port, os.getcwd())
    headers = {name.lower(): value for name, value in post(HTTPConnection("127.0.0.1", port, timeout=20), "/first")[1].items()}
    print(f"{name}: {'as the server said' if headers['date'].endswith('2000 00:00:00 GMT') else 'its own time'}")
    process.terminate()
    process.wait()
EOF
echo 'A reverse proxy with nothing but the address behind it, and there a server whose Date says Sat, 01 Jan 2000.'
echo 'Expected: that Date. RFC 9110 (6.6.1) has a proxy add one only where there is none.'
python3 look.py >seen
echo "Seen with $(nginx -v 2>&1 | sed 's/.*: //'), $(apache2 -v | sed -n 's/.*: //p' | head -n 1) and $(haproxy -v | head -n 1 | cut -d ' ' -f 1-3), from Debian:"
cat seen
cat <<'EOF'
What it means: Date tells the clock of the nearest nginx, not that of the service. Who compares it with times that the service
gives (create_time, expiry, "newer than my request") compares two machines' clocks, and is wrong by their difference.
Way out: proxy_pass_header Date in nginx; else take the service's time only from what the service itself writes into bodies.
EOF
[ "$(cat seen)" = 'nginx: its own time
Apache: as the server said
HAProxy: as the server said' ]
